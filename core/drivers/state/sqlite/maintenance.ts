import type { InboundEvent, Receipt, RetentionRun } from '../../../domain.ts';
import type { MaintenanceStore } from '../../../ports/state.ts';
import { anonymous, forgottenReceipt, withoutText } from '../forgotten.ts';
import { day, inboxFor, jobsFor, marksFor, noticesFor, outboxFor, runEvery, runsKept, textFor } from '../retention.ts';
import { markForgotten } from './forgotten.ts';
import type { Recorded, Sql } from './sql.ts';
import { type SyncGroup, type Unfinished, unfinished } from './sync.ts';

/** Rows a step may touch before others have their turn with the one writer. */
const stepRows = 500;

/** Receipts whose trigrams a step writes: some milliseconds of work. */
const indexedRows = 25;

/** What runs inside the worker; `indexReceipts` is the driver's own. */
export type SyncMaintenance = SyncGroup<Omit<MaintenanceStore, 'backup' | 'close'>> & {
  /** Brings the words of receipts into the index in which they are looked for. */
  indexReceipts(): undefined | Unfinished;
};

export const maintenanceVerbs = (sql: Sql): SyncMaintenance => ({
  sweep: (now) => sweep(sql, now),
  indexReceipts: () => {
    const next = `SELECT seq FROM receipts_unindexed ORDER BY seq LIMIT ${indexedRows}`;
    sql.run(
      `INSERT INTO receipts_text (rowid, question, answer)
       SELECT seq, record ->> '$.question', record ->> '$.answer' FROM receipts WHERE seq IN (${next})`,
    );
    return sql.run(`DELETE FROM receipts_unindexed WHERE seq IN (${next})`) === indexedRows ? unfinished : undefined;
  },
  forgetMember: (tenantId, memberId, pseudonym, now) => forgetMember(sql, tenantId, memberId, pseudonym, now),
  retentionRuns: (tenantId) =>
    sql.all<RetentionRun>(
      'SELECT day, at, receipts, turns FROM retention_runs WHERE tenant_id = ? ORDER BY day DESC LIMIT ?',
      tenantId,
      runsKept,
    ),
  // A real write: a full disk and a file that became read-only answer reads as if nothing were wrong.
  check: () => {
    sql.run('UPDATE health SET checks = checks + 1 WHERE id = 1');
  },
});

/** Deletes up to a step's rows and tells how many. `where` is our own text, never a caller's. */
const removed = (
  sql: Sql,
  table: string,
  key: string,
  where: string,
  ...values: readonly (string | number)[]
): number =>
  sql.run(
    `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE ${where} LIMIT ${stepRows})`,
    ...values,
  );
/** The same; true when there may be more. */
const trim = (...args: Parameters<typeof removed>): boolean => removed(...args) === stepRows;

/** Tenants that keep no text of settled events: none at all, or none that was not masked. */
const keepsNoText = `settings ->> '$.keepText' = 0 OR json_array_length(settings, '$.masking.kinds') > 0`;

