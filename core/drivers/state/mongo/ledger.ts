import { Long } from 'mongodb';
import type { LedgerEntry, UsageGroup, UsageRow } from '../../../domain.ts';
import type { LedgerStore, MeteringStore } from '../../../ports/state.ts';
import { type Collections, keyOf, type LedgerDoc } from './collections.ts';
import { isOnlyDuplicates } from './faults.ts';
import { all, beyond, chunksOf, pageOf, parsed, within } from './queries.ts';

const docOf = (tenantId: string, { memberId, ...entry }: LedgerEntry): LedgerDoc => ({
  _id: keyOf(tenantId, entry.id),
  tenantId,
  id: entry.id,
  at: entry.at,
  day: new Date(entry.at).toISOString().slice(0, 10),
  kind: entry.kind,
  platform: entry.platform,
  model: entry.model ?? '',
  channelId: entry.channelId ?? '',
  memberId: memberId ?? '',
  sourceId: entry.sourceId ?? '',
  currency: entry.currency ?? '',
  question: entry.kind === 'question' ? 1 : 0,
  promptTokens: entry.promptTokens,
  completionTokens: entry.completionTokens,
  embeddingTokens: entry.embeddingTokens,
  costNanos: Long.fromNumber(entry.costNanos ?? 0),
  unpriced:
    entry.costNanos === undefined && entry.promptTokens + entry.completionTokens + entry.embeddingTokens > 0 ? 1 : 0,
  record: JSON.stringify({ ...entry, tenantId }),
});

const entryOf = (doc: LedgerDoc): LedgerEntry => ({
  ...parsed<LedgerEntry>(doc.record),
  ...(doc.memberId === '' ? {} : { memberId: doc.memberId }),
});

const fieldOf: Readonly<Record<UsageGroup, keyof LedgerDoc>> = {
  day: 'day',
  member: 'memberId',
  channel: 'channelId',
  platform: 'platform',
  model: 'model',
  source: 'sourceId',
};

type Sums = {
  readonly _id: string;
  readonly questions: number;
  readonly prompt: number;
  readonly completion: number;
  readonly embedding: number;
  readonly cost: number;
  readonly unpriced: number;
};

export const ledgerVerbs = ({ ledger }: Collections, metering: Pick<MeteringStore, 'settle'>): LedgerStore => {
  /** Only `$match`, `$group` and `$sum` over plain fields: what every server that speaks the protocol can do. */
  const sumsOf = (where: object, field: keyof LedgerDoc): Promise<Sums[]> =>
    ledger
      .aggregate<Sums>(
        [
          { $match: where },
          {
            $group: {
              _id: `$${field}`,
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
  return {
    append: async (tenantId, entries, settling) => {
      for (const chunk of chunksOf(entries)) {
        try {
          await ledger.insertMany(
            chunk.map((entry) => docOf(tenantId, entry)),
            { ordered: false },
          );
        } catch (error) {
          if (!isOnlyDuplicates(error)) throw error;
        }
      }
      const { reservationId = '', amounts = [] } = settling ?? {};
      await Promise.all(
        amounts.map(({ counterId, actual }) => metering.settle(tenantId, counterId, reservationId, actual)),
      );
    },
    list: (tenantId, { from, to }, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          ledger
            .find(
              all<LedgerDoc>([{ tenantId, at: { $gte: from, $lt: to } }, ...beyond(after, ['at', 'id'], '$gt')]),
              within,
            )
            .sort({ at: 1, id: 1 })
            .limit(limit)
            .toArray(),
        (doc) => [doc.at, doc.id],
        entryOf,
      ),
    usage: async (tenantId, { from, to }, group) => {
      const where = { tenantId, at: { $gte: from, $lt: to } };
      // A sum for each currency by itself; a tenant has one or two, and lines without a price have none.
      const currencies = (await sumsOf(where, 'currency')).map((sum) => sum._id);
      const sums = await Promise.all(
        currencies.map(async (currency) =>
          (await sumsOf({ ...where, currency }, fieldOf[group])).map((sum) => ({ currency, ...sum })),
        ),
      );
      return usageRows(sums.flat());
    },
  };
};

/**
 * One row a key; amounts of different currencies are never added up, so a key that was paid in two has two rows. What has
 * no currency (questions, calls of unknown price) stands with the key's first.
 */
const usageRows = (sums: readonly (Sums & { readonly currency: string })[]): readonly UsageRow[] => {
  const rows: UsageRow[] = [];
  const order = sums.toSorted((a, b) =>
    a._id === b._id ? (a.currency > b.currency ? -1 : 1) : a._id < b._id ? -1 : 1,
  );
  for (const sum of order) {
    const last = rows.at(-1);
    const row: UsageRow = {
      key: sum._id,
      questions: sum.questions,
      promptTokens: sum.prompt,
      completionTokens: sum.completion,
      embeddingTokens: sum.embedding,
      costNanos: sum.cost,
      costUnknown: sum.unpriced > 0,
      ...(sum.currency === '' ? {} : { currency: sum.currency }),
    };
    if (last === undefined || last.key !== sum._id || sum.currency !== '') rows.push(row);
    else rows[rows.length - 1] = added(last, row);
  }
  return rows;
};

const added = (row: UsageRow, other: UsageRow): UsageRow => ({
  ...row,
  questions: row.questions + other.questions,
  promptTokens: row.promptTokens + other.promptTokens,
  completionTokens: row.completionTokens + other.completionTokens,
  embeddingTokens: row.embeddingTokens + other.embeddingTokens,
  costUnknown: row.costUnknown || other.costUnknown,
});
