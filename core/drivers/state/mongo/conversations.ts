import { type Collection, type Filter, ObjectId, type UpdateFilter } from 'mongodb';
import type { AnswerKind, Feedback, ReasonCode, Receipt, Turn } from '../../../domain.ts';
import { hashOf } from '../../../ids.ts';
import type {
  AnswerCacheStore,
  ConversationStore,
  OpenQuestion,
  ReceiptFilter,
  ReceiptStore,
} from '../../../ports/state.ts';
import { forgottenReceipt } from '../forgotten.ts';
import { percentileAt, percentiles } from '../percentiles.ts';
import { type CachedDoc, type Collections, type FeedbackDoc, keyOf, type ReceiptDoc } from './collections.ts';
import { markOver } from './forgotten.ts';
import { all, beyond, change, inserted, pageOf, parsed, rowLimit, twice, within } from './queries.ts';

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

/** Everything of a receipt but the verdicts, which come one by one, and what was done about a gap. */
export const receiptFields = ({ feedback: _, gap: __, ...receipt }: Receipt) => ({
  tenantId: receipt.tenantId,
  answerId: receipt.answerId,
  at: receipt.at,
  kind: receipt.kind,
  reasonCode: receipt.reasonCode,
  memberId: receipt.memberId ?? null,
  platform: receipt.platform,
  channelId: receipt.channelId ?? null,
  totalMs: receipt.timingsMs.total ?? null,
  isOpen: receipt.kind === 'not-found' || (receipt.kind === 'answered' && receipt.citations.length === 0),
  text: searchTextOf(receipt),
  record: JSON.stringify(receipt),
});

export const receiptOf = (doc: ReceiptDoc): Receipt => ({
  ...parsed<Receipt>(doc.record),
  feedback: Object.values(doc.feedback).toSorted((a, b) => a.at - b.at),
  ...(doc.gap === undefined || doc.gap === null ? {} : { gap: doc.gap }),
});

/** Who is for it and who against, beside the verdicts, because an index cannot look through a map. By the same digests. */
export const sidesOf = (feedback: Readonly<Record<string, FeedbackDoc>>): Pick<ReceiptDoc, 'ups' | 'downs'> => {
  const those = (rating: Feedback['rating']) =>
    Object.entries(feedback).flatMap(([key, verdict]) => (verdict.rating === rating ? [key] : []));
  return { ups: those('up'), downs: those('down') };
};

/** What a receipt becomes when its person is forgotten. */
export const forgottenFields = (doc: ReceiptDoc, pseudonym: string): Partial<ReceiptDoc> => {
  const receipt = forgottenReceipt(receiptOf(doc), pseudonym);
  const feedback = Object.fromEntries(receipt.feedback.map((verdict, n) => [`forgotten${n}`, verdict] as const));
  return { ...receiptFields(receipt), feedback, ...sidesOf(feedback) };
};

const newestFirst = (after: readonly (string | number)[] | null): object[] => beyond(after, ['at', 'answerId'], '$lt');

type OpenRow = Pick<ReceiptDoc, 'at' | 'answerId' | 'kind' | 'memberId' | 'downs'> & { readonly question: string };

const byTime = (a: OpenRow, b: OpenRow): number => b.at - a.at || (a.answerId < b.answerId ? 1 : -1);

/** The question is in the record alone: in a field of its own, an older version that forgets somebody would leave it. */
const openRows = async (
  receipts: Collection<ReceiptDoc>,
  where: Filter<ReceiptDoc>,
  limit: number,
): Promise<readonly OpenRow[]> => {
  const rows = await receipts
    .find(where, within)
    .project<Omit<OpenRow, 'question'> & { readonly record: string }>({
      _id: 0,
      at: 1,
      answerId: 1,
      kind: 1,
      memberId: 1,
      downs: 1,
      record: 1,
    })
    .sort({ at: -1, answerId: -1 })
    .limit(limit)
    .toArray();
  return rows.map(({ record, ...row }) => {
    const { condensedQuestion, question } = parsed<Receipt>(record);
    return { ...row, question: condensedQuestion ?? question };
  });
};

const openQuestionOf = ({ answerId, question, at, kind, downs = [], memberId }: OpenRow): OpenQuestion => ({
  answerId,
  question,
  at,
  why: kind === 'not-found' ? 'not-found' : downs.length > 0 ? 'down-voted' : 'uncertain',
  ...(memberId === null ? {} : { memberId }),
});

