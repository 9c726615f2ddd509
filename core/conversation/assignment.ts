import type { Answering } from '../answer/answering.ts';
import type { EffectiveRules, Person } from '../core.ts';
import type { InboundEvent, Passage, ReasonCode, Receipt, Tenant } from '../domain.ts';
import type { AppError } from '../errors.ts';
import type { Manner, Platform } from '../ports/platform.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { Closing, OutboxRecord, StateStore } from '../ports/state.ts';

/** Bounds of trying again. A question is never dropped: when they are spent it ends in one sentence. */
export type Patience = {
  /** Model calls for one question. */
  readonly modelAttempts: number;
  /** A failed model call is repeated only while this has not passed: since the first try began, then since the question came. */
  readonly modelForMs: number;
  /** An answer or a sentence within this time, over all tries; a late try has at least a third of it. */
  readonly answerWithinMs: number;
  /** Claims of one question before it is taken for one that kills its worker. */
  readonly claims: number;
  /** An answer that comes later than this begins with an apology. */
  readonly lateAfterMs: number;
  /** How long an answer is offered to a platform that is down; after that one apology takes its place. */
  readonly deliverForMs: number;
  /** How long that apology is offered. */
  readonly apologiseForMs: number;
};
export const defaultPatience: Patience = {
  modelAttempts: 4,
  modelForMs: 30_000,
  answerWithinMs: 57_000,
  claims: 10,
  lateAfterMs: 10 * 60_000,
  deliverForMs: 6 * 3_600_000,
  apologiseForMs: 48 * 3_600_000,
};

/**
 * Cuts a file that came with a question into passages, in reading order. Throws AppError `unreadable-document` with a
 * sentence, `cancelled`.
 */
export type ReadFile = (
  file: { readonly name: string; readonly mediaType?: string; readonly bytes: Uint8Array },
  signal: AbortSignal,
) => Promise<readonly Passage[]>;

export type Delivering = {
  readonly state: StateStore;
  readonly answering: Answering;
  readonly readFile: ReadFile;
  readonly runtime: Runtime;
  readonly patience: Patience;
};

export type Assignment = {
  readonly tenant: Tenant;
  readonly platform: Platform;
  /** The message to answer, with the text of its newest edit. */
  readonly event: InboundEvent;
  readonly rules: EffectiveRules;
  /** Where the turns of this question are kept. */
  readonly conversationId: string;
  /** The asker's accounts on several platforms; null: one account. */
  person(): Promise<Person | null>;
  /** Identity of the delivery: the inbox row's id. */
  readonly deliveryId: string;
  readonly answerId: string;
  readonly manner: Manner;
  /** What may be quoted to those who read the answer; absent: everything. */
  readonly sourceIds?: readonly string[];
  /** A sentence instead of a model call. */
  readonly say?: { readonly reason: ReasonCode; readonly sentence: string };
  /** Messages of an earlier answer to this question, to be replaced in place. */
  readonly replaces: readonly string[];
  readonly claims: number;
  readonly signal: AbortSignal;
  /** Stop was pressed: the answer ends with what is written of it. */
  readonly stopped: AbortSignal;
  /** Asks the store whether the thread is still ours; rejects with `lease-lost` when not. */
  confirmLease(): Promise<void>;
  /** See `Delivery.awake`. */
  awake(): Promise<void>;
};

export type Delivered =
  | {
      readonly outcome: 'done';
      readonly reason: ReasonCode;
      readonly receipt: Receipt | null;
      /** Present: it was said, and this is still to be written. */
      readonly closing?: Closing;
    }
  /** Nothing is settled; the thread is free again after `afterMs`. */
  | { readonly outcome: 'later'; readonly afterMs: number; readonly error: AppError };

export type Final = NonNullable<OutboxRecord['final']>;
