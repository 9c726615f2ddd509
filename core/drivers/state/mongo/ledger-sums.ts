import type { Collection } from 'mongodb';
import type { UsageGroup } from '../../../domain.ts';
import type { Clock } from '../../../ports/runtime.ts';
import { day, hour } from '../retention.ts';
import type { UsageSum } from '../usage-rows.ts';
import { type Collections, keyOf, type LedgerDoc, type LedgerSumDoc } from './collections.ts';
import { inserted, parsed, twice, within } from './queries.ts';

/**
 * Sums of the ledger by month, kept so that a page does not add up a hundred thousand lines each time it is looked at. They
 * are a copy that anybody may throw away: the lines are the truth, and what the sums do not hold is added up live.
 *
 * A document holds one month of a tenant by one field, from the month's beginning up to `through`. Who reads takes in the days
 * that have ended since, by one conditional update. Exact without a transaction, because days are taken in only when no more
 * lines come to them: a line is written within moments of its time, days are closed for two days before they are summed,
 * and whoever writes an older line (a crash was made good late), or changes lines, resets the month *before*, which keeps
 * everybody from summing it until long after. A crash in between leaves a month that is added up live for a while.
 */

/** Lines older than this, when they are written, are late: their month is reset first. */
const lateFrom = day;
/** Days that ended so long ago are taken in. The distance to `lateFrom` is how long a writer may stand still unharmed. */
const closedAfter = 2 * day;
const heldFor = { lateLine: day, change: hour } as const;
/** Longer texts are not kept; their month is added up live. A document holds 16 MB. */
const maxLength = 8_000_000;
/** Months of one question; beyond that everything is added up live. */
const maxMonths = 240;
const maxRemembered = 1_000;

const usageGroups: readonly UsageGroup[] = ['day', 'platform', 'channel', 'member', 'model', 'source'];

const fieldOf: Readonly<Record<UsageGroup, keyof LedgerDoc>> = {
  day: 'day',
  member: 'memberId',
  channel: 'channelId',
  platform: 'platform',
  model: 'model',
  source: 'sourceId',
};

type Range = { readonly from: number; readonly to: number };

export type LedgerSums = {
  /** Each key and currency once, in no order. */
  of(tenantId: string, range: Range, group: UsageGroup): Promise<readonly UsageSum[]>;
  /** To be called before lines of these times are written, if they are late. */
  beforeLines(tenantId: string, times: readonly number[]): Promise<void>;
  /** To be called before and after lines of a member change. */
  aroundChange(tenantId: string): Promise<void>;
};

export const createLedgerSums = ({ ledger, ledgerSums }: Collections, clock: Clock): LedgerSums => {
  /** Months that were reset here, by when they were: another line of the same does not do it again. */
  const reset = new Map<string, number>();

  const resetMonth = async (tenantId: string, month: string): Promise<void> => {
    const now = clock.now();
    const key = keyOf(tenantId, month);
    if (now - (reset.get(key) ?? 0) < heldFor.lateLine / 2) return;
    await Promise.all(
      usageGroups.map((group) =>
        twice(() =>
          ledgerSums.updateOne(
            { _id: keyOf(tenantId, month, group) },
            {
              $set: empty,
              $inc: { rev: 1 },
              $max: { notBefore: now + heldFor.lateLine },
              $setOnInsert: { tenantId, month, field: group },
            },
            { upsert: true },
          ),
        ),
      ),
    );
    if (reset.size >= maxRemembered) reset.clear();
    reset.set(key, now);
  };

  /** The month as it is summed up, after the days that have ended since were taken in, and up to where that is. */
  const kept = async (
    tenantId: string,
    start: number,
    closed: number,
    group: UsageGroup,
  ): Promise<{ readonly through: number; readonly sums: readonly UsageSum[] }> => {
    const month = monthOf(start);
    const _id = keyOf(tenantId, month, group);
    let doc = await ledgerSums.findOne({ _id }, within);
    if (doc === null) {
      const fresh: LedgerSumDoc = { _id, tenantId, month, field: group, rev: 0, notBefore: 0, ...empty };
      // Written before the lines are read: whoever resets the month meanwhile has something to reset.
      await inserted(() => ledgerSums.insertOne(fresh));
      doc = (await ledgerSums.findOne({ _id }, within)) ?? fresh;
    }
    const known = { through: Math.max(doc.through, start), sums: parsed<readonly UsageSum[]>(doc.sums) };
    if (known.through >= closed || doc.notBefore > clock.now()) return known;
    const added = await linesSummed(ledger, tenantId, { from: known.through, to: closed }, group);
    const sums = joined([known.sums, added]);
    const text = JSON.stringify(sums);
    if (text.length <= maxLength)
      await ledgerSums.updateOne({ _id, rev: doc.rev }, { $set: { through: closed, sums: text }, $inc: { rev: 1 } });
    return { through: closed, sums };
  };

  return {
    of: async (tenantId, range, group) => {
      const { from, to } = await withLines(ledger, tenantId, range);
      const months = monthsIn({ from, to });
      if (months === null) return linesSummed(ledger, tenantId, { from, to }, group);
      const closedUntil = floorTo(clock.now() - closedAfter, day);
      const ofWholeDays = from % day === 0 && to % day === 0;
      const sums: (readonly UsageSum[])[] = [];
      const live: Range[] = [];
      await Promise.all(
        months.map(async ({ start, end }) => {
          const part = { from: Math.max(from, start), to: Math.min(to, end) };
          const closed = Math.min(end, closedUntil);
          const fits = group === 'day' ? ofWholeDays : range.from <= start && range.to >= closed;
          if (!fits || closed <= part.from) return void live.push(part);
          const month = await kept(tenantId, start, closed, group);
          // Another clock was ahead of ours: the sums hold a day that was not asked for.
          if (group !== 'day' && month.through > part.to) return void live.push(part);
          sums.push(group === 'day' ? month.sums.filter(({ key }) => isWithin(key, part)) : month.sums);
          if (month.through < part.to) live.push({ from: Math.max(part.from, month.through), to: part.to });
        }),
      );
      const lines = await Promise.all(contiguous(live).map((one) => linesSummed(ledger, tenantId, one, group)));
      return joined([...sums, ...lines]);
    },
    beforeLines: async (tenantId, times) => {
      const late = times.filter((at) => at < clock.now() - lateFrom);
      for (const month of new Set(late.map(monthOf))) await resetMonth(tenantId, month);
    },
    aroundChange: async (tenantId) => {
      await ledgerSums.updateMany(
        { tenantId, field: 'member' },
        { $set: empty, $inc: { rev: 1 }, $max: { notBefore: clock.now() + heldFor.change } },
      );
    },
  };
};

