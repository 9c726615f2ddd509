import type { LedgerEntry, QuotaLimit, UsageGroup } from '../../../domain.ts';
import type { CounterState, LedgerStore, MeteringStore } from '../../../ports/state.ts';
import { pageOf } from '../cursors.ts';
import { personDigest } from '../forgotten.ts';
import { day } from '../retention.ts';
import { type UsageSum, usageRows } from '../usage-rows.ts';
import { type Recorded, readRecord, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type Hold = { readonly settled: number; readonly hold_until: number };

export const meteringVerbs = (sql: Sql): SyncGroup<MeteringStore> => {
  /** What stands on a counter now; a hold that ran out no longer counts, whether or not it was swept. */
  const stateOf = (tenantId: string, id: string, now: number): CounterState => ({
    id,
    used:
      sql.one<{ readonly used: number }>(
        'SELECT used FROM counters WHERE tenant_id = ? AND id = ? AND expires_at > ?',
        tenantId,
        id,
        now,
      )?.used ?? 0,
    held:
      sql.one<{ readonly held: number | null }>(
        'SELECT sum(amount) AS held FROM holds WHERE tenant_id = ? AND counter_id = ? AND settled = 0 AND hold_until > ?',
        tenantId,
        id,
        now,
      )?.held ?? 0,
  });
  const holdOf = (tenantId: string, counterId: string, reservationId: string) =>
    sql.one<Hold>(
      'SELECT settled, hold_until FROM holds WHERE tenant_id = ? AND counter_id = ? AND reservation_id = ?',
      tenantId,
      counterId,
      reservationId,
    );
  return {
    reserve: (tenantId, counter, reservationId, amount, now, holdUntil) => {
      const hold = holdOf(tenantId, counter.id, reservationId);
      if (hold?.settled === 1) return { outcome: 'held' };
      if (hold !== undefined && hold.hold_until > now) {
        sql.run(
          'UPDATE holds SET hold_until = max(hold_until, ?) WHERE tenant_id = ? AND counter_id = ? AND reservation_id = ?',
          holdUntil,
          tenantId,
          counter.id,
          reservationId,
        );
        return { outcome: 'held' };
      }
      const state = stateOf(tenantId, counter.id, now);
      if (state.used + state.held + amount > counter.limit) return { outcome: 'refused', state };
      sql.run(
        `INSERT INTO counters (tenant_id, id, used, expires_at) VALUES (?, ?, 0, ?)
         ON CONFLICT DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)`,
        tenantId,
        counter.id,
        counter.expiresAt,
      );
      sql.run(
        `INSERT INTO holds (tenant_id, counter_id, reservation_id, amount, hold_until, expires_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET amount = excluded.amount, hold_until = excluded.hold_until`,
        tenantId,
        counter.id,
        reservationId,
        amount,
        holdUntil,
        counter.expiresAt,
      );
      return { outcome: 'held' };
    },
    extend: (tenantId, counterIds, reservationId, holdUntil, now) => {
      let all = true;
      for (const counterId of counterIds) {
        const extended = sql.run(
          `UPDATE holds SET hold_until = max(hold_until, ?)
           WHERE tenant_id = ? AND counter_id = ? AND reservation_id = ? AND settled = 0 AND hold_until > ?`,
          holdUntil,
          tenantId,
          counterId,
          reservationId,
          now,
        );
        all &&= extended === 1;
      }
      return all;
    },
    settle: (tenantId, counterId, reservationId, actual) => {
      if (holdOf(tenantId, counterId, reservationId)?.settled === 1) return false;
      // Used is used: a hold that ran out, or a counter that was swept, does not make the charge go away.
      sql.run(
        'INSERT INTO counters (tenant_id, id, used, expires_at) VALUES (?, ?, ?, 0) ON CONFLICT DO UPDATE SET used = used + excluded.used',
        tenantId,
        counterId,
        actual,
      );
      sql.run(
        `INSERT INTO holds (tenant_id, counter_id, reservation_id, amount, hold_until, settled, expires_at)
         SELECT tenant_id, id, ?, ?, 0, 1, expires_at FROM counters WHERE tenant_id = ? AND id = ?
         ON CONFLICT DO UPDATE SET settled = 1, amount = excluded.amount`,
        reservationId,
        actual,
        tenantId,
        counterId,
      );
      return true;
    },
    release: (tenantId, counterIds, reservationId) => {
      for (const counterId of counterIds) {
        sql.run(
          'DELETE FROM holds WHERE tenant_id = ? AND counter_id = ? AND reservation_id = ? AND settled = 0',
          tenantId,
          counterId,
          reservationId,
        );
      }
    },
    counters: (tenantId, ids, now) => ids.map((id) => stateOf(tenantId, id, now)),
    limits: (tenantId) =>
      readRecord<readonly QuotaLimit[]>(
        sql.one<Recorded>('SELECT record FROM quota_limits WHERE tenant_id = ?', tenantId),
      ) ?? [],
    putLimits: (tenantId, limits, expected) => {
      const record = JSON.stringify(limits);
      const before = sql.one<Recorded>('SELECT record FROM quota_limits WHERE tenant_id = ?', tenantId)?.record ?? '[]';
      if (expected !== undefined && before !== JSON.stringify(expected)) return false;
      sql.run(
        'INSERT INTO quota_limits (tenant_id, record) VALUES (?, ?) ON CONFLICT DO UPDATE SET record = excluded.record',
        tenantId,
        record,
      );
      return true;
    },
    raise: (tenantId, { id, expiresAt }, atLeast) => {
      sql.run(
        `INSERT INTO counters (tenant_id, id, used, expires_at) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET used = max(used, excluded.used), expires_at = max(expires_at, excluded.expires_at)`,
        tenantId,
        id,
        atLeast,
        expiresAt,
      );
    },
    hit: (key, limit, windowMs, now) => {
      const underWay = sql.one<{ readonly hits: number; readonly expires_at: number }>(
        'UPDATE windows SET hits = hits + 1 WHERE key = ? AND expires_at > ? RETURNING hits, expires_at',
        key,
        now,
      );
      if (underWay !== undefined) return { ok: underWay.hits <= limit, resetsAt: underWay.expires_at };
      sql.run('INSERT INTO windows (key, start, hits, expires_at) VALUES (?, ?, 1, ?)', key, now, now + windowMs);
      return { ok: limit >= 1, resetsAt: now + windowMs };
    },
  };
};

const columnOf: Readonly<Record<Exclude<UsageGroup, 'day'>, string>> = {
  member: 'member_id',
  channel: 'channel_id',
  platform: 'platform',
  model: 'model',
  source: 'source_id',
};

type Range = { readonly from: number; readonly to: number };

/** Then the sums of days, which the ledger keeps beside itself, say it all. */
export const isOfWholeDays = ({ from, to }: Range): boolean => from % day === 0 && to % day === 0;

/** A call for somebody who was forgotten meanwhile is a line of the pseudonym that their receipt bears by now. */
const namedAnew = (sql: Sql, tenantId: string, entry: LedgerEntry): LedgerEntry => {
  const { memberId, answerId } = entry;
  if (memberId === undefined || answerId === undefined) return entry;
  const receipt = sql.one<{ readonly pseudonym: string }>(
    `SELECT forgotten.pseudonym FROM forgotten JOIN receipts USING (tenant_id)
     WHERE tenant_id = ? AND person = ? AND answer_id = ? AND member_id = pseudonym`,
    tenantId,
    personDigest(tenantId, memberId),
    answerId,
  );
  return receipt === undefined ? entry : { ...entry, memberId: receipt.pseudonym };
};

type LedgerRow = Recorded & { readonly at: number; readonly id: string };

export const ledgerVerbs = (sql: Sql, metering: Pick<SyncGroup<MeteringStore>, 'settle'>): SyncGroup<LedgerStore> => ({
  append: (tenantId, entries, settling) => {
    for (const line of entries) {
      const entry = namedAnew(sql, tenantId, line);
      sql.run(
        `INSERT INTO ledger (tenant_id, id, at, kind, platform, model, channel_id, member_id, source_id, prompt_tokens,
           completion_tokens, embedding_tokens, cost_nanos, currency, record)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        tenantId,
        entry.id,
        entry.at,
        entry.kind,
        entry.platform,
        entry.model ?? null,
        entry.channelId ?? null,
        entry.memberId ?? null,
        entry.sourceId ?? null,
        entry.promptTokens,
        entry.completionTokens,
        entry.embeddingTokens,
        entry.costNanos ?? null,
        entry.currency ?? null,
        JSON.stringify({ ...entry, tenantId }),
      );
    }
    for (const { counterId, actual } of settling?.amounts ?? [])
      metering.settle(tenantId, counterId, settling?.reservationId ?? '', actual);
  },
  list: (tenantId, range, page) =>
    pageOf(
      page,
      'time',
      (after, limit) =>
        sql.all<LedgerRow>(
          `SELECT at, id, record FROM ledger
           WHERE tenant_id = ?1 AND at >= ?2 AND at < ?3 AND (?4 IS NULL OR (at, id) > (?4, ?5)) ORDER BY at, id LIMIT ?6`,
          tenantId,
          range.from,
          range.to,
          after?.[0] ?? null,
          after?.[1] ?? null,
          limit,
        ),
      (row) => [row.at, row.id],
      (row) => JSON.parse(row.record) as LedgerEntry,
    ),
  usage: (tenantId, range, group) =>
    usageRows(
      group !== 'day'
        ? sumsByKey(sql, tenantId, range, group)
        : isOfWholeDays(range)
          ? sql.all<UsageSum>(
              `SELECT strftime('%Y-%m-%d', day * 86400, 'unixepoch') AS key, currency, questions, prompt, completion,
                 embedding, cost, unpriced
               FROM ledger_days WHERE tenant_id = ? AND day >= ? AND day < ?`,
              tenantId,
              range.from / day,
              range.to / day,
            )
          : sql.all<UsageSum>(
              `${sumsOfLines("strftime('%Y-%m-%d', at / 1000, 'unixepoch')")} GROUP BY 1, 2`,
              tenantId,
              range.from,
              range.to,
            ),
    ),
});

const sumsOfLines = (key: string): string =>
  `SELECT coalesce(${key}, '') AS key, coalesce(currency, '') AS currency, sum(kind = 'question') AS questions,
     sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion, sum(embedding_tokens) AS embedding,
     coalesce(sum(cost_nanos), 0) AS cost, max(unpriced) AS unpriced
   FROM ledger WHERE tenant_id = ? AND at >= ? AND at < ?`;

/** Whole months from the sums that the ledger keeps of them, what lies before and after them line by line. */
const sumsByKey = (
  sql: Sql,
  tenantId: string,
  range: Range,
  group: Exclude<UsageGroup, 'day'>,
): readonly UsageSum[] => {
  const hasLines = (from: number, to: number): boolean =>
    sql.one('SELECT 1 FROM ledger WHERE tenant_id = ? AND at >= ? AND at < ? LIMIT 1', tenantId, from, to) !==
    undefined;
  // Beyond these times there are no lines, and not everything beyond is a date.
  const { from, to } = { from: Math.max(range.from, 0), to: Math.min(range.to, Date.UTC(9999, 11, 1)) };
  const { first, last } = wholeMonths({ from, to }, hasLines);
  const lines = `${sumsOfLines(columnOf[group])} GROUP BY 1, 2`;
  return sql.all<UsageSum>(
    `SELECT key, currency, sum(questions) AS questions, sum(prompt) AS prompt, sum(completion) AS completion,
       sum(embedding) AS embedding, sum(cost) AS cost, max(unpriced) AS unpriced
     FROM (
       SELECT key, currency, questions, prompt, completion, embedding, cost, unpriced
       FROM ledger_months WHERE tenant_id = ? AND field = ? AND month >= ? AND month < ?
       UNION ALL ${lines} UNION ALL ${lines}
     ) GROUP BY key, currency`,
    tenantId,
    group,
    monthOf(first),
    monthOf(last),
    tenantId,
    from,
    first,
    tenantId,
    last,
    to,
  );
};

/**
 * The part of a range that is whole months, from the beginning of one up to the beginning of another. A month that lies
 * only partly in the range is whole as well when the ledger has no lines in its rest, such as the days to come. None: both
 * are the range's end, and all of it lies before.
 */
const wholeMonths = (
  { from, to }: Range,
  hasLines: (from: number, to: number) => boolean,
): { readonly first: number; readonly last: number } => {
  const [begun, ended] = [monthFrom(from, 0), monthFrom(to, 0)];
  const first = begun === from || !hasLines(begun, from) ? begun : monthFrom(from, 1);
  const last = ended === to || hasLines(to, monthFrom(to, 1)) ? ended : monthFrom(to, 1);
  return first < last ? { first, last } : { first: to, last: to };
};

/** The beginning of the month that a time lies in, or of one `months` later. */
const monthFrom = (at: number, months: number): number => {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1);
};
const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);
