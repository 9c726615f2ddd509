import { ObjectId } from 'mongodb';
import type { Feedback, Receipt, Turn } from '../../../domain.ts';
import { hashOf } from '../../../ids.ts';
import type { AnswerCacheStore, ConversationStore, ReceiptStore } from '../../../ports/state.ts';
import { type CachedDoc, type Collections, type FeedbackDoc, keyOf, type ReceiptDoc } from './collections.ts';
import { all, beyond, inserted, pageOf, parsed, rowLimit, twice, within } from './queries.ts';

export const conversationVerbs = ({ turns }: Collections): ConversationStore => ({
  append: async (tenantId, conversationId, id, pair) => {
    await inserted(() =>
      turns.insertOne({
        _id: keyOf(tenantId, conversationId, id),
        tenantId,
        conversationId,
        at: pair[0]?.at ?? 0,
        order: new ObjectId().toHexString(),
        answerId: pair.find((turn) => turn.answerId !== undefined)?.answerId ?? null,
        record: JSON.stringify(pair),
      }),
    );
  },
  turns: async (tenantId, conversationId, limit) =>
    (
      await turns
        .find({ tenantId, conversationId }, within)
        .sort({ at: -1, order: -1 })
        .limit(rowLimit(limit))
        .toArray()
    )
      .reverse()
      .flatMap((doc) => parsed<readonly Turn[]>(doc.record))
      .slice(-rowLimit(limit)),
  exists: async (tenantId, conversationId) =>
    (await turns.findOne({ tenantId, conversationId }, { ...within, projection: { _id: 1 } })) !== null,
  removePair: async (tenantId, conversationId, id) => {
    await turns.deleteOne({ _id: keyOf(tenantId, conversationId, id) });
  },
});

/** Letters without marks and case, so that "uberstunden" finds "Überstunden". */
const folded = (text: string): string => text.normalize('NFD').replace(/\p{M}/gu, '').normalize('NFC').toLowerCase();

/** Each word as a pattern that means itself. Unanchored, so the server reads the tenant's receipts, newest first, within its time. */
const wordPatterns = (q: string | undefined): object[] =>
  folded(q ?? '')
    .slice(0, 1_000)
    .split(/\s+/u)
    .filter((word) => word !== '')
    .slice(0, 20)
    .map((word) => ({ text: { $regex: word.replace(/[\\^$.*+?()[\]{}|/#-]/g, '\\$&') } }));

/** The searchable text of a receipt: as much of it as people look for. */
export const searchTextOf = (receipt: Pick<Receipt, 'question' | 'answer'>): string =>
  folded(`${receipt.question} ${receipt.answer}`).slice(0, 100_000);

export const personKey = (user: string | undefined): string => `p${hashOf(user ?? '').slice(0, 24)}`;

const feedbackDocOf = ({ rating, mark, comment, user, at }: Feedback): FeedbackDoc => ({
  rating,
  at,
  ...(mark === undefined ? {} : { mark }),
  ...(comment === undefined ? {} : { comment }),
  ...(user === undefined ? {} : { user }),
});

/** Everything of a receipt but the verdicts, which come one by one. */
export const receiptFields = ({ feedback: _, ...receipt }: Receipt) => ({
  tenantId: receipt.tenantId,
  answerId: receipt.answerId,
  at: receipt.at,
  kind: receipt.kind,
  reasonCode: receipt.reasonCode,
  memberId: receipt.memberId ?? null,
  text: searchTextOf(receipt),
  record: JSON.stringify(receipt),
});

export const receiptOf = (doc: ReceiptDoc): Receipt => ({
  ...parsed<Receipt>(doc.record),
  feedback: Object.values(doc.feedback).toSorted((a, b) => a.at - b.at),
});

export const receiptVerbs = ({ receipts }: Collections): ReceiptStore => ({
  // A repeated write must not take away the verdict that somebody gave in between.
  put: async (receipt) => {
    const feedback = Object.fromEntries(receipt.feedback.map((one) => [personKey(one.user), feedbackDocOf(one)]));
    await twice(() =>
      receipts.updateOne(
        { _id: keyOf(receipt.tenantId, receipt.answerId) },
        { $set: receiptFields(receipt), $setOnInsert: { feedback } },
        { upsert: true },
      ),
    );
  },
  get: async (tenantId, answerId) => {
    const doc = await receipts.findOne({ _id: keyOf(tenantId, answerId) }, within);
    return doc === null ? null : receiptOf(doc);
  },
  list: (tenantId, { outcome, q }, page) =>
    pageOf(
      page,
      'time',
      (after, limit) =>
        receipts
          .find(
            all<ReceiptDoc>([
              { tenantId },
              ...(outcome === undefined ? [] : [{ $or: [{ kind: outcome }, { reasonCode: outcome }] }]),
              ...wordPatterns(q),
              ...beyond(after, ['at', 'answerId'], '$lt'),
            ]),
            within,
          )
          .sort({ at: -1, answerId: -1 })
          .limit(limit)
          .toArray(),
      (doc) => [doc.at, doc.answerId],
      receiptOf,
    ),
  addFeedback: async (tenantId, answerId, feedback) => {
    const { matchedCount } = await receipts.updateOne(
      { _id: keyOf(tenantId, answerId) },
      { $set: { [`feedback.${personKey(feedback.user)}`]: feedbackDocOf(feedback) } },
    );
    return matchedCount === 1;
  },
});

export const answerCacheVerbs = ({ answerCache }: Collections): AnswerCacheStore => ({
  get: async (tenantId, key, now) => {
    const doc = await answerCache.findOne({ _id: keyOf(tenantId, key), expiresAt: { $gt: now } }, within);
    return doc === null ? null : parsed<Receipt>(doc.record);
  },
  put: async (tenantId, key, receipt, expiresAt) => {
    const replacement: Omit<CachedDoc, '_id'> = {
      tenantId,
      expiresAt,
      expireAt: new Date(expiresAt),
      memberId: receipt.memberId ?? null,
      record: JSON.stringify(receipt),
    };
    await twice(() => answerCache.replaceOne({ _id: keyOf(tenantId, key) }, replacement, { upsert: true }));
  },
});