const sweep = (sql: Sql, now: number): undefined | Unfinished => {
  const more = [
    trim(sql, 'holds', 'tenant_id, counter_id, reservation_id', 'settled = 0 AND hold_until <= ?', now),
    trim(sql, 'holds', 'tenant_id, counter_id, reservation_id', 'settled = 1 AND expires_at <= ?', now - marksFor),
    trim(sql, 'counters', 'tenant_id, id', 'expires_at <= ?', now - marksFor),
    trim(sql, 'windows', 'key, start', 'expires_at <= ?', now),
    trim(sql, 'answer_cache', 'rowid', 'expires_at <= ?', now),
    trim(sql, 'connection_codes', 'hash', 'expires_at <= ?', now),
    trim(sql, 'person_codes', 'hash', 'expires_at <= ?', now),
    trim(sql, 'forgotten', 'tenant_id, person', 'expires_at <= ?', now),
    stripInbox(sql, `state = 'settled' AND stripped = 0 AND settled_at <= ?`, now - textFor),
    stripInbox(
      sql,
      `state = 'settled' AND stripped = 0 AND tenant_id IN (SELECT id FROM tenants WHERE ${keepsNoText})`,
    ),
    trim(sql, 'inbox', 'seq', `state = 'settled' AND settled_at <= ?`, now - inboxFor),
    // A key goes with its row, so that an event that still waits is not taken in twice.
    trim(
      sql,
      'inbox_keys',
      'dedupe_key',
      'seen_at <= ? AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.id = inbox_keys.row_id)',
      now - inboxFor,
    ),
    trim(sql, 'threads', 'key', 'ready = 0 AND served_at <= ?1 AND lease_until <= ?1', now - inboxFor),
    dropSentText(sql, now - textFor),
    trimOutbox(sql, now - outboxFor),
    trim(sql, 'notices', 'seq', 'created_at <= ?', now - noticesFor),
    // The plus: by when they ended, not through all that ever did.
    trim(sql, 'jobs', 'id', `finished_at <= ? AND +state IN ('done', 'failed')`, now - jobsFor),
    trim(sql, 'leases', 'key', `key >= 'instance:' AND key < 'instance;' AND lease_until <= ?`, now - day),
    ...retained(sql, now),
  ];
  return more.includes(true) ? unfinished : undefined;
};

/** Receipts and conversations older than their tenant keeps them. */
const retained = (sql: Sql, now: number): boolean[] =>
  sql
    .all<{ readonly id: string; readonly days: number }>(
      `SELECT id, settings ->> '$.retentionDays' AS days FROM tenants WHERE deleted_at IS NULL AND settings ->> '$.retentionDays' > 0`,
    )
    .map(({ id, days }) => {
      const before = now - days * day;
      const receipts = removed(sql, 'receipts', 'seq', 'tenant_id = ? AND at < ?', id, before);
      const turns = removed(sql, 'turns', 'seq', 'tenant_id = ? AND at < ?', id, before);
      noteRun(sql, id, now, receipts, turns);
      return receipts === stepRows || turns === stepRows;
    });

/** For the people of the tenant: that it ran, and what went. */
const noteRun = (sql: Sql, tenantId: string, now: number, receipts: number, turns: number): void => {
  const today = new Date(now).toISOString().slice(0, 10);
  if (receipts + turns === 0) {
    const last = sql.one<{ readonly at: number }>(
      'SELECT at FROM retention_runs WHERE tenant_id = ? AND day = ?',
      tenantId,
      today,
    );
    if (last !== undefined && now - last.at < runEvery) return;
  }
  sql.run(
    `INSERT INTO retention_runs (tenant_id, day, at, receipts, turns) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET at = excluded.at, receipts = receipts + excluded.receipts, turns = turns + excluded.turns`,
    tenantId,
    today,
    now,
    receipts,
    turns,
  );
  const oldest = new Date(now - runsKept * day).toISOString().slice(0, 10);
  sql.run('DELETE FROM retention_runs WHERE tenant_id = ? AND day < ?', tenantId, oldest);
};

const stripInbox = (sql: Sql, where: string, ...values: readonly (string | number)[]): boolean => {
  const rows = sql.all<{ readonly seq: number; readonly event: string }>(
    `SELECT seq, event FROM inbox WHERE ${where} LIMIT ${stepRows}`,
    ...values,
  );
  for (const row of rows) {
    const event = JSON.stringify(withoutText(JSON.parse(row.event) as InboundEvent));
    sql.run('UPDATE inbox SET event = ?, stripped = 1 WHERE seq = ?', event, row.seq);
  }
  return rows.length === stepRows;
};

