import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { type ConversationParts, createConversations } from '../../../core/conversation/conversation.ts';
import type { ChannelRules, InboundEvent, Receipt, Source, Tenant } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { AppError } from '../../../core/errors.ts';
import { inboxIdOf } from '../../../core/ids.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Capabilities, Destination, FinishedAnswer, Manner, Platform } from '../../../core/ports/platform.ts';
import type { Log } from '../../../core/ports/runtime.ts';
import type { InboxRow, StateStore } from '../../../core/ports/state.ts';
import { effectiveRules } from '../../../core/tenancy/channels.ts';
import { anEvent, aSource, aTenant, fresh } from '../../contracts/rows.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';
import { doorsOf } from './doors.ts';
import { createFakeAnswering, type FakeAnswering } from './fake-answering.ts';

/** One answer as the people of the fake platform see it. */
export type Shown = {
  readonly to: InboundEvent;
  readonly manner: Manner;
  readonly text: string;
  readonly answer?: FinishedAnswer;
  readonly updates: readonly string[];
};
export type Said = {
  readonly to: Destination;
  readonly id: string;
  readonly markdown: string;
  readonly people: readonly string[];
};
export type FakePlatform = Platform & {
  readonly shown: Shown[];
  readonly whispers: { readonly to: InboundEvent; readonly markdown: string }[];
  readonly said: Said[];
  readonly retracted: string[];
};

const capabilities: Capabilities = {
  nativeStream: false,
  edit: true,
  maxCharacters: 2000,
  minUpdateIntervalMs: 0,
  status: true,
  feedback: true,
  nativeCitations: false,
  ephemeral: true,
  tables: false,
  stop: true,
};

/** A platform without a wire: what it is told to say stands in lists. */
export const createFakePlatform = (over: Partial<Platform> = {}): FakePlatform => {
  const shown: Shown[] = [];
  const whispers: { to: InboundEvent; markdown: string }[] = [];
  const said: Said[] = [];
  const retracted: string[] = [];
  return {
    name: 'slack',
    shown,
    whispers,
    said,
    retracted,
    start: async () => undefined,
    stop: async () => undefined,
    capabilities: () => capabilities,
    checkUp: async () => [{ item: 'token', ok: true }],
    openAnswer: async (event, delivery, signal, manner = {}) => {
      const updates: string[] = [];
      const show = async (text: string, answer?: FinishedAnswer): Promise<void> => {
        signal.throwIfAborted();
        await delivery.posted(delivery.postedIds[0] ?? `post-${delivery.id}`);
        shown.push({ to: event, manner, text, updates, ...(answer === undefined ? {} : { answer }) });
      };
      return {
        status: async () => undefined,
        update: async (text) => void updates.push(text),
        finish: (answer) => show(answer.markdown, answer),
        fail: (sentence) => show(sentence),
        cancelled: new AbortController().signal,
      };
    },
    say: async (to, { id, markdown, people = [] }) => {
      if (!said.some((one) => one.id === id)) said.push({ to, id, markdown, people });
      return `said-${id}`;
    },
    whisper: async (to, markdown) => void whispers.push({ to, markdown }),
    earlier: async () => [],
    download: async () => {
      throw new AppError('platform-failed', 'There is no such file.');
    },
    mayManage: async () => false,
    permalink: async (_event, messageId) => `https://chat.example/${messageId}`,
    retract: async (_event, ids) => void retracted.push(...ids),
    ...over,
  };
};

export type World = {
  readonly state: StateStore;
  readonly runtime: TestRuntime;
  readonly tenant: Tenant;
  readonly platform: FakePlatform;
  readonly answering: FakeAnswering;
  readonly rules: { tenant: ChannelRules; channel: ChannelRules };
  /** Whether the workspace of the events belongs to the tenant. */
  known: boolean;
  source(over?: Partial<Source>): Promise<Source>;
  /** Stored and worked off; resolves with its row when it is settled. */
  hear(over?: Partial<InboundEvent>): Promise<InboxRow>;
  /** Only stored. */
  receive(over?: Partial<InboundEvent>): Promise<InboundEvent>;
  settled(event: InboundEvent): Promise<InboxRow>;
  receipt(row: InboxRow): Promise<Receipt | null>;
  /** Another process over the same store. */
  another(parts?: Partial<ConversationParts>): ReturnType<typeof createConversations>;
  close(): Promise<void>;
};

export type WorldOptions = {
  readonly platform?: Partial<Platform>;
  readonly parts?: Partial<ConversationParts>;
};

/** The embedded store in a folder of its own. */
export const openState = async (
  log: Log,
): Promise<{ readonly state: StateStore; readonly close: () => Promise<void> }> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'footnote-conversation-'));
  const state = await openSqliteState({ dataDir, log });
  return {
    state,
    close: async () => {
      await state.maintenance.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};

/** The path of a message over a real store, with a fake platform at one end and fake answers at the other. */
export const createWorld = async (options: WorldOptions = {}): Promise<World> => {
  const runtime: TestRuntime = { ...createTestRuntime(), clock: systemClock as TestRuntime['clock'] };
  const { state, close } = await openState(runtime.log);
  const tenant = aTenant();
  await state.tenants.create(tenant);
  const platform = createFakePlatform(options.platform);
  const answering = createFakeAnswering(() => Date.now());
  const rules: World['rules'] = { tenant: {}, channel: {} };
  const own: ReturnType<typeof createConversations>[] = [];
  let made = 0;
  const another: World['another'] = (parts) => {
    made += 1;
    const doors = doorsOf(state, runtime);
    const conversations = createConversations({
      state,
      answering,
      resolveTenant: async (event) =>
        event.homes === undefined ? (world.known ? tenant : null) : doors.homes.tenantOf(event),
      rules: async (of, name, channelId) => {
        const stored = await state.channels.get(of.id, name, channelId);
        return effectiveRules({ ...of, settings: { channels: rules.tenant } }, { ...rules.channel, ...stored });
      },
      ...doors,
      runtime,
      owner: `process-${made}`,
      settings: { pollMs: 20, leaseForMs: 3000 },
      ...options.parts,
      ...parts,
    });
    own.push(conversations);
    return conversations;
  };
  const world: World = {
    state,
    runtime,
    tenant,
    platform,
    answering,
    rules,
    known: true,
    another,
    source: async (over) => {
      const source = aSource(tenant.id, over);
      await state.sources.create(source);
      return source;
    },
    receive: async (over) => {
      const thread = fresh('T');
      const event = anEvent({ attachments: [], threadId: thread, receivedAt: Date.now(), ...over });
      await first.receive(event);
      return event;
    },
    settled: (event) =>
      vi.waitFor(
        async () => {
          const row = await state.inbox.get(inboxIdOf(event.dedupeKeys[0] ?? ''));
          if (row?.state !== 'settled') throw new Error('not settled yet');
          return row;
        },
        { timeout: 20_000, interval: 10 },
      ),
    hear: async (over) => world.settled(await world.receive(over)),
    receipt: (row) => state.receipts.get(tenant.id, row.answerId ?? ''),
    close: async () => {
      for (const one of own) await one.stop(100);
      await close();
    },
  };
  const first = another();
  first.start([platform]);
  return world;
};
