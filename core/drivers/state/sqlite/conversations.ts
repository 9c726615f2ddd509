import type { Feedback, Receipt, Turn } from '../../../domain.ts';
import type { AnswerCacheStore, ConversationStore, ReceiptFilter, ReceiptStore, Tally } from '../../../ports/state.ts';
import { pageOf, rowLimit } from '../cursors.ts';
import { percentileAt, percentiles } from '../percentiles.ts';
import { atMost, type Recorded, readRecord, type Sql } from './sql.ts';
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
        `SELECT record FROM turns WHERE tenant_id = ? AND conversation_id = ? ORDER BY at DESC, seq DESC ${atMost}`,
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

/** Only what is asked for stands in the statement, so that the planner can choose the index. */
const narrowedBy = (
  filter: ReceiptFilter,
): { readonly conditions: readonly string[]; readonly values: readonly (string | number)[] } => {
  const { outcome, from, to, platform, channelId, memberId, rating, gap } = filter;
  const { match, short } = wordsOf(filter.q);
  const narrowing: readonly (readonly [string, ...(string | number | undefined)[]])[] = [
    ['(kind = ? OR reason_code = ?)', outcome, outcome],
    ['at >= ?', from],
    ['at < ?', to],
    [`record ->> '$.platform' = ?`, platform],
    ['channel_id = ?', channelId],
    ['member_id = ?', memberId],
    // In JSON a quotation mark of somebody's comment has a backslash before it, so this is never part of one.
    [
      `json_array_length(record, '$.feedback') > 0 AND instr(record ->> '$.feedback', ?) > 0`,
      rating === undefined ? undefined : `"rating":"${rating}"`,
    ],
    ['seq IN (SELECT rowid FROM receipts_text WHERE receipts_text MATCH ?)', match ?? undefined],
    [
      `NOT EXISTS (
         SELECT 1 FROM json_each(?) AS word
         WHERE instr(lower((record ->> '$.question') || ' ' || (record ->> '$.answer')), word.value) = 0
       )`,
      short.length === 0 ? undefined : JSON.stringify(short),
    ],
  ];
  const asked = narrowing.filter(([, value]) => value !== undefined);
  return {
    conditions: [...asked.map(([condition]) => condition), ...(gap === true ? ['is_gap = 1'] : [])],
    values: asked.flatMap(([, ...values]) => values.filter((value) => value !== undefined)),
  };
};

export type ReceiptVerbs = SyncGroup<ReceiptStore> & {
  /** The receipt as it lies in the outbox, unless it is kept already: the first final answer stands. */
  putFinal(tenantId: string, outboxId: string): void;
};

export const receiptVerbs = (sql: Sql): ReceiptVerbs => {
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
    // A repeated write must not take away the verdict that somebody gave in between, nor what was done about a gap.
    put: (receipt) => {
      const { feedback = [], gap } = get(receipt.tenantId, receipt.answerId) ?? {};
      save({ ...receipt, ...(feedback.length === 0 ? {} : { feedback }), ...(gap === undefined ? {} : { gap }) });
    },
    putFinal: (tenantId, outboxId) => {
      sql.run(
        `INSERT INTO receipts (tenant_id, answer_id, at, kind, reason_code, member_id, record)
         SELECT tenant_id, answer_id, final ->> '$.receipt.at', final ->> '$.receipt.kind', final ->> '$.receipt.reasonCode',
           member_id, final -> '$.receipt'
         FROM outbox WHERE tenant_id = ? AND id = ? AND final IS NOT NULL
         ON CONFLICT DO NOTHING`,
        tenantId,
        outboxId,
      );
    },
    get,
    list: (tenantId, filter, page) => {
      const { conditions, values } = narrowedBy(filter);
      return pageOf(
        page,
        'time',
        (after, limit) =>
          sql.all<ReceiptRow>(
            `SELECT at, answer_id, record FROM receipts
             WHERE ${['tenant_id = ?', ...(after === null ? [] : ['(at, answer_id) < (?, ?)']), ...conditions].join(' AND ')}
             ORDER BY at DESC, answer_id DESC LIMIT ?`,
            tenantId,
            ...(after ?? []),
            ...values,
            limit,
          ),
        (row) => [row.at, row.answer_id],
        (row) => JSON.parse(row.record) as Receipt,
      );
    },
    tally: (tenantId, { from, to }) => {
      const outcomes = sql.all<Tally['outcomes'][number]>(
        `SELECT kind, reason_code AS reason, count(*) AS count FROM receipts INDEXED BY receipts_tally
         WHERE tenant_id = ? AND at >= ? AND at < ? GROUP BY kind, reason_code ORDER BY kind, reason_code`,
        tenantId,
        from,
        to,
      );
      const timed = `FROM receipts INDEXED BY receipts_tally
        WHERE tenant_id = ? AND at >= ? AND at < ? AND kind <> 'refused' AND total_ms IS NOT NULL`;
      const { count } = sql.one<{ readonly count: number }>(
        `SELECT count(*) AS count ${timed}`,
        tenantId,
        from,
        to,
      ) ?? { count: 0 };
      const at = (part: number): number | undefined =>
        sql.one<{ readonly ms: number }>(
          `SELECT total_ms AS ms ${timed} ORDER BY total_ms LIMIT 1 OFFSET ?`,
          tenantId,
          from,
          to,
          percentileAt(count, part),
        )?.ms;
      return { outcomes: outcomes.map((row) => ({ ...row })), ...percentiles(at(0.5), at(0.95)) };
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
    markGap: (tenantId, answerId, gap) => {
      const receipt = get(tenantId, answerId);
      if (receipt === null || receipt.gap?.state === gap.state) return false;
      save({ ...receipt, gap });
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
