import { Long } from 'mongodb';
import type { LedgerEntry } from '../../../domain.ts';
import type { LedgerStore, MeteringStore } from '../../../ports/state.ts';
import { usageRows } from '../usage-rows.ts';
import { type Collections, keyOf, type LedgerDoc } from './collections.ts';
import { isOnlyDuplicates } from './faults.ts';
import { markOf } from './forgotten.ts';
import type { LedgerSums } from './ledger-sums.ts';
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
  { ledger, receipts, forgotten }: Collections,
  sums: LedgerSums,
  metering: Pick<MeteringStore, 'settle'>,
): LedgerStore => {
  /** Calls for somebody who was forgotten meanwhile are lines of the pseudonym that their receipt bears by now. */
  const nameAnew = async (tenantId: string, entries: readonly LedgerEntry[]): Promise<void> => {
    for (const memberId of new Set(entries.map((entry) => entry.memberId ?? ''))) {
      const mark = memberId === '' ? null : await markOf({ forgotten }, tenantId, memberId);
      if (mark === null) continue;
      const theirs = entries.filter((entry) => entry.memberId === memberId && entry.answerId !== undefined);
      const renamed = await receipts
        .find(
          { tenantId, memberId: mark.pseudonym, answerId: { $in: theirs.map(({ answerId = '' }) => answerId) } },
          within,
        )
        .project<{ answerId: string }>({ answerId: 1 })
        .toArray();
      const answers = new Set(renamed.map(({ answerId }) => answerId));
      const ids = theirs.filter(({ answerId = '' }) => answers.has(answerId)).map(({ id }) => keyOf(tenantId, id));
      if (ids.length === 0) continue;
      await sums.aroundChange(tenantId);
      await ledger.updateMany({ _id: { $in: ids }, memberId }, { $set: { memberId: mark.pseudonym } });
      await sums.aroundChange(tenantId);
    }
  };
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
      await nameAnew(tenantId, entries);
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
