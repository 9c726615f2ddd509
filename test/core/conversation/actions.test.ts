import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AnswerHooks } from '../../../core/answer/answering.ts';
import type { ActionName, InboundEvent, Passage, Receipt } from '../../../core/domain.ts';
import { AppError } from '../../../core/errors.ts';
import { inboxIdOf } from '../../../core/ids.ts';
import { createWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const press = (
  name: ActionName,
  about: Partial<NonNullable<InboundEvent['action']>>,
  over: Partial<InboundEvent> = {},
) => world.hear({ kind: 'action', addressed: 'none', text: '', action: { name, ...about }, ...over });
const lastWhisper = (): string => world.platform.whispers.at(-1)?.markdown ?? '';
const other = { id: 'U2', isBot: false, isSelf: false, name: 'Ben' };

/** A model that writes until it is stopped. */
const endless = (begun: () => void) => async (_: unknown, hooks: AnswerHooks) => {
  hooks.update?.('Leave is 30 days. [1]');
  begun();
  await new Promise<void>((resolve, reject) => {
    hooks.stop?.addEventListener('abort', () => resolve(), { once: true });
    hooks.signal.addEventListener('abort', () => reject(hooks.signal.reason), { once: true });
  });
  return { reasonCode: 'cancelled', answer: 'Leave is 30 days. [1]' } satisfies Partial<Receipt>;
};

describe('stop', () => {
  const asking = async (): Promise<InboundEvent> => {
    const begun = Promise.withResolvers<void>();
    world.answering.next(endless(begun.resolve));
    const event = await world.receive({ threadId: 'T1' });
    await begun.promise;
    return event;
  };
  const deliveryOf = (event: InboundEvent): string => inboxIdOf(event.dedupeKeys[0] ?? '');

  it('ends the answer with what is written of it, from a button in the same thread', async () => {
    const question = await asking();
    expect((await press('stop', { deliveryId: deliveryOf(question) }, { threadId: 'T1' })).reason).toBe('action-done');
    const row = await world.settled(question);
    expect(row.reason).toBe('cancelled');
    expect(world.platform.shown).toHaveLength(1);
    expect(world.platform.shown[0]?.text).toBe('Leave is 30 days. [1]\n\n_Stopped._');
    expect(world.platform.shown[0]?.answer?.citations).toHaveLength(1);
    expect((await world.receipt(row))?.usage.completionTokens).toBe(20);
  });

  it('is offered where the platform can', async () => {
    await world.hear();
    expect(world.platform.shown[0]?.manner.stoppable).toBe(true);
  });

  it('reaches the instance that writes the answer by way of the store', async () => {
    const question = await asking();
    expect(await world.state.outbox.stop(world.tenant.id, deliveryOf(question))).toBe(true);
    expect((await world.settled(question)).reason).toBe('cancelled');
  });

  it('is the asker’s or a manager’s', async () => {
    const question = await asking();
    const deliveryId = deliveryOf(question);
    expect((await press('stop', { deliveryId }, { author: other })).reason).toBe('not-allowed');
    expect(lastWhisper()).toContain('Only the person who asked');
    expect((await world.state.outbox.get(world.tenant.id, deliveryId))?.stopped).toBeUndefined();
    await press('stop', { deliveryId }, { author: { ...other, mayManage: true } });
    expect((await world.settled(question)).reason).toBe('cancelled');
  });

  it('too late or of nothing changes nothing', async () => {
    const row = await world.hear();
    expect((await press('stop', { deliveryId: row.id })).reason).toBe('action-done');
    expect((await press('stop', { deliveryId: 'm_none' })).reason).toBe('unsupported');
    expect(world.platform.shown).toHaveLength(1);
  });

  it('before the first word it is one sentence', async () => {
    const begun = Promise.withResolvers<void>();
    world.answering.next(async (_, hooks) => {
      begun.resolve();
      await new Promise<void>((_resolve, reject) =>
        hooks.stop?.addEventListener('abort', () => reject(new AppError('cancelled', 'x')), { once: true }),
      );
    });
    const question = await world.receive();
    await begun.promise;
    await press('stop', { deliveryId: deliveryOf(question) });
    expect((await world.settled(question)).reason).toBe('cancelled');
    expect(world.platform.shown[0]?.text).toBe('Stopped.');
  });
});

describe('publish', () => {
  const passage = (sourceId: string): Passage => ({
    documentId: 'd_handbook',
    externalId: 'handbook',
    chunkId: 'c_1',
    sourceId,
    title: 'Handbook',
    headingPath: [],
    text: 'Leave is 30 days.',
    score: 1,
  });
  const privately = async (sourceId: string) => {
    world.answering.next(async () => ({ retrieved: [passage(sourceId)] }));
    return world.hear({
      kind: 'command',
      addressed: 'command',
      command: { name: 'ask', private: true },
      threadId: 'T1',
    });
  };

  it('shows a private answer to the channel, once, as its asker’s', async () => {
    const open = await world.source({ audience: 'everybody' });
    world.rules.channel = { audience: 'everybody' };
    const { answerId = '' } = await privately(open.id);
    expect(world.platform.shown[0]?.answer?.offers).toContain('publish');
    const author = { id: 'U1', isBot: false, isSelf: false, name: 'Ada <!channel>' };
    expect((await press('publish', { answerId }, { author, threadId: 'T1' })).reason).toBe('action-done');
    expect(world.platform.shown).toHaveLength(2);
    const [, published] = world.platform.shown;
    expect(published?.manner.private).toBeUndefined();
    expect(published?.text).toContain('_Ada channel asked:_');
    expect(published?.text).toContain('Leave is 30 days. [1]');
    expect(published?.answer?.offers).toEqual(['thumbs']);
    await press('publish', { answerId }, { threadId: 'T1' });
    expect(world.platform.shown).toHaveLength(2);
    expect(lastWhisper()).toContain('already');
    await world.hear({ threadId: 'T1', addressed: 'none', text: 'And for interns?', author: other });
    expect(world.answering.asked.at(-1)?.turns).toHaveLength(2);
  });

  it('not when it draws on what not all readers of the channel may see', async () => {
    const staff = await world.source();
    await world.source({ audience: 'everybody' });
    world.rules.channel = { audience: 'everybody' };
    const { answerId = '' } = await privately(staff.id);
    expect((await press('publish', { answerId })).reason).toBe('not-allowed');
    expect(lastWhisper()).toContain('not everybody in this channel may read');
    expect(world.platform.shown).toHaveLength(1);
  });

  it('not where people of another organisation read along and it draws on what is for members', async () => {
    const shared = await createWorld({ platform: { isShared: async () => true } });
    try {
      const staff = await shared.source();
      shared.answering.next(async () => ({ retrieved: [passage(staff.id)] }));
      const command = { name: 'ask', private: true } as const;
      const { answerId = '' } = await shared.hear({ kind: 'command', addressed: 'command', command });
      const pressed = await shared.hear({
        kind: 'action',
        addressed: 'none',
        text: '',
        action: { name: 'publish', answerId },
      });
      expect(pressed.reason).toBe('not-allowed');
      expect(shared.platform.shown).toHaveLength(1);
    } finally {
      await shared.close();
    }
  });

  it('not when an answer before it in the same private talk draws on what not all may see', async () => {
    const [open, staff] = [await world.source({ audience: 'everybody' }), await world.source()];
    world.rules.channel = { audience: 'everybody' };
    const first = await privately(open.id);
    await privately(staff.id);
    const { answerId = '' } = await privately(open.id);
    expect((await press('publish', { answerId }, { threadId: 'T1' })).reason).toBe('not-allowed');
    expect(lastWhisper()).toContain('not everybody in this channel may read');
    expect((await press('publish', { answerId: first.answerId ?? '' }, { threadId: 'T1' })).reason).toBe('action-done');
  });

  it('not by anybody else', async () => {
    const { answerId = '' } = await privately((await world.source()).id);
    expect((await press('publish', { answerId }, { author: other })).reason).toBe('not-allowed');
    expect(world.platform.shown).toHaveLength(1);
  });
});

describe('solved, human and thumbs', () => {
  it('solved is a thumb up with a mark', async () => {
    const { answerId = '' } = await world.hear();
    expect((await press('solved', { answerId })).reason).toBe('action-done');
    expect((await world.state.receipts.get(world.tenant.id, answerId))?.feedback).toMatchObject([
      { rating: 'up', mark: 'solved', user: 'slack:U1' },
    ]);
  });

  it('buttons say what the organisation lets them say, else what we say in the language of the channel', async () => {
    Object.assign(world.tenant.settings, { messages: { en: { buttonSolved: 'That was it', buttonStop: 'Enough' } } });
    world.rules.channel = { humans: ['U7'] };
    await world.hear();
    expect(world.platform.shown[0]?.answer?.titles).toEqual({ solved: 'That was it' });
    expect(world.platform.shown[0]?.manner).toMatchObject({ stoppable: true, stopTitle: 'Enough' });
    world.rules.channel = { humans: ['U7'], language: 'de' };
    await world.hear();
    expect(world.platform.shown[1]?.answer?.titles).toEqual({ solved: 'Gelöst', human: 'Ich brauche einen Menschen' });
    expect(world.platform.shown[1]?.manner.stopTitle).toBe('Anhalten');
  });

  it('people are called in the thread, and nobody twice', async () => {
    world.rules.channel = { humans: ['U7', 'U8'] };
    const { answerId = '' } = await world.hear({ threadId: 'T1' });
    expect(world.platform.shown[0]?.answer?.offers).toEqual(['thumbs', 'solved', 'human']);
    await press('human', { answerId }, { threadId: 'T1' });
    await press('human', { answerId }, { threadId: 'T1' });
    expect(world.platform.said).toMatchObject([
      { to: { workspaceId: 'W1', channelId: 'C1', threadId: 'T1' }, people: ['U7', 'U8'] },
    ]);
    expect(world.platform.said[0]?.markdown).toContain('How many days of leave?');
    expect(lastWhisper()).toContain('I called somebody');
  });

  it('a channel is told with a link, and nobody is pinged', async () => {
    world.rules.channel = { humans: ['#C9'] };
    const row = await world.hear();
    await press('human', { answerId: row.answerId ?? '' });
    expect(world.platform.said).toMatchObject([{ to: { workspaceId: 'W1', channelId: 'C9' }, people: [] }]);
    expect(world.platform.said[0]?.markdown).toContain(`https://chat.example/${row.event.messageId}`);
  });

  it('people who are named beside a channel are called there', async () => {
    world.rules.channel = { humans: ['#C9', 'U7'] };
    const { answerId = '' } = await world.hear();
    await press('human', { answerId });
    expect(world.platform.said).toMatchObject([{ to: { channelId: 'C9' }, people: ['U7'] }]);
  });

  it('a private question is told to those who are called, with a link, not to its channel', async () => {
    world.rules.channel = { humans: ['U7', 'U8'], replies: 'private' };
    const row = await world.hear({ threadId: 'T1' });
    await press('human', { answerId: row.answerId ?? '' }, { threadId: 'T1' });
    expect(world.platform.said).toMatchObject([
      { to: { workspaceId: 'W1', userId: 'U7' } },
      { to: { workspaceId: 'W1', userId: 'U8' } },
    ]);
    expect(world.platform.said[1]?.markdown).toContain(`https://chat.example/${row.event.messageId}`);
  });

  it('what was asked in a direct message is told without a link that nobody could open', async () => {
    world.rules.tenant = { humans: ['U7'] };
    const { answerId = '' } = await world.hear({ scope: 'dm', addressed: 'dm', channelId: 'D1', threadId: 'D1' });
    await press('human', { answerId }, { scope: 'dm', channelId: 'D1', threadId: 'D1' });
    expect(world.platform.said).toMatchObject([{ to: { workspaceId: 'W1', userId: 'U7' } }]);
    expect(world.platform.said[0]?.markdown).toContain('Asked in a direct message');
    expect(world.platform.said[0]?.markdown).not.toContain('https://');
  });

  it('where nobody is named for direct messages it says who can name somebody', async () => {
    const { answerId = '' } = await world.hear({ scope: 'dm', addressed: 'dm', channelId: 'D1', threadId: 'D1' });
    await press('human', { answerId }, { scope: 'dm', channelId: 'D1', threadId: 'D1' });
    expect(lastWhisper()).toContain('in the console');
  });

  it('where nobody is named it says so, and keeps the wish', async () => {
    const { answerId = '' } = await world.hear();
    expect(world.platform.shown[0]?.answer?.offers).toEqual(['thumbs', 'solved']);
    await press('human', { answerId });
    expect(lastWhisper()).toContain('Nobody is named');
    expect((await world.state.receipts.get(world.tenant.id, answerId))?.feedback).toMatchObject([
      { rating: 'down', mark: 'human' },
    ]);
  });

  it('a reason given later joins the verdict of the same person', async () => {
    world.rules.channel = { humans: ['U7'] };
    const { answerId = '' } = await world.hear();
    const thumb = (feedback: NonNullable<InboundEvent['feedback']>, author = other) =>
      world.hear({ kind: 'feedback', addressed: 'none', text: '', feedback, author });
    await thumb({ rating: 'down', answerId });
    await press('human', { answerId }, { author: other });
    await thumb({ rating: 'down', answerId, comment: 'Outdated.' });
    await thumb({ rating: 'up', answerId }, { id: 'U3', isBot: false, isSelf: false, name: 'Cem' });
    const { feedback } = (await world.state.receipts.get(world.tenant.id, answerId)) ?? { feedback: [] };
    expect(feedback).toHaveLength(2);
    expect(feedback.find(({ user }) => user === 'slack:U2')).toMatchObject({
      rating: 'down',
      mark: 'human',
      comment: 'Outdated.',
    });
    await thumb({ rating: 'up', answerId });
    const after = (await world.state.receipts.get(world.tenant.id, answerId))?.feedback ?? [];
    expect(after.find(({ user }) => user === 'slack:U2')).toEqual({
      rating: 'up',
      user: 'slack:U2',
      at: expect.any(Number),
    });
  });

  it('a press that is quicker than the books waits for them', async () => {
    const row = await world.hear();
    const receipt = await world.receipt(row);
    if (receipt === null) throw new Error('no receipt');
    const late = { ...receipt, answerId: 'a_late' };
    const event = await world.receive({
      kind: 'action',
      addressed: 'none',
      action: { name: 'solved', answerId: 'a_late' },
    });
    await vi.waitFor(async () =>
      expect((await world.state.inbox.get(inboxIdOf(event.dedupeKeys[0] ?? '')))?.attempts).toBeGreaterThan(0),
    );
    await world.state.receipts.put(late);
    expect((await world.settled(event)).reason).toBe('action-done');
  });

  it('a button under nothing is no crash', async () => {
    const past = Date.now() - 60_000;
    expect((await press('human', { answerId: 'a_none' }, { receivedAt: past })).reason).toBe('unsupported');
    expect((await press('solved', {}, { receivedAt: past })).reason).toBe('unsupported');
  });
});