export const receiptVerbs = ({ receipts, forgotten }: Collections): ReceiptStore => ({
  // A repeated write must not take away the verdict that somebody gave in between, nor what was done about a gap.
  put: async (receipt) => {
    const feedback = Object.fromEntries(receipt.feedback.map((one) => [personKey(one.user), feedbackDocOf(one)]));
    await twice(() =>
      receipts.updateOne(
        { _id: keyOf(receipt.tenantId, receipt.answerId) },
        {
          $set: receiptFields(receipt),
          $setOnInsert: { feedback, ...sidesOf(feedback), gap: receipt.gap ?? null },
        },
        { upsert: true },
      ),
    );
    const mark = await markOver({ forgotten }, receipt);
    if (mark !== null)
      await change(
        receipts,
        { _id: keyOf(receipt.tenantId, receipt.answerId), memberId: receipt.memberId ?? null },
        (row) => ({
          $set: forgottenFields(row, mark.pseudonym),
        }),
      );
    return mark === null;
  },
  get: async (tenantId, answerId) => {
    const doc = await receipts.findOne({ _id: keyOf(tenantId, answerId) }, within);
    return doc === null ? null : receiptOf(doc);
  },
  list: (tenantId, filter, page) =>
    pageOf(
      page,
      'time',
      (after, limit) =>
        receipts
          .find(all<ReceiptDoc>([{ tenantId }, ...narrowedBy(filter), ...newestFirst(after)]), within)
          .sort({ at: -1, answerId: -1 })
          .limit(limit)
          .toArray(),
      (doc) => [doc.at, doc.answerId],
      receiptOf,
    ),
  open: (tenantId, { from: since }, page) =>
    pageOf(
      page,
      'time',
      async (after, limit) => {
        const rows: OpenRow[] = [];
        // Those whose words are gone are passed over, and their places taken by the next.
        for (let from = after; ; ) {
          const where = [{ tenantId, at: { $gte: since }, gap: null }, ...newestFirst(from)];
          // Each half has an index of its own; one question for both would read every answer of the time.
          const halves = await Promise.all(
            [{ isOpen: true }, { isOpen: { $ne: true }, downs: { $gt: '' } }].map((half) =>
              openRows(receipts, all<ReceiptDoc>([...where, half]), limit),
            ),
          );
          const page = halves.flat().sort(byTime).slice(0, limit);
          rows.push(...page.filter(({ question }) => question !== ''));
          const last = page.at(-1);
          if (last === undefined || page.length < limit || rows.length >= limit) return rows.slice(0, limit);
          from = [last.at, last.answerId];
        }
      },
      (row) => [row.at, row.answerId],
      openQuestionOf,
    ),
  channels: async (tenantId, platform, limit) => {
    const rows = await receipts
      .find({ tenantId, platform, channelId: { $ne: null } }, within)
      // Everything that is asked for stands in the index `platform`.
      .project<{ channelId: string; at: number }>({ _id: 0, channelId: 1, at: 1 })
      .sort({ at: -1, answerId: -1 })
      .limit(rowLimit(limit))
      .toArray();
    const last = new Map<string, number>();
    for (const { channelId, at } of rows) last.set(channelId, Math.max(at, last.get(channelId) ?? at));
    return [...last]
      .map(([channelId, lastAt]) => ({ channelId, lastAt }))
      .sort((a, b) => b.lastAt - a.lastAt || (a.channelId < b.channelId ? -1 : 1));
  },
  tally: async (tenantId, { from, to }) => {
    const inRange = { tenantId, at: { $gte: from, $lt: to } };
    const groups = await receipts
      .aggregate<{ _id: { kind: AnswerKind; reason: ReasonCode }; count: number }>(
        [
          { $match: inRange },
          { $group: { _id: { kind: '$kind', reason: '$reasonCode' }, count: { $sum: 1 } } },
          { $sort: { '_id.kind': 1, '_id.reason': 1 } },
        ],
        within,
      )
      .toArray();
    const timed = { ...inRange, kind: { $ne: 'refused' }, totalMs: { $ne: null } };
    const count = await receipts.countDocuments(timed, within);
    const at = async (part: number): Promise<number | undefined> => {
      const [doc] = await receipts
        .find(timed, { ...within, projection: { _id: 0, totalMs: 1 } })
        .sort({ totalMs: 1 })
        .skip(percentileAt(count, part))
        .limit(1)
        .toArray();
      return doc?.totalMs ?? undefined;
    };
    return {
      outcomes: groups.map(({ _id, count }) => ({ kind: _id.kind, reason: _id.reason, count })),
      ...percentiles(await at(0.5), await at(0.95)),
    };
  },
  addFeedback: async (tenantId, answerId, feedback) => {
    const person = personKey(feedback.user);
    const [side, other] = feedback.rating === 'up' ? ['ups', 'downs'] : ['downs', 'ups'];
    const { matchedCount } = await receipts.updateOne({ _id: keyOf(tenantId, answerId) }, {
      $set: { [`feedback.${person}`]: feedbackDocOf(feedback) },
      $addToSet: { [side]: person },
      $pull: { [other]: person },
    } as UpdateFilter<ReceiptDoc>);
    return matchedCount === 1;
  },
  markGap: async (tenantId, answerId, gap) => {
    const { matchedCount } = await receipts.updateOne(
      { _id: keyOf(tenantId, answerId), 'gap.state': { $ne: gap.state } },
      { $set: { gap } },
    );
    return matchedCount === 1;
  },
});

const narrowedBy = ({ outcome, q, from, to, platform, channelId, memberId, rating, gap }: ReceiptFilter): object[] => [
  ...(outcome === undefined ? [] : [{ $or: [{ kind: outcome }, { reasonCode: outcome }] }]),
  ...(from === undefined ? [] : [{ at: { $gte: from } }]),
  ...(to === undefined ? [] : [{ at: { $lt: to } }]),
  ...(platform === undefined ? [] : [{ platform }]),
  ...(channelId === undefined ? [] : [{ channelId }]),
  ...(memberId === undefined ? [] : [{ memberId }]),
  ...(rating === undefined ? [] : [{ [`${rating}s.0`]: { $exists: true } }]),
  ...(gap === true ? [{ gap: null, $or: [{ isOpen: true }, { 'downs.0': { $exists: true } }] }] : []),
  ...wordPatterns(q),
];

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
      // Nobody's: older versions, whose validators may stand, want the field.
      memberId: null,
      record: JSON.stringify(receipt),
    };
    await twice(() => answerCache.replaceOne({ _id: keyOf(tenantId, key) }, replacement, { upsert: true }));
  },
});
