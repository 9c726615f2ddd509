import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Client, Events, GatewayIntentBits, Options } from 'discord.js';
import { Hono } from 'hono';
import { createDiscord } from '../../bots/discord/discord.ts';
import { importPublicKey, verifyDiscordSignature } from '../../bots/discord/verify.ts';
import { createConversations } from '../../core/conversation/conversation.ts';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import { systemClock } from '../../core/observe/system.ts';
import { createKeys, listen, soleLeader } from '../bots/discord/driving.ts';
import { demoTenant, effective } from '../bots/slack/world.ts';
import { doorsOf } from '../core/conversation/doors.ts';
import { createFakeAnswering } from '../core/conversation/fake-answering.ts';
import { createTestRuntime } from '../fakes/clock.ts';
import type { LoadCommand, LoadReport } from './discord-load.ts';
import { type BenchResult, quantile } from './result.ts';

/** P1, P2 and P9 on the Discord path: real sockets, the embedded store with every insert on the disk, a model at zero latency. */

const keys = createKeys();

type Load = {
  readonly apiUrl: string;
  welcome(): Promise<unknown>;
  run(command: LoadCommand): Promise<LoadReport>;
  close(): Promise<void>;
};

const startLoad = async (): Promise<Load> => {
  const worker = new Worker(new URL('./discord-load.ts', import.meta.url), {
    workerData: { privateKey: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) },
  });
  const next = <T>(): Promise<T> =>
    new Promise((resolve, reject) => {
      worker.removeAllListeners('error');
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  const { apiUrl } = await next<{ readonly apiUrl: string }>();
  const send = <T>(message: unknown): Promise<T> => {
    const answer = next<T>();
    worker.postMessage(message);
    return answer;
  };
  return {
    apiUrl,
    welcome: () => send({ kind: 'welcome' }),
    run: (command) => send<LoadReport>(command),
    close: async () => void (await worker.terminate()),
  };
};

type Bot = { readonly name: string; readonly url: string; stop(): Promise<void> };

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
/** Discord's own limit of 50 calls a second would be all that is measured. */
const unlimited = 1_000_000;

/** Ours as it runs: durable inbox, leased threads, outbox, receipts; only the answer itself is faked. */
const startOurs = async (load: Load): Promise<Bot> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'footnote-bench-'));
  const ready = Promise.withResolvers<void>();
  const runtime = {
    ...createTestRuntime(),
    clock: systemClock,
    log: { ...silent, info: (event: string) => void (event === 'discord-ready' && ready.resolve()) },
    metrics: { count: () => undefined, observe: () => undefined, set: () => undefined },
  };
  const state = await openSqliteState({ dataDir, log: silent });
  await state.tenants.create(demoTenant);
  const discord = createDiscord({
    botToken: 'bench',
    publicKey: keys.publicKey,
    apiUrl: load.apiUrl,
    lead: soleLeader,
    runtime,
    settings: { callsPerSecond: unlimited },
  });
  const conversations = createConversations({
    state,
    answering: createFakeAnswering(() => Date.now()),
    resolveTenant: async () => demoTenant,
    rules: async () => effective({}),
    ...doorsOf(state, runtime),
    runtime,
    owner: 'bench',
  });
  conversations.start([discord]);
  await discord.start(conversations.receive);
  const http = await listen(discord.routes);
  await ready.promise;
  await load.welcome();
  return {
    name: 'footnote',
    url: `${http.url}/discord/interactions`,
    stop: async () => {
      await http.close();
      await discord.stop();
      await conversations.stop(5000);
      await state.maintenance.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};

/** discord.js as its guide shows it: a handler in memory, nothing stored, nothing cached that is not needed. */
const startBare = async (load: Load): Promise<Bot> => {
  const client = new Client({
    intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages],
    rest: { api: load.apiUrl, version: '10', globalRequestsPerSecond: unlimited },
    makeCache: Options.cacheWithLimits({ ...Options.DefaultMakeCacheSettings, MessageManager: 0 }),
  });
  const ready = new Promise<void>((resolve) => client.once(Events.ClientReady, () => resolve()));
  client.on(Events.MessageCreate, (message) => {
    if (!message.author.bot && message.mentions.has(client.user?.id ?? ''))
      message.reply({ content: 'Leave is 30 days. [1]', allowedMentions: { parse: [] } }).catch(() => undefined);
  });
  const publicKey = importPublicKey(keys.publicKey);
  const app = new Hono().post('/discord/interactions', async (c) => {
    const rawBody = new Uint8Array(await c.req.arrayBuffer());
    const verdict = verifyDiscordSignature({
      publicKey,
      rawBody,
      signature: c.req.header('x-signature-ed25519'),
      timestamp: c.req.header('x-signature-timestamp'),
      now: Date.now(),
    });
    return verdict === 'ok' ? c.json({ type: 5 }) : c.text('', 401);
  });
  const http = await listen(app);
  await client.login('bench');
  await load.welcome();
  await ready;
  return {
    name: 'bare discord.js, in memory',
    url: `${http.url}/discord/interactions`,
    stop: async () => {
      await http.close();
      await client.destroy();
    },
  };
};

