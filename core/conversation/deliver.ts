import type { Answering } from '../answer/answering.ts';
import { type Texts, textsFor } from '../answer/texts.ts';
import type { EffectiveRules } from '../core.ts';
import type { InboundEvent, ReasonCode, Receipt, Tenant, Turn } from '../domain.ts';
import { type AppError, toAppError } from '../errors.ts';
import { conversationIdOf, hashOf } from '../ids.ts';
import type { AnswerSink, FinishedAnswer, Manner, Offer, Platform } from '../ports/platform.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { Books, OutboxRecord, StateStore } from '../ports/state.ts';
import { asKept, isSentence, memberIdOf, sentenceReceipt, withoutText } from './receipts.ts';

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
  /** How long a finished answer is offered to a platform that is down. */
  readonly deliverForMs: number;
};
export const defaultPatience: Patience = {
  modelAttempts: 4,
  modelForMs: 30_000,
  answerWithinMs: 57_000,
  claims: 10,
  deliverForMs: 6 * 3_600_000,
};

export type Delivering = {
  readonly state: StateStore;
  readonly answering: Answering;
  readonly runtime: Runtime;
  readonly patience: Patience;
};

export type Assignment = {
  readonly tenant: Tenant;
  readonly platform: Platform;
  /** The message to answer, with the text of its newest edit. */
  readonly event: InboundEvent;
  readonly rules: EffectiveRules;
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
};

export type Delivered =
  | { readonly outcome: 'done'; readonly reason: ReasonCode; readonly receipt: Receipt | null }
  /** Nothing is settled; the thread is free again after `afterMs`. */
  | { readonly outcome: 'later'; readonly afterMs: number; readonly error: AppError };

type Final = NonNullable<OutboxRecord['final']>;

/** The pair of turns that a question leaves, the same for the question and all its edits. */
export const pairIdOf = (event: InboundEvent): string =>
  `p_${hashOf(event.platform, event.workspaceId, event.channelId, event.messageId).slice(0, 32)}`;
/** A private answer may hold what the thread's readers must not see, so it is remembered for the asker alone. */
export const conversationOf = (event: InboundEvent, isPrivate = false): string =>
  conversationIdOf(
    event.platform,
    event.workspaceId,
    event.channelId,
    isPrivate ? `${event.threadId} private ${event.author.id}` : event.threadId,
  );

/**
 * One answer, from the open outbox record to the settled one. Each step is durable before the next begins, so that after
 * a crash the record says how far it got: `open` asks the model (again), `final` only delivers what was written,
 * `sent` only completes the books. Throws `lease-lost`, `cancelled` and what the state store throws.
 */
export const deliverAnswer = async (parts: Delivering, work: Assignment): Promise<Delivered> => {
  const { outbox } = parts.state;
  const { clock } = parts.runtime;
  const [record, turns] = await Promise.all([
    outbox.open(work.tenant.id, work.deliveryId, work.answerId, clock.now()),
    turnsBefore(parts, work),
  ]);
  if (record.state === 'sent') {
    if (record.final !== undefined) await markSent(parts, work, record.final, []);
    return { outcome: 'done', reason: record.final?.reason ?? 'answered', receipt: record.final?.receipt ?? null };
  }
  const again = record.attempts > 1;
  /** Ids that are written with the end of the delivery. */
  const lastPosted: string[] = [];
  const openSink = async (): Promise<AnswerSink> =>
    work.platform.openAnswer(
      work.event,
      {
        id: work.deliveryId,
        postedIds: record.postedIds.length > 0 ? record.postedIds : work.replaces,
        uncertain: again,
        posted: async (messageId, last = false) => {
          if (last) lastPosted.push(messageId);
          else await outbox.posted(work.tenant.id, work.deliveryId, messageId);
        },
      },
      work.signal,
      work.manner,
    );
  let sink: AnswerSink;
  try {
    sink = await openSink();
  } catch (thrown) {
    return await undelivered(parts, work, record.final ?? null, thrown);
  }

  let final = record.final;
  if (final === undefined) {
    const made = await writeFinal(parts, work, sink, record.attempts, turns);
    if ('outcome' in made) return made;
    final = made;
    await Promise.all([outbox.finalize(work.tenant.id, work.deliveryId, final), work.confirmLease()]);
  } else await work.confirmLease();
  const startedAt = clock.now();
  try {
    if (isSentence(final.receipt)) await sink.fail(final.markdown);
    else
      await sink.finish({ markdown: final.markdown, citations: final.receipt.citations, ...feedbackOf(work, final) });
  } catch (thrown) {
    for (const messageId of lastPosted) await outbox.posted(work.tenant.id, work.deliveryId, messageId);
    return await undelivered(parts, work, final, thrown);
  }
  parts.runtime.metrics.observe('step_seconds', (clock.now() - startedAt) / 1000, { step: 'deliver' });
  await markSent(parts, work, final, lastPosted);
  return { outcome: 'done', reason: final.reason, receipt: final.receipt };
};

