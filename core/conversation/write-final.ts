import type { Answering } from '../answer/answering.ts';
import { type Texts, textsFor } from '../answer/texts.ts';
import type { Person } from '../core.ts';
import type { ReasonCode, Receipt, Turn } from '../domain.ts';
import { type AppError, toAppError } from '../errors.ts';
import type { AnswerSink } from '../ports/platform.ts';
import type { Assignment, Delivered, Delivering, Final } from './assignment.ts';
import { type Attached, readAttachments } from './attachments.ts';
import { readEarlier } from './earlier.ts';
import { memberIdOf, sentenceReceipt } from './receipts.ts';

/** What was found out while the delivery was opened. */
type Known = { readonly attempt: number; readonly turns: readonly Turn[]; readonly person: Person | null };

/** The text to deliver: a sentence of ours, or what the answering path makes of the question. */
export const writeFinal = async (
  parts: Delivering,
  work: Assignment,
  sink: AnswerSink,
  { attempt, turns, person }: Known,
): Promise<{ readonly final: Final; readonly context: readonly Turn[] } | Delivered> => {
  const traceId = parts.runtime.random.hex(16);
  const begunAt = parts.runtime.clock.now();
  const sentence = (reason: ReasonCode, text: string): { readonly final: Final; readonly context: [] } => ({
    context: [],
    final: sentenceFinal(parts, work, reason, text, traceId),
  });

  if (work.say !== undefined) return sentence(work.say.reason, work.say.sentence);
  // An outage of the platform costs claims too, but none so quickly: those that follow each other kill their worker.
  const outageMs = begunAt - work.event.receivedAt;
  if (work.claims > parts.patience.claims + outageMs / 30_000)
    return sentence('failed', 'I tried several times to answer this and did not get through. Please ask again later.');
  const texts = textsOf(work);
  // Not waited for: a sign of life must not make the answer later.
  unheeded(sink.status(texts.thinking ?? 'Reading the documents …'));
  const stop = AbortSignal.any([work.stopped, sink.cancelled]);
  try {
    const files = work.event.attachments.length > 0;
    if (files) unheeded(sink.status(texts.thinking ?? 'Reading your files …'));
    const [attached, context] = await Promise.all([
      files ? readAttachments(parts, work) : nothingAttached,
      turns.length > 0 ? [] : readEarlier(parts, work),
    ]);
    const request = {
      ...requestOf(parts, work, { attempt, turns: [...context, ...turns], person }, traceId),
      attached: attached.passages,
    };
    const receipt = await parts.answering.answer(request, {
      signal: work.signal,
      stop,
      status: (text) => unheeded(sink.status(text)),
      update: (markdown) => unheeded(sink.update(markdown)),
    });
    work.signal.throwIfAborted();
    const markdown = withUnread(work, receipt, attached.unread);
    // Stopped before a word was written: the whole answer is that it was stopped.
    const wasStopped = receipt.reasonCode === 'cancelled' && receipt.kind !== 'refused';
    const shown = wasStopped ? `${markdown}\n\n_${texts.stopped}_` : markdown;
    return { final: { markdown: shown, receipt, reason: receipt.reasonCode }, context };
  } catch (thrown) {
    // The thread was lost, the question deleted or the process is stopping: that is for the caller to know.
    if (work.signal.aborted) throw work.signal.reason;
    if (stop.aborted) return sentence('cancelled', texts.stopped);
    const error = toAppError(thrown);
    parts.runtime.metrics.count('errors_total', { code: error.code });
    if (error.code === 'internal')
      parts.runtime.log.error('answer-failed', { deliveryId: work.deliveryId, code: error.code, ...causeOf(error) });
    if (isWorthAnotherTry(parts, work, error, attempt, begunAt))
      return { outcome: 'later', afterMs: error.retryAfterMs ?? backOff(parts, attempt), error };
    return sentence(
      error.code.startsWith('model') || error.code === 'rate-limited' ? 'model-failed' : 'failed',
      texts.failed(error.code === 'internal' ? undefined : lowerFirst(error.message)),
    );
  }
};

const requestOf = (
  parts: Delivering,
  work: Assignment,
  { attempt, turns, person }: Known,
  traceId: string,
): Parameters<Answering['answer']>[0] => {
  const { event, rules } = work;
  const { answerWithinMs } = parts.patience;
  const left = answerWithinMs - (parts.runtime.clock.now() - event.receivedAt);
  return {
    tenant: work.tenant,
    answerId: work.answerId,
    attempt,
    conversationId: work.conversationId,
    question: event.text,
    turns,
    platform: event.platform,
    workspaceId: event.workspaceId,
    channelId: event.channelId,
    threadId: event.threadId,
    messageId: event.messageId,
    memberId: memberIdOf(event),
    ...(person === null ? {} : { person }),
    ...(work.sourceIds === undefined ? {} : { sourceIds: work.sourceIds }),
    ...(rules.instructions.value === undefined ? {} : { instructions: rules.instructions.value }),
    ...(rules.language.value === undefined ? {} : { language: rules.language.value }),
    traceId,
    ...(attempt === 1 ? {} : { withinMs: Math.max(Math.round(answerWithinMs / 3), left) }),
  };
};

const textsOf = ({ event, rules, tenant }: Assignment): Texts => textsFor(tenant, event.text, rules.language.value);

const nothingAttached: Attached = { passages: [], unread: [] };

/** Whoever sends files along shall not believe that they were read. */
const withUnread = (work: Assignment, receipt: Receipt, unread: Attached['unread']): string =>
  receipt.kind === 'refused' || unread.length === 0
    ? receipt.answer
    : `${receipt.answer}\n\n${unread.map(({ name, reason }) => `_${textsOf(work).unread(name, reason)}_`).join('\n')}`;

/** One sentence of ours in place of an answer. */
export const sentenceFinal = (
  { runtime }: Delivering,
  work: Assignment,
  reason: ReasonCode,
  sentence: string,
  traceId: string,
): Final => ({
  markdown: sentence,
  reason,
  receipt: sentenceReceipt({
    tenant: work.tenant,
    event: work.event,
    answerId: work.answerId,
    conversationId: work.conversationId,
    reason,
    sentence,
    traceId,
    at: runtime.clock.now(),
  }),
});

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
export const backOff = (parts: Delivering, attempt: number): number =>
  Math.round(Math.min(60_000, 1000 * 3 ** (attempt - 1)) * (0.875 + parts.runtime.random.float() / 4));

/** An `internal` error's words are for the operator; everything else was written for people, and stands within a sentence. */
const lowerFirst = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;

/** What was really thrown, for the operator; only unexpected things have it. */
export const causeOf = (error: AppError): { readonly error?: string } =>
  error.code === 'internal' && error.cause instanceof Error
    ? { error: `${error.cause.name}: ${error.cause.message}` }
    : {};

/** A sign of life that fails must not take the answer, let alone the process, with it. */
const unheeded = (work: Promise<void>): void => {
  work.catch(() => undefined);
};
