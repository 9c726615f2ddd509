import type { Feedback, InboundEvent, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import { type Handled, type Handling, settle } from './handling.ts';
import { commentAsKept, feedbackHappening, memberIdOf } from './receipts.ts';

/** A receipt is written a moment after its answer stands: whoever is quicker than that waits this long for it. */
const patienceMs = 15_000;

export const handleFeedback = async (parts: Handling, tenant: Tenant, event: InboundEvent): Promise<Handled> => {
  const { feedback } = event;
  if (feedback === undefined) return settle('unsupported', tenant);
  const answerId = await answerOf(parts, tenant, event, feedback.answerId);
  if (answerId === null) return tooSoonOr(parts, tenant, event);
  const { rating, comment } = feedback;
  const stored = await judge(parts, tenant, event, answerId, { rating, ...(comment === undefined ? {} : { comment }) });
  return stored ? settle('feedback-stored', tenant, { answerId }) : tooSoonOr(parts, tenant, event);
};

/** The answer that a button or thumb stands under. */
export const answerOf = async (
  { state }: Handling,
  tenant: Tenant,
  event: InboundEvent,
  named: string | undefined,
): Promise<string | null> => {
  if (named !== undefined) return named;
  if (event.targetMessageId === undefined) return null;
  return (await state.outbox.byPostedId(tenant.id, event.targetMessageId))?.answerId ?? null;
};

/** For somebody who was quicker than our books; later than that there is no such answer. */
export const tooSoonOr = ({ runtime }: Handling, tenant: Tenant, event: InboundEvent): Handled =>
  runtime.clock.now() - event.receivedAt < patienceMs
    ? {
        outcome: 'later',
        afterMs: 500,
        error: new AppError('not-found', 'There is no such answer yet.', { retryable: true }),
      }
    : settle('unsupported', tenant);

/**
 * One verdict a person: a second one replaces the first, but a reason given later does not take away that a human was
 * called, and a second press does not take away the reason. False: there is no such answer.
 */
export const judge = async (
  { state, runtime, happened }: Handling,
  tenant: Tenant,
  event: InboundEvent,
  answerId: string,
  verdict: Pick<Feedback, 'rating' | 'mark' | 'comment'>,
): Promise<boolean> => {
  const user = memberIdOf(event);
  const receipt = await state.receipts.get(tenant.id, answerId);
  if (receipt === null) return false;
  const { comment } = verdict;
  const given = comment === undefined ? verdict : { ...verdict, comment: commentAsKept(tenant, comment) };
  const before = receipt.feedback.find((each) => each.user === user && each.rating === verdict.rating);
  const stored = await state.receipts.addFeedback(tenant.id, answerId, {
    ...(before?.mark === undefined ? {} : { mark: before.mark }),
    ...(before?.comment === undefined ? {} : { comment: before.comment }),
    ...given,
    user,
    at: event.receivedAt,
  });
  if (stored) await happened(feedbackHappening(tenant, answerId, { ...given, user, at: event.receivedAt }));
  if (stored && before === undefined) runtime.metrics.count('feedback_total', { rating: verdict.rating });
  return stored;
};
