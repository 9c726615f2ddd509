import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InboundEvent } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Delivery, FinishedAnswer, Manner, Offer, Platform } from '../../core/ports/platform.ts';

/** What people type, press and attach beyond plain messages. */
export type Gesture =
  | 'command'
  | 'private-command'
  | 'help-command'
  | 'about-message'
  | 'edit'
  | 'delete'
  | 'attachment'
  | 'stop'
  | 'publish'
  | 'solved'
  | 'human'
  | 'thumbs-up'
  | 'thumbs-down'
  | 'reason';

export type GestureOptions = {
  /** Commands: what is asked. About-message: the message's words. Edit: the new words. Reason: why the thumb went down. */
  readonly text?: string;
  /** Edit, delete: the message's id as it was given to `deliver`. */
  readonly id?: string;
  /** Buttons: the answer or the delivery that they belong to. */
  readonly answerId?: string;
  readonly deliveryId?: string;
};

/** How the suite drives one platform through its own wire format. */
export type PlatformRig = {
  /** Started with `receive`. */
  readonly platform: Platform;
  /** What reached `receive`, oldest first. */
  readonly heard: readonly InboundEvent[];
  /** From now on `receive` throws, as a store does that is down. */
  refuse(): void;
  /** Delivers as the platform does; resolves with whether it was acknowledged. */
  deliver(
    what: 'mention' | 'direct' | 'own' | 'bot' | 'unknown' | 'mangled',
    options?: { readonly id?: string; readonly text?: string },
  ): Promise<boolean>;
  /** A mention with a signature that is not right; resolves with whether it was accepted. Absent where nothing is signed. */
  forge?(how: 'unsigned' | 'wrong' | 'stale' | 'future'): Promise<boolean>;
  /** How many events were set aside as of no kind that we know, as the metrics tell. */
  setAside?(): number;
  /** Each message of the bot as people see it, oldest first; neither private ones nor a button that stands alone. */
  shown(): readonly string[];
  /** Each resolves with whether it was acknowledged. A platform that lacks one leaves it out; docs/platforms.md says why. */
  readonly gestures?: Readonly<Partial<Record<Gesture, (options?: GestureOptions) => Promise<boolean>>>>;
  /** What only the asker sees, oldest first: ephemeral or in a direct message. */
  whispered?(): readonly string[];
  /** The buttons under the bot's newest message, private or not. */
  offered?(): readonly Offer[];
  /** What stands on the buttons of all messages of the bot, as the platform was sent it. */
  titles?(): readonly string[];
  /** A stop button stands somewhere. */
  stopStands?(): boolean;
  /** Everybody whom the bot's messages notify: user ids, and `everybody` for a channel. */
  pinged?(): readonly string[];
  /** The platform neither tells what stands nor sends idempotently: a crash between sending and recording leaves a second answer. */
  readonly duplicates?: 'one-a-crash';
  /** From now on the platform refuses, as it does for a thread that was deleted or a channel that the bot was removed from. */
  vanish?(what: 'thread' | 'channel'): void;
  close(): Promise<void>;
};

export type PlatformDescriptor = { readonly name: string; start(): Promise<PlatformRig> };

