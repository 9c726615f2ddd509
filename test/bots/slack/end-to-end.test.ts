import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createWorld, reasonsOf, type World } from './world.ts';

describe('a question in Slack, over real sockets', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(() => world.close());

  const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 8000, interval: 10 });

  it('a signed mention ends in one threaded, footnoted answer with thumbs', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    const response = await bot.sender.send(world.payloads.appMention({ text: `<@${world.fake.botUserId}> how many days of leave?`, ts }));
    expect(response.status).toBe(200);
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
    const [answer, ...others] = world.fake.answers();
    expect(others).toEqual([]);
    expect(answer?.thread_ts).toBe(ts);
    const shown = JSON.stringify(answer?.blocks);
    expect(shown).toContain('Leave is 30 days. [1] (asked: how many days of leave?)');
    expect(shown).toContain('[1] [Handbook](https://docs.example/handbook#leave)');
    expect(shown).toContain('feedback_buttons');
    expect(world.fake.callsOf('chat.postMessage')[0]?.args).toMatchObject({ unfurl_links: 'false', unfurl_media: 'false' });
    const receipts = await world.state.receipts.list('t_000000000000000000000001', {}, { limit: 10 });
    expect(receipts.items).toHaveLength(1);
  });

  it('delivered five times and shuffled with both kinds is still one answer and one charge', async () => {
    const one = await world.instance();
    const two = await world.instance();
    const ts = world.fake.nextTs();
    const shape = { text: `<@${world.fake.botUserId}> how many days of leave?`, ts };
    const plain = world.payloads.message(shape);
    const mention = world.payloads.appMention(shape);
    const deliveries = [plain, mention, mention, plain, plain, mention, mention, plain, plain, mention];
    const statuses = await Promise.all(deliveries.map((payload, index) => (index % 2 === 0 ? one : two).sender.send(payload, index < 2 ? {} : { retry: index % 3 })));
    expect(statuses.every((response) => response.status === 200)).toBe(true);
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
    expect(world.fake.answers()).toHaveLength(1);
    expect(world.answering.asked).toHaveLength(1);
    expect(world.answering.charged.size).toBe(1);
  });
});
