import type { Feedback, InboundEvent, Receipt } from '../../domain.ts';

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
