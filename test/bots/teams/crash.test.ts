import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { teamsIds } from '../../fakes/teams-service.ts';
import { createMortal } from '../slack/mortal.ts';
import { createWorld, type Instance, type World } from './world.ts';

/** Every step between hearing a question and having settled it, in the order in which they happen. */
const steps = [
  'inbox.receiveAndClaim',
  'outbox.open',
  'conversations.turns',
  'platform.openAnswer',
  'answering.answer',
  'outbox.finalize',
  'sink.finish',
  'outbox.sent',
  'inbox.settleAndNext',
];
/** Before the first of them nothing is acknowledged, and Teams' own sending is all there is. */
const points = steps.flatMap((step) => [`before ${step}`, `after ${step}`]).slice(1);
/** Teams took the answer, and nobody wrote down that it did: the only place where one more may come. */
const inTheWindow = new Set(['after sink.finish', 'before outbox.sent']);

describe.each(['channel', 'personal'] as const)('killed while answering in a %s', (scope) => {
  let world: World;
  const running: Instance[] = [];
  beforeAll(async () => {
    world = await createWorld();
  });
  afterEach(async () => {
    for (const instance of running.splice(0)) await instance.stop(0);
  });
  afterAll(() => world.close());

  it.each(points)(
    '%s: another instance answers, with at most one duplicate and only inside the send window',
    async (point) => {
      const mortal = createMortal(point);
      const settings = { leaseForMs: 10_000, pollMs: 20 };
      const first = await world.instance({ ...mortal, settings });
      running.push(first);
      const id = world.fake.nextId();
      const before = world.fake.messages().length;
      await first.send(world.activities.message({ id, text: 'leave?', scope }));
      await vi.waitFor(() => expect(mortal.isDead()).toBe(true), { timeout: 20_000, interval: 5 });
      // To it the lease of the dead one is over.
      running.push(await world.instance({ settings: { pollMs: 20 }, ahead: () => 11_000 }));
      const channel = scope === 'channel' ? teamsIds.channel : teamsIds.personal;
      await vi.waitFor(async () => expect(await world.reasonsOf(id, channel)).toEqual(['answered']), {
        timeout: 20_000,
        interval: 20,
      });
      const answers = world.fake
        .messages()
        .slice(before)
        .filter(({ activity }) => String(activity.text).includes('Leave is 30 days. [1]'));
      expect(answers.length).toBeGreaterThanOrEqual(1);
      expect(answers.length).toBeLessThanOrEqual(inTheWindow.has(point) ? 2 : 1);
      expect(answers.at(-1)?.streaming).toBe(false);
    },
  );
});

describe('stopping', () => {
  it('a stop button under the placeholder stops the answer that is being written', async () => {
    const world = await createWorld();
    try {
      const bot = await world.instance();
      world.answering.next(async (_, { update, stop }) => {
        update?.('Leave is');
        await new Promise<void>((resolve) => stop?.addEventListener('abort', () => resolve(), { once: true }));
        throw stop?.reason;
      });
      const id = world.fake.nextId();
      await bot.send(world.activities.message({ id, text: 'leave?' }));
      const standing = await vi.waitFor(() => {
        const found = world.fake.messages().find(({ activity }) => JSON.stringify(activity).includes('footnote.stop'));
        if (found === undefined) throw new Error('no stop button');
        return found;
      }, 20_000);
      const [card] = standing.activity.attachments as { content: { actions: { verb: string; data: unknown }[] } }[];
      const action = card?.content.actions[0];
      const press = world.activities.invoke('f:stop', 'adaptiveCard/action', { action }, { replyToId: standing.id });
      const response = await bot.send({ ...press, conversation: { ...press.conversation, id: standing.conversation } });
      expect(response.status).toBe(200);
      await vi.waitFor(async () => expect(await world.reasonsOf(id)).toEqual(['cancelled']), 20_000);
      expect(JSON.stringify(world.fake.messages())).not.toContain('footnote.stop');
    } finally {
      await world.close();
    }
  });
});