const feedbackOf = (
  { platform, event, rules, manner }: Assignment,
  { receipt }: Final,
): Pick<FinishedAnswer, 'feedbackId' | 'offers'> => {
  if (!platform.capabilities(event.scope).feedback || receipt.kind === 'refused') return {};
  const offers: Offer[] = ['thumbs', 'solved'];
  // A button that reaches nobody is worse than none.
  if ((rules.humans.value?.length ?? 0) > 0) offers.push('human');
  if (manner.private === true && receipt.kind === 'answered') offers.push('publish');
  return { feedbackId: receipt.answerId, offers };
};

/** Sent, with the receipt and, for an answer, the pair of turns. Whatever a crash leaves out is done when the row is worked on again. */
const markSent = async (
  parts: Delivering,
  work: Assignment,
  final: Final,
  posted: readonly string[],
): Promise<void> => {
  const turns = turnsOf(work, final);
  // A re-answered edit replaces the pair; for a first answer there is nothing to remove.
  if (turns !== null && work.replaces.length > 0)
    await parts.state.conversations.removePair(work.tenant.id, turns.conversationId, turns.id);
  await parts.state.outbox.sent(work.tenant.id, work.deliveryId, parts.runtime.clock.now(), {
    posted,
    receipt: asKept(work.tenant, final.receipt),
    ...(turns === null ? {} : { turns }),
  });
};

const turnsOf = ({ event, manner }: Assignment, { receipt }: Final): NonNullable<Books['turns']> | null =>
  receipt.kind === 'refused'
    ? null
    : {
        conversationId: conversationOf(event, manner.private),
        id: pairIdOf(event),
        pair: [
          { role: 'user', text: event.text, at: receipt.at, ...(event.author.isBot ? { bot: true } : {}) },
          { role: 'assistant', text: receipt.answer, at: receipt.at, answerId: receipt.answerId },
        ],
      };

/** What was said in the conversation so far; a sentence of ours is said without looking. */
const turnsBefore = async (parts: Delivering, work: Assignment): Promise<readonly Turn[]> =>
  work.say === undefined
    ? parts.state.conversations.turns(work.tenant.id, conversationOf(work.event, work.manner.private), 12)
    : [];

/** The text to deliver: a sentence of ours, or what the answering path makes of the question. */
const writeFinal = async (
  parts: Delivering,
  work: Assignment,
  sink: AnswerSink,
  attempt: number,
  turns: readonly Turn[],
): Promise<Final | Delivered> => {
  const traceId = parts.runtime.random.hex(16);
  const begunAt = parts.runtime.clock.now();
  const sentence = (reason: ReasonCode, text: string): Final => ({
    markdown: text,
    reason,
    receipt: sentenceReceipt({
      tenant: work.tenant,
      event: work.event,
      answerId: work.answerId,
      conversationId: conversationOf(work.event, work.manner.private),
      reason,
      sentence: text,
      traceId,
      at: parts.runtime.clock.now(),
    }),
  });
  if (work.say !== undefined) return sentence(work.say.reason, work.say.sentence);
  if (work.claims > parts.patience.claims)
    return sentence('failed', 'I tried several times to answer this and did not get through. Please ask again later.');
  // Not waited for: a sign of life must not make the answer later.
  unheeded(sink.status('Reading the documents …'));
  const stop = AbortSignal.any([work.stopped, sink.cancelled]);
  try {
    const receipt = await parts.answering.answer(requestOf(parts, work, attempt, traceId, turns), {
      signal: work.signal,
      stop,
      status: (text) => unheeded(sink.status(text)),
      update: (markdown) => unheeded(sink.update(markdown)),
    });
    work.signal.throwIfAborted();
    const markdown = withFileNote(work, receipt);
    // Stopped before a word was written: the whole answer is that it was stopped.
    return receipt.reasonCode === 'cancelled' && receipt.kind !== 'refused'
      ? { markdown: `${markdown}\n\n_${textsOf(work).stopped}_`, receipt, reason: 'cancelled' }
      : { markdown, receipt, reason: receipt.reasonCode };
  } catch (thrown) {
    // The thread was lost, the question deleted or the process is stopping: that is for the caller to know.
    if (work.signal.aborted) throw work.signal.reason;
    if (stop.aborted) return sentence('cancelled', textsOf(work).stopped);
    const error = toAppError(thrown);
    parts.runtime.metrics.count('errors_total', { code: error.code });
    if (error.code === 'internal')
      parts.runtime.log.error('answer-failed', { deliveryId: work.deliveryId, code: error.code, ...causeOf(error) });
    if (isWorthAnotherTry(parts, work, error, attempt, begunAt))
      return { outcome: 'later', afterMs: error.retryAfterMs ?? backOff(parts, attempt), error };
    return sentence(
      error.code.startsWith('model') || error.code === 'rate-limited' ? 'model-failed' : 'failed',
      sentenceOf(error),
    );
  }
};

