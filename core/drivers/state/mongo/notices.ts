import type { Notice, Webhook } from '../../../domain.ts';
import type { NoticeStore, WebhookStore } from '../../../ports/state.ts';
import { type Collections, keyOf, type NoticeDoc, type WebhookDoc } from './collections.ts';
import { all, beyond, inserted, pageOf, parsed, present, trim, within } from './queries.ts';
import { deadAmong } from './tenants.ts';

const webhookOf = ({ record, failingSince, lastDeliveredAt, rev }: WebhookDoc): Webhook =>
  present<Webhook>({ ...parsed<Webhook>(record), failingSince, lastDeliveredAt, rev } as Webhook);

export const webhookVerbs = ({ webhooks, notices }: Collections): WebhookStore => {
  const get = async (tenantId: string, webhookId: string): Promise<Webhook | null> => {
    const doc = await webhooks.findOne({ _id: webhookId, tenantId }, within);
    return doc === null ? null : webhookOf(doc);
  };
  return {
    create: async (webhook) => {
      const { failingSince, lastDeliveredAt, ...record } = webhook;
      await inserted(() =>
        webhooks.insertOne({
          _id: webhook.id,
          tenantId: webhook.tenantId,
          createdAt: webhook.createdAt,
          rev: webhook.rev,
          failingSince: failingSince ?? null,
          lastDeliveredAt: lastDeliveredAt ?? null,
          record: JSON.stringify(record),
        }),
      );
    },
    get,
    list: async (tenantId) =>
      (await webhooks.find({ tenantId }, within).sort({ createdAt: 1, _id: 1 }).toArray()).map(webhookOf),
    update: async (tenantId, webhookId, rev, { paused, ...patch }) => {
      const webhook = await get(tenantId, webhookId);
      if (webhook === null) return null;
      if (webhook.rev !== rev) return 'stale';
      const { failingSince: _failing, lastDeliveredAt: _delivered, paused: before, ...rest } = { ...webhook, ...patch };
      const now = paused === undefined ? before : paused;
      const record = { ...rest, rev: rev + 1, ...(now === null || now === undefined ? {} : { paused: now }) };
      // The revision is repeated: whoever came in between is not written over.
      const doc = await webhooks.findOneAndUpdate(
        { _id: webhookId, tenantId, rev },
        {
          $set: {
            rev: rev + 1,
            record: JSON.stringify(record),
            ...(paused === null ? { failingSince: null } : {}),
          },
        },
        { returnDocument: 'after' },
      );
      return doc === null ? 'stale' : webhookOf(doc);
    },
    note: async (tenantId, webhookId, at, ok) => {
      if (ok)
        await webhooks.updateOne(
          { _id: webhookId, tenantId },
          { $set: { failingSince: null }, $max: { lastDeliveredAt: at } },
        );
      else await webhooks.updateOne({ _id: webhookId, tenantId, failingSince: null }, { $set: { failingSince: at } });
      return get(tenantId, webhookId);
    },
    // Notices first: broken off in between, the webhook still stands and is removed again.
    remove: async (tenantId, webhookId) => {
      while (await trim(notices, { tenantId, receiver: webhookId }));
      return (await webhooks.deleteOne({ _id: webhookId, tenantId })).deletedCount === 1;
    },
  };
};

const noticeOf = ({ record, state, attempts, nextAt, memberId, body }: NoticeDoc): Notice =>
  present<Notice>({ ...parsed<Notice>(record), state, attempts, nextAt, memberId, body } as Notice);

export const noticeVerbs = (collections: Collections): NoticeStore => {
  const { notices } = collections;
  const claim: NoticeStore['claim'] = async ({ now, leaseForMs, except }) => {
    const doc = await notices.findOneAndUpdate(
      { state: 'waiting', nextAt: { $lte: now }, lane: { $nin: [...except] } },
      { $set: { nextAt: now + leaseForMs }, $inc: { attempts: 1 } },
      { sort: { nextAt: 1, _id: 1 }, returnDocument: 'after' },
    );
    if (doc === null || (await deadAmong(collections, [doc.tenantId])).size === 0)
      return doc === null ? null : noticeOf(doc);
    // Erasing takes it; nobody is told of a deleted tenant meanwhile.
    await notices.updateOne({ _id: doc._id, attempts: doc.attempts }, { $set: { state: 'failed', body: null } });
    return claim({ now, leaseForMs, except });
  };
  const get = async (tenantId: string, noticeId: string): Promise<NoticeDoc | null> =>
    notices.findOne({ _id: keyOf(tenantId, noticeId) }, within);
  return {
    add: async (tenantId, list) => {
      let added = 0;
      for (const { state, attempts, nextAt, memberId, body, ...record } of list) {
        const doc: NoticeDoc = {
          _id: keyOf(tenantId, record.id),
          tenantId,
          id: record.id,
          receiver: record.receiver,
          lane: `${tenantId} ${record.receiver}`,
          createdAt: record.createdAt,
          state,
          attempts,
          nextAt,
          memberId: memberId ?? null,
          body: body ?? null,
          record: JSON.stringify({ ...record, tenantId }),
        };
        if (await inserted(() => notices.insertOne(doc))) added += 1;
      }
      return added;
    },
    claim,
    settle: async (tenantId, noticeId, attempt, { uncounted, state, nextAt, ...outcome }) => {
      const doc = await get(tenantId, noticeId);
      if (doc === null) return false;
      const { matchedCount } = await notices.updateOne(
        { _id: doc._id, state: 'waiting', attempts: attempt },
        {
          $set: {
            state,
            attempts: uncounted ? attempt - 1 : attempt,
            ...(nextAt === undefined ? {} : { nextAt }),
            ...(state === 'waiting' ? {} : { body: null }),
            record: JSON.stringify({ ...parsed<object>(doc.record), ...outcome }),
          },
        },
      );
      return matchedCount === 1;
    },
    get: async (tenantId, noticeId) => {
      const doc = await get(tenantId, noticeId);
      return doc === null ? null : noticeOf(doc);
    },
    list: (tenantId, receiver, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          notices
            .find(all<NoticeDoc>([{ tenantId, receiver }, ...beyond(after, ['createdAt', 'id'], '$lt')]), within)
            .sort({ createdAt: -1, id: -1 })
            .limit(limit)
            .toArray(),
        (doc) => [doc.createdAt, doc.id],
        noticeOf,
      ),
  };
};
