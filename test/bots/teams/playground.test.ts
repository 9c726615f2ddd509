import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Happening, type Playground, startPlayground } from './playground.ts';
import { createWorld, type World } from './world.ts';

/** The whole bot (driver, inbox, threads, delivery) driven by Microsoft's Agents Playground, which checks Teams' rules. */
let world: World;
let playground: Playground;
beforeAll(async () => {
  world = await createWorld();
  const bot = await world.instance({
    teams: {
      app: null,
      unauthenticated: true,
      // The Playground is slow on a busy machine, and a step that is given up ends the stream.
      settings: {
        timeoutMs: 20_000,
        paceMs: 300,
        streamMs: 100,
        signAfterMs: 50,
        firstAfterMs: 0,
        editMs: 100,
        typingMs: 1000,
      },
    },
  });
  playground = await startPlayground(bot.url);
}, 90_000);
afterAll(async () => {
  await playground.close();
  await world.close();
});

const patience = { timeout: 20_000, interval: 50 };
const since = async (count: number, matches: (one: Happening) => boolean): Promise<Happening> =>
  vi.waitFor(() => {
    const found = playground.happened.slice(count).find(matches);
    if (found === undefined) throw new Error('it has not happened');
    return found;
  }, patience);
/** The Playground shows a text and its buttons as two messages; of a stream it is sure which is the answer. */
const streamed = (count: number): void =>
  world.answering.next(async (_, hooks) => {
    hooks.update?.('Leave is');
    await since(count, ({ raw }) => raw.includes('Leave is'));
  });
/** The finished answer: a message with its label, in whatever way it came to be. */
const answer = (count: number, words: string): Promise<Happening> =>
  since(count, (one) => one.raw.includes(words) && one.raw.includes('AIGeneratedContent'));

describe("in Microsoft's Agents Playground", () => {
  it('a personal chat: informative line, stream, final message with label, native citation and thumbs', async () => {
    const count = playground.happened.length;
    world.answering.next(async (_, hooks) => {
      hooks.status?.('Searching the handbook …');
      await since(count, ({ raw }) => raw.includes('Searching the handbook'));
      hooks.update?.('Leave is');
      await since(count, ({ raw }) => raw.includes('Leave is'));
      hooks.update?.('Leave is 30 days.');
      await since(count, ({ raw }) => raw.includes('Leave is 30 days.'));
    });
    await playground.say(playground.personal, 'how many days of leave?');
    const { message } = await answer(count, 'asked: how many days of leave?');
    expect(message?.aiEntity?.additionalType).toEqual(['AIGeneratedContent']);
    expect(message?.aiEntity?.citation).toEqual([
      {
        position: 1,
        appearance: { name: 'Handbook', abstract: 'Leave is 30 days.', url: 'https://docs.example/handbook#leave' },
      },
    ]);
    expect(message?.feedbackLoopEnabled).toBe(true);
    const stages = playground.happened.slice(count).filter((one) => one.message?.text?.startsWith('Leave is'));
    expect(stages.length).toBeGreaterThan(2);
    expect(new Set(stages.map((one) => one.message?.messageId)).size).toBe(1);
  });

  it('a group chat: a mention is answered in one message, without a mention in its question', async () => {
    const count = playground.happened.length;
    await playground.say(playground.group, 'and for part time?', true);
    await answer(count, 'asked: and for part time?)');
    const messages = playground.happened
      .slice(count)
      .filter(
        ({ action, actionConversationId, raw }) =>
          action === 'createMessage' && actionConversationId === playground.group && raw.includes('part time'),
      )
      .filter(({ message }) => message?.from?.id === playground.bot);
    expect(messages).toHaveLength(1);
  });

  it('a thumb with its reason is taken on the line and stored with the receipt', async () => {
    const count = playground.happened.length;
    streamed(count);
    await playground.say(playground.personal, 'is that right?');
    const { message } = await answer(count, 'asked: is that right?');
    // Its own thumbs leave out which message they stand under; Teams names it.
    const response = await playground.custom({
      type: 'invoke',
      id: 'f:thumb',
      name: 'message/submitAction',
      channelId: 'msteams',
      from: { id: playground.user, aadObjectId: 'an-object' },
      recipient: { id: playground.bot },
      conversation: { id: playground.personal, conversationType: 'personal', tenantId: playground.tenant },
      serviceUrl: `${playground.url}/_connector`,
      replyToId: message?.messageId,
      value: { actionName: 'feedback', actionValue: { reaction: 'dislike', feedback: '{"feedbackText":"It is 28."}' } },
    });
    expect(response.status).toBe(200);
    const answerId = world.answering.asked.at(-1)?.answerId ?? '';
    await vi.waitFor(async () => {
      const receipt = await world.state.receipts.get('t_000000000000000000000001', answerId);
      expect(JSON.stringify(receipt)).toContain('It is 28.');
    }, patience);
  });

  it('a button under the answer is taken, and what it does is said', async () => {
    const count = playground.happened.length;
    await playground.say(playground.personal, 'is it solved?');
    await answer(count, 'asked: is it solved?');
    const { message } = await since(count, ({ raw }) => raw.includes('footnote.solved'));
    const answerId = world.answering.asked.at(-1)?.answerId ?? '';
    const response = await playground.invoke(playground.personal, 'adaptiveCard/action', message?.messageId ?? '', {
      action: { type: 'Action.Execute', verb: 'footnote.solved', data: { footnote: 'solved', answerId } },
    });
    expect(response.status).toBe(200);
    expect(JSON.stringify(await response.json())).toContain('Thank you.');
  });
});
