import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createConversations } from '../../../core/conversation/conversation.ts';
import { isAppError } from '../../../core/errors.ts';
import type { Delivery, Platform } from '../../../core/ports/platform.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { effective } from '../../bots/slack/world.ts';
import { anEvent, aTenant } from '../../contracts/rows.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';
import { doorsOf } from './doors.ts';
import { createFakeAnswering } from './fake-answering.ts';
import { createFakePlatform, openState } from './world.ts';

/** A store whose heartbeats hang, as they do while another process holds the file's lock. */
const hanging = (state: StateStore, heartbeats: ((kept: boolean) => void)[]): StateStore => ({
  ...state,
  inbox: {
    ...state.inbox,
    heartbeatThread: () => new Promise((resolve) => void heartbeats.push(resolve)),
  },
});

describe('a worker whose store hangs', () => {
  const leaseForMs = 4500;
  const tenant = aTenant();
  let state: StateStore;
  let close: () => Promise<void>;
  let runtime: TestRuntime;
  let heartbeats: ((kept: boolean) => void)[];

  beforeEach(async () => {
    runtime = createTestRuntime();
    heartbeats = [];
    ({ state, close } = await openState(runtime.log));
    await state.tenants.create(tenant);
  });
  afterEach(() => close());

  /** One question, whose answer is under way until its signal fires or `finish` is called. */
  const asked = async () => {
    const platform = createFakePlatform();
    const answering = createFakeAnswering(() => runtime.clock.now());
    const writing = Promise.withResolvers<AbortSignal>();
    const finish = Promise.withResolvers<void>();
    answering.next(async (_request, { signal }) => {
      writing.resolve(signal);
      await finish.promise;
    });
    const conversations = createConversations({
      state: hanging(state, heartbeats),
      answering,
      resolveTenant: async () => tenant,
      rules: async () => effective({}),
      ...doorsOf(state, runtime),
      runtime,
      owner: 'a process',
      settings: { leaseForMs, pollMs: 1_000_000 },
    });
    const deliveries: Delivery[] = [];
    const openAnswer: Platform['openAnswer'] = (event, delivery, ...rest) => {
      deliveries.push(delivery);
      return platform.openAnswer(event, delivery, ...rest);
    };
    conversations.start([{ ...platform, openAnswer }]);
    const event = anEvent({ attachments: [], threadId: 'T', receivedAt: runtime.clock.now() });
    await conversations.receive(event);
    const signal = await writing.promise;
    return { conversations, platform, deliveries, signal, finish: finish.resolve };
  };

  it('stops when its lease ends, and not when the store comes back', async () => {
    const { conversations, signal, finish } = await asked();
    await runtime.clock.advance(leaseForMs - 100);
    expect(heartbeats.length).toBeGreaterThan(0);
    expect(signal.aborted).toBe(false);
    await runtime.clock.advance(100);
    expect(signal.aborted).toBe(true);
    expect(isAppError(signal.reason) && signal.reason.code).toBe('lease-lost');
    finish();
    for (const heartbeat of heartbeats) heartbeat(true);
    await conversations.stop(0);
  });

  it('says nothing more, although the store at last says that the lease was kept', async () => {
    const { conversations, platform, finish } = await asked();
    await runtime.clock.advance(leaseForMs + 1000);
    for (const heartbeat of heartbeats) heartbeat(true);
    finish();
    const stopped = conversations.stop(0);
    await runtime.clock.advance(10_000);
    await stopped;
    expect(platform.shown).toEqual([]);
  });

  it('goes by its own time: a clock that is set back does not make the lease longer', async () => {
    const { conversations, signal, finish } = await asked();
    await runtime.clock.advance(leaseForMs / 3);
    runtime.clock.set(runtime.clock.now() - 3_600_000);
    await runtime.clock.advance(3_600_000 + leaseForMs);
    expect(signal.aborted).toBe(true);
    finish();
    for (const heartbeat of heartbeats) heartbeat(true);
    await conversations.stop(0);
  });

  it('asks before its next word when it slept through its lease, and no timer has told it so yet', async () => {
    const { conversations, platform, deliveries, signal, finish } = await asked();
    const awake = deliveries.at(-1)?.awake;
    await awake?.();
    expect(heartbeats).toEqual([]);
    runtime.clock.set(runtime.clock.now() + leaseForMs);
    const asking = awake?.();
    expect(heartbeats).toHaveLength(1);
    expect(signal.aborted).toBe(false);
    heartbeats[0]?.(false);
    await expect(asking).rejects.toMatchObject({ code: 'lease-lost' });
    expect(signal.aborted).toBe(true);
    finish();
    await conversations.stop(0);
    expect(platform.shown).toEqual([]);
  });

  it('goes on while the store keeps the lease', async () => {
    const { conversations, platform, signal, finish } = await asked();
    for (let beat = 0; beat < 8; beat += 1) {
      await runtime.clock.advance(leaseForMs / 3);
      for (const heartbeat of heartbeats.splice(0)) heartbeat(true);
      await runtime.clock.advance(0);
      // The loop that claims, the end of the lease, the next heartbeat: a real store was asked before the last of them.
      await expect.poll(() => runtime.clock.sleeping(), { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    }
    expect(signal.aborted).toBe(false);
    finish();
    await expect.poll(() => platform.shown.length, { timeout: 20_000 }).toBe(1);
    const stopped = conversations.stop(0);
    await runtime.clock.advance(10_000);
    await stopped;
  });
});