const empty = { through: 0, sums: '[]' } as const;

/** Only `$match`, `$group` and `$sum` over plain fields: what every server that speaks the protocol can do. */
const linesSummed = async (
  ledger: Collection<LedgerDoc>,
  tenantId: string,
  { from, to }: Range,
  group: UsageGroup,
): Promise<readonly UsageSum[]> => {
  if (from >= to) return [];
  const rows = await ledger
    .aggregate<Omit<UsageSum, 'key' | 'currency'> & { readonly _id: Pick<UsageSum, 'key' | 'currency'> }>(
      [
        { $match: { tenantId, at: { $gte: from, $lt: to } } },
        {
          $group: {
            _id: { key: `$${fieldOf[group]}`, currency: '$currency' },
            questions: { $sum: '$question' },
            prompt: { $sum: '$promptTokens' },
            completion: { $sum: '$completionTokens' },
            embedding: { $sum: '$embeddingTokens' },
            cost: { $sum: '$costNanos' },
            unpriced: { $sum: '$unpriced' },
          },
        },
      ],
      within,
    )
    .toArray();
  return rows.map(({ _id, ...sums }) => ({ key: _id.key, currency: _id.currency, ...sums }));
};

/** Amounts of different currencies are never added up. */
const joined = (parts: readonly (readonly UsageSum[])[]): readonly UsageSum[] => {
  const [first, ...others] = parts.filter((part) => part.length > 0);
  if (others.length === 0) return first ?? [];
  const sums = new Map<string, UsageSum>();
  for (const sum of parts.flat()) {
    const id = `${sum.currency} ${sum.key}`;
    const known = sums.get(id);
    sums.set(id, known === undefined ? sum : added(known, sum));
  }
  return [...sums.values()];
};

const added = (one: UsageSum, other: UsageSum): UsageSum => ({
  ...one,
  questions: one.questions + other.questions,
  prompt: one.prompt + other.prompt,
  completion: one.completion + other.completion,
  embedding: one.embedding + other.embedding,
  cost: one.cost + other.cost,
  unpriced: one.unpriced + other.unpriced,
});

/** The part of a long range in which there are lines, in whole days: nobody counts the months since 1970. */
const withLines = async (ledger: Collection<LedgerDoc>, tenantId: string, { from, to }: Range): Promise<Range> => {
  if (to - from < 3 * 366 * day) return { from, to };
  const at = async (way: 1 | -1): Promise<number | undefined> =>
    (await ledger.find({ tenantId }, within).project<{ at: number }>({ at: 1 }).sort({ at: way }).limit(1).toArray())[0]
      ?.at;
  const [first, last] = await Promise.all([at(1), at(-1)]);
  if (first === undefined || last === undefined) return { from, to: from };
  return { from: Math.max(from, floorTo(first, day)), to: Math.min(to, floorTo(last, day) + day) };
};

/** The months that a range has a part in; null for more than anybody looks at. */
const monthsIn = ({ from, to }: Range): readonly { readonly start: number; readonly end: number }[] | null => {
  const months: { readonly start: number; readonly end: number }[] = [];
  for (let start = monthFrom(from, 0); start < to; start = monthFrom(start, 1)) {
    if (months.length === maxMonths || Number.isNaN(start)) return null;
    months.push({ start, end: monthFrom(start, 1) });
  }
  return months;
};

/** The same times in as few ranges as may be. */
const contiguous = (ranges: readonly Range[]): readonly Range[] => {
  const joinedRanges: Range[] = [];
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = joinedRanges.at(-1);
    if (last === undefined || last.to < range.from) joinedRanges.push(range);
    else joinedRanges[joinedRanges.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
  }
  return joinedRanges;
};

const floorTo = (at: number, unit: number): number => at - (at % unit);
const isWithin = (key: string, { from, to }: Range): boolean => {
  const at = Date.parse(`${key}T00:00:00Z`);
  return at >= from && at < to;
};
/** The beginning of the month that a time lies in, or of one `months` later. */
const monthFrom = (at: number, months: number): number => {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1);
};
const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);
