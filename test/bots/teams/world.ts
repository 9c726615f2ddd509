import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { createTeams, type TeamsOptions } from '../../../bots/teams/teams.ts';
import {
  type ConversationSettings,
  type Conversations,
  createConversations,
} from '../../../core/conversation/conversation.ts';
import type { ChannelRules } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Platform } from '../../../core/ports/platform.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createGuardedFetch } from '../../../core/security/guarded-fetch.ts';
import { doorsOf } from '../../core/conversation/doors.ts';
import { createFakeAnswering, type FakeAnswering } from '../../core/conversation/fake-answering.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';
import {
  createTeamsSender,
  type FakeTeams,
  startFakeTeams,
  teamsActivities,
  teamsIds,
} from '../../fakes/teams-service.ts';
import { demoTenant, effective } from '../slack/world.ts';
import { atOnce } from './driver.ts';

/** A bot process: Teams driver, conversations and an HTTP server on a real socket. Several may share one store. */
export type Instance = {
  readonly platform: Platform;
  readonly conversations: Conversations;
  readonly runtime: TestRuntime;
  readonly url: string;
  /** `authorization` as Teams sends it, unless told otherwise. */
  send(body: unknown, authorization?: string): Promise<Response>;
  stop(forMs?: number): Promise<void>;
};

export type InstanceOptions = {
  readonly teams?: Partial<TeamsOptions>;
  readonly state?: (state: StateStore) => StateStore;
  readonly answering?: (answering: FakeAnswering) => FakeAnswering;
  readonly platform?: (platform: Platform) => Platform;
  readonly settings?: Partial<ConversationSettings>;
  readonly ahead?: () => number;
};

export type World = {
  readonly state: StateStore;
  readonly fake: FakeTeams;
  readonly answering: FakeAnswering;
  readonly activities: ReturnType<typeof teamsActivities>;
  readonly rules: { current: ChannelRules };
  instance(options?: InstanceOptions): Promise<Instance>;
  /** Every row about a message with its reason, once all of them are settled. */
  reasonsOf(messageId: string, channel?: string): Promise<readonly (string | undefined)[]>;
  close(): Promise<void>;
};

export const createWorld = async (service: Parameters<typeof startFakeTeams>[0] = {}): Promise<World> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'footnote-teams-'));
  const state = await openSqliteState({ dataDir, log: createTestRuntime().log });
  await state.tenants.create(demoTenant);
  const fake = await startFakeTeams(service);
  const answering = createFakeAnswering(() => Date.now());
  const rules: { current: ChannelRules } = { current: {} };
  const instances: Instance[] = [];

  const instance = async (options: InstanceOptions = {}): Promise<Instance> => {
    const now = (): number => Date.now() + (options.ahead?.() ?? 0);
    // Real time, because real sockets and a real store are in it; chance, log and metrics are the test's.
    const runtime: TestRuntime = {
      ...createTestRuntime({ seed: instances.length + 1 }),
      clock: { ...systemClock, now } as TestRuntime['clock'],
    };
    const real = createTeams({
      app: { id: teamsIds.appId, password: 'the-password' },
      metadataUrl: fake.metadataUrl,
      cloud: { loginUrl: fake.url, serviceUrl: fake.serviceUrl, graphUrl: fake.url },
      guardedFetch: createGuardedFetch({ allow: [] }),
      runtime,
      ...options.teams,
      settings: { ...atOnce, timeoutMs: 2000, ...options.teams?.settings },
    });
    const platform = options.platform?.(real) ?? real;
    const conversations = createConversations({
      state: options.state?.(state) ?? state,
      answering: options.answering?.(answering) ?? answering,
      resolveTenant: async () => demoTenant,
      rules: async (tenant, platform, channelId) =>
        effective({ ...rules.current, ...(await state.channels.get(tenant.id, platform, channelId)) }),
      ...doorsOf(state, runtime),
      runtime,
      owner: `instance-${instances.length + 1}`,
      // Long enough that a busy machine loses none; where somebody dies, a test says how soon that is noticed.
      settings: { pollMs: 25, leaseForMs: 15_000, ...options.settings },
    });
    conversations.start([platform]);
    await platform.start(conversations.receive);
    if (platform.routes === undefined) throw new Error('Teams is heard by routes');
    const server = serve({ fetch: platform.routes.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
    await new Promise<void>((resolve) => (server.listening ? resolve() : server.once('listening', () => resolve())));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/teams/messages`;
    const send = createTeamsSender(fake, () => url);
    /** Good by the instance's clock, and by the real one, which is what the SDK goes by. */
    const token = (): string => `Bearer ${fake.token({ claims: { exp: Math.floor(now() / 1000) + 3600 } })}`;
    let stopped: Promise<void> | null = null;
    const stop = async (forMs: number): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await conversations.stop(forMs);
      await platform.stop();
    };
    const made: Instance = {
      platform,
      conversations,
      runtime,
      url,
      send: (body, authorization = token()) => send(body, authorization),
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
    activities: teamsActivities(fake.serviceUrl),
    rules,
    instance,
    reasonsOf: async (messageId, channel = teamsIds.channel) =>
      (await state.inbox.byMessage('teams', teamsIds.tenant, channel, messageId)).map((row) =>
        row.state === 'settled' ? row.reason : 'ready',
      ),
    close: async () => {
      for (const one of instances) await one.stop(100).catch(() => undefined);
      await fake.close();
      await state.maintenance.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};
