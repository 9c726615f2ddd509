import { textsFor } from '../answer/texts.ts';
import type { Person } from '../core.ts';
import type { InboundEvent, Receipt, Tenant, Turn } from '../domain.ts';
import { toAppError } from '../errors.ts';
import { conversationIdOf, hashOf } from '../ids.ts';
import type { AnswerSink, FinishedAnswer, Manner, Offer, Titles } from '../ports/platform.ts';
import type { Books, Closing } from '../ports/state.ts';
import type { Assignment, Delivered, Delivering, Final } from './assignment.ts';
import { asKept, isSentence, turnsAsKept, withoutText } from './receipts.ts';
import { backOff, causeOf, sentenceFinal, writeFinal } from './write-final.ts';

/** The pair of turns that a question leaves, the same for the question and all its edits. */
export const pairIdOf = (event: InboundEvent): string =>
  `p_${hashOf(event.platform, event.workspaceId, event.channelId, event.messageId).slice(0, 32)}`;
/**
 * Where the turns of a question are kept. A private answer may hold what the thread's readers must not see, so it is
 * remembered for the asker alone; the direct messages of a person with several accounts are one conversation.
 */
export const conversationOf = (
  event: InboundEvent,
  place: { readonly isPrivate?: boolean; readonly person?: Person | null } = {},
): string =>
  event.scope === 'dm' && place.person
    ? conversationIdOf('person', place.person.id, '', '')
    : conversationIdOf(
        event.platform,
        event.workspaceId,
        event.channelId,
        place.isPrivate === true ? `${event.threadId} private ${event.author.id}` : event.threadId,
      );

/**
 * One answer, from the open outbox record to what closes it. Each step is durable before the next begins, so that after
 * a crash the record says how far it got: `open` asks the model (again), `final` only delivers what was written,
 * `sent` is over. Throws `lease-lost`, `cancelled` and what the state store throws.
 */
export const deliverAnswer = async (parts: Delivering, work: Assignment): Promise<Delivered> => {
  const { outbox } = parts.state;
  const { clock } = parts.runtime;
  const [record, turns, person] = await Promise.all([
    outbox.open(work.tenant.id, work.deliveryId, work.answerId, clock.now()),
    turnsBefore(parts, work),
    work.person(),
  ]);
  // With its books, in one write; only the row was not settled.
  if (record.state === 'sent')
    return { outcome: 'done', reason: record.final?.reason ?? 'answered', receipt: record.final?.receipt ?? null };
  // An earlier claim may have said something and been cut off before its record reached the disk.
  const again = record.attempts > 1 || work.claims > 1;
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
        awake: work.awake,
      },
      work.signal,
      mannerOf(work),
    );
  // The record may have been long in coming: whoever took the thread over meanwhile looks at the platform only once.
  await work.confirmLease();
  let sink: AnswerSink;
  try {
    sink = await openSink();
  } catch (thrown) {
    return await undelivered(parts, work, record.final ?? null, thrown);
  }

  const age = clock.now() - work.event.receivedAt;
  let final = record.final;
  let context: readonly Turn[] = [];
  /** The outbox holds what is delivered, word for word. */
  let stored = true;
  if (age >= parts.patience.deliverForMs) {
    // Nobody waits for the answer any more: they are told why none came.
    final = sentenceFinal(parts, work, 'failed', tooLate, parts.runtime.random.hex(16));
    stored = false;
  } else if (final === undefined && record.stopped === true) {
    final = sentenceFinal(parts, work, 'cancelled', 'Stopped.', parts.runtime.random.hex(16));
    stored = false;
  } else if (final === undefined) {
    const made = await writeFinal(parts, work, sink, { attempt: record.attempts, turns, person });
    if ('outcome' in made) return made;
    ({ final, context } = made);
    if (age >= parts.patience.lateAfterMs && !isSentence(final.receipt))
      final = { ...final, markdown: `_${late}_\n\n${final.markdown}` };
    await outbox.finalize(work.tenant.id, work.deliveryId, final);
  }
  // After the last write, however long it took: what follows is heard by people.
  await work.confirmLease();
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
  const closing = await closingOf(parts, work, final, { stored, posted: lastPosted, context });
  return { outcome: 'done', reason: final.reason, receipt: final.receipt, closing };
};

