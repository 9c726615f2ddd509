import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InboundEvent } from '../../core/domain.ts';
import type { Delivery, Platform } from '../../core/ports/platform.ts';

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
  /** Each message of the bot as people see it, oldest first. */
  shown(): readonly string[];
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
    const open = (event: InboundEvent, delivery: Partial<Delivery> = {}) =>
      rig.platform.openAnswer(
        event,
        { id: 'm_one', postedIds: [], uncertain: false, posted: async () => undefined, ...delivery },
        AbortSignal.timeout(10_000),
      );

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

      it('after a crash that forgot what was sent there is still one answer', async () => {
        const event = await hear('mention');
        const first = await open(event);
        await first.finish({ markdown: 'Thirty days.', citations: [] });
        const second = await open(event, { uncertain: true });
        await second.finish({ markdown: 'Thirty days.', citations: [] });
        expect(rig.shown()).toHaveLength(1);
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
        await rig.platform.retract(event, ids, AbortSignal.timeout(5000));
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
    });
  });
};
