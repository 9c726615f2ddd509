import { fileURLToPath } from 'node:url';
import { Client, Events, GatewayIntentBits, Options } from 'discord.js';
import { Hono } from 'hono';
import { createDiscord } from '../../bots/discord/discord.ts';
import { importPublicKey, verifyDiscordSignature } from '../../bots/discord/verify.ts';
import { createKeys, listen, soleLeader } from '../bots/discord/driving.ts';
import type { DiscordHello, DiscordLoadData } from './discord-load.ts';
import {
  type Bot,
  type Contestant,
  later,
  measureAcknowledgement,
  measureEventPath,
  silent,
  startOurs,
} from './event-path.ts';
import { type LoadThread, startLoad } from './load.ts';
import { startPeer } from './peers.ts';
import type { BenchResult } from './result.ts';

/** P1 and P9 on the Discord path: real sockets, the embedded store with every insert on the disk, a model at zero latency. */

const keys = createKeys();
/** Discord's own limit of 50 calls a second would be all that is measured. */
const unlimited = 1_000_000;

const startFootnote = (apiUrl: string): Promise<Bot> =>
  startOurs(
    (runtime) =>
      createDiscord({
        botToken: 'bench',
        publicKey: keys.publicKey,
        apiUrl,
        lead: soleLeader,
        runtime,
        settings: { callsPerSecond: unlimited },
      }),
    { path: '/discord/interactions', ready: 'discord-ready' },
  );

/** discord.js as its guide shows it: a handler in memory, nothing stored, nothing cached that is not needed. */
const startBare = async (apiUrl: string): Promise<Bot> => {
  const client = new Client({
    intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages],
    rest: { api: apiUrl, version: '10', globalRequestsPerSecond: unlimited },
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

/**
 * Vercel's Chat SDK with its in-memory state and its own connection to the gateway, when a folder with it is named in
 * BENCH_PEERS; null otherwise. Its client of the gateway can be told of another Discord only by the library's defaults.
 */
const startChatSdk = (apiUrl: string): Promise<Bot | null> =>
  startPeer('Chat SDK', async (peers) => {
    Object.assign(peers.require('discord.js').DefaultRestOptions, { api: apiUrl, globalRequestsPerSecond: unlimited });
    const [{ Chat }, { createDiscordAdapter }, { createMemoryState }] = await Promise.all([
      peers.load('chat'),
      peers.load('@chat-adapter/discord'),
      peers.load('@chat-adapter/state-memory'),
    ]);
    const ready = Promise.withResolvers<void>();
    const info = (words: string): void => void (words === 'Discord Gateway connected' && ready.resolve());
    const discord = createDiscordAdapter({
      botToken: 'bench',
      publicKey: keys.publicKey,
      applicationId: '100000000000000001',
      apiUrl: `${apiUrl}/v10`,
      logger: { ...silent, info },
    });
    const bot = new Chat({
      userName: 'bench',
      logger: 'silent',
      adapters: { discord },
      state: createMemoryState(),
    });
    bot.onNewMention(async (thread: { post(text: string): Promise<unknown> }) => {
      await thread.post('Leave is 30 days. [1]');
    });
    await bot.initialize();
    const ended = new AbortController();
    const waitUntil = (work: Promise<unknown>): void => void work.catch(ready.reject);
    await discord.startGatewayListener({ waitUntil }, 3_600_000, ended.signal);
    await Promise.race([ready.promise, later(20_000).then(() => Promise.reject(new Error('it does not connect')))]);
    return { name: 'Vercel Chat SDK, in memory', url: '', stop: async () => ended.abort() };
  });

export const run = async (): Promise<BenchResult[]> => {
  const program = new URL('./discord-load.ts', import.meta.url);
  const privateKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  // Each bot has a gateway of its own, so that a mention is told to one of them.
  const workerData: DiscordLoadData = { privateKey, workspaces: 1 };
  const loads: LoadThread<DiscordHello>[] = [];
  const bots: Bot[] = [];
  const enter = async (start: (apiUrl: string) => Promise<Bot | null>): Promise<Contestant | null> => {
    const load = await startLoad<DiscordHello>(program, workerData);
    loads.push(load);
    const bot = await start(load.hello.apiUrl);
    if (bot === null) return null;
    bots.push(bot);
    return { bot, run: load.run };
  };
  try {
    const [own, bare, chatSdk] = [await enter(startFootnote), await enter(startBare), await enter(startChatSdk)];
    if (own === null || bare === null) throw new Error('not started');
    return [
      await measureAcknowledgement('signed Discord command', own, bare, { perSecond: 50 }),
      // The bare handler is quoted: it knows of no threads, keeps nothing and renders nothing.
      await measureEventPath(
        'Discord mention over the gateway in, reply call out',
        [own, ...(chatSdk === null ? [] : [{ ...chatSdk, needed: 1 }]), { ...bare, needed: 0 }],
        { concurrency: 32, note: chatSdk === null ? '; Chat SDK not installed here' : '' },
      ),
    ];
  } finally {
    for (const bot of bots) await bot.stop();
    for (const load of loads) await load.close();
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