/** With what was posted for each: that is never looked for by itself, there being as much of it as of answers. */
const trimOutbox = (sql: Sql, before: number): boolean => {
  const old = sql.all<{ readonly seq: number; readonly tenantId: string; readonly id: string }>(
    `SELECT seq, tenant_id AS tenantId, id FROM outbox WHERE opened_at <= ? LIMIT ${stepRows}`,
    before,
  );
  for (const { seq, tenantId, id } of old) {
    sql.run('DELETE FROM outbox_posted WHERE tenant_id = ? AND outbox_id = ?', tenantId, id);
    sql.run('DELETE FROM outbox WHERE seq = ?', seq);
  }
  return old.length === stepRows;
};

const dropSentText = (sql: Sql, before: number): boolean =>
  sql.run(
    `UPDATE outbox SET final = NULL WHERE seq IN (
       SELECT seq FROM outbox WHERE sent_at IS NOT NULL AND final IS NOT NULL AND sent_at <= ? LIMIT ${stepRows})`,
    before,
  ) === stepRows;

const forgetMember = (
  sql: Sql,
  tenantId: string,
  memberId: string,
  pseudonym: string,
  now?: number,
): undefined | Unfinished => {
  if (memberId === pseudonym) return undefined;
  if (now !== undefined) markForgotten(sql, tenantId, memberId, { pseudonym, at: now });
  // A delivery under way is given up rather than sent to somebody who asked to be forgotten.
  sql.run(
    `UPDATE outbox SET final = NULL, state = 'sent', sent_at = coalesce(sent_at, opened_at), member_id = NULL WHERE tenant_id = ? AND member_id = ?`,
    tenantId,
    memberId,
  );
  const more = [
    // Turns first: they are found through the receipts, whose member is about to be changed.
    trim(
      sql,
      'turns',
      'seq',
      `tenant_id = ?1 AND answer_id IN (SELECT answer_id FROM receipts WHERE tenant_id = ?1 AND member_id = ?2)`,
      tenantId,
      memberId,
    ),
    forgetInbox(sql, tenantId, memberId, pseudonym),
    // What was not told yet stays untold; the lines of the log say whose words they were no more.
    trim(sql, 'notices', 'seq', `tenant_id = ? AND member_id = ? AND state = 'waiting'`, tenantId, memberId),
    forgetNotices(sql, tenantId, memberId),
    trim(sql, 'person_codes', 'hash', 'tenant_id = ? AND member_id = ?', tenantId, memberId),
    renameLedger(sql, tenantId, memberId, pseudonym),
    forgetVerdicts(sql, tenantId, memberId),
  ];
  if (more.includes(true)) return unfinished;
  return forgetReceipts(sql, tenantId, memberId, pseudonym) ? unfinished : undefined;
};

/** A member id is `platform:userId`; an inbox row knows the two apart. */
const forgetInbox = (sql: Sql, tenantId: string, memberId: string, pseudonym: string): boolean => {
  const split = memberId.indexOf(':');
  const rows = sql.all<{ readonly seq: number; readonly event: string }>(
    `SELECT seq, event FROM inbox WHERE tenant_id = ? AND author_id = ? AND platform = ? LIMIT ${stepRows}`,
    tenantId,
    memberId.slice(split + 1),
    memberId.slice(0, Math.max(0, split)),
  );
  for (const row of rows) {
    const forgotten = withoutText(JSON.parse(row.event) as InboundEvent, pseudonym);
    sql.run(
      'UPDATE inbox SET event = ?, author_id = ?, stripped = 1 WHERE seq = ?',
      JSON.stringify(forgotten),
      pseudonym,
      row.seq,
    );
  }
  return rows.length === stepRows;
};

const forgetNotices = (sql: Sql, tenantId: string, memberId: string): boolean =>
  sql.run(
    `UPDATE notices SET member_id = NULL, record = json_remove(record, '$.memberId') WHERE seq IN (
       SELECT seq FROM notices WHERE tenant_id = ? AND member_id = ? AND state <> 'waiting' LIMIT ${stepRows})`,
    tenantId,
    memberId,
  ) === stepRows;

