import { Long } from 'mongodb';
import type { LedgerEntry, UsageRow } from '../../../domain.ts';
import type { LedgerStore, MeteringStore } from '../../../ports/state.ts';
import { type Collections, keyOf, type LedgerDoc } from './collections.ts';
import { isOnlyDuplicates } from './faults.ts';
import type { LedgerSums, Sum } from './ledger-sums.ts';
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

export const ledgerVerbs = (
  { ledger }: Collections,
  sums: LedgerSums,
  metering: Pick<MeteringStore, 'settle'>,
): LedgerStore => {
  return {
    append: async (tenantId, entries, settling) => {
      await sums.beforeLines(
        tenantId,
        entries.map(({ at }) => at),
      );
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
    usage: async (tenantId, range, group) => usageRows(await sums.of(tenantId, range, group)),
  };
};

/**
 * One row a key; amounts of different currencies are never added up, so a key that was paid in two has two rows. What has
 * no currency (questions, calls of unknown price) stands with the key's first.
 */
const usageRows = (sums: readonly Sum[]): readonly UsageRow[] => {
  const rows: UsageRow[] = [];
  const order = sums.toSorted((a, b) =>
    a.key === b.key ? (a.currency > b.currency ? -1 : 1) : a.key < b.key ? -1 : 1,
  );
  for (const sum of order) {
    const last = rows.at(-1);
    const row: UsageRow = {
      key: sum.key,
      questions: sum.questions,
      promptTokens: sum.prompt,
      completionTokens: sum.completion,
      embeddingTokens: sum.embedding,
      costNanos: sum.cost,
      costUnknown: sum.unpriced > 0,
      ...(sum.currency === '' ? {} : { currency: sum.currency }),
    };
    if (last === undefined || last.key !== sum.key || sum.currency !== '') rows.push(row);
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
