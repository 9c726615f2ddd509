import { AppError } from '../../core/errors.ts';
import type { Delivery } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import type { SlackApi } from './api.ts';
import type { SlackHandle } from './handle.ts';
import { type Dialect, splitFor } from './messages.ts';
import { findStanding, type Standing } from './reconcile.ts';

export type SlackPace = {
  /** Least time between two appends to a stream; Slack allows 100 and more a minute. */
  readonly appendMs: number;
  /** Least time between two edits of a message; Slack allows about 50 a minute. */
  readonly editMs: number;
  /** Answers that are quicker get no status line. */
  readonly statusAfterMs: number;
  /** How long the first words wait for the rest before a stream is begun; under a blink, and one call instead of two. */
  readonly firstAfterMs: number;
  /** Answers that are quicker get no stop button. */
  readonly stopAfterMs: number;
};

export type SinkParts = {
  readonly api: SlackApi;
  readonly where: SlackHandle;
  readonly delivery: Delivery;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** Our user id in that workspace, or null when Slack would not say. */
  self(): Promise<string | null>;
  /** Whether Slack's own streaming is known not to work there; kept over answers. */
  readonly streaming: { isOff(): boolean; turnOff(): void };
  readonly pace: SlackPace;
  /** Offer a stop button while the answer is written. */
  readonly stoppable: boolean;
  /** What stands on the stop button; absent: our own word. */
  readonly stopTitle?: string;
  /** What is put before the answer of a command, whose question nobody else can see. */
  readonly preface: string;
};

/** What of one answer stands on Slack: common to what shows it while it grows and to what writes its end. */
export type Draft = {
  /** Message of each part, in order. */
  readonly posted: string[];
  /** Messages that hold their final text already. */
  readonly sealed: Map<string, Standing>;
  dialect: Dialect;
  /** `last`: with it the whole answer stands. */
  keep(ts: string, index: number, last?: boolean): Promise<void>;
  /** The next simpler dialect, and the texts that are still to be written, cut for it. */
  simplify(queue: readonly string[], from: number): readonly string[];
  /** What Slack has of this delivery; asked only after a crash or a lost reply. */
  standing(): Promise<readonly Standing[]>;
  /** What an earlier attempt left is ours to finish. */
  adopt(): Promise<void>;
};

export const createDraft = (parts: SinkParts): Draft => {
  const { api, where, delivery, signal } = parts;
  const posted = delivery.postedIds.filter((id) => !id.includes('/'));
  const draft: Draft = {
    posted,
    sealed: new Map(),
    dialect: 'blocks',
    keep: async (ts, index, last = false) => {
      posted[index] = ts;
      await delivery.posted(ts, last);
    },
    simplify: (queue, from) => {
      parts.runtime.log.info('slack-blocks-refused', { deliveryId: delivery.id, dialect: draft.dialect });
      const wasBlocks = draft.dialect === 'blocks';
      draft.dialect = wasBlocks ? 'sections' : 'text';
      return wasBlocks
        ? [...queue.slice(0, from), ...queue.slice(from).flatMap((text) => splitFor('sections', text))]
        : queue;
    },
    standing: async () => {
      const found = await findStanding(api, where, delivery.id, await parts.self(), signal);
      if (found !== 'not-allowed') return found;
      parts.runtime.log.warn('slack-cannot-reconcile', { deliveryId: delivery.id });
      return [];
    },
    adopt: async () => {
      for (const message of await draft.standing()) {
        if (message.button) {
          await api.call('chat.delete', { channel: where.channel, ts: message.ts }, { signal, repeatable: true });
          continue;
        }
        if (!posted.includes(message.ts)) await draft.keep(message.ts, posted.length);
        if (message.sealed) draft.sealed.set(message.ts, message);
      }
      // It may still be streaming, and Slack does not let such a message be edited. When it is not, this says so and no harm is done.
      const first = posted[0];
      if (first !== undefined && !draft.sealed.has(first) && where.thread !== undefined)
        await api.call('chat.stopStream', { channel: where.channel, ts: first }, { signal, hurried: true });
    },
  };
  return draft;
};

/** Arguments that say where: channel, and thread if there is one. */
export const placeOf = (where: SlackHandle): Readonly<Record<string, unknown>> => ({
  channel: where.channel,
  ...(where.thread === undefined ? {} : { thread_ts: where.thread }),
});

/** An abort without a reason makes one, with its stack, each time. */
export const over = new AppError('cancelled', 'The answer is here.');
