import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ChannelRules } from '../../core/domain.ts';
import type { StateStore } from '../../core/ports/state.ts';
import type { FakeAnswering } from '../core/conversation/fake-answering.ts';

/** What somebody writes in a channel; to the bot, unless `mention` is false. */
export type Said = {
  readonly text: string;
  readonly mention?: boolean;
  /** The message from which the thread hangs that it goes on in. */
  readonly thread?: string;
  /** Default: the asker. `robot` is another bot. */
  readonly by?: 'asker' | 'colleague' | 'robot';
  /** A file that comes along. */
  readonly file?: string;
  /** `@colleague` in the text is a mention of the colleague. */
  readonly names?: boolean;
};

export type Button = 'solved' | 'human' | 'down' | 'publish';

/** A platform's driver and the core together: over the platform's own wire, real sockets and a real store. */
export type ConversationRig = {
  readonly tenantId: string;
  readonly state: StateStore;
  readonly answering: FakeAnswering;
  /** Of the channel, beside what `settings` sets. */
  readonly rules: { current: ChannelRules };
  /** Every instance's clock shows this much more than the real one. */
  readonly time: { aheadMs: number };
  /** One more process of the bot, over the same store. Their number is what `to` means. */
  instance(): Promise<void>;
  /** Resolves with the message's id, once the platform has told an instance of it. The asker may manage the channel. */
  tell(said: Said, to?: number): Promise<string>;
  /** The same delivery again. */
  again(id: string, to: number): Promise<void>;
  edit(id: string, text: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** Absent: who deletes a message there cannot take that back. */
  restore?(id: string, text: string): Promise<void>;
  /** A button under the answer to that question, which is private only for `publish`. */
  press(button: Button, question: string): Promise<void>;
  /** What was heard of the message, as each of it ended. */
  reasonsOf(id: string): Promise<readonly (string | undefined)[]>;
  /** What the bot said where all can read it: to that message, or in its thread. */
  answersTo(id: string): readonly string[];
  /** What only the asker was told. */
  whispered(): readonly string[];
  /** Messages that ping the colleague. */
  called(): readonly string[];
  /** The colleague's id in rules. */
  readonly colleague: string;
  /** An emoji as the platform itself writes one. */
  readonly emoji: string;
  readonly robot: string;
  /** From now on the platform answers nothing but errors of its own. */
  breakDown(): void;
  /** From now on it refuses, as for a channel that the bot was removed from or a thread that was deleted. */
  vanish(what: 'thread' | 'channel'): void;
  heal(): void;
  /** How often a question was put back because the platform could not be reached. */
  putBack(): number;
  close(): Promise<void>;
};

/** Stands in a test's title for what each platform writes differently. */
const ownEmoji = '(emoji)';

export type ConversationDescriptor = { readonly name: string; start(): Promise<ConversationRig> };

/** What a person gets on every chat platform, whatever goes wrong on the way. */
export const conversationContract = (descriptor: ConversationDescriptor): void => {
  describe(`conversation contract: ${descriptor.name}`, () => {
    let rig: ConversationRig;
    beforeEach(async () => {
      rig = await descriptor.start();
    });
    afterEach(() => rig.close());

    const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 45_000, interval: 15 });
    const settled = (id: string, ...reasons: readonly string[]) =>
      until(async () => expect(await rig.reasonsOf(id)).toEqual(reasons));
    const ask = async (said: Said, reason = 'answered'): Promise<string> => {
      const id = await rig.tell(said);
      await settled(id, reason);
      return id;
    };

    describe('one answer', () => {
      it('each delivery one to five times, shuffled, to two instances, again after 25 hours: one answer and one charge', async () => {
        await rig.instance();
        await rig.instance();
        const ids: string[] = [];
        for (let n = 0; n < 10; n += 1) ids.push(await rig.tell({ text: `leave number ${n}?` }, n % 2));
        const deliveries = ids.flatMap((id, index) => Array.from({ length: index % 5 }, () => id));
        for (const hours of [0, 25]) {
          rig.time.aheadMs = hours * 3_600_000;
          if (hours > 0) await rig.state.maintenance.sweep(Date.now() + rig.time.aheadMs);
          const all = hours > 0 ? [...ids, ...deliveries] : deliveries;
          // A fixed shuffle: seven is prime to the number of them.
          for (const turn of all.keys()) {
            const id = all[(turn * 7) % all.length];
            if (id !== undefined) await rig.again(id, turn % 2);
          }
          // Heard after all of them.
          ids.push(await rig.tell({ text: `and after ${hours} hours?` }));
          for (const id of ids) await settled(id, 'answered');
        }
        for (const id of ids) expect(rig.answersTo(id)).toHaveLength(1);
        expect(rig.answering.charged.size).toBe(ids.length);
        expect(new Set(rig.answering.asked.map(({ answerId }) => answerId)).size).toBe(ids.length);
      }, 120_000);

      it('a burst in one thread is answered in its order, each question once', async () => {
        await rig.instance();
        const thread = await ask({ text: 'leave?' });
        const questions = ['and in year one?', 'and in year two?', 'and in year three?'];
        const ids: string[] = [];
        for (const text of questions) ids.push(await rig.tell({ text, mention: false, thread }));
        for (const id of ids) await settled(id, 'answered');
        expect(rig.answering.asked.slice(1).map(({ question }) => question)).toEqual(questions);
        expect(rig.answering.charged.size).toBe(1 + questions.length);
      });

      it('a long outage ends in one apology, and the next question is answered', async () => {
        await rig.instance();
        rig.breakDown();
        const id = await rig.tell({ text: 'leave?' });
        // Only then nobody holds it: a leap of the clock under somebody's hands is a crash.
        await until(() => expect(rig.putBack()).toBe(1));
        // Hours later it is back.
        rig.time.aheadMs = 6.5 * 3_600_000;
        rig.heal();
        await settled(id, 'failed');
        expect(rig.answersTo(id)).toEqual([expect.stringContaining('could not get through for hours')]);
        const next = await ask({ text: 'and now?' });
        expect(rig.answersTo(next)).toEqual([expect.stringContaining('Leave is 30 days.')]);
        expect(rig.answering.charged.size).toBe(2);
      }, 120_000);

      it('an outage of minutes loses nothing, and the answer says that it is late', async () => {
        await rig.instance();
        rig.breakDown();
        const id = await rig.tell({ text: 'leave?' });
        await until(() => expect(rig.putBack()).toBe(1));
        rig.time.aheadMs = 11 * 60_000;
        rig.heal();
        await settled(id, 'answered');
        expect(rig.answersTo(id)).toEqual([expect.stringContaining('Leave is 30 days.')]);
        expect(rig.answering.charged.size).toBe(1);
      }, 120_000);

      it.each(['thread', 'channel'] as const)(
        'a %s that is gone: a kept reason, and the next question is worked on',
        async (what) => {
          await rig.instance();
          rig.vanish(what);
          const id = await rig.tell({ text: 'leave?' });
          await settled(id, 'failed');
          expect(rig.answersTo(id)).toEqual([]);
          rig.heal();
          await ask({ text: 'and now?' });
        },
        60_000,
      );
    });

    describe('what becomes of a question', () => {
      it('edited: answered again in place', async () => {
        await rig.instance();
        const id = await ask({ text: 'leave?' });
        await rig.edit(id, 'parental leave?');
        await settled(id, 'answered', 'answered');
        expect(rig.answersTo(id)).toEqual([expect.stringContaining('parental leave?')]);
      });

      it('deleted: its answer goes', async () => {
        await rig.instance();
        const id = await ask({ text: 'leave?' });
        await rig.remove(id);
        await settled(id, 'answered', 'question-deleted');
        expect(rig.answersTo(id)).toEqual([]);
      });

      it('deleted and taken back: it is answered anew', async () => {
        await rig.instance();
        if (rig.restore === undefined) return;
        const id = await ask({ text: 'leave?' });
        await rig.remove(id);
        await settled(id, 'answered', 'question-deleted');
        await rig.restore(id, 'leave?');
        await settled(id, 'answered', 'question-deleted', 'answered');
        expect(rig.answersTo(id)).toEqual([expect.stringContaining('Leave is 30 days.')]);
      });
    });

    describe('when to answer', () => {
      it('a follow-up in the thread needs no new mention', async () => {
        await rig.instance();
        const first = await ask({ text: 'leave?' });
        const followUp = await ask({ text: 'and in the first year?', mention: false, thread: first });
        const { asked } = rig.answering;
        expect(asked.at(-1)?.question).toBe('and in the first year?');
        expect(asked.at(-1)?.turns).toHaveLength(2);
        expect(asked.at(-1)?.messageId).toBe(followUp);
      });

      it('where questions count, those between people are theirs', async () => {
        await rig.instance();
        rig.rules.current = { answerWhen: 'question' };
        const root = await ask({ text: 'I am off next week.', mention: false, by: 'colleague' }, 'not-addressed');
        await ask({ text: 'Who takes over then?', mention: false, thread: root }, 'not-addressed');
        await ask(
          { text: '@colleague do you know how many days we have?', mention: false, names: true },
          'not-addressed',
        );
        expect(rig.answering.asked).toEqual([]);
        await ask({ text: 'How many days of leave do we have?', mention: false });
        expect(rig.answering.asked).toHaveLength(1);
      });

      it('who began a thread is known to a process that never heard of it', async () => {
        await rig.instance();
        rig.rules.current = { answerWhen: 'question' };
        const theirs = await ask({ text: 'I am off next week.', mention: false, by: 'colleague' }, 'not-addressed');
        const own = await ask({ text: 'I am back on Monday.', mention: false }, 'not-addressed');
        await rig.instance();
        const goOn = async (thread: string, reason: string) =>
          settled(await rig.tell({ text: 'How many days are left then?', mention: false, thread }, 1), reason);
        await goOn(theirs, 'not-addressed');
        await goOn(own, 'answered');
        expect(rig.answering.asked).toHaveLength(1);
      });

      it('another bot is answered where the channel’s list has it, and nowhere else', async () => {
        await rig.instance();
        await ask({ text: 'leave?', by: 'robot' }, 'bot-author');
        rig.rules.current = { bots: [rig.robot] };
        await ask({ text: 'leave?', by: 'robot' });
        expect(rig.answering.asked).toHaveLength(1);
      });
    });

    describe('bad input', () => {
      it.each([
        ['only a mention', { text: '' }, 'empty', 'What would you like to know?'],
        ['only an emoji', { text: '🎉' }, 'empty', 'What would you like to know?'],
        ['only an emoji of the platform’s own', { text: ownEmoji }, 'empty', 'What would you like to know?'],
        ['an enormous message', { text: `${'long '.repeat(7999)}end?` }, 'too-long', 'Please shorten it.'],
        ['only a file', { text: '', file: 'scan.pdf' }, 'empty', 'I got your file'],
        ['right to left', { text: 'كم عدد أيام الإجازة؟' }, 'answered', 'كم عدد أيام الإجازة؟'],
        ['half-width', { text: 'ﾔｽﾐﾊﾅﾝﾆﾁ?' }, 'answered', 'ﾔｽﾐﾊﾅﾝﾆﾁ?'],
        ['a file that cannot be read', { text: 'leave?', file: 'scan.pdf' }, 'answered', 'I could not read scan.pdf'],
      ] as const)('%s: a reason, and a sentence for who waits', async (_, said, reason, sentence) => {
        await rig.instance();
        const id = await ask({ ...said, text: said.text === ownEmoji ? rig.emoji : said.text }, reason);
        expect(rig.answersTo(id)).toEqual([expect.stringContaining(sentence)]);
        expect(rig.answering.asked).toHaveLength(reason === 'answered' ? 1 : 0);
      });
    });

    describe('after the answer', () => {
      const feedbackOf = async () =>
        (await rig.state.receipts.get(rig.tenantId, rig.answering.asked.at(-1)?.answerId ?? ''))?.feedback;

      it('“solved” is stored with the receipt, and said to be', async () => {
        await rig.instance();
        const id = await ask({ text: 'leave?' });
        await rig.press('solved', id);
        await until(async () => expect(await feedbackOf()).toMatchObject([{ rating: 'up', mark: 'solved' }]));
        await until(() => expect(rig.whispered().join()).toContain('solved'));
      });

      it('“I need a human” calls whom the channel’s settings name, by mention, and is stored', async () => {
        await rig.instance();
        await ask({ text: 'settings humans @colleague', names: true }, 'command-done');
        expect(rig.whispered().join()).toContain('Done.');
        const id = await ask({ text: 'leave?' });
        await rig.press('human', id);
        await until(async () => expect(await feedbackOf()).toMatchObject([{ rating: 'down', mark: 'human' }]));
        await until(() => expect(rig.called()).toEqual([expect.stringContaining('needs a human')]));
        expect(rig.called()[0]).toContain('leave?');
        await until(() => expect(rig.whispered().join()).toContain('I called somebody for you.'));
      });

      it('“I need a human” with nobody named says how somebody can be', async () => {
        await rig.instance();
        const id = await ask({ text: 'leave?' });
        await rig.press('human', id);
        await until(() => expect(rig.whispered().join()).toContain('settings humans'));
        expect(rig.called()).toEqual([]);
        expect(await feedbackOf()).toMatchObject([{ mark: 'human' }]);
      });

      it('a private answer is posted where it was asked by its button, and once', async () => {
        await rig.instance();
        rig.rules.current = { replies: 'private' };
        const id = await ask({ text: 'leave?' });
        expect(rig.answersTo(id)).toEqual([]);
        expect(rig.whispered().join()).toContain('Leave is 30 days.');
        await rig.press('publish', id);
        await until(() => expect(rig.answersTo(id)).toEqual([expect.stringContaining('Leave is 30 days.')]));
        await rig.press('publish', id);
        await until(() => expect(rig.whispered().join()).toContain('stands in the channel already'));
        expect(rig.answersTo(id)).toHaveLength(1);
      });

      it('a thumbs down is stored', async () => {
        await rig.instance();
        const id = await ask({ text: 'leave?' });
        await rig.press('down', id);
        await until(async () => expect(await feedbackOf()).toMatchObject([{ rating: 'down' }]));
      });

      it('whom the settings allow by mention may ask, and nobody else', async () => {
        await rig.instance();
        await ask({ text: 'settings who @colleague', names: true }, 'command-done');
        await ask({ text: 'leave?' }, 'not-allowed');
        await ask({ text: 'leave?', by: 'colleague' });
        const stored = await rig.state.channels.list(rig.tenantId);
        expect(stored.map(({ rules }) => rules.whoMayAsk)).toEqual([[rig.colleague]]);
      });
    });
  });
};
