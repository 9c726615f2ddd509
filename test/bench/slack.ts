import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { App, HTTPReceiver, LogLevel } from '@slack/bolt';
import { Hono } from 'hono';
import { createSlack } from '../../bots/slack/slack.ts';
import { listen } from '../bots/discord/driving.ts';
import { createWorld } from '../bots/slack/world.ts';
import { createTestRandom } from '../fakes/clock.ts';
import { type Bot, later, measureAcknowledgement, measureEventPath, silent, startOurs } from './event-path.ts';
import { startLoad } from './load.ts';
import { startPeer } from './peers.ts';
import type { BenchResult } from './result.ts';
import type { SlackHello } from './slack-load.ts';

/** P1, P9 and R3 on the Slack path: real sockets, the embedded store with every insert on the disk, a model at zero latency. */

const signingSecret = 'bench-secret';

const startFootnote = (apiUrl: string): Promise<Bot> =>
  startOurs(
    (runtime) =>
      createSlack({
        signingSecret,
        botToken: 'xoxb-fake',
        apiUrl,
        runtime,
        // What is measured is the path; the peers keep to no pace, and everything is asked in one channel.
        settings: { postMs: 0 },
      }),
    { path: '/slack/events' },
  );

/** Bolt as its documentation shows it: its own receiver, a handler in memory, nothing stored. */
const startBolt = async (apiUrl: string): Promise<Bot> => {
  const receiver = new HTTPReceiver({ signingSecret, logLevel: LogLevel.ERROR });
  const app = new App({
    token: 'xoxb-fake',
    receiver,
    logLevel: LogLevel.ERROR,
    clientOptions: { slackApiUrl: apiUrl },
  });
  app.event('app_mention', async ({ event, say }) => {
    await say({ text: 'Leave is 30 days. [1]', thread_ts: event.ts });
  });
  const server = (await app.start(0)) as Server;
  return {
    name: "Bolt's HTTPReceiver, in memory",
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/events`,
    stop: async () => void (await app.stop()),
  };
};

/** Vercel's Chat SDK with its in-memory state, when a folder with it is named in BENCH_PEERS; null otherwise. */
const startChatSdk = (apiUrl: string): Promise<Bot | null> =>
  startPeer('Chat SDK', async (peers) => {
    const [{ Chat }, { createSlackAdapter }, { createMemoryState }] = await Promise.all([
      peers.load('chat'),
      peers.load('@chat-adapter/slack'),
      peers.load('@chat-adapter/state-memory'),
    ]);
    const bot = new Chat({
      userName: 'bench',
      logger: 'silent',
      adapters: { slack: createSlackAdapter({ botToken: 'xoxb-fake', signingSecret, apiUrl, logger: silent }) },
      state: createMemoryState(),
    });
    bot.onNewMention(async (thread: { post(text: string): Promise<unknown> }) => {
      await thread.post('Leave is 30 days. [1]');
    });
    const waitUntil = (work: Promise<unknown>): void => void work.catch(() => undefined);
    const http = await listen(
      new Hono().post('/slack/events', (c) => bot.webhooks.slack(c.req.raw, { waitUntil }) as Promise<Response>),
    );
    return { name: 'Vercel Chat SDK, in memory', url: `${http.url}/slack/events`, stop: http.close };
  });

/** Each question 1 to 5 times, of both kinds, shuffled over two instances, and all of it once more after 25 hours. */
const measureRedelivery = async (): Promise<BenchResult> => {
  const questions = 100;
  const world = await createWorld();
  const random = createTestRandom(3);
  let aheadMs = 0;
  try {
    const instances = [await world.instance({ ahead: () => aheadMs }), await world.instance({ ahead: () => aheadMs })];
    const deliveries = Array.from({ length: questions }, () => world.fake.nextTs()).flatMap((ts) => {
      const shape = { text: `<@${world.fake.botUserId}> leave?`, ts };
      const both = [world.payloads.message(shape), world.payloads.appMention(shape)];
      return Array.from(
        { length: 1 + Math.floor(random.float() * 5) },
        (_, index) => both[(index + Math.floor(random.float() * 2)) % 2],
      );
    });
    const shuffled = () => deliveries.map((payload) => ({ payload, at: random.float() })).sort((a, b) => a.at - b.at);
    const settled = async () => {
      for (let wait = 0; wait < 600; wait += 1) {
        if ((await world.state.inbox.depth(Date.now())).ready === 0) return;
        await later(50);
      }
    };
    let refused = 0;
    for (const hours of [0, 25]) {
      aheadMs = hours * 3_600_000;
      if (hours > 0) await world.state.maintenance.sweep(Date.now() + aheadMs);
      for (const [index, { payload }] of shuffled().entries()) {
        const response = await instances[index % 2]?.sender.send(payload, { retry: index % 4 });
        if (response?.status !== 200) refused += 1;
      }
      await settled();
    }
    const answers = world.fake.answers().length;
    const charges = world.answering.charged.size;
    return {
      id: 'R3',
      item: `${questions} questions in ${deliveries.length * 2} deliveries, two instances, again after 25 h`,
      value: answers,
      unit: 'answers',
      target: 'one answer, one charge each',
      beside: [
        { name: 'charges', value: charges },
        { name: 'model calls', value: world.answering.asked.length },
      ],
      note: `${refused} deliveries refused`,
      ok: answers === questions && charges === questions && refused === 0,
    };
  } finally {
    await world.close();
  }
};

const measure = async (): Promise<readonly BenchResult[]> => {
  const load = await startLoad<SlackHello>(new URL('./slack-load.ts', import.meta.url));
  const { apiUrl } = load.hello;
  const [ours, bolt, chatSdk] = [await startFootnote(apiUrl), await startBolt(apiUrl), await startChatSdk(apiUrl)];
  try {
    const { run } = load;
    const own = { bot: ours, run };
    const acknowledgement = await measureAcknowledgement('Slack webhook', own, { bot: bolt, run }, { perSecond: 50 });
    const path = await measureEventPath(
      'signed Slack mention in, reply call out',
      [own, { bot: bolt, run, needed: 0.7 }, ...(chatSdk === null ? [] : [{ bot: chatSdk, run, needed: 1 }])],
      { concurrency: 32, note: chatSdk === null ? '; Chat SDK not installed here' : '' },
    );
    return [acknowledgement, path];
  } finally {
    for (const bot of [ours, bolt, chatSdk]) await bot?.stop();
    await load.close();
  }
};

export const run = async (): Promise<BenchResult[]> => [...(await measure()), await measureRedelivery()];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