const late = 'Sorry that this took so long: I could not get through to you earlier.';
const tooLate =
  'Sorry: I could not get through for hours, so your question went unanswered. If you still need the answer, please ask again.';

const wordsOf = ({ tenant, event, rules }: Assignment) => textsFor(tenant, event.text, rules.language.value);

const mannerOf = (work: Assignment): Manner => {
  const title = work.manner.stoppable === true ? wordsOf(work).title('buttonStop') : undefined;
  return title === undefined ? work.manner : { ...work.manner, stopTitle: title };
};

const buttonOf = { solved: 'buttonSolved', human: 'buttonHuman', publish: 'buttonPublish' } as const;

const feedbackOf = (work: Assignment, { receipt }: Final): Pick<FinishedAnswer, 'feedbackId' | 'offers' | 'titles'> => {
  const { platform, event, rules, manner } = work;
  if (!platform.capabilities(event.scope).feedback || receipt.kind === 'refused') return {};
  const offers: Offer[] = ['thumbs', 'solved'];
  // A button that reaches nobody is worse than none.
  if ((rules.humans.value?.length ?? 0) > 0) offers.push('human');
  if (manner.private === true && receipt.kind === 'answered') offers.push('publish');
  const words = wordsOf(work);
  const titles: Titles = Object.fromEntries(
    offers.flatMap((offer) => {
      const title = offer === 'thumbs' ? undefined : words.title(buttonOf[offer]);
      return title === undefined ? [] : [[offer, title]];
    }),
  );
  return { feedbackId: receipt.answerId, offers, ...(Object.keys(titles).length === 0 ? {} : { titles }) };
};

/** Sent, with the receipt and, for an answer, the pair of turns; written when the row is settled. A crash before that makes it be done again. */
const closingOf = async (
  parts: Delivering,
  work: Assignment,
  final: Final,
  {
    stored,
    posted,
    context,
  }: { readonly stored: boolean } & Pick<Books, 'posted'> & { readonly context: readonly Turn[] },
): Promise<Closing> => {
  const turns = turnsOf(work, final, context);
  // A re-answered edit replaces the pair; for a first answer there is nothing to remove.
  if (turns !== null && work.replaces.length > 0)
    await parts.state.conversations.removePair(work.tenant.id, turns.conversationId, turns.id);
  const receipt = asKept(work.tenant, final.receipt);
  const books: Books = {
    posted,
    ...(stored && receipt === final.receipt ? {} : { receipt }),
    ...(turns === null ? {} : { turns }),
  };
  return { tenantId: work.tenant.id, id: work.deliveryId, books };
};

const turnsOf = (
  { tenant, event, conversationId }: Assignment,
  { receipt }: Final,
  context: readonly Turn[],
): NonNullable<Books['turns']> | null =>
  receipt.kind === 'refused'
    ? null
    : {
        conversationId,
        id: pairIdOf(event),
        pair: turnsAsKept(tenant, [
          ...context,
          { role: 'user', text: event.text, at: receipt.at, ...(event.author.isBot ? { bot: true } : {}) },
          { role: 'assistant', text: receipt.answer, at: receipt.at, answerId: receipt.answerId },
        ]),
      };

/** What was said in the conversation so far; a sentence of ours is said without looking. */
const turnsBefore = async (parts: Delivering, work: Assignment): Promise<readonly Turn[]> =>
  work.say === undefined ? parts.state.conversations.turns(work.tenant.id, work.conversationId, 12) : [];

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
  if (error.retryable && age < parts.patience.apologiseForMs) {
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
