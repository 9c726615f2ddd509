import type { ConversationStore, OutboxRecord, OutboxStore } from '../../../ports/state.ts';
import type { ReceiptVerbs } from './conversations.ts';
import { markOver } from './forgotten.ts';
import type { Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type Row = {
  readonly id: string;
  readonly tenant_id: string;
  readonly state: string;
  readonly attempts: number;
  readonly answer_id: string;
  readonly final: string | null;
  readonly stopped: number;
};

/** Where the books of a delivery are kept. */
type Shelves = {
  readonly receipts: Pick<ReceiptVerbs, 'put' | 'putFinal'>;
  readonly conversations: Pick<SyncGroup<ConversationStore>, 'append'>;
};

export const outboxVerbs = (sql: Sql, { receipts, conversations }: Shelves): SyncGroup<OutboxStore> => {
  const recordOf = (row: Row): OutboxRecord => ({
    id: row.id,
    tenantId: row.tenant_id,
    state: row.state as OutboxRecord['state'],
    attempts: row.attempts,
    answerId: row.answer_id,
    postedIds: sql
      .all<{ readonly message_id: string }>(
        'SELECT message_id FROM outbox_posted WHERE tenant_id = ? AND outbox_id = ? ORDER BY seq',
        row.tenant_id,
        row.id,
      )
      .map((posted) => posted.message_id),
    ...(row.stopped === 0 ? {} : { stopped: true }),
    ...(row.final === null ? {} : { final: JSON.parse(row.final) as NonNullable<OutboxRecord['final']> }),
  });
  const get = (tenantId: string, id: string): OutboxRecord | null => {
    const row = sql.one<Row>('SELECT * FROM outbox WHERE tenant_id = ? AND id = ?', tenantId, id);
    return row === undefined ? null : recordOf(row);
  };
  const posted = (tenantId: string, id: string, messageId: string): void => {
    sql.run(
      `INSERT INTO outbox_posted (tenant_id, outbox_id, message_id) SELECT tenant_id, id, ? FROM outbox WHERE tenant_id = ? AND id = ?
       ON CONFLICT DO NOTHING`,
      messageId,
      tenantId,
      id,
    );
  };
  return {
    open: (tenantId, id, answerId, now) => {
      const row = sql.one<Row>(
        `INSERT INTO outbox (tenant_id, id, answer_id, state, attempts, opened_at) VALUES (?, ?, ?, 'open', 1, ?)
         ON CONFLICT (tenant_id, id) DO UPDATE SET attempts = attempts + 1 RETURNING *`,
        tenantId,
        id,
        answerId,
        now,
      );
      if (row === undefined) throw new Error('an upsert returned no row');
      return recordOf(row);
    },
    posted,
    // The first final answer stands: a second attempt must deliver the same words and settle the same amounts.
    finalize: (tenantId, id, final) => {
      if (markOver(sql, { ...final.receipt, tenantId }) !== undefined) {
        // As `forgetMember` leaves the others: given up, with a receipt that names nobody.
        const given = sql.run(
          `UPDATE outbox SET state = 'sent', sent_at = opened_at WHERE tenant_id = ? AND id = ? AND state = 'open'`,
          tenantId,
          id,
        );
        if (given === 1) receipts.put(final.receipt);
        return;
      }
      sql.run(
        `UPDATE outbox SET state = 'final', final = ?, member_id = ? WHERE tenant_id = ? AND id = ? AND state = 'open'`,
        JSON.stringify(final),
        final.receipt.memberId ?? null,
        tenantId,
        id,
      );
    },
    sent: (tenantId, id, now, books) => {
      // Sent before: the books are written, or are nobody's any more (see `forgetMember`).
      const sent = sql.run(
        `UPDATE outbox SET state = 'sent', sent_at = ? WHERE tenant_id = ? AND id = ? AND state <> 'sent'`,
        now,
        tenantId,
        id,
      );
      if (sent === 0 || books === undefined) return;
      for (const messageId of books.posted) posted(tenantId, id, messageId);
      // One in the outbox was held against the marks by `finalize`, and taken out of it by whoever was forgotten since.
      let isKnown = true;
      if (books.receipt === undefined) receipts.putFinal(tenantId, id);
      else isKnown = receipts.put(books.receipt) === true;
      if (isKnown && books.turns !== undefined)
        conversations.append(tenantId, books.turns.conversationId, books.turns.id, books.turns.pair);
    },
    stop: (tenantId, id) =>
      sql.run(`UPDATE outbox SET stopped = 1 WHERE tenant_id = ? AND id = ? AND state = 'open'`, tenantId, id) === 1,
    get,
    byPostedId: (tenantId, messageId) => {
      const posted = sql.one<{ readonly outbox_id: string }>(
        'SELECT outbox_id FROM outbox_posted WHERE tenant_id = ? AND message_id = ? ORDER BY seq DESC LIMIT 1',
        tenantId,
        messageId,
      );
      return posted === undefined ? null : get(tenantId, posted.outbox_id);
    },
  };
};
