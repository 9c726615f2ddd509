import { fileURLToPath } from 'node:url';
import { Client, Events, GatewayIntentBits, Options } from 'discord.js';
import { Hono } from 'hono';
import { createDiscord } from '../../bots/discord/discord.ts';
import { importPublicKey, verifyDiscordSignature } from '../../bots/discord/verify.ts';
import { createKeys, listen, soleLeader } from '../bots/discord/driving.ts';
import type { DiscordHello, DiscordLoadData } from './discord-load.ts';
import { type Bot, measureAcknowledgement, measureEventPath, startOurs } from './event-path.ts';
import { startLoad } from './load.ts';
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

export const run = async (): Promise<BenchResult[]> => {
  const program = new URL('./discord-load.ts', import.meta.url);
  const privateKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  // Each bot has a gateway of its own, so that a mention is told to one of them.
  const workerData: DiscordLoadData = { privateKey, workspaces: 1 };
  const loads = [
    await startLoad<DiscordHello>(program, workerData),
    await startLoad<DiscordHello>(program, workerData),
  ] as const;
  const [ours, bare] = [await startFootnote(loads[0].hello.apiUrl), await startBare(loads[1].hello.apiUrl)];
  try {
    const own = { bot: ours, run: loads[0].run };
    const peer = { bot: bare, run: loads[1].run };
    return [
      await measureAcknowledgement('signed Discord command', own, peer, { perSecond: 50 }),
      await measureEventPath('Discord mention over the gateway in, reply call out', [own, { ...peer, needed: 0.7 }], {
        concurrency: 32,
      }),
    ];
  } finally {
    for (const bot of [ours, bare]) await bot.stop();
    for (const load of loads) await load.close();
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
