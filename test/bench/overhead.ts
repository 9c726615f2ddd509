import { fileURLToPath } from 'node:url';
import { createDiscord } from '../../bots/discord/discord.ts';
import { createSlack } from '../../bots/slack/slack.ts';
import { createTeams } from '../../bots/teams/teams.ts';
import { createGuardedFetch } from '../../core/security/guarded-fetch.ts';
import { createKeys } from '../bots/discord/driving.ts';
import { teamsIds } from '../fakes/teams-service.ts';
import type { DiscordHello, DiscordLoadData } from './discord-load.ts';
import { type LoadThread, startLoad } from './load.ts';
import { type BenchResult, quantile } from './result.ts';
import type { SlackHello } from './slack-load.ts';
import type { TeamsHello } from './teams-load.ts';
import { instantModel, otherQuestions, questions, startWhole, type WholeParts } from './whole.ts';

/**
 * P2: what the bot adds to an answer. 1,000 people in 100 workspaces, each a tenant with documents and allowances of its
 * own, ask 20 questions a second; the model and the platform take no time, so all of it is ours (and the sockets').
 * Everything is as it is delivered, pacing included, except that the embedded stores lie in a folder of their own.
 */

const perSecond = 20;
const forSeconds = 40;
const program = (name: string): URL => new URL(`./${name}-load.ts`, import.meta.url);

type Place = {
  readonly name: string;
  start(): Promise<{ readonly load: LoadThread<unknown>; readonly parts: Omit<WholeParts, 'chat'> }>;
};

const places: readonly Place[] = [
  {
    name: 'Slack',
    start: async () => {
      const load = await startLoad<SlackHello>(program('slack'));
      const { apiUrl, workspaces } = load.hello;
      return {
        load,
        parts: {
          workspaces,
          platform: 'slack',
          credentials: { botToken: 'xoxb-fake' },
          path: '/slack/events',
          make: (runtime, { connections }) =>
            createSlack({ signingSecret: 'bench-secret', apiUrl, connections, runtime }),
        },
      };
    },
  },
  {
    name: 'Discord',
    start: async () => {
      const keys = createKeys();
      const privateKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const workerData: DiscordLoadData = { privateKey, workspaces: 100 };
      const load = await startLoad<DiscordHello>(program('discord'), workerData);
      const { apiUrl, workspaces } = load.hello;
      return {
        load,
        parts: {
          workspaces,
          platform: 'discord',
          path: '/discord/interactions',
          ready: 'discord-ready',
          make: (runtime, { lead }) =>
            createDiscord({ botToken: 'bench', publicKey: keys.publicKey, apiUrl, lead, runtime }),
        },
      };
    },
  },
  {
    name: 'Teams',
    start: async () => {
      const load = await startLoad<TeamsHello>(program('teams'));
      const { url, serviceUrl, metadataUrl, workspaces } = load.hello;
      return {
        load,
        parts: {
          workspaces,
          platform: 'teams',
          path: '/teams/messages',
          make: (runtime, { connections }) =>
            createTeams({
              app: { id: teamsIds.appId, password: 'the-password' },
              metadataUrl,
              cloud: { loginUrl: url, serviceUrl },
              guardedFetch: createGuardedFetch({ allow: [] }),
              connections,
              runtime,
            }),
        },
      };
    },
  },
];

const measure = async (place: Place): Promise<BenchResult> => {
  const chat = instantModel();
  const { load, parts } = await place.start();
  const whole = await startWhole({ ...parts, chat });
  try {
    const asking = { kind: 'reply', url: whole.url, concurrency: 200, perSecond, workspaces: 100 } as const;
    // Every index is opened once and the code compiled: the first questions of a process are another figure.
    await load.run({ ...asking, count: 300, questions: otherQuestions });
    await whole.quiet?.();
    const before = chat.calls();
    const report = await load.run({ ...asking, count: perSecond * forSeconds, questions });
    const asked = chat.calls() - before;
    const [p50 = 0, p95 = 0, p99 = 0] = [0.5, 0.95, 0.99].map((share) => quantile(report.answeredMs, share));
    const count = report.answeredMs.length;
    return {
      id: 'P2',
      item: `${place.name}: mention in, call that posts its answer out; 1,000 people, 100 tenants, ${perSecond}/s for ${forSeconds} s`,
      value: `p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)}`,
      unit: 'ms',
      target: 'p50 ≤ 20, p95 ≤ 80, p99 ≤ 200 ms',
      beside: [
        { name: 'acknowledged p50 ms', value: quantile(report.acknowledgedMs, 0.5) },
        { name: 'slowest ms', value: quantile(report.answeredMs, 1) },
      ],
      note: `${count} answers, ${asked} model calls, ${report.failures} failed`,
      ok: p50 <= 20 && p95 <= 80 && p99 <= 200 && report.failures === 0 && asked === count,
    };
  } finally {
    await whole.stop();
    await load.close();
  }
};

export const run = async (): Promise<BenchResult[]> => {
  const results: BenchResult[] = [];
  for (const place of places) {
    const result = await measure(place);
    console.error(`… ${result.item}: ${result.value} ms`);
    results.push(result);
  }
  return results;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
