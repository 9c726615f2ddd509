import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { StateStore } from '../../../core/ports/state.ts';
import { createMortal } from '../slack/mortal.ts';
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
// What dies before it has stored a question has heard none; the session is then resumed before it (see gateway.test.ts).
const points = steps.flatMap((step) => [`before ${step}`, `after ${step}`]).slice(1);

describe.each([
  ['posted at once', false, true],
  ['edited as it grows', true, true],
  ['edited as it grows, and Discord has forgotten the nonces', true, false],
] as const)('killed while answering on Discord, %s', (_, growing, nonces) => {
  let world: World;
  const running: Instance[] = [];
  afterEach(async () => {
    for (const instance of running.splice(0)) await instance.stop(0);
  });
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world.close());

  const happening = points.filter((point) => growing || !point.endsWith('outbox.posted'));

  it.each(happening)(
    '%s: another instance gives exactly one answer',
    async (point) => {
      const mortal = createMortal(point);
      const settings = { leaseForMs: 10_000, pollMs: 20 };
      const state = (store: StateStore) => mortal.state(store);
      const first = await world.instance({ ...mortal, state, settings });
      running.push(first);
      await vi.waitFor(() => expect(mortal.isIdle()).toBe(true), { timeout: 15_000, interval: 5 });
      const asked = world.answering.asked.length;
      if (growing)
        world.answering.next(async (_request, hooks) => {
          const shown = world.fake.nextCall('post');
          hooks.update?.('Leave is');
          await shown;
        });
      const { id } = await world.fake.twin
        .channel(world.fake.channel)
        .user(world.fake.user)
        .sendMessage({ content: `<@${world.fake.bot}> leave?` });
      await vi.waitFor(() => expect(mortal.isDead()).toBe(true), { timeout: 15_000, interval: 5 });
      if (!nonces) world.fake.forgetNonces();
      // To it the lease of the dead one is over.
      const second = await world.instance({ settings: { pollMs: 20 }, ahead: () => 11_000 });
      running.push(second);
      await vi.waitFor(async () => expect(await reasonsOf(world, id)).toEqual(['answered']), {
        timeout: 20_000,
        interval: 10,
      });
      await vi.waitFor(async () => expect((await world.state.inbox.depth(Date.now())).ready).toBe(0), 15_000);
      const answers = world.fake.messages().filter((message) => message.channel === id);
      expect(answers).toHaveLength(1);
      expect(answers[0]?.content).toContain('Leave is 30 days. [1]');
      expect(JSON.stringify(answers[0]?.components)).toContain('fn:up:');
      expect(new Set(world.answering.asked.slice(asked).map((request) => request.answerId)).size).toBe(1);
    },
    60_000,
  );
});
