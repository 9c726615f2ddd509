import type { Feedback, InboundEvent, Receipt } from '../../domain.ts';
import { hashOf } from '../../ids.ts';

/** What stays of a person's words, wherever they are kept: told once, so that no store keeps more than another. */

/** An event without what was said and by whom it looked to be; with `authorId`, as if by that one. */
export const withoutText = (
  { feedback, mentions: _, ...event }: InboundEvent,
  authorId = event.author.id,
): InboundEvent => ({
  ...event,
  text: '',
  attachments: [],
  author: { id: authorId, isBot: event.author.isBot, isSelf: event.author.isSelf },
  handle: {},
  ...(feedback === undefined ? {} : { feedback: withoutComment(feedback) }),
});

const withoutComment = <T extends { readonly comment?: string }>({ comment: _, ...rest }: T): Omit<T, 'comment'> =>
  rest;

/** The verdict, without its words and whose it was. */
export const anonymous = ({ comment: _comment, user: _user, ...rest }: Feedback): Feedback => rest;

/**
 * That somebody was forgotten, and when. It is kept by a digest, and only for as long as an answer to them may be under way:
 * what is written of a question that they had asked before goes the way of what was there already.
 */
export type ForgottenMark = { readonly pseudonym: string; readonly at: number };

/** Longer than any answer takes. */
export const markKeptFor = 3_600_000;

/** What passes between a question's arrival and the first step that its receipt tells of, and clocks that differ. */
const slackMs = 5_000;

export const personDigest = (tenantId: string, memberId: string): string =>
  hashOf('forgotten', tenantId, memberId).slice(0, 32);

/** Whether the question was asked before its person was forgotten. */
export const isOfBefore = (mark: ForgottenMark, { at, timingsMs }: Pick<Receipt, 'at' | 'timingsMs'>): boolean =>
  at - (timingsMs.total ?? 0) - slackMs <= mark.at;

/** What was retrieved and cited stays, being the documents' and not the person's; quotas and the thread named the person. */
export const forgottenReceipt = (
  { condensedQuestion: _, threadId: __, messageId: ___, ...receipt }: Receipt,
  pseudonym: string,
): Receipt => ({
  ...receipt,
  question: '',
  answer: '',
  memberId: pseudonym,
  quotaBuckets: receipt.quotaBuckets.filter((bucket) => !bucket.startsWith('member:')),
  feedback: receipt.feedback.map(anonymous),
});