/** What every chat platform owes the core. */
export const platformContract = (descriptor: PlatformDescriptor): void => {
  describe(`platform contract: ${descriptor.name}`, () => {
    let rig: PlatformRig;
    beforeEach(async () => {
      rig = await descriptor.start();
    });
    afterEach(() => rig.close());

    const hear = async (
      what: Parameters<PlatformRig['deliver']>[0],
      options?: Parameters<PlatformRig['deliver']>[1],
    ): Promise<InboundEvent> => {
      expect(await rig.deliver(what, options)).toBe(true);
      const event = rig.heard.at(-1);
      if (event === undefined) throw new Error('nothing was heard');
      return event;
    };
    const open = (event: InboundEvent, delivery: Partial<Delivery> = {}, manner?: Manner) =>
      rig.platform.openAnswer(
        event,
        { id: 'm_one', postedIds: [], uncertain: false, posted: async () => undefined, ...delivery },
        AbortSignal.timeout(30_000),
        manner,
      );
    const gesture = async (name: Gesture, options?: GestureOptions): Promise<InboundEvent | null> => {
      const make = rig.gestures?.[name];
      if (make === undefined) return null;
      expect(await make(options)).toBe(true);
      const event = rig.heard.at(-1);
      if (event === undefined) throw new Error('nothing was heard');
      return event;
    };
    const answer = (markdown: string, more: Partial<FinishedAnswer> = {}): FinishedAnswer => ({
      markdown,
      citations: [],
      ...more,
    });
    const within = () => AbortSignal.timeout(60_000);

    describe('hearing', () => {
      it('a mention is addressed, without the own mention in its text', async () => {
        const event = await hear('mention', { text: 'how many days of leave?' });
        expect(event).toMatchObject({
          platform: rig.platform.name,
          kind: 'message',
          addressed: 'mention',
          text: 'how many days of leave?',
        });
        expect(event.author).toMatchObject({ isBot: false, isSelf: false });
      });

      it('a direct message is addressed without a mention', async () => {
        expect(await hear('direct', { text: 'hello' })).toMatchObject({ scope: 'dm', addressed: 'dm', text: 'hello' });
      });

      it('the same event twice shares a dedupe key, two events share none', async () => {
        const first = await hear('mention', { id: '1' });
        const again = await hear('mention', { id: '1' });
        const other = await hear('mention', { id: '2' });
        expect(again.dedupeKeys.some((key) => first.dedupeKeys.includes(key))).toBe(true);
        expect(other.dedupeKeys.some((key) => first.dedupeKeys.includes(key))).toBe(false);
      });

      it('every dedupe key names platform and workspace', async () => {
        const event = await hear('mention');
        expect(event.dedupeKeys.length).toBeGreaterThan(0);
        for (const key of event.dedupeKeys)
          expect(key.startsWith(`${event.platform}:${event.workspaceId}:`)).toBe(true);
      });

      it('own messages and those of other bots are marked, never taken for people', async () => {
        expect((await hear('own')).author.isSelf).toBe(true);
        expect((await hear('bot')).author).toMatchObject({ isBot: true, isSelf: false });
      });

      it('unknown kinds of events are acknowledged and ignored', async () => {
        expect(await rig.deliver('unknown')).toBe(true);
        expect(rig.heard).toEqual([]);
        if (rig.setAside !== undefined) expect(rig.setAside()).toBe(1);
      });

      it('an event without its most needed fields does no harm', async () => {
        await rig.deliver('mangled');
        expect(rig.heard).toEqual([]);
        await hear('mention');
      });

      it('is not acknowledged when it could not be stored', async () => {
        rig.refuse();
        expect(await rig.deliver('mention')).toBe(false);
      });

      it('what is stored survives JSON', async () => {
        const event = await hear('mention');
        expect(JSON.parse(JSON.stringify(event))).toEqual(event);
      });

      it.each(['unsigned', 'wrong', 'stale', 'future'] as const)('refuses a delivery that is %s', async (how) => {
        if (rig.forge === undefined) return;
        expect(await rig.forge(how)).toBe(false);
        expect(rig.heard).toEqual([]);
      });
    });

    describe('hearing more than messages', () => {
      it('a command asks, with its words', async () => {
        const event = await gesture('command', { text: 'how many days of leave?' });
        if (event === null) return;
        expect(event).toMatchObject({
          kind: 'command',
          addressed: 'command',
          command: { name: 'ask' },
          text: 'how many days of leave?',
        });
        expect(event.command?.private ?? false).toBe(false);
      });

      it('a private command says so, and its marker is no part of the question', async () => {
        const event = await gesture('private-command', { text: 'how many days of leave?' });
        if (event === null) return;
        expect(event).toMatchObject({ command: { name: 'ask', private: true }, text: 'how many days of leave?' });
      });

      it('a command about the bot itself is told apart from a question', async () => {
        const event = await gesture('help-command');
        if (event === null) return;
        expect(event).toMatchObject({ kind: 'command', command: { name: 'help' } });
      });

      it('"ask about this" asks with the words of that message, for the person who pressed', async () => {
        const event = await gesture('about-message', { text: 'Does the policy cover this?' });
        if (event === null) return;
        expect(event).toMatchObject({
          kind: 'command',
          command: { name: 'ask', private: true },
          text: 'Does the policy cover this?',
        });
      });

      it('an edit and a deletion name the message they are about', async () => {
        const question = await hear('mention', { id: 'q', text: 'old words' });
        const edit = await gesture('edit', { id: 'q', text: 'new words' });
        if (edit !== null)
          expect(edit).toMatchObject({ kind: 'edit', targetMessageId: question.messageId, text: 'new words' });
        const deletion = await gesture('delete', { id: 'q' });
        if (deletion !== null) expect(deletion).toMatchObject({ kind: 'delete', targetMessageId: question.messageId });
      });

      it('the stop button names the delivery that is being written', async () => {
        const event = await gesture('stop', { deliveryId: 'm_0123456789abcdef' });
        if (event === null) return;
        expect(event).toMatchObject({ kind: 'action', action: { name: 'stop', deliveryId: 'm_0123456789abcdef' } });
      });

      it.each(['publish', 'solved', 'human'] as const)('the button “%s” names its answer', async (name) => {
        const event = await gesture(name, { answerId: 'a_0123456789abcdef' });
        if (event === null) return;
        expect(event).toMatchObject({ kind: 'action', action: { name, answerId: 'a_0123456789abcdef' } });
      });

      it.each([
        ['thumbs-up', 'up'],
        ['thumbs-down', 'down'],
      ] as const)('%s is feedback about its answer', async (name, rating) => {
        const event = await gesture(name, { answerId: 'a_0123456789abcdef' });
        if (event === null) return;
        expect(event).toMatchObject({ kind: 'feedback', feedback: { rating, answerId: 'a_0123456789abcdef' } });
      });

      it('the reason of a thumbs down comes with its answer', async () => {
        const event = await gesture('reason', { answerId: 'a_0123456789abcdef', text: 'It is out of date.' });
        if (event === null) return;
        expect(event).toMatchObject({
          kind: 'feedback',
          feedback: { rating: 'down', answerId: 'a_0123456789abcdef', comment: 'It is out of date.' },
        });
      });

      it('two presses of a button share no dedupe key', async () => {
        const first = await gesture('thumbs-up', { answerId: 'a_0123456789abcdef' });
        const second = await gesture('thumbs-down', { answerId: 'a_0123456789abcdef' });
        if (first === null || second === null) return;
        expect(second.dedupeKeys.some((key) => first.dedupeKeys.includes(key))).toBe(false);
      });

      it('only an attachment is heard, with its name', async () => {
        const event = await gesture('attachment');
        if (event === null) return;
        expect(event.text.trim()).toBe('');
        expect(event.attachments[0]?.name).toBeTruthy();
      });

      it.each([
        ['an emoji', '🎉'],
        ['right-to-left text', 'كم عدد أيام الإجازة؟'],
        ['half-width and full-width characters', 'ﾊﾝｶｸ ｶﾀｶﾅ　とＦｕｌｌ－ｗｉｄｔｈ'],
        ['a combined character', '👩‍👩‍👧‍👦 ḟ̇ é'],
      ])('%s is heard as it was written', async (_, text) => {
        expect((await hear('direct', { text })).text).toBe(text);
      });

      it('an empty message and an enormous one are acknowledged', async () => {
        expect(await rig.deliver('direct', { text: '' })).toBe(true);
        expect(await rig.deliver('direct', { text: `${'long '.repeat(7999)}end.` })).toBe(true);
        expect(rig.heard.at(-1)?.text.endsWith('end.')).toBe(true);
      });
    });

    describe('answering', () => {
      it('one answer with its footnotes', async () => {
        const sink = await open(await hear('mention'));
        await sink.finish({
          markdown: 'Thirty days. [1]',
          citations: [
            {
              n: 1,
              documentId: 'd',
              externalId: 'e',
              chunkId: 'c',
              title: 'Handbook',
              url: 'https://docs.example/a',
              quote: 'q',
            },
          ],
        });
        expect(rig.shown()).toHaveLength(1);
        expect(rig.shown()[0]).toContain('Thirty days. [1]');
        expect(rig.shown()[0]).toContain('Handbook');
        expect(rig.shown()[0]).toContain('https://docs.example/a');
      });

      it('a direct message is answered too', async () => {
        const sink = await open(await hear('direct'));
        await sink.status('Reading …');
        await sink.finish({ markdown: 'Thirty days.', citations: [] });
        expect(rig.shown()).toHaveLength(1);
        expect(rig.shown()[0]).toContain('Thirty days.');
      });

      it('signs of life and updates end in one message with the final text', async () => {
        const sink = await open(await hear('mention'));
        await sink.status('Reading …');
        for (const text of ['Thir', 'Thirty', 'Thirty days, perhaps']) await sink.update(text);
        await sink.finish({ markdown: 'Thirty days, for certain.', citations: [] });
        expect(rig.shown()).toHaveLength(1);
        expect(rig.shown()[0]).toContain('Thirty days, for certain.');
        expect(rig.shown()[0]).not.toContain('perhaps');
      });

      it('a failure is one sentence in place of what was begun', async () => {
        const sink = await open(await hear('mention'));
        await sink.update('Half an ans');
        await sink.fail('I could not answer. Please ask again later.');
        expect(rig.shown()).toHaveLength(1);
        expect(rig.shown()[0]).toContain('I could not answer. Please ask again later.');
        expect(rig.shown()[0]).not.toContain('Half an ans');
      });

      it('a long answer is split with its fences whole and nothing left out', async () => {
        const numbers = Array.from({ length: 4000 }, (_, index) => `line ${index}`);
        const sink = await open(await hear('mention'));
        await sink.finish({
          markdown: `Before.\n\n\`\`\`text\n${numbers.join('\n')}\n\`\`\`\n\nAfter.`,
          citations: [],
        });
        const shown = rig.shown();
        expect(shown.length).toBeGreaterThan(1);
        for (const part of shown) expect((part.match(/```/g) ?? []).length % 2).toBe(0);
        const lines = new Set(shown.join('\n').split('\n'));
        expect(numbers.filter((line) => !lines.has(line))).toEqual([]);
        expect(shown.at(-1)).toContain('After.');
      });

      it('every message id is recorded as soon as it stands', async () => {
        const ids: string[] = [];
        const sink = await open(await hear('mention'), { posted: async (id) => void ids.push(id) });
        await sink.finish({ markdown: 'x '.repeat(12_000), citations: [] });
        expect(new Set(ids).size).toBe(rig.shown().length);
      });

      it('after a crash that forgot what was sent there is still one answer, or one more where nobody can know', async () => {
        const event = await hear('mention');
        const first = await open(event);
        await first.finish({ markdown: 'Thirty days.', citations: [] });
        const second = await open(event, { uncertain: true });
        await second.finish({ markdown: 'Thirty days.', citations: [] });
        expect(rig.shown()).toHaveLength(rig.duplicates === undefined ? 1 : 2);
      });

      it('an answer can be replaced in place', async () => {
        const event = await hear('mention');
        const ids: string[] = [];
        await (await open(event, { posted: async (id) => void ids.push(id) })).finish({
          markdown: 'Old answer.',
          citations: [],
        });
        await (await open(event, { id: 'm_two', postedIds: ids })).finish({ markdown: 'New answer.', citations: [] });
        expect(rig.shown()).toHaveLength(1);
        expect(rig.shown()[0]).toContain('New answer.');
      });

      it('an answer can be taken back', async () => {
        if (rig.platform.retract === undefined) return;
        const event = await hear('mention');
        const ids: string[] = [];
        await (await open(event, { posted: async (id) => void ids.push(id) })).finish({
          markdown: 'Old answer.',
          citations: [],
        });
        await rig.platform.retract(event, ids, AbortSignal.timeout(30_000));
        expect(rig.shown()).toEqual([]);
      });

      it('stops when told to', async () => {
        const event = await hear('mention');
        const stop = new AbortController();
        const delivery: Delivery = { id: 'm_one', postedIds: [], uncertain: false, posted: async () => undefined };
        const sink = await rig.platform.openAnswer(event, delivery, stop.signal);
        stop.abort();
        await expect(sink.finish({ markdown: 'Too late.', citations: [] })).rejects.toThrow();
        expect(rig.shown()).toEqual([]);
      });

      it('says nothing when it slept and others answer by now', async () => {
        const awake = () => Promise.reject(new AppError('lease-lost', 'Another worker took over this thread.'));
        const sink = await open(await hear('mention'), { awake });
        await sink.update('Thirty').catch(() => undefined);
        await expect(sink.finish(answer('Thirty days.'))).rejects.toMatchObject({ code: 'lease-lost' });
        expect(rig.shown()).toEqual([]);
      });

      it.each([
        ['right-to-left text', 'ثلاثون يومًا في السنة.'],
        ['full-width text', '年間３０日です。'],
        ['an emoji', '🎉'],
      ])('%s arrives as it is', async (_, text) => {
        await (await open(await hear('mention'))).finish(answer(text));
        expect(rig.shown()).toEqual([expect.stringContaining(text)]);
      });

      it('an empty answer does no harm', async () => {
        await (await open(await hear('mention'))).finish(answer(''));
        expect(rig.shown().length).toBeLessThanOrEqual(1);
      });

      it('nobody is pinged by what the model writes', async () => {
        if (rig.pinged === undefined) return;
        const bait =
          'Ask <!channel> <!here> @everyone @here <@U0ASKER> <@&123> <@123456789012345678> <at>Everybody</at>.';
        const event = await hear('mention');
        const sink = await open(event);
        await sink.status(bait);
        await sink.update(bait);
        await sink.finish(answer(`${bait}\n\n\`\`\`\n${bait}\n\`\`\``));
        await (await open(event, { id: 'm_two' })).fail(bait);
        expect(rig.pinged()).toEqual([]);
      });

      it('a private answer is seen by the asker alone, whole however long', async () => {
        if (rig.whispered === undefined) return;
        const numbers = Array.from({ length: 3000 }, (_, index) => `- item ${index}`);
        const sink = await open(await hear('mention'), {}, { private: true });
        await sink.status('Reading …');
        await sink.update('Thirty');
        await sink.finish(answer(['Thirty days.', ...numbers].join('\n')));
        expect(rig.shown()).toEqual([]);
        const seen = rig.whispered().join('\n');
        expect(seen).toContain('Thirty days.');
        expect(numbers.filter((item) => !new RegExp(`${item.slice(2)}\\b`).test(seen))).toEqual([]);
      });

      it('a private failure stays private', async () => {
        if (rig.whispered === undefined) return;
        const sink = await open(await hear('mention'), {}, { private: true });
        await sink.fail('Your allowance for today is used up.');
        expect(rig.shown()).toEqual([]);
        expect(rig.whispered().join()).toContain('Your allowance for today is used up.');
      });

      it('a command is answered', async () => {
        const event = await gesture('command', { text: 'leave?' });
        if (event === null) return;
        await (await open(event)).finish(answer('Thirty days.'));
        expect([...rig.shown(), ...(rig.whispered?.() ?? [])].join()).toContain('Thirty days.');
      });

      it('"ask about this" is answered to the asker alone', async () => {
        const event = await gesture('about-message', { text: 'leave?' });
        if (event === null || rig.whispered === undefined) return;
        await (await open(event, {}, { private: true })).finish(answer('Thirty days.'));
        expect(rig.shown()).toEqual([]);
        expect(rig.whispered().join()).toContain('Thirty days.');
      });

      it.each([
        ['finished', (sink: Awaited<ReturnType<typeof open>>) => sink.finish(answer('Thirty days.'))],
        ['ended in a sentence', (sink: Awaited<ReturnType<typeof open>>) => sink.fail('Stopped.')],
      ])('a stop button stands while the answer is written, and is gone when it is %s', async (_, end) => {
        const stands = rig.stopStands;
        if (stands === undefined) return;
        const sink = await open(await hear('mention'), {}, { stoppable: true });
        await sink.status('Reading …');
        await sink.update('Thirty');
        await vi.waitFor(() => expect(stands()).toBe(true), { timeout: 20_000, interval: 10 });
        await end(sink);
        expect(stands()).toBe(false);
        expect(rig.shown()).toHaveLength(1);
      });

      it('buttons say what they are given to say', async () => {
        if (rig.titles === undefined || rig.offered === undefined) return;
        const event = await hear('mention');
        const sink = await open(event, {}, { stoppable: true, stopTitle: 'Anhalten bitte' });
        if (rig.stopStands !== undefined) {
          await sink.update('Thirty');
          await vi.waitFor(() => expect(rig.titles?.()).toEqual(['Anhalten bitte']), { timeout: 20_000, interval: 10 });
        }
        const offers = ['thumbs', 'solved', 'human', 'publish'] as const;
        const titles = { solved: 'Gelöst!', human: 'Mensch, bitte' };
        await sink.finish(answer('Thirty days.', { feedbackId: 'a_0123456789abcdef', offers, titles }));
        expect(rig.titles()).toEqual(['Gelöst!', 'Mensch, bitte', expect.stringMatching(/^Post /)]);
      });

      it('no stop button without being asked for one', async () => {
        if (rig.stopStands === undefined) return;
        const sink = await open(await hear('mention'));
        await sink.update('Thirty');
        await sink.update('Thirty days');
        expect(rig.stopStands()).toBe(false);
        await sink.finish(answer('Thirty days.'));
      });

      it('thumbs stand under an answer that has an id, and what else is offered', async () => {
        if (rig.offered === undefined) return;
        const event = await hear('mention');
        await (await open(event)).finish(answer('Thirty days.', { feedbackId: 'a_0123456789abcdef' }));
        expect(rig.offered()).toEqual(['thumbs']);
        await (await open(event, { id: 'm_two' })).finish(
          answer('Thirty days.', { feedbackId: 'a_0123456789abcdef', offers: ['thumbs', 'solved', 'human'] }),
        );
        expect(rig.offered()).toEqual(['thumbs', 'solved', 'human']);
      });

      it('a private answer can offer to be published', async () => {
        if (rig.offered === undefined || rig.whispered === undefined) return;
        const sink = await open(await hear('mention'), {}, { private: true });
        await sink.finish(answer('Thirty days.', { feedbackId: 'a_0123456789abcdef', offers: ['publish'] }));
        expect(rig.offered()).toEqual(['publish']);
      });

      it.each(['thread', 'channel'] as const)('a %s that is gone ends the answer for good, in words', async (what) => {
        if (rig.vanish === undefined) return;
        const sink = await open(await hear('mention'));
        rig.vanish(what);
        await sink.status('Reading …');
        await sink.update('Thirty');
        await expect(sink.finish(answer('Thirty days.'))).rejects.toMatchObject({
          code: 'platform-failed',
          retryable: false,
        });
        expect(rig.shown()).toEqual([]);
      });
    });

    describe('speaking unasked', () => {
      const placeOf = (event: InboundEvent) => ({
        workspaceId: event.workspaceId,
        channelId: event.channelId,
        threadId: event.threadId,
      });

      it('says something in a thread, and pings only whom it names', async () => {
        if (rig.platform.say === undefined) return;
        const event = await hear('mention');
        const words = { id: 's_1', markdown: 'Somebody needs help. @everyone <!channel>', people: [event.author.id] };
        expect(await rig.platform.say(placeOf(event), words, within())).toBeTruthy();
        expect(rig.shown().join()).toContain('Somebody needs help.');
        if (rig.pinged !== undefined) expect(rig.pinged()).toEqual([event.author.id]);
      });

      it('says something to a person', async () => {
        if (rig.platform.say === undefined) return;
        const { author, workspaceId } = await hear('direct');
        await rig.platform.say({ workspaceId, userId: author.id }, { id: 's_2', markdown: 'Your code.' }, within());
        expect([...rig.shown(), ...(rig.whispered?.() ?? [])].join()).toContain('Your code.');
      });

      it('whispers to the asker alone', async () => {
        if (rig.platform.whisper === undefined || rig.whispered === undefined) return;
        await rig.platform.whisper(await hear('mention'), 'Only for **you**.', within());
        expect(rig.shown()).toEqual([]);
        expect(rig.whispered().join()).toContain('Only for');
      });
    });
  });
};
