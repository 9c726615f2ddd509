import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Standing } from '../../../core/domain.ts';
import { AppError } from '../../../core/errors.ts';
import { createWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

describe('whom an answer may tell what', () => {
  it('a public answer where guests read uses only what everybody may read, a private one what members may', async () => {
    const open = await world.source({ audience: 'everybody' });
    const staff = await world.source();
    await world.source({ audience: 'named' });
    world.rules.channel = { audience: 'everybody' };
    await world.hear({ threadId: 'T1' });
    await world.hear({
      threadId: 'T1',
      kind: 'command',
      addressed: 'command',
      command: { name: 'ask', private: true },
    });
    expect(world.answering.asked.map((request) => request.sourceIds)).toEqual([[open.id], [open.id, staff.id]]);
    expect(world.platform.shown.map(({ manner }) => manner.private ?? false)).toEqual([false, true]);
  });

  it('a command in a channel that others read too is answered from what everybody may read', async () => {
    let reads: () => Promise<boolean> = async () => false;
    const shared = await createWorld({ platform: { isShared: () => reads() } });
    try {
      const open = await shared.source({ audience: 'everybody' });
      await shared.source();
      const ask = async (isPrivate = false) => {
        const command = { name: 'ask' as const, ...(isPrivate ? { private: true } : {}) };
        await shared.hear({ kind: 'command', addressed: 'command', command });
        return shared.answering.asked.at(-1)?.sourceIds;
      };
      expect(await ask()).toBeUndefined();
      reads = async () => true;
      expect(await ask()).toEqual([open.id]);
      expect(await ask(true)).toBeUndefined();
      reads = () => Promise.reject(new AppError('platform-failed', 'Slack is away.', { retryable: true }));
      expect(await ask()).toEqual([open.id]);
    } finally {
      await shared.close();
    }
  });

  it('what was answered privately is no part of what the thread remembers', async () => {
    world.rules.channel = { replies: 'private' };
    await world.hear({ threadId: 'T1', text: 'What may only I know?' });
    world.rules.channel = {};
    await world.hear({ threadId: 'T1', text: 'And what did Ada ask?' });
    expect(world.answering.asked.map((request) => request.turns.length)).toEqual([0, 0]);
    expect(new Set(world.answering.asked.map((request) => request.conversationId)).size).toBe(2);
  });

  it('a private thread goes on without a new mention, for the one who began it', async () => {
    world.rules.channel = { replies: 'private' };
    await world.hear({ threadId: 'T1' });
    expect((await world.hear({ threadId: 'T1', addressed: 'none', text: 'And for interns?' })).reason).toBe('answered');
    expect(world.answering.asked[1]?.turns).toHaveLength(2);
    const other = { id: 'U2', isBot: false, isSelf: false };
    expect((await world.hear({ threadId: 'T1', addressed: 'none', author: other })).reason).toBe('not-addressed');
  });

  it('a sentence where the rules leave no source', async () => {
    await world.source({ audience: 'members' });
    const author = { id: 'U9', isBot: false, isSelf: false, standing: 'guest' } as const;
    expect((await world.hear({ author })).reason).toBe('no-sources');
    expect(world.platform.shown[0]?.text).toContain('no documents that I may use');
    world.rules.channel = { answerWhen: 'every' };
    expect((await world.hear({ author, addressed: 'none' })).reason).toBe('no-sources');
    expect(world.platform.shown).toHaveLength(1);
    expect(world.answering.asked).toEqual([]);
  });

  it('whoever cannot be told from a guest is treated as one', async () => {
    const standings: (Standing | null)[] = ['member', null];
    const told = await createWorld({ platform: { standing: async () => standings.shift() ?? null } });
    try {
      await told.source({ audience: 'members' });
      expect((await told.hear()).reason).toBe('answered');
      expect((await told.hear()).reason).toBe('no-sources');
    } finally {
      await told.close();
    }
  });

  it('a tenant without any source asks on: the answer says that nothing was found', async () => {
    expect((await world.hear()).reason).toBe('answered');
    expect(world.answering.asked[0]?.sourceIds).toBeUndefined();
  });

  it('guests are refused with one sentence when the rules say so', async () => {
    world.rules.channel = { guests: 'refuse', answerWhen: 'every' };
    const author = { id: 'U9', isBot: false, isSelf: false, standing: 'outsider' } as const;
    expect((await world.hear({ author })).reason).toBe('not-allowed');
    expect((await world.hear({ author, addressed: 'none' })).reason).toBe('not-allowed');
    expect(world.platform.shown).toHaveLength(1);
    expect((await world.hear({ addressed: 'none' })).reason).toBe('answered');
  });
});

describe('other bots', () => {
  const bot = { id: 'B7', isBot: true, isSelf: false };

  it('are not heard unless the channel lists them', async () => {
    expect((await world.hear({ author: bot })).reason).toBe('bot-author');
    world.rules.channel = { bots: ['B7'] };
    expect((await world.hear({ author: bot })).reason).toBe('answered');
    expect((await world.hear({ author: { ...bot, id: 'B8' } })).reason).toBe('bot-author');
    expect((await world.hear({ author: { ...bot, isSelf: true } })).reason).toBe('own-message');
  });

  it('get three answers in a row, then a person must speak', async () => {
    world.rules.channel = { bots: ['B7'] };
    const ask = async (author = bot) => (await world.hear({ threadId: 'T1', author })).reason;
    expect([await ask(), await ask(), await ask(), await ask()]).toEqual([
      'answered',
      'answered',
      'answered',
      'bot-author',
    ]);
    expect(await ask({ id: 'U1', isBot: false, isSelf: false })).toBe('answered');
    expect(await ask()).toBe('answered');
  });

  it('do not follow up by themselves, and hear no sentences of ours', async () => {
    world.rules.channel = { bots: ['B7'] };
    await world.hear({ threadId: 'T1' });
    expect((await world.hear({ threadId: 'T1', author: bot, addressed: 'none' })).reason).toBe('bot-author');
    expect((await world.hear({ author: bot, text: ':wave:' })).reason).toBe('empty');
    expect(world.platform.shown).toHaveLength(1);
  });

  it('are stopped after ten an hour in one thread, even when nothing is remembered of them', async () => {
    world.rules.channel = { bots: ['B7'] };
    const refused = async () => ({ kind: 'refused', reasonCode: 'quota', answer: 'Enough for today.' });
    const reasons: (string | undefined)[] = [];
    for (let n = 0; n < 12; n += 1) {
      world.answering.next(refused);
      reasons.push((await world.hear({ threadId: 'T1', author: bot })).reason);
    }
    expect(reasons.filter((reason) => reason === 'quota')).toHaveLength(10);
    expect(reasons.slice(10)).toEqual(['bot-author', 'bot-author']);
  });
});
