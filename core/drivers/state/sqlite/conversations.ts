import type { Feedback, Receipt, Turn } from '../../../domain.ts';
import type {
  AnswerCacheStore,
  ConversationStore,
  OpenQuestion,
  ReceiptFilter,
  ReceiptStore,
  Tally,
} from '../../../ports/state.ts';
import { pageOf, rowLimit } from '../cursors.ts';
import { forgottenReceipt } from '../forgotten.ts';
import { percentileAt, percentiles } from '../percentiles.ts';
import { markOver } from './forgotten.ts';
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
  const { short } = wordsOf(filter.q);
  const narrowing: readonly (readonly [string, ...(string | number | undefined)[]])[] = [
    ['(kind = ? OR reason_code = ?)', outcome, outcome],
    ['at >= ?', from],
    ['at < ?', to],
    ['platform = ?', platform],
    ['channel_id = ?', channelId],
    ['member_id = ?', memberId],
    // In JSON a quotation mark of somebody's comment has a backslash before it, so this is never part of one.
    [
      `json_array_length(record, '$.feedback') > 0 AND instr(record ->> '$.feedback', ?) > 0`,
      rating === undefined ? undefined : `"rating":"${rating}"`,
    ],
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

type OpenRow = {
  readonly at: number;
  readonly answer_id: string;
  readonly kind: string;
  readonly is_down: number;
  readonly member_id: string | null;
  readonly asked: string;
};

const openQuestionOf = (row: OpenRow): OpenQuestion => ({
  answerId: row.answer_id,
  question: row.asked,
  at: row.at,
  why: row.kind === 'not-found' ? 'not-found' : row.is_down === 1 ? 'down-voted' : 'uncertain',
  ...(row.member_id === null ? {} : { memberId: row.member_id }),
});

type Found = {
  readonly tenantId: string;
  readonly filter: ReceiptFilter;
  readonly after: readonly (string | number)[] | null;
  readonly limit: number;
};

/** Where a list looks: what stands before its conditions, one condition more, and their values. */
type Place = {
  readonly rows: string;
  readonly rowsValues: readonly string[];
  readonly condition?: string;
  readonly values: readonly (string | number)[];
};

const everywhere: Place = { rows: 'receipts', rowsValues: [], values: [] };
/** How answers came out stands in an index by their time: those that came out otherwise are passed over without being opened. */
const byOutcome: Place = { ...everywhere, rows: 'receipts INDEXED BY receipts_tally' };
const placeOf = ({ outcome, platform, channelId, memberId, rating, gap }: ReceiptFilter): Place =>
  outcome !== undefined && [platform, channelId, memberId, rating, gap].every((other) => other === undefined)
    ? byOutcome
    : everywhere;

const listed = (sql: Sql, { tenantId, filter, after, limit }: Found, place: Place): ReceiptRow[] => {
  const { conditions, values } = narrowedBy(filter);
  const all = [
    'tenant_id = ?',
    ...(after === null ? [] : ['(at, answer_id) < (?, ?)']),
    ...conditions,
    ...(place.condition === undefined ? [] : [place.condition]),
  ];
  return sql.all<ReceiptRow>(
    `SELECT at, answer_id, record FROM ${place.rows} WHERE ${all.join(' AND ')} ORDER BY at DESC, answer_id DESC LIMIT ?`,
    ...place.rowsValues,
    tenantId,
    ...(after ?? []),
    ...values,
    ...place.values,
    limit,
  );
};

/** Up to here the rows that the words stand in are looked at one by one. */
const fewRows = 1_000;
/** So many of a tenant's newest answers are tried first when the words are common. */
const newestTried = 4_000;

/**
 * The same rows in the same order whichever way they are found. Rare words: from the index of words to the rows. Common ones
 * mostly fill a page from the newest answers, and the rest of the index is not read; when they do not, all of it is.
 */
const searched = (sql: Sql, found: Found, match: string): ReceiptRow[] => {
  const few = sql.all<{ readonly seq: number }>(
    `SELECT rowid AS seq FROM receipts_text WHERE receipts_text MATCH ? ${atMost}`,
    match,
    fewRows + 1,
  );
  if (few.length === 0) return [];
  if (few.length <= fewRows) {
    const rows = 'json_each(?) AS hit CROSS JOIN receipts ON receipts.seq = hit.value';
    return listed(sql, found, { rows, rowsValues: [JSON.stringify(few.map(({ seq }) => seq))], values: [] });
  }
  const { tenantId, after, limit, filter } = found;
  const { from = 0, to = Number.MAX_SAFE_INTEGER } = filter;
  const newest = sql.one<{
    readonly count: number;
    readonly since: number;
    readonly low: number;
    readonly high: number;
  }>(
    `SELECT count(*) AS count, min(at) AS since, min(seq) AS low, max(seq) AS high FROM (
       SELECT at, seq FROM receipts INDEXED BY receipts_newest
       WHERE tenant_id = ? AND at >= ? AND at < ? ${after === null ? '' : 'AND (at, answer_id) < (?, ?)'}
       ORDER BY at DESC, answer_id DESC ${atMost})`,
    tenantId,
    from,
    to,
    ...(after ?? []),
    newestTried,
  );
  if (newest?.count === newestTried) {
    // Numbers are bound as fractions, and bounds that are no integers the index does not heed: hence the casts.
    // Of those at the last one's very time some may lie beyond: they are left to the second look.
    const rows = listed(sql, found, {
      rows: 'receipts INDEXED BY receipts_newest',
      rowsValues: [],
      condition: `at > ? AND seq IN (
           SELECT rowid FROM receipts_text
           WHERE receipts_text MATCH ? AND rowid BETWEEN CAST(? AS INTEGER) AND CAST(? AS INTEGER))`,
      values: [newest.since, match, newest.low, newest.high],
    });
    if (rows.length === limit) return rows;
  }
  const condition = 'seq IN (SELECT rowid FROM receipts_text WHERE receipts_text MATCH ?)';
  return listed(sql, found, { ...everywhere, condition, values: [match] });
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
      const mark = markOver(sql, receipt);
      const { feedback = [], gap } = get(receipt.tenantId, receipt.answerId) ?? {};
      save({
        ...(mark === undefined ? receipt : forgottenReceipt(receipt, mark.pseudonym)),
        ...(feedback.length === 0 ? {} : { feedback }),
        ...(gap === undefined ? {} : { gap }),
      });
      return mark === undefined;
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
    list: (tenantId, filter, page) =>
      pageOf(
        page,
        'time',
        (after, limit) => {
          const { match } = wordsOf(filter.q);
          const found: Found = { tenantId, filter, after, limit };
          return match === null ? listed(sql, found, placeOf(filter)) : searched(sql, found, match);
        },
        (row) => [row.at, row.answer_id],
        (row) => JSON.parse(row.record) as Receipt,
      ),
    open: (tenantId, { from }, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          sql.all<OpenRow>(
            `SELECT at, answer_id, kind, is_down, member_id, asked FROM receipts INDEXED BY receipts_open
             WHERE tenant_id = ? AND is_gap = 1 AND at >= ? AND asked <> '' ${after === null ? '' : 'AND (at, answer_id) < (?, ?)'}
             ORDER BY at DESC, answer_id DESC ${atMost}`,
            tenantId,
            from,
            ...(after ?? []),
            limit,
          ),
        (row) => [row.at, row.answer_id],
        openQuestionOf,
      ),
    channels: (tenantId, platform, limit) =>
      sql
        .all<{ readonly channelId: string; readonly lastAt: number }>(
          `SELECT channel_id AS channelId, max(at) AS lastAt FROM (
             SELECT channel_id, at FROM receipts INDEXED BY receipts_platform
             WHERE tenant_id = ? AND platform = ? AND channel_id IS NOT NULL ORDER BY at DESC, answer_id DESC ${atMost}
           ) GROUP BY channel_id ORDER BY lastAt DESC, channelId`,
          tenantId,
          platform,
          rowLimit(limit),
        )
        .map((row) => ({ ...row })),
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
      `INSERT INTO answer_cache (tenant_id, key, expires_at, record) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at, record = excluded.record`,
      tenantId,
      key,
      expiresAt,
      JSON.stringify(receipt),
    );
  },
});
