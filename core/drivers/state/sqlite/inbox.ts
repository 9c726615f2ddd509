import type { Addressed, InboundEvent, PlatformName, ReasonCode } from '../../../domain.ts';
import type { InboxRow, InboxStore, Lease, OutboxStore, Outcome } from '../../../ports/state.ts';
import { rowLimit } from '../cursors.ts';
import { atMost, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type Row = {
  readonly id: string;
  readonly thread_key: string;
  readonly state: string;
  readonly attempts: number;
  readonly received_at: number;
  readonly event: string;
  readonly tenant_id: string | null;
  readonly reason: string | null;
  readonly answer_id: string | null;
  readonly settled_at: number | null;
};

const inboxRowOf = (row: Row): InboxRow => ({
  id: row.id,
  threadKey: row.thread_key,
  event: JSON.parse(row.event) as InboundEvent,
  state: row.state as InboxRow['state'],
  attempts: row.attempts,
  receivedAt: row.received_at,
  ...(row.tenant_id === null ? {} : { tenantId: row.tenant_id }),
  ...(row.reason === null ? {} : { reason: row.reason as ReasonCode }),
  ...(row.answer_id === null ? {} : { answerId: row.answer_id }),
  ...(row.settled_at === null ? {} : { settledAt: row.settled_at }),
});

/** How plainly somebody speaks to the bot; a later twin may only raise it. */
const plainness: Readonly<Record<Addressed, number>> = { none: 0, subscribed: 1, mention: 2, dm: 2, command: 2 };

export const inboxVerbs = (sql: Sql, outbox: Pick<SyncGroup<OutboxStore>, 'sent'>): SyncGroup<InboxStore> => {
  const holds = (lease: Lease): boolean =>
    sql.one('SELECT 1 FROM threads WHERE key = ? AND owner = ? AND fence = ?', lease.key, lease.owner, lease.fence) !==
    undefined;

  /** False when the key was known; the common case costs no look-up before. */
  const remember = (key: string, rowId: string, at: number): boolean =>
    sql.run(
      'INSERT INTO inbox_keys (dedupe_key, row_id, seen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
      key,
      rowId,
      at,
    ) === 1;

  /** The new keys of a duplicate are its twin's, so that a third event with one of them is a duplicate too. */
  const assign = (key: string, from: string, to: string, at: number) => {
    if (!remember(key, to, at)) {
      sql.run('UPDATE inbox_keys SET row_id = ? WHERE dedupe_key = ? AND row_id = ?', to, key, from);
    }
  };

  const promote = (rowId: string, addressed: Addressed) => {
    const twin = sql.one<Row>(`SELECT * FROM inbox WHERE id = ? AND state = 'ready'`, rowId);
    if (twin === undefined) return;
    const event = JSON.parse(twin.event) as InboundEvent;
    if (plainness[addressed] <= plainness[event.addressed]) return;
    sql.run('UPDATE inbox SET event = ? WHERE id = ?', JSON.stringify({ ...event, addressed }), rowId);
  };

  /** Its keys are new, or it is its twin's. */
  const isDuplicate = (row: InboxRow): boolean => {
    const { event } = row;
    // An event that names a key twice must not be taken for its own duplicate.
    const keys = [...new Set(event.dedupeKeys.length === 0 ? [row.id] : event.dedupeKeys)];
    const known = keys.find((key) => !remember(key, row.id, row.receivedAt));
    if (known === undefined) return false;
    const twin = sql.one<{ readonly row_id: string }>('SELECT row_id FROM inbox_keys WHERE dedupe_key = ?', known);
    if (twin === undefined) throw new Error('a known key is gone within its transaction');
    for (const key of keys) assign(key, row.id, twin.row_id, row.receivedAt);
    promote(twin.row_id, event.addressed);
    return true;
  };

  const insert = (row: InboxRow, attempts: number): boolean => {
    const { event } = row;
    const stored = sql.run(
      `INSERT INTO inbox (id, thread_key, order_key, state, attempts, received_at, platform, workspace_id, channel_id, about_id, author_id, event)
         VALUES (?, ?, ?, 'ready', ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      row.id,
      row.threadKey,
      event.orderKey,
      attempts,
      row.receivedAt,
      event.platform,
      event.workspaceId,
      event.channelId,
      event.targetMessageId ?? event.messageId,
      event.author.id,
      JSON.stringify(event),
    );
    return stored === 1;
  };

  /** A thread nobody has served counts as served when its first row came: whoever waits longest is next. */
  const lineUp = (row: InboxRow): void => {
    sql.run(
      `INSERT INTO threads (key, ready, served_at) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET ready = ready + 1`,
      row.threadKey,
      row.receivedAt,
    );
  };

  const isAlone = ({ id, event }: InboxRow): boolean =>
    sql.one(
      'SELECT 1 FROM inbox WHERE about_id = ? AND channel_id = ? AND workspace_id = ? AND platform = ? AND id <> ? LIMIT 1',
      event.targetMessageId ?? event.messageId,
      event.channelId,
      event.workspaceId,
      event.platform,
      id,
    ) === undefined;

  /** In place of lining up: the lease of a free thread in which the new row stands alone. */
  const takeUp = (row: InboxRow, owner: string, now: number, until: number): Lease | null => {
    const taken = sql.one<{ readonly fence: number }>(
      `INSERT INTO threads (key, ready, owner, fence, lease_until, served_at) VALUES (?1, 1, ?2, 1, ?3, ?4)
       ON CONFLICT DO UPDATE SET ready = 1, owner = ?2, fence = fence + 1, lease_until = ?3, served_at = ?4
       WHERE ready = 0 AND lease_until <= ?4 AND not_before <= ?4 RETURNING fence`,
      row.threadKey,
      owner,
      until,
      now,
    );
    return taken === undefined ? null : { key: row.threadKey, owner, fence: taken.fence };
  };

  const pending = (lease: Lease, limit: number): InboxRow[] => {
    if (!holds(lease)) return [];
    const rows = sql.all<Row>(
      `SELECT * FROM inbox WHERE thread_key = ? AND state = 'ready' ORDER BY order_key, id ${atMost}`,
      lease.key,
      rowLimit(limit),
    );
    return rows.map((row) => {
      sql.run('UPDATE inbox SET attempts = attempts + 1 WHERE id = ?', row.id);
      return { ...inboxRowOf(row), attempts: row.attempts + 1 };
    });
  };

  /** `again`: it was settled before. Null: the lease is lost, or the row is of another thread. */
  const settleRow = (lease: Lease, rowId: string, now: number, outcome: Outcome): 'now' | 'again' | null => {
    const settled = sql.run(
      `UPDATE inbox SET state = 'settled', settled_at = ?, reason = ?, tenant_id = ?, answer_id = ?
       WHERE id = ? AND thread_key = ? AND state = 'ready'
         AND EXISTS (SELECT 1 FROM threads WHERE key = ? AND owner = ? AND fence = ?)`,
      now,
      outcome.reason,
      outcome.tenantId ?? null,
      outcome.answerId ?? null,
      rowId,
      lease.key,
      lease.key,
      lease.owner,
      lease.fence,
    );
    if (settled === 1) return 'now';
    const stands =
      holds(lease) && sql.one('SELECT 1 FROM inbox WHERE id = ? AND thread_key = ?', rowId, lease.key) !== undefined;
    return stands ? 'again' : null;
  };

  /** One row less in a leased thread; free when it was the last. */
  const countDown = (key: string): number =>
    sql.one<{ readonly ready: number }>(
      `UPDATE threads SET ready = ready - 1, owner = iif(ready = 1, '', owner), lease_until = iif(ready = 1, 0, lease_until),
         not_before = iif(ready = 1, 0, not_before)
       WHERE key = ? RETURNING ready`,
      key,
    )?.ready ?? 0;

  const releaseThread = (lease: Lease, notBefore = 0): boolean =>
    sql.run(
      `UPDATE threads SET owner = '', lease_until = 0, not_before = ? WHERE key = ? AND owner = ? AND fence = ?`,
      notBefore,
      lease.key,
      lease.owner,
      lease.fence,
    ) === 1;

  return {
    receive: (row) => {
      if (isDuplicate(row) || !insert(row, row.attempts)) return 'duplicate';
      lineUp(row);
      return 'stored';
    },
    receiveAndClaim: (row, { owner, now, leaseForMs }) => {
      if (isDuplicate(row)) return { outcome: 'duplicate', lease: null };
      // Nearly every question goes this way, so that it is written once: as one that was taken up.
      const alone = isAlone(row);
      if (!insert(row, row.attempts + (alone ? 1 : 0))) return { outcome: 'duplicate', lease: null };
      const lease = alone ? takeUp(row, owner, now, now + leaseForMs) : null;
      if (lease !== null) return { outcome: 'stored', lease };
      if (alone) sql.run('UPDATE inbox SET attempts = ? WHERE id = ?', row.attempts, row.id);
      lineUp(row);
      return { outcome: 'stored', lease };
    },
    claimThread: ({ owner, now, leaseForMs, except }) => {
      const claimed = sql.one<{ readonly key: string; readonly fence: number }>(
        `UPDATE threads SET owner = ?1, fence = fence + 1, lease_until = ?2, served_at = ?3
         WHERE key = (
           SELECT key FROM threads WHERE ready > 0 AND lease_until <= ?3 AND not_before <= ?3
             ${except === undefined ? '' : 'AND substr(key, 1, ?4) <> ?5'}
           ORDER BY served_at, key LIMIT 1
         ) RETURNING key, fence`,
        owner,
        now + leaseForMs,
        now,
        ...(except === undefined ? [] : [except.length, except]),
      );
      return claimed === undefined ? null : { key: claimed.key, owner, fence: claimed.fence };
    },
    heartbeatThread: (lease, now, leaseForMs) =>
      sql.run(
        'UPDATE threads SET lease_until = ? WHERE key = ? AND owner = ? AND fence = ?',
        now + leaseForMs,
        lease.key,
        lease.owner,
        lease.fence,
      ) === 1,
    pending,
    settle: (lease, rowId, now, outcome) => {
      const settled = settleRow(lease, rowId, now, outcome);
      if (settled === 'now') sql.run('UPDATE threads SET ready = ready - 1 WHERE key = ?', lease.key);
      return settled !== null;
    },
    settleAndNext: (lease, rowId, now, outcome, closing) => {
      if (closing !== undefined) outbox.sent(closing.tenantId, closing.id, now, closing.books);
      const settled = settleRow(lease, rowId, now, outcome);
      if (settled === null) return 'lost';
      if (settled === 'now' && countDown(lease.key) === 0) return 'freed';
      const next = pending(lease, 1)[0];
      if (next === undefined) releaseThread(lease);
      return next ?? 'freed';
    },
    releaseThread,
    byMessage: (platform: PlatformName, workspaceId, channelId, messageId) =>
      sql
        .all<Row>(
          `SELECT * FROM inbox WHERE about_id = ? AND channel_id = ? AND workspace_id = ? AND platform = ?
           ORDER BY received_at, order_key, id LIMIT 200`,
          messageId,
          channelId,
          workspaceId,
          platform,
        )
        .map(inboxRowOf),
    get: (rowId) => {
      const row = sql.one<Row>('SELECT * FROM inbox WHERE id = ?', rowId);
      return row === undefined ? null : inboxRowOf(row);
    },
    depth: (now) => {
      const row = sql.one<{ readonly ready: number; readonly oldest: number | null }>(
        `SELECT count(*) AS ready, min(received_at) AS oldest FROM inbox WHERE state = 'ready'`,
      );
      const oldest = row?.oldest ?? null;
      return { ready: row?.ready ?? 0, oldestMs: oldest === null ? 0 : Math.max(0, now - oldest) };
    },
  };
};
