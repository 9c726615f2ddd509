import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createMortal } from './mortal.ts';
import { createWorld, type Instance, reasonsOf, type World } from './world.ts';

/** Every step between hearing a question and having settled it, in the order in which they happen. */
const steps = [
  'inbox.claimThread',
  'inbox.pending',
  'outbox.open',
  'platform.openAnswer',
  'sink.status',
  'answering.answer',
  'outbox.finalize',
  'sink.finish',
  'outbox.posted',
  'outbox.sent',
  'receipts.put',
  'conversations.append',
  'inbox.settle',
  'inbox.releaseThread',
];
const points = steps.flatMap((step) => [`before ${step}`, `after ${step}`]);

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

  it.each(points)('%s: another instance gives exactly one answer', async (point) => {
    const mortal = createMortal(point);
    const settings = { leaseForMs: 250, pollMs: 20 };
    const first = await world.instance({ ...mortal, settings });
    running.push(first);
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
    await vi.waitFor(() => expect(mortal.isDead()).toBe(true), { timeout: 3000, interval: 5 });
    const second = await world.instance({ settings });
    running.push(second);
    await vi.waitFor(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']), {
      timeout: 4000,
      interval: 10,
    });
    await vi.waitFor(async () => expect((await world.state.inbox.depth(Date.now())).ready).toBe(0));
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