const requestOf = (
  parts: Delivering,
  work: Assignment,
  attempt: number,
  traceId: string,
  turns: readonly Turn[],
): Parameters<Answering['answer']>[0] => {
  const { event, rules } = work;
  const conversationId = conversationOf(event, work.manner.private);
  const { answerWithinMs } = parts.patience;
  const left = answerWithinMs - (parts.runtime.clock.now() - event.receivedAt);
  return {
    tenant: work.tenant,
    answerId: work.answerId,
    attempt,
    conversationId,
    question: event.text,
    turns,
    platform: event.platform,
    workspaceId: event.workspaceId,
    channelId: event.channelId,
    threadId: event.threadId,
    messageId: event.messageId,
    memberId: memberIdOf(event),
    ...(work.sourceIds === undefined ? {} : { sourceIds: work.sourceIds }),
    ...(rules.instructions.value === undefined ? {} : { instructions: rules.instructions.value }),
    ...(rules.language.value === undefined ? {} : { language: rules.language.value }),
    traceId,
    ...(attempt === 1 ? {} : { withinMs: Math.max(Math.round(answerWithinMs / 3), left) }),
  };
};

const textsOf = ({ event, rules, tenant }: Assignment): Texts =>
  textsFor(event.text, rules.language.value ?? tenant.settings.language);

/** Whoever sends files along shall not believe that they were read. */
const withFileNote = (work: Assignment, receipt: Receipt): string => {
  const { event } = work;
  if (event.attachments.length === 0 || receipt.kind === 'refused') return receipt.answer;
  const { files } = textsOf(work);
  return `${receipt.answer}\n\n_${files}_`;
};

const isWorthAnotherTry = (
  parts: Delivering,
  work: Assignment,
  error: AppError,
  attempt: number,
  begunAt: number,
): boolean => {
  const transient =
    error.retryable ||
    error.code === 'model-timeout' ||
    error.code === 'rate-limited' ||
    error.code === 'store-unavailable';
  if (!transient || attempt >= parts.patience.modelAttempts) return false;
  const wait = error.retryAfterMs ?? backOff(parts, attempt);
  // What waited long for us (an outage) has the time of one more try; what the first try took counts in any case.
  const since = attempt === 1 ? begunAt : work.event.receivedAt;
  return parts.runtime.clock.now() - since + wait <= parts.patience.modelForMs;
};

/** 1, 3, 9 … seconds, at most a minute, with a quarter of jitter. */
const backOff = (parts: Delivering, attempt: number): number =>
  Math.round(Math.min(60_000, 1000 * 3 ** (attempt - 1)) * (0.875 + parts.runtime.random.float() / 4));

/** An `internal` error's words are for the operator; everything else was written for people. */
const sentenceOf = (error: AppError): string =>
  error.code === 'internal'
    ? 'Something went wrong on my side, so I could not answer. Please ask again in a moment.'
    : `I could not answer: ${lowerFirst(error.message)} Nothing was charged; please ask again in a moment.`;
const lowerFirst = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;

/** The platform did not take it. Down: the finished answer waits. Gone (channel, permission, token): nobody is left to tell. */
const undelivered = async (
  parts: Delivering,
  work: Assignment,
  final: Final | null,
  thrown: unknown,
): Promise<Delivered> => {
  if (work.signal.aborted) throw work.signal.reason;
  const error = toAppError(thrown);
  if (error.code === 'lease-lost' || error.code === 'cancelled' || error.code === 'store-unavailable') throw error;
  parts.runtime.metrics.count('errors_total', { code: error.code });
  const age = parts.runtime.clock.now() - work.event.receivedAt;
  if (error.retryable && age < parts.patience.deliverForMs) {
    return { outcome: 'later', afterMs: error.retryAfterMs ?? backOff(parts, Math.min(work.claims, 5)), error };
  }
  parts.runtime.log.warn('answer-undeliverable', {
    platform: work.event.platform,
    deliveryId: work.deliveryId,
    code: error.code,
    at: error.at ?? '',
    ...causeOf(error),
  });
  if (final === null) return { outcome: 'done', reason: 'failed', receipt: null };
  // It was written and charged: whoever asks why it never came finds it here.
  const receipt: Receipt = { ...final.receipt, reasonCode: 'failed' };
  await parts.state.receipts.put(asKept(work.tenant, receipt));
  return { outcome: 'done', reason: 'failed', receipt };
};

/** The question was deleted after its answer had been written and charged: the numbers stay, the words go. */
export const keepReceiptOfDeleted = async (
  parts: Pick<Delivering, 'state'>,
  tenant: Tenant,
  deliveryId: string,
): Promise<void> => {
  const final = (await parts.state.outbox.get(tenant.id, deliveryId))?.final;
  if (final === undefined || isSentence(final.receipt)) return;
  await parts.state.receipts.put(withoutText({ ...final.receipt, reasonCode: 'question-deleted' }));
};

/** What was really thrown, for the operator; only unexpected things have it. */
const causeOf = (error: AppError): { readonly error?: string } =>
  error.code === 'internal' && error.cause instanceof Error
    ? { error: `${error.cause.name}: ${error.cause.message}` }
    : {};

/** A sign of life that fails must not take the answer, let alone the process, with it. */
const unheeded = (work: Promise<void>): void => {
  work.catch(() => undefined);
};
