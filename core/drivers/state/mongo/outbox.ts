import type { Books, ConversationStore, OutboxRecord, OutboxStore, ReceiptStore } from '../../../ports/state.ts';
import { type Collections, keyOf, type OutboxDoc } from './collections.ts';
import { markOver } from './forgotten.ts';
import { change, parsed, twice, within } from './queries.ts';

/** Messages that one answer may have on a platform. */
const maxPosted = 500;

const recordOf = (doc: OutboxDoc): OutboxRecord => ({
  id: doc.id,
  tenantId: doc.tenantId,
  state: doc.state,
  attempts: doc.attempts,
  answerId: doc.answerId,
  postedIds: doc.postedIds,
  ...(doc.stopped === true ? { stopped: true } : {}),
  ...(doc.final === null ? {} : { final: parsed<NonNullable<OutboxRecord['final']>>(doc.final) }),
});

/** Where the books of a delivery are kept. */
type Shelves = {
  readonly receipts: Pick<ReceiptStore, 'put'>;
  readonly conversations: Pick<ConversationStore, 'append' | 'removePair'>;
};

export const outboxVerbs = ({ outbox, forgotten }: Collections, { receipts, conversations }: Shelves): OutboxStore => {
  const posted = async (tenantId: string, id: string, messageId: string): Promise<void> => {
    await outbox.updateOne(
      { _id: keyOf(tenantId, id), [`postedIds.${maxPosted - 1}`]: { $exists: false } },
      { $addToSet: { postedIds: messageId } },
    );
  };
  const get = async (tenantId: string, id: string): Promise<OutboxRecord | null> => {
    const doc = await outbox.findOne({ _id: keyOf(tenantId, id) }, within);
    return doc === null ? null : recordOf(doc);
  };
  const keep = async (tenantId: string, id: string, { posted: messageIds, turns, ...books }: Books): Promise<void> => {
    const record = await get(tenantId, id);
    // Sent before: the books are written, or are nobody's any more (see `forgetMember`).
    if (record === null || record.state === 'sent') return;
    const receipt = books.receipt ?? record.final?.receipt;
    const [isKnown] = await Promise.all([
      receipt === undefined ? true : receipts.put(receipt),
      turns === undefined ? undefined : conversations.append(tenantId, turns.conversationId, turns.id, turns.pair),
      ...messageIds.map((messageId) => posted(tenantId, id, messageId)),
    ]);
    if (!isKnown && turns !== undefined) await conversations.removePair(tenantId, turns.conversationId, turns.id);
  };
  return {
    open: async (tenantId, id, answerId, now) => {
      const doc = await twice(() =>
        outbox.findOneAndUpdate(
          { _id: keyOf(tenantId, id) },
          {
            $inc: { attempts: 1 },
            $setOnInsert: {
              tenantId,
              id,
              answerId,
              state: 'open',
              openedAt: now,
              sentAt: null,
              memberId: null,
              final: null,
              postedIds: [],
            },
          },
          { upsert: true, returnDocument: 'after' },
        ),
      );
      if (doc === null) throw new Error('an upsert returned no document');
      return recordOf(doc);
    },
    posted,
    // The first final answer stands: a second attempt must deliver the same words and settle the same amounts.
    finalize: async (tenantId, id, final) => {
      await outbox.updateOne(
        { _id: keyOf(tenantId, id), state: 'open' },
        { $set: { state: 'final', final: JSON.stringify(final), memberId: final.receipt.memberId ?? null } },
      );
      if ((await markOver({ forgotten }, { ...final.receipt, tenantId })) === null) return;
      // As `forgetMember` leaves the others: given up, with a receipt that names nobody.
      await receipts.put(final.receipt);
      while (
        await change(outbox, { _id: keyOf(tenantId, id), state: 'final' }, (row) => ({
          $set: { final: null, state: 'sent' as const, sentAt: row.openedAt, memberId: null },
        }))
      );
    },
    sent: async (tenantId, id, now, books) => {
      if (books !== undefined) await keep(tenantId, id, books);
      await outbox.updateOne(
        { _id: keyOf(tenantId, id), state: { $in: ['open', 'final'] } },
        { $set: { state: 'sent', sentAt: now } },
      );
    },
    stop: async (tenantId, id) =>
      (await outbox.updateOne({ _id: keyOf(tenantId, id), state: 'open' }, { $set: { stopped: true } }))
        .matchedCount === 1,
    get,
    byPostedId: async (tenantId, messageId) => {
      const [doc] = await outbox
        .find({ tenantId, postedIds: messageId }, within)
        .sort({ openedAt: -1 })
        .limit(1)
        .toArray();
      return doc === undefined ? null : recordOf(doc);
    },
  };
};
