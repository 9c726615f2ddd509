import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDiscord, type DiscordOptions } from '../../../bots/discord/discord.ts';
import {
  type ConversationSettings,
  type Conversations,
  createConversations,
} from '../../../core/conversation/conversation.ts';
import type { ChannelRules } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { createLead } from '../../../core/lead.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Platform } from '../../../core/ports/platform.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { doorsOf } from '../../core/conversation/doors.ts';
import { createFakeAnswering, type FakeAnswering } from '../../core/conversation/fake-answering.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';
import { demoTenant, effective } from '../slack/world.ts';
import { createKeys, type Keys, listen, soleLeader } from './driving.ts';
import { type FakeDiscord, type FakeOptions, startFakeDiscord } from './fake.ts';

export { demoTenant };

/** A bot process: Discord driver, conversations and an HTTP server on a real socket. Several may share one store. */
export type Instance = {
  readonly conversations: Conversations;
  readonly discord: Platform;
  readonly runtime: TestRuntime;
  readonly url: string;
  /** Connected to the gateway, commands registered. */
  ready(): Promise<void>;
  stop(forMs?: number): Promise<void>;
};

export type InstanceOptions = {
  readonly settings?: Partial<ConversationSettings>;
  readonly discord?: Partial<DiscordOptions>;
  /** Commands come over the gateway only. */
  readonly closed?: boolean;
  /** One of several instances holds the gateway; otherwise each has a connection of its own. */
  readonly elected?: boolean;
  /** Wrap the store or the platform, to let an instance die in between. */
  readonly state?: (state: StateStore) => StateStore;
  readonly answering?: (answering: FakeAnswering) => FakeAnswering;
  readonly platform?: (platform: Platform) => Platform;
  /** Workspaces of the demo tenant; absent: the twin's first server. */
  readonly workspaces?: readonly string[];
  /** Shifts this instance's time. */
  readonly ahead?: () => number;
};

export type World = {
  readonly state: StateStore;
  readonly fake: FakeDiscord;
  readonly answering: FakeAnswering;
  readonly keys: Keys;
  readonly rules: { current: ChannelRules };
  instance(options?: InstanceOptions): Promise<Instance>;
  close(): Promise<void>;
};

export const createWorld = async (options: FakeOptions = {}): Promise<World> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'footnote-discord-'));
  const runtime = createTestRuntime();
  const state = await openSqliteState({ dataDir, log: runtime.log });
  await state.tenants.create(demoTenant);
  const fake = await startFakeDiscord(options);
  const answering = createFakeAnswering(() => Date.now());
  const keys = createKeys();
  const rules: { current: ChannelRules } = { current: {} };
  const instances: Instance[] = [];
  let started = 0;

  const instance = async (how: InstanceOptions = {}): Promise<Instance> => {
    started += 1;
    const owner = `instance-${started}`;
    const now = (): number => Date.now() + (how.ahead?.() ?? 0);
    // Real time, because real sockets and a real store are in it; chance, log and metrics are the test's.
    const own: TestRuntime = {
      ...createTestRuntime({ seed: started }),
      clock: { ...systemClock, now } as TestRuntime['clock'],
    };
    const shared = how.state?.(state) ?? state;
    const real = createDiscord({
      botToken: fake.twin.botToken,
      ...(how.closed ? {} : { publicKey: keys.publicKey }),
      apiUrl: fake.apiUrl,
      messageContent: true,
      lead: how.elected ? createLead({ leases: shared.leases, runtime: own, owner }) : soleLeader,
      runtime: own,
      ...how.discord,
      settings: {
        editMs: 20,
        firstAfterMs: 0,
        typingAfterMs: 50,
        placeholderAfterMs: 50,
        timeoutMs: 2000,
        // Who waits for a slow store is a test's own affair: on a busy machine every store is slow.
        interactionWithinMs: 60_000,
        ...how.discord?.settings,
      },
    });
    const discord = how.platform?.(real) ?? real;
    const doors = doorsOf(shared, own);
    const conversations = createConversations({
      state: shared,
      answering: how.answering?.(answering) ?? answering,
      resolveTenant: async (event) => {
        if (event.homes !== undefined) return doors.homes.tenantOf(event);
        return (how.workspaces ?? [fake.guild]).includes(event.workspaceId) ? demoTenant : null;
      },
      rules: async (tenant, platform, channelId) =>
        effective({ ...rules.current, ...(await shared.channels.get(tenant.id, platform, channelId)) }),
      ...doors,
      runtime: own,
      owner,
      // Long enough that a busy machine loses none; where somebody dies, a test says how soon that is noticed.
      settings: { pollMs: 25, leaseForMs: 15_000, ...how.settings },
    });
    conversations.start([discord]);
    await discord.start(conversations.receive);
    const http = await listen(discord.routes);
    let stopped: Promise<void> | null = null;
    const stop = async (forMs: number): Promise<void> => {
      await http.close();
      await discord.stop();
      await conversations.stop(forMs);
    };
    const made: Instance = {
      conversations,
      discord,
      runtime: own,
      url: http.url,
      ready: async () => {
        for (const until = Date.now() + 30_000; Date.now() < until; ) {
          if (own.logged.some((line) => line.event === 'discord-ready')) return;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        throw new Error('the bot did not become ready');
      },
      stop: (forMs = 2000) => {
        stopped ??= stop(forMs);
        return stopped;
      },
    };
    instances.push(made);
    if (!how.elected) await made.ready();
    return made;
  };

  return {
    state,
    fake,
    answering,
    keys,
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
  messageId: string,
  channel = world.fake.channel,
): Promise<readonly (string | undefined)[]> =>
  (await world.state.inbox.byMessage('discord', world.fake.guild, channel, messageId)).map((row) =>
    row.state === 'settled' ? row.reason : 'ready',
  );

/** A store that takes no event while it is down. */
export const deafWhile = (state: StateStore, isDown: () => boolean): StateStore => {
  const unlessDown =
    <A extends unknown[], R>(verb: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (isDown()) throw new Error('down');
      return verb(...args);
    };
  return {
    ...state,
    inbox: {
      ...state.inbox,
      receive: unlessDown(state.inbox.receive),
      receiveAndClaim: unlessDown(state.inbox.receiveAndClaim),
    },
  };
};
