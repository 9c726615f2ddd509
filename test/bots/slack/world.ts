import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { createSlack, type SlackOptions } from '../../../bots/slack/slack.ts';
import {
  type ConversationSettings,
  type Conversations,
  createConversations,
} from '../../../core/conversation/conversation.ts';
import type { EffectiveRules } from '../../../core/core.ts';
import type { ChannelRules, Tenant } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Platform } from '../../../core/ports/platform.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { doorsOf } from '../../core/conversation/doors.ts';
import { createFakeAnswering, type FakeAnswering } from '../../core/conversation/fake-answering.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';
import {
  createSlackSender,
  type FakeSlack,
  type SlackSender,
  slackPayloads,
  startFakeSlack,
} from '../../fakes/slack-api.ts';

export const signingSecret = 'a-signing-secret';

export const demoTenant: Tenant = {
  id: 't_000000000000000000000001',
  slug: 'demo',
  name: 'Demo',
  createdAt: 0,
  settings: {},
  activeGeneration: 1,
  contentRevision: 1,
  rev: 1,
};

export const effective = (rules: ChannelRules): EffectiveRules => {
  const of = <K extends keyof ChannelRules>(key: K) => ({
    value: rules[key],
    origin: rules[key] === undefined ? ('default' as const) : ('channel' as const),
  });
  return {
    enabled: of('enabled'),
    answerWhen: of('answerWhen'),
    sources: of('sources'),
    instructions: of('instructions'),
    language: of('language'),
    replies: of('replies'),
    whoMayAsk: of('whoMayAsk'),
    audience: of('audience'),
    guests: of('guests'),
    bots: of('bots'),
    humans: of('humans'),
  };
};

/** A bot process: Slack driver, conversations and an HTTP server on a real socket. Several may share one store. */
export type Instance = {
  readonly conversations: Conversations;
  readonly slack: Platform;
  readonly runtime: TestRuntime;
  readonly sender: SlackSender;
  readonly address: string;
  stop(forMs?: number): Promise<void>;
};

export type World = {
  readonly state: StateStore;
  readonly fake: FakeSlack;
  readonly answering: FakeAnswering;
  readonly payloads: ReturnType<typeof slackPayloads>;
  readonly rules: { current: ChannelRules };
  instance(options?: InstanceOptions): Promise<Instance>;
  close(): Promise<void>;
};

export type InstanceOptions = {
  readonly settings?: Partial<ConversationSettings>;
  readonly slack?: Partial<SlackOptions>;
  /** Wrap the store or the platform, to let an instance die in between. */
  readonly state?: (state: StateStore) => StateStore;
  readonly answering?: (answering: FakeAnswering) => FakeAnswering;
  readonly platform?: (platform: Platform) => Platform;
  readonly workspaces?: readonly string[];
  /** Shifts this instance's time. */
  readonly ahead?: () => number;
};

export const createWorld = async (): Promise<World> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'footnote-slack-'));
  const runtime = createTestRuntime();
  const state = await openSqliteState({ dataDir, log: runtime.log });
  await state.tenants.create(demoTenant);
  const fake = await startFakeSlack();
  const answering = createFakeAnswering(() => Date.now());
  const rules: { current: ChannelRules } = { current: {} };
  const instances: Instance[] = [];
  let started = 0;

  const instance = async (options: InstanceOptions = {}): Promise<Instance> => {
    started += 1;
    const now = (): number => Date.now() + (options.ahead?.() ?? 0);
    // Real time, because real sockets and a real store are in it; chance, log and metrics are the test's.
    const own: TestRuntime = {
      ...createTestRuntime({ seed: started }),
      clock: { ...systemClock, now } as TestRuntime['clock'],
    };
    const real = createSlack({
      signingSecret,
      botToken: 'xoxb-fake',
      apiUrl: fake.url,
      runtime: own,
      ...options.slack,
      settings: {
        appendMs: 5,
        editMs: 5,
        statusAfterMs: 0,
        firstAfterMs: 0,
        postMs: 0,
        timeoutMs: 2000,
        ...options.slack?.settings,
      },
    });
    const slack = options.platform?.(real) ?? real;
    const conversations = createConversations({
      state: options.state?.(state) ?? state,
      answering: options.answering?.(answering) ?? answering,
      resolveTenant: async (event) =>
        (options.workspaces ?? [fake.teamId]).includes(event.workspaceId) ? demoTenant : null,
      rules: async (tenant, platform, channelId) =>
        effective({ ...rules.current, ...(await state.channels.get(tenant.id, platform, channelId)) }),
      ...doorsOf(state, own),
      runtime: own,
      owner: `instance-${started}`,
      // Long enough that a busy machine loses none; where somebody dies, a test says how soon that is noticed.
      settings: { pollMs: 25, leaseForMs: 15_000, ...options.settings },
    });
    conversations.start([slack]);
    await slack.start(conversations.receive);
    const app = new Hono();
    if (slack.routes !== undefined) app.route('/', slack.routes);
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
    await new Promise<void>((resolve) => (server.listening ? resolve() : server.once('listening', () => resolve())));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    let stopped: Promise<void> | null = null;
    const stop = async (forMs: number): Promise<void> => {
      server.closeAllConnections?.();
      await new Promise((resolve) => server.close(resolve));
      await slack.stop();
      await conversations.stop(forMs);
    };
    const made: Instance = {
      conversations,
      slack,
      runtime: own,
      address,
      sender: createSlackSender({ url: `${address}/slack/events`, signingSecret, now }),
      stop: (forMs = 2000) => {
        stopped ??= stop(forMs);
        return stopped;
      },
    };
    instances.push(made);
    return made;
  };

  return {
    state,
    fake,
    answering,
    payloads: slackPayloads(fake.teamId, fake.botUserId),
    rules,
    instance,
    close: async () => {
      for (const one of instances) await one.stop(100).catch(() => undefined);
      await fake.close();
      await state.maintenance.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};

/** Every row about a message with its reason, once all of them are settled. */
export const reasonsOf = async (
  world: World,
  ts: string,
  channel = 'C0GENERAL',
): Promise<readonly (string | undefined)[]> =>
  (await world.state.inbox.byMessage('slack', world.fake.teamId, channel, ts)).map((row) =>
    row.state === 'settled' ? row.reason : 'ready',
  );
