import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Answering } from '../../core/answer/answering.ts';
import type { ConversationSettings } from '../../core/conversation/conversation.ts';
import type { Platform } from '../../core/ports/platform.ts';
import type { StateStore } from '../../core/ports/state.ts';
import { createMortal } from '../bots/slack/mortal.ts';
import type { FakeAnswering } from '../core/conversation/fake-answering.ts';

/** A platform's driver and the core together, as processes that may die: over the platform's own wire and a real store. */
export type CrashRig = {
  readonly tenantId: string;
  readonly state: StateStore;
  readonly answering: FakeAnswering;
  /** One more process of the bot, over the same store. */
  instance(options: CrashOptions): Promise<{ stop(forMs: number): Promise<void> }>;
  /** Somebody asks; resolves with the message's id once the platform has told the first instance, or tried to. */
  ask(text: string): Promise<string>;
  /** What was heard of the message, as each of it ended. */
  reasonsOf(id: string): Promise<readonly (string | undefined)[]>;
  /** What stands of answers to that message. */
  answersTo(id: string): readonly { readonly text: string; readonly whole: boolean }[];
  /** Resolves when the platform has taken the next message of the bot, or the beginning of one. */
  taken(): Promise<unknown>;
  /** The first instance is dead, the second not begun. */
  meanwhile?(): void;
  close(): Promise<void>;
};

export type CrashOptions = {
  readonly state?: (state: StateStore) => StateStore;
  readonly answering?: <T extends Answering>(answering: T) => T;
  readonly platform?: (platform: Platform) => Platform;
  readonly settings: Partial<ConversationSettings>;
  readonly ahead?: () => number;
};

export type CrashDescriptor = {
  readonly name: string;
  /** The answer is shown while it is being written. */
  readonly grows: boolean;
  /**
   * Answers, and beginnings of one, that may stand after a crash between the platform's taking a message and our writing
   * that down. One, unless the platform neither tells what stands nor takes the same message for one.
   */
  readonly mostInTheWindow: 1 | 2;
  start(): Promise<CrashRig>;
};

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
// What dies before it has stored a question has acknowledged none: the platform sends it again, and that is all there is.
const points = steps.flatMap((step) => [`before ${step}`, `after ${step}`]).slice(1);
/** The steps of a question that had to wait in the queue. */
const queuePoints = ['inbox.claimThread', 'inbox.pending'].flatMap((step) => [`before ${step}`, `after ${step}`]);
/** The platform has it, and nobody has told us. */
const onTheLine = 'while the platform takes it';
/** The machine dies with the process, and takes what had not waited for the disk: as if it had never been written. */
const powerCut = 'at a power cut after sink.finish';
/** From the platform's taking a message to our having written down that it did; a sign of life may end there too. */
const sendWindow: ReadonlySet<string> = new Set([
  onTheLine,
  'after sink.status',
  'after sink.finish',
  powerCut,
  'before outbox.posted',
  'before outbox.sent',
]);

/** A store that never hands out the lease with the first write, as one of several machines. */
const queueing = (state: StateStore): StateStore => ({
  ...state,
  inbox: {
    ...state.inbox,
    receiveAndClaim: async (row) => ({ outcome: await state.inbox.receive(row), lease: null }),
  },
});

/** A store whose final texts, and where nothing followed them the records they stand in, a power cut takes away. */
const volatile = (state: StateStore, grows: boolean): StateStore => ({
  ...state,
  outbox: {
    ...state.outbox,
    ...(grows
      ? {}
      : {
          open: async (tenantId, id, answerId) => ({
            id,
            tenantId,
            answerId,
            state: 'open',
            attempts: 1,
            postedIds: [],
          }),
        }),
    finalize: async () => undefined,
  },
});

const patience = { timeout: 30_000, interval: 10 };

/** Whenever a process dies, the question that it worked on is answered: by another one, and as good as always once. */
export const crashContract = (descriptor: CrashDescriptor): void => {
  describe(`crash contract: killed while answering, ${descriptor.name}`, () => {
    let rig: CrashRig;
    const running: { stop(forMs: number): Promise<void> }[] = [];
    beforeAll(async () => {
      rig = await descriptor.start();
    });
    afterEach(async () => {
      for (const instance of running.splice(0)) await instance.stop(0);
    });
    afterAll(() => rig.close());

    // A message that is posted once and for all is recorded with the end of its delivery.
    const happening = descriptor.grows
      ? [...points, onTheLine, powerCut]
      : [...points.filter((point) => !point.endsWith('outbox.posted')), onTheLine, ...queuePoints, powerCut];
    const storeAt = (point: string, store: StateStore): StateStore => {
      if (point === powerCut) return volatile(store, descriptor.grows);
      return queuePoints.includes(point) ? queueing(store) : store;
    };

    it.each(happening)(
      '%s: another instance answers, and what stands is one answer',
      async (point) => {
        const mortal = createMortal(point === powerCut ? 'after sink.finish' : point);
        const state = (store: StateStore) => mortal.state(storeAt(point, store));
        running.push(await rig.instance({ ...mortal, state, settings: { leaseForMs: 10_000, pollMs: 20 } }));
        await vi.waitFor(() => expect(mortal.isIdle()).toBe(true), patience);
        const before = rig.answering.asked.length;
        if (descriptor.grows)
          rig.answering.next(async (_, hooks) => {
            const shown = rig.taken();
            hooks.update?.('Leave is');
            await shown;
          });
        const taken = point === onTheLine ? rig.taken().then(mortal.die) : Promise.resolve();
        const id = await rig.ask('leave?');
        await taken;
        await vi.waitFor(() => expect(mortal.isDead()).toBe(true), patience);
        rig.meanwhile?.();
        // To it the lease of the dead one is over.
        running.push(await rig.instance({ settings: { pollMs: 20 }, ahead: () => 11_000 }));
        await vi.waitFor(async () => expect(await rig.reasonsOf(id)).toEqual(['answered']), patience);
        await vi.waitFor(async () => expect((await rig.state.inbox.depth(Date.now())).ready).toBe(0), patience);

        const answers = rig.answersTo(id).filter(({ text }) => text.includes('Leave is'));
        expect(answers.length).toBeGreaterThanOrEqual(1);
        expect(answers.length).toBeLessThanOrEqual(sendWindow.has(point) ? descriptor.mostInTheWindow : 1);
        expect(answers.at(-1)?.whole).toBe(true);
        expect(answers.at(-1)?.text).toContain('Leave is 30 days. [1]');

        const asked = rig.answering.asked.slice(before);
        expect(new Set(asked.map(({ answerId }) => answerId)).size).toBe(1);
        // What was written down is not asked for again.
        if (points.indexOf(point) > points.indexOf('before outbox.finalize')) expect(asked).toHaveLength(1);
        if (point === powerCut) expect(asked).toHaveLength(2);
        const { conversationId = '', answerId } = asked[0] ?? {};
        const turns = await rig.state.conversations.turns(rig.tenantId, conversationId, 50);
        expect(turns.filter((turn) => turn.answerId === answerId)).toHaveLength(1);
      },
      90_000,
    );
  });
};