const median = (values: readonly number[]): number => quantile(values, 0.5);

const measureAcknowledgement = async (): Promise<BenchResult> => {
  const load = await startLoad();
  const ours = await startOurs(load);
  const bare = await startBare(load);
  try {
    for (const { url } of [ours, bare]) await load.run({ kind: 'acknowledge', url, count: 100, concurrency: 16 });
    const paced = (bot: Bot, count: number) =>
      load.run({ kind: 'acknowledge', url: bot.url, count, concurrency: 64, perSecond: 50 });
    const own = await paced(ours, 400);
    const other = await paced(bare, 200);
    const [p50, p99] = [median(own.timesMs), quantile(own.timesMs, 0.99)];
    return {
      id: 'P1',
      item: 'signed Discord command acknowledged after the durable insert, 50/s, each also answered',
      value: `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}`,
      unit: 'ms',
      target: 'p50 ≤ 5 ms, p99 ≤ 50 ms',
      beside: [
        { name: 'verify and reply, nothing stored: p50 ms', value: median(other.timesMs) },
        { name: 'p99 ms', value: quantile(other.timesMs, 0.99) },
      ],
      note: `${own.failures} failed`,
      ok: p50 <= 5 && p99 <= 50 && own.failures === 0,
    };
  } finally {
    await ours.stop();
    await bare.stop();
    await load.close();
  }
};

/** Each bot has a gateway of its own, so that a mention is told to one of them. */
const measureEventPath = async (): Promise<readonly BenchResult[]> => {
  const loads = [await startLoad(), await startLoad()] as const;
  const bots = [await startOurs(loads[0]), await startBare(loads[1])] as const;
  const rates: [number[], number[]] = [[], []];
  const times: [number[], number[]] = [[], []];
  let failures = 0;
  try {
    for (const load of loads) await load.run({ kind: 'reply', count: 100, concurrency: 16 });
    // Turn about, so that a busy moment of the machine hits both of them.
    for (let round = 0; round < 5; round += 1)
      for (const at of [0, 1] as const) {
        const report = await loads[at].run({ kind: 'reply', count: 150, concurrency: 32 });
        rates[at].push((report.timesMs.length * 1000) / report.forMs);
        times[at].push(...report.timesMs);
        failures += report.failures;
      }
    const paced = [];
    for (const load of loads) paced.push(await load.run({ kind: 'reply', count: 300, concurrency: 64, perSecond: 20 }));
    const [own, bare] = paced;
    if (own === undefined || bare === undefined) throw new Error('not measured');
    const over = (share: number): number => quantile(own.timesMs, share) - quantile(bare.timesMs, share);
    const ratio = median(rates[0]) / median(rates[1]);
    return [
      {
        id: 'P2',
        item: 'Discord mention to answer at 20 questions/s, more than a bare discord.js handler takes; one server, one tenant',
        value: `p50 ${over(0.5).toFixed(1)}, p95 ${over(0.95).toFixed(1)}, p99 ${over(0.99).toFixed(1)}`,
        unit: 'ms',
        target: 'p50 ≤ 20, p95 ≤ 80, p99 ≤ 200 ms',
        beside: [
          { name: 'ours p50 ms', value: median(own.timesMs) },
          { name: 'bare p50 ms', value: median(bare.timesMs) },
        ],
        note: `${own.failures + bare.failures} failed`,
        ok: over(0.5) <= 20 && over(0.95) <= 80 && over(0.99) <= 200 && own.failures === 0,
      },
      {
        id: 'P9',
        item: 'Discord mention over the gateway in, reply call out, 32 under way',
        value: median(rates[0]),
        unit: 'answers/s',
        target: '≥ 0.7 × a bare discord.js handler in memory',
        beside: [
          { name: 'bare discord.js answers/s', value: median(rates[1]) },
          { name: 'ratio', value: ratio },
          { name: 'ours p50 ms', value: median(times[0]) },
          { name: 'bare p50 ms', value: median(times[1]) },
        ],
        note: `${failures} failed`,
        ok: failures === 0 && ratio >= 0.7,
      },
    ];
  } finally {
    for (const bot of bots) await bot.stop();
    for (const load of loads) await load.close();
  }
};

export const run = async (): Promise<BenchResult[]> => [await measureAcknowledgement(), ...(await measureEventPath())];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
