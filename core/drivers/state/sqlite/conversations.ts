import type { Feedback, Receipt, Turn } from '../../../domain.ts';
import type { AnswerCacheStore, ConversationStore, ReceiptStore } from '../../../ports/state.ts';
import { pageOf, rowLimit } from '../cursors.ts';
import { type Recorded, readRecord, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

export const conversationVerbs = (sql: Sql): SyncGroup<ConversationStore> => ({
  append: (tenantId, conversationId, id, turns) => {
    sql.run(
      `INSERT INTO turns (tenant_id, conversation_id, pair_id, at, answer_id, record) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      tenantId,
      conversationId,
      id,
      turns[0]?.at ?? 0,
      turns.find((turn) => turn.answerId !== undefined)?.answerId ?? null,
      JSON.stringify(turns),
    );
  },
  turns: (tenantId, conversationId, limit) =>
    sql
      .all<Recorded>(
        'SELECT record FROM turns WHERE tenant_id = ? AND conversation_id = ? ORDER BY at DESC, seq DESC LIMIT ?',
        tenantId,
        conversationId,
        rowLimit(limit),
      )
      .reverse()
      .flatMap((row) => JSON.parse(row.record) as readonly Turn[])
      .slice(-rowLimit(limit)),
  exists: (tenantId, conversationId) =>
    sql.one('SELECT 1 FROM turns WHERE tenant_id = ? AND conversation_id = ? LIMIT 1', tenantId, conversationId) !==
    undefined,
  removePair: (tenantId, conversationId, id) => {
    sql.run(
      'DELETE FROM turns WHERE tenant_id = ? AND conversation_id = ? AND pair_id = ?',
      tenantId,
      conversationId,
      id,
    );
  },
});

type ReceiptRow = Recorded & { readonly at: number; readonly answer_id: string };

/** Trigrams begin at three characters; shorter words are looked for in the page's own rows. */
const wordsOf = (q: string | undefined): { readonly match: string | null; readonly short: readonly string[] } => {
  const words = (q ?? '')
    .normalize('NFC')
    .split(/\s+/u)
    .filter((word) => word !== '')
    .slice(0, 20);
  const long = words.filter((word) => [...word].length >= 3);
  return {
    match: long.length === 0 ? null : long.map((word) => `"${word.replaceAll('"', '""')}"`).join(' AND '),
    short: words.filter((word) => [...word].length < 3).map((word) => word.toLowerCase()),
  };
};

export const receiptVerbs = (sql: Sql): SyncGroup<ReceiptStore> => {
  const get = (tenantId: string, answerId: string) =>
    readRecord<Receipt>(
      sql.one<Recorded>('SELECT record FROM receipts WHERE tenant_id = ? AND answer_id = ?', tenantId, answerId),
    );
  const save = (receipt: Receipt) => {
    sql.run(
      `INSERT INTO receipts (tenant_id, answer_id, at, kind, reason_code, member_id, record) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (tenant_id, answer_id) DO UPDATE SET at = excluded.at, kind = excluded.kind, reason_code = excluded.reason_code,
         member_id = excluded.member_id, record = excluded.record`,
      receipt.tenantId,
      receipt.answerId,
      receipt.at,
      receipt.kind,
      receipt.reasonCode,
      receipt.memberId ?? null,
      JSON.stringify(receipt),
    );
  };
  return {
    // A repeated write must not take away the verdict that somebody gave in between.
    put: (receipt) => {
      const feedback = get(receipt.tenantId, receipt.answerId)?.feedback ?? [];
      save(feedback.length === 0 ? receipt : { ...receipt, feedback });
    },
    get,
    list: (tenantId, filter, page) => {
      const { match, short } = wordsOf(filter.q);
      return pageOf(
        page,
        'time',
        (after, limit) =>
          sql.all<ReceiptRow>(
            `SELECT at, answer_id, record FROM receipts
             WHERE tenant_id = ?1 AND (?2 IS NULL OR (at, answer_id) < (?2, ?3))
               AND (?4 IS NULL OR kind = ?4 OR reason_code = ?4)
               ${match === null ? '' : 'AND seq IN (SELECT rowid FROM receipts_text WHERE receipts_text MATCH ?7)'}
               AND NOT EXISTS (
                 SELECT 1 FROM json_each(?5) AS word
                 WHERE instr(lower((record ->> '$.question') || ' ' || (record ->> '$.answer')), word.value) = 0
               )
             ORDER BY at DESC, answer_id DESC LIMIT ?6`,
            tenantId,
            after?.[0] ?? null,
            after?.[1] ?? null,
            filter.outcome ?? null,
            JSON.stringify(short),
            limit,
            ...(match === null ? [] : [match]),
          ),
        (row) => [row.at, row.answer_id],
        (row) => JSON.parse(row.record) as Receipt,
      );
    },
    addFeedback: (tenantId, answerId, feedback: Feedback) => {
      const receipt = get(tenantId, answerId);
      if (receipt === null) return false;
      save({
        ...receipt,
        feedback: [...receipt.feedback.filter((earlier) => earlier.user !== feedback.user), feedback],
      });
      return true;
    },
  };
};

export const answerCacheVerbs = (sql: Sql): SyncGroup<AnswerCacheStore> => ({
  get: (tenantId, key, now) =>
    readRecord<Receipt>(
      sql.one<Recorded>(
        'SELECT record FROM answer_cache WHERE tenant_id = ? AND key = ? AND expires_at > ?',
        tenantId,
        key,
        now,
      ),
    ),
  put: (tenantId, key, receipt, expiresAt) => {
    sql.run(
      `INSERT INTO answer_cache (tenant_id, key, expires_at, member_id, record) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at, member_id = excluded.member_id, record = excluded.record`,
      tenantId,
      key,
      expiresAt,
      receipt.memberId ?? null,
      JSON.stringify(receipt),
    );
  },
});
