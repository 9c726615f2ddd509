import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { StateStore } from '../../../core/ports/state.ts';
import { createMortal } from './mortal.ts';
import { createWorld, type Instance, reasonsOf, type World } from './world.ts';

/** Every step between hearing a question and having settled it, in the order in which they happen. */
const steps = [
  'inbox.receiveAndClaim',
  'outbox.open',
  'conversations.turns',
  'platform.openAnswer',
  'sink.status',
  'answering.answer',
  'outbox.finalize',
  'sink.finish',
  'outbox.posted',
  'outbox.sent',
  'inbox.settleAndNext',
];
// What dies before it has stored a question has acknowledged none.
const points = steps.flatMap((step) => [`before ${step}`, `after ${step}`]).slice(1);
/** The steps of a question that had to wait in the queue. */
const queuePoints = ['inbox.claimThread', 'inbox.pending'].flatMap((step) => [`before ${step}`, `after ${step}`]);

/** A store that never hands out the lease with the first write, as one of several machines. */
const queueing = (state: StateStore): StateStore => ({
  ...state,
  inbox: {
    ...state.inbox,
    receiveAndClaim: async (row) => ({ outcome: await state.inbox.receive(row), lease: null }),
  },
});

describe.each([
  ['posted at once', false],
  ['streamed', true],
] as const)('killed while answering, %s', (_, streamed) => {
  let world: World;
  const running: Instance[] = [];
  afterEach(async () => {
    for (const instance of running.splice(0)) await instance.stop(0);
  });
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(async () => {
    await world.close();
  });

  // A message that is posted once and for all is recorded with the end of its delivery.
  const happening = points.filter((point) => streamed || !point.endsWith('outbox.posted'));

  it.each([...happening, ...queuePoints])('%s: another instance gives exactly one answer', async (point) => {
    const mortal = createMortal(point);
    const settings = { leaseForMs: 10_000, pollMs: 20 };
    const state = queuePoints.includes(point) ? (store: StateStore) => mortal.state(queueing(store)) : mortal.state;
    const first = await world.instance({ ...mortal, state, settings });
    running.push(first);
    await vi.waitFor(() => expect(mortal.isIdle()).toBe(true), { timeout: 15_000, interval: 5 });
    const asked = world.answering.asked.length;
    if (streamed) {
      const stream = async (_request: unknown, hooks: { update?(markdown: string): void }) => {
        hooks.update?.('Leave is');
        await Promise.race(
          ['chat.startStream', 'chat.update', 'chat.postMessage'].map((method) => world.fake.nextCall(method)),
        );
      };
      world.answering.next(stream);
    }
    const ts = world.fake.nextTs();
    await first.sender.send(world.payloads.appMention({ text: `<@${world.fake.botUserId}> leave?`, ts }));
    await vi.waitFor(() => expect(mortal.isDead()).toBe(true), { timeout: 15_000, interval: 5 });
    // To it the lease of the dead one is over.
    const second = await world.instance({ settings: { pollMs: 20 }, ahead: () => 11_000 });
    running.push(second);
    await vi.waitFor(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']), {
      timeout: 20_000,
      interval: 10,
    });
    await vi.waitFor(async () => expect((await world.state.inbox.depth(Date.now())).ready).toBe(0), 15_000);
    const answers = world.fake.answers(ts);
    expect(answers).toHaveLength(1);
    expect(answers[0]?.streaming).toBe(false);
    expect(JSON.stringify(answers[0])).toContain('Leave is 30 days. [1]');
    const ids = new Set(world.answering.asked.slice(asked).map((request) => request.answerId));
    expect(ids.size).toBe(1);
    const turns = await world.state.conversations.turns(
      't_000000000000000000000001',
      world.answering.asked.at(-1)?.conversationId ?? '',
      20,
    );
    expect(turns).toHaveLength(2);
    const afterwards = points.indexOf(point) > points.indexOf('before outbox.finalize');
    if (afterwards) expect(world.answering.asked.length - asked).toBe(1);
  });
});