const renameLedger = (sql: Sql, tenantId: string, memberId: string, pseudonym: string): boolean =>
  sql.run(
    `UPDATE ledger SET member_id = ?3, record = json_set(record, '$.memberId', ?3) WHERE seq IN (
       SELECT seq FROM ledger WHERE tenant_id = ?1 AND member_id = ?2 AND member_id <> ?3 LIMIT ${stepRows})`,
    tenantId,
    memberId,
    pseudonym,
  ) === stepRows;

/** What the person said about answers to others: the verdict stays, the words and the name go. */
const forgetVerdicts = (sql: Sql, tenantId: string, memberId: string): boolean => {
  const rows = sql.all<Recorded & { readonly seq: number }>(
    `SELECT seq, record FROM receipts INDEXED BY receipts_judged
     WHERE tenant_id = ?1 AND json_array_length(record, '$.feedback') > 0 AND instr(record, ?3) > 0
       AND EXISTS (SELECT 1 FROM json_each(record, '$.feedback') AS verdict WHERE verdict.value ->> '$.user' = ?2)
     LIMIT ${stepRows}`,
    tenantId,
    memberId,
    // Cheap, and most end here: no JSON is read of what does not name the person at all.
    JSON.stringify(memberId),
  );
  for (const row of rows) {
    const receipt = JSON.parse(row.record) as Receipt;
    const feedback = receipt.feedback.map((verdict) => (verdict.user === memberId ? anonymous(verdict) : verdict));
    sql.run('UPDATE receipts SET record = ? WHERE seq = ?', JSON.stringify({ ...receipt, feedback }), row.seq);
  }
  return rows.length === stepRows;
};

const forgetReceipts = (sql: Sql, tenantId: string, memberId: string, pseudonym: string): boolean => {
  const rows = sql.all<Recorded & { readonly seq: number }>(
    `SELECT seq, record FROM receipts WHERE tenant_id = ? AND member_id = ? LIMIT ${stepRows}`,
    tenantId,
    memberId,
  );
  for (const row of rows) {
    const receipt = forgottenReceipt(JSON.parse(row.record) as Receipt, pseudonym);
    sql.run('UPDATE receipts SET record = ?, member_id = ? WHERE seq = ?', JSON.stringify(receipt), pseudonym, row.seq);
  }
  return rows.length === stepRows;
};

/** Tables with a `tenant_id` whose rows go with the tenant. The ledger and the tenant's own row (its slug) stay. */
const ofTenant: readonly (readonly [table: string, key: string])[] = [
  ['api_keys', 'id'],
  ['connections', 'id'],
  ['memberships', 'user_id, tenant_id'],
  ['sources', 'id'],
  ['jobs', 'id'],
  ['contents', 'seq'],
  ['built', 'tenant_id, document_id'],
  ['generations', 'tenant_id, number'],
  ['documents', 'seq'],
  ['inbox', 'seq'],
  ['outbox_posted', 'seq'],
  ['outbox', 'seq'],
  ['turns', 'seq'],
  ['receipts', 'seq'],
  ['answer_cache', 'rowid'],
  ['counters', 'tenant_id, id'],
  ['holds', 'tenant_id, counter_id, reservation_id'],
  ['quota_limits', 'tenant_id'],
  ['channels', 'rowid'],
  ['people', 'tenant_id, member_id'],
  ['person_codes', 'hash'],
  ['forgotten', 'tenant_id, person'],
  ['audit', 'seq'],
  ['webhooks', 'id'],
  ['notices', 'seq'],
  ['retention_runs', 'tenant_id, day'],
];

export const eraseTenant = (sql: Sql, tenantId: string): undefined | Unfinished => {
  const deleted = sql.one('SELECT 1 FROM tenants WHERE id = ? AND deleted_at IS NOT NULL AND erased = 0', tenantId);
  if (deleted === undefined) return undefined;
  const more = ofTenant.map(([table, key]) => trim(sql, table, key, 'tenant_id = ?', tenantId));
  if (more.includes(true)) return unfinished;
  sql.run(`UPDATE tenants SET erased = 1, name = '', settings = '{}' WHERE id = ?`, tenantId);
  return undefined;
};
