import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { CloudAdapter, ConfigurationBotFrameworkAuthentication } from 'botbuilder';
import { Agent, request } from 'undici';
import { createWorld, type World } from '../bots/teams/world.ts';
import { type FakeCall, type FakeTeams, teamsIds } from '../fakes/teams-service.ts';
import { type BenchResult, quantile } from './result.ts';

/**
 * P1, P2 and P9 on the Teams path: real sockets, signed posts, the embedded store with every insert on the disk, a model
 * at zero latency, pacing as it is delivered. Beside it a bare CloudAdapter whose handler answers from memory. Teams'
 * side runs in the same process for both, so that only the ratio says something.
 */

type Bot = { readonly name: string; readonly url: string; stop(): Promise<void> };

const startOurs = async (world: World): Promise<Bot> => {
  const bot = await world.instance({
    teams: {
      settings: {
        paceMs: 1000,
        signAfterMs: 600,
        firstAfterMs: 150,
        streamMs: 1000,
        editMs: 3000,
        typingMs: 3000,
        timeoutMs: 15_000,
      },
    },
    settings: { leaseForMs: 30_000, pollMs: 1000 },
  });
  return { name: 'footnote', url: bot.url, stop: () => bot.stop() };
};

/** As the SDK's samples have it, but for the address of the keys and the token that nobody fetches. */
const startBare = async (fake: FakeTeams): Promise<Bot> => {
  type Parameters = ConstructorParameters<typeof ConfigurationBotFrameworkAuthentication>;
  const credentials = {
    isValidAppId: async (appId: string) => appId === teamsIds.appId,
    isAuthenticationDisabled: async () => false,
    createCredentials: async () => ({
      signRequest: async (call: { headers: { set(name: string, value: string): void } }) => {
        call.headers.set('authorization', 'Bearer token-for-teams');
        return call;
      },
    }),
  } as unknown as NonNullable<Parameters[1]>;
  const adapter = new CloudAdapter(
    new ConfigurationBotFrameworkAuthentication(
      {
        ToBotFromChannelOpenIdMetadataUrl: fake.metadataUrl,
        ToBotFromChannelTokenIssuer: 'https://api.botframework.com',
        ToBotFromEmulatorOpenIdMetadataUrl: fake.metadataUrl,
        ToChannelFromBotLoginUrl: fake.url,
        ToChannelFromBotOAuthScope: 'https://api.botframework.com',
        OAuthUrl: 'https://token.invalid',
        CallerId: 'urn:botframework:azure',
      },
      credentials,
    ),
  );
  const server = createServer(async (incoming, outgoing) => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const response = {
      socket: {},
      status: (code: number) => {
        outgoing.statusCode = code;
        return response;
      },
      header: () => response,
      send: () => response,
      end: () => outgoing.end(),
    };
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
    await adapter.process({ method: 'POST', headers: incoming.headers, body }, response as never, async (context) => {
      await context.sendActivity('Leave is 30 days. [1]');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return {
    name: 'bare CloudAdapter, in memory',
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    stop: () => close(server),
  };
};

const close = async (server: Server): Promise<void> => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
};

type Report = {
  readonly ackMs: readonly number[];
  readonly replyMs: readonly number[];
  readonly forMs: number;
  readonly failures: number;
};
type Load = { readonly count: number; readonly concurrency: number; readonly perSecond?: number };

/** Mentions in threads of their own; each measured until its 200 and until the call that posts its answer. */
const drive = async (world: World, bot: Bot, load: Load): Promise<Report> => {
  const agent = new Agent({ connections: 64 });
  const replies = new Map<string, () => void>();
  listeners.add((call) => {
    const conversation = /conversations\/([^/]+)\/activities/.exec(call.path)?.[1];
    if (conversation !== undefined && call.method === 'POST') replies.get(decodeURIComponent(conversation))?.();
  });
  const authorization = `Bearer ${world.fake.token()}`;
  const [ackMs, replyMs]: [number[], number[]] = [[], []];
  let [next, failures] = [0, 0];
  const startedAt = performance.now();
  const sendOne = async (index: number): Promise<void> => {
    const dueAt = load.perSecond === undefined ? 0 : startedAt + (index * 1000) / load.perSecond;
    const wait = dueAt - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const id = world.fake.nextId();
    const activity = world.activities.message({ id, text: 'how many days of leave do I have?' });
    const replied = new Promise<boolean>((resolve) => {
      replies.set(`${teamsIds.channel};messageid=${id}`, () => resolve(true));
      setTimeout(() => resolve(false), 20_000).unref();
    });
    const begunAt = performance.now();
    const response = await request(bot.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify(activity),
      dispatcher: agent,
    });
    await response.body.dump();
    ackMs.push(performance.now() - begunAt);
    if (response.statusCode !== 200 || !(await replied)) failures += 1;
    else replyMs.push(performance.now() - begunAt);
  };
  const worker = async (): Promise<void> => {
    while (next < load.count) {
      next += 1;
      await sendOne(next - 1);
    }
  };
  await Promise.all(Array.from({ length: load.concurrency }, worker));
  listeners.clear();
  await agent.close();
  return { ackMs, replyMs, forMs: performance.now() - startedAt, failures };
};

const listeners = new Set<(call: FakeCall) => void>();
const median = (values: readonly number[]): number => quantile(values, 0.5);

export const run = async (): Promise<BenchResult[]> => {
  const world = await createWorld({
    onCall: (call) => {
      for (const listener of listeners) listener(call);
    },
  });
  const [ours, bare] = [await startOurs(world), await startBare(world.fake)];
  try {
    for (const bot of [ours, bare]) await drive(world, bot, { count: 60, concurrency: 8 });
    const paced = await drive(world, ours, { count: 300, concurrency: 64, perSecond: 20 });
    const pacedBare = await drive(world, bare, { count: 200, concurrency: 64, perSecond: 20 });
    const rates: [number[], number[]] = [[], []];
    let failures = paced.failures + pacedBare.failures;
    // Turn about, so that a busy moment of the machine hits both.
    for (let round = 0; round < 5; round += 1) {
      for (const [index, bot] of [ours, bare].entries()) {
        const report = await drive(world, bot, { count: 120, concurrency: 16 });
        rates[index]?.push((report.replyMs.length * 1000) / report.forMs);
        failures += report.failures;
      }
    }
    const [p50, p99] = [median(paced.ackMs), quantile(paced.ackMs, 0.99)];
    const overhead = [0.5, 0.95, 0.99].map((share) => quantile(paced.replyMs, share));
    const [o50 = 0, o95 = 0, o99 = 0] = overhead;
    const ratio = median(rates[0]) / median(rates[1]);
    return [
      {
        id: 'P1',
        item: 'Teams post acknowledged after the durable insert, 20 mentions/s, each also answered',
        value: `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}`,
        unit: 'ms',
        target: 'p50 ≤ 5 ms, p99 ≤ 50 ms',
        beside: [
          { name: 'bare CloudAdapter, which answers before it acknowledges: p50 ms', value: median(pacedBare.ackMs) },
        ],
        note: `${failures} failed`,
        ok: p50 <= 5 && p99 <= 50 && failures === 0,
      },
      {
        id: 'P2',
        item: 'Teams mention in, call that posts its answer out, model at zero latency, 20/s',
        value: `p50 ${o50.toFixed(1)}, p95 ${o95.toFixed(1)}, p99 ${o99.toFixed(1)}`,
        unit: 'ms',
        target: 'p50 ≤ 20, p95 ≤ 80, p99 ≤ 200 ms',
        beside: [{ name: 'bare CloudAdapter p50 ms', value: median(pacedBare.replyMs) }],
        ok: o50 <= 20 && o95 <= 80 && o99 <= 200,
      },
      {
        id: 'P9',
        item: 'signed Teams mention in, reply call out, 16 under way',
        value: median(rates[0]),
        unit: 'answers/s',
        target: '≥ 0.7 × a bare CloudAdapter in memory',
        beside: [
          { name: 'bare CloudAdapter answers/s', value: median(rates[1]) },
          { name: 'ratio', value: ratio },
        ],
        ok: ratio >= 0.7,
      },
    ];
  } finally {
    await bare.stop();
    await world.close();
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
