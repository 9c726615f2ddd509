import type { Addressed, InboundEvent, PlatformName, ReasonCode } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import type { Log } from '../../../ports/runtime.ts';
import type { InboxRow, InboxStore, Lease, OutboxStore, Outcome } from '../../../ports/state.ts';
import type { Collections, InboxDoc } from './collections.ts';
import { inserted, rowLimit, within } from './queries.ts';
import type { Threads } from './threads.ts';

/** An event's JSON may be this long, in characters; MongoDB takes 16 MB a document, and a flood of such ends a server. */
const maxEvent = 2 * 1024 * 1024;
/** Keys that twins may add to a row. */
const maxKeys = 64;

const inboxRowOf = (doc: InboxDoc): InboxRow => ({
  id: doc._id,
  threadKey: doc.threadKey,
  event: { ...(JSON.parse(doc.event) as InboundEvent), addressed: doc.addressed },
  state: doc.state,
  attempts: doc.attempts,
  receivedAt: doc.receivedAt,
  ...(doc.tenantId === null ? {} : { tenantId: doc.tenantId }),
  ...(doc.reason === null ? {} : { reason: doc.reason as ReasonCode }),
  ...(doc.answerId === null ? {} : { answerId: doc.answerId }),
  ...(doc.settledAt === null ? {} : { settledAt: doc.settledAt }),
});

/** How plainly somebody speaks to the bot; a later twin may only raise it. */
const plainness: Readonly<Record<Addressed, number>> = { none: 0, subscribed: 1, mention: 2, dm: 2, command: 2 };
const lessPlainThan = (addressed: Addressed): Addressed[] =>
  (Object.keys(plainness) as Addressed[]).filter((one) => plainness[one] < plainness[addressed]);

const docOf = (row: InboxRow, keys: string[]): InboxDoc => {
  const { event } = row;
  const text = JSON.stringify(event);
  if (text.length > maxEvent) {
    throw new AppError('store-unavailable', 'The message is larger than the state store takes (2 MB).');
  }
  return {
    _id: row.id,
    keys,
    threadKey: row.threadKey,
    orderKey: event.orderKey,
    state: 'ready',
    attempts: row.attempts,
    fence: 0,
    receivedAt: row.receivedAt,
    platform: event.platform,
    workspaceId: event.workspaceId,
    channelId: event.channelId,
    aboutId: event.targetMessageId ?? event.messageId,
    authorId: event.author.id,
    addressed: event.addressed,
    event: text,
    tenantId: null,
    reason: null,
    answerId: null,
    settledAt: null,
    stripped: false,
    expireAt: null,
  };
};

export type InboxParts = {
  readonly collections: Collections;
  readonly outbox: Pick<OutboxStore, 'sent'>;
  readonly threads: Threads;
  readonly log: Log;
  /** Settled rows are kept this long. */
  readonly keptForMs: number;
};

