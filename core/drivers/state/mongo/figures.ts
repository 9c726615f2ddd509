import type { TenantFigures } from '../../../ports/state.ts';
import type { Collections } from './collections.ts';
import { within } from './queries.ts';

type Held = { readonly _id: string; readonly documents: number; readonly chunks: number; readonly bytes: number };
type Spent = { readonly _id: string; readonly questions: number; readonly nanos: number; readonly unpriced: number };

/**
 * A handful of questions for all of them, however many they are. Only `$match`, `$group` and `$sum` over plain fields, as
 * in the ledger's own sums; every field that is asked for stands in the index `size` or `sums`.
 */
export const figuresOf = async (
  { documents, ledger }: Collections,
  tenantIds: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<readonly TenantFigures[]> => {
  if (tenantIds.length === 0) return [];
  const where = { tenantId: { $in: [...tenantIds] } };
  const during = { ...where, at: { $gte: from, $lt: to } };
  const [held, currencies] = await Promise.all([
    documents
      .aggregate<Held>(
        [
          { $match: where },
          {
            $group: {
              _id: '$tenantId',
              documents: { $sum: 1 },
              chunks: { $sum: '$chunks' },
              bytes: { $sum: '$bytes' },
            },
          },
        ],
        within,
      )
      .toArray(),
    ledger
      .aggregate<{ readonly _id: string }>([{ $match: during }, { $group: { _id: '$currency' } }], within)
      .toArray(),
  ]);
  // A sum for each currency by itself; a deployment has one or two, and lines without a price have none.
  const sums = await Promise.all(
    currencies.map(async ({ _id: currency }) => ({
      currency,
      spent: await ledger
        .aggregate<Spent>(
          [
            { $match: { ...during, currency } },
            {
              $group: {
                _id: '$tenantId',
                questions: { $sum: '$question' },
                nanos: { $sum: '$costNanos' },
                unpriced: { $sum: '$unpriced' },
              },
            },
          ],
          within,
        )
        .toArray(),
    })),
  );
  return tenantIds.map((tenantId) => {
    const size = held.find(({ _id }) => _id === tenantId);
    const own = sums
      .flatMap(({ currency, spent }) =>
        spent.filter(({ _id }) => _id === tenantId).map((sum) => ({ ...sum, currency })),
      )
      .toSorted((a, b) => (a.currency < b.currency ? -1 : 1));
    return {
      tenantId,
      documents: size?.documents ?? 0,
      chunks: size?.chunks ?? 0,
      bytes: size?.bytes ?? 0,
      questions: own.reduce((sum, { questions }) => sum + questions, 0),
      costs: own.flatMap(({ currency, nanos }) => (currency === '' ? [] : [{ currency, nanos }])),
      costUnknown: own.some(({ unpriced }) => unpriced > 0),
    };
  });
};