export const inboxVerbs = ({
  collections: { inbox },
  outbox,
  threads,
  log,
  keptForMs,
}: InboxParts): InboxStore & { drained(): Promise<void> } => {
  /** Hints under way. The acknowledgement does not wait for them, a claim of this process and closing do. */
  const marking = new Set<Promise<void>>();
  const drained = async (): Promise<void> => {
    await Promise.all(marking);
  };
  const mark = (threadKey: string, at: number) => {
    const done = threads
      .mark(threadKey, at)
      .catch((error: unknown) => log.warn('state.mark_failed', { error: String(error) }))
      .finally(() => marking.delete(done));
    marking.add(done);
  };

  /** The new keys of a duplicate are its twin's, so that a third event with one of them is a duplicate too. */
  const assign = async (twin: InboxDoc, keys: readonly string[]): Promise<void> => {
    for (const key of keys.filter((one) => !twin.keys.includes(one))) {
      // Another row's by now: then it is known, and that is all that matters.
      await inserted(() =>
        inbox.updateOne({ _id: twin._id, [`keys.${maxKeys - 1}`]: { $exists: false } }, { $addToSet: { keys: key } }),
      );
    }
  };

  const promote = async (twin: InboxDoc, addressed: Addressed): Promise<void> => {
    if (twin.state !== 'ready' || plainness[addressed] <= plainness[twin.addressed]) return;
    await inbox.updateOne(
      { _id: twin._id, state: 'ready', addressed: { $in: lessPlainThan(addressed) } },
      { $set: { addressed } },
    );
  };

  const receive = async (row: InboxRow): Promise<'stored' | 'duplicate'> => {
    // An event that names a key twice must not be taken for its own duplicate.
    const keys = [...new Set(row.event.dedupeKeys.length === 0 ? [row.id] : row.event.dedupeKeys)].slice(0, maxKeys);
    const doc = docOf(row, keys);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (await inserted(() => inbox.insertOne(doc))) {
        mark(row.threadKey, row.receivedAt);
        return 'stored';
      }
      // A read of the majority. A twin that it does not see may still be lost with its primary, and to call this one a
      // duplicate would then lose both.
      const twin = await inbox.findOne({ $or: [{ keys: { $in: keys } }, { _id: row.id }] }, within);
      if (twin === null) continue;
      await assign(twin, keys);
      await promote(twin, row.event.addressed);
      return 'duplicate';
    }
    throw new AppError('store-unavailable', 'An equal message is being stored at this moment. Send it again.', {
      retryable: true,
    });
  };

  const pending = async (lease: Lease, limit: number): Promise<InboxRow[]> => {
    const [holds, found] = await Promise.all([
      threads.holds(lease),
      inbox
        .find({ threadKey: lease.key, state: 'ready' }, within)
        .project<{ _id: string }>({ _id: 1 })
        .sort({ orderKey: 1, _id: 1 })
        .limit(rowLimit(limit))
        .toArray(),
    ]);
    if (!holds || found.length === 0) return [];
    const ids = found.map((doc) => doc._id);
    // From here on a holder with a lower fence can settle none of them: taking up and settling are both one change of
    // the row, so one of the two comes first.
    await inbox.updateMany(
      { _id: { $in: ids }, state: 'ready', fence: { $lte: lease.fence } },
      { $set: { fence: lease.fence }, $inc: { attempts: 1 } },
    );
    const rows = await inbox
      .find({ _id: { $in: ids }, state: 'ready', fence: lease.fence }, within)
      .sort({ orderKey: 1, _id: 1 })
      .toArray();
    return rows.map(inboxRowOf);
  };

  const settle = async (lease: Lease, rowId: string, now: number, outcome: Outcome): Promise<boolean> => {
    if (!(await threads.holds(lease))) return false;
    const { matchedCount } = await inbox.updateOne(
      { _id: rowId, threadKey: lease.key, state: 'ready', fence: { $lte: lease.fence } },
      {
        $set: {
          state: 'settled',
          settledAt: now,
          reason: outcome.reason,
          tenantId: outcome.tenantId ?? null,
          answerId: outcome.answerId ?? null,
          expireAt: new Date(now + keptForMs),
        },
      },
    );
    if (matchedCount === 1) return true;
    return (await inbox.findOne({ _id: rowId, threadKey: lease.key, state: 'settled' }, within)) !== null;
  };

  return {
    drained,
    receive,
    // The lease is another document: asking for it here would hold up the acknowledgement.
    receiveAndClaim: async (row) => ({ outcome: await receive(row), lease: null }),
    claimThread: async ({ owner, now, leaseForMs, except }) => {
      await drained();
      return threads.claim(owner, now, leaseForMs, except);
    },
    heartbeatThread: (lease, now, leaseForMs) => threads.heartbeat(lease, now + leaseForMs),
    pending,
    settle,
    settleAndNext: async (lease, rowId, now, outcome, closing) => {
      if (closing !== undefined) await outbox.sent(closing.tenantId, closing.id, now, closing.books);
      if (!(await settle(lease, rowId, now, outcome))) return 'lost';
      const next = (await pending(lease, 1))[0];
      if (next !== undefined) return next;
      // A row that comes in between keeps the thread claimable.
      return (await threads.release(lease, 0)) ? 'freed' : 'lost';
    },
    releaseThread: (lease, notBefore) => threads.release(lease, notBefore ?? 0),
    byMessage: async (platform: PlatformName, workspaceId, channelId, messageId) =>
      (
        await inbox
          .find({ aboutId: messageId, channelId, workspaceId, platform }, within)
          .sort({ receivedAt: 1, orderKey: 1, _id: 1 })
          .limit(200)
          .toArray()
      ).map(inboxRowOf),
    get: async (rowId) => {
      const doc = await inbox.findOne({ _id: rowId }, within);
      return doc === null ? null : inboxRowOf(doc);
    },
    depth: async (now) => {
      const [ready, oldest] = await Promise.all([
        inbox.countDocuments({ state: 'ready' }, within),
        inbox.find({ state: 'ready' }, within).sort({ receivedAt: 1 }).limit(1).toArray(),
      ]);
      return { ready, oldestMs: oldest[0] === undefined ? 0 : Math.max(0, now - oldest[0].receivedAt) };
    },
  };
};
