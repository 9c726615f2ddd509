import type { Core } from '../core/core.ts';
import type { LedgerEntry, Tenant, UsageRow } from '../core/domain.ts';
import { AppError } from '../core/errors.ts';
import { csvLine } from '../core/text/csv.ts';
import { decimalOf } from '../core/text/decimal.ts';

/** What the API and the pages show of usage and ledger: one rendering, so that both tell the same to the unit. */

export type Range = { readonly from: number; readonly to: number };

/** Dates or times, UTC; absent: the beginning of this month, now. Throws `invalid`. */
export const rangeOf = (query: { from?: string | undefined; to?: string | undefined }, now: number): Range => {
  const today = new Date(now);
  const from =
    query.from === undefined ? Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1) : Date.parse(query.from);
  const to = query.to === undefined ? now : Date.parse(query.to);
  if (!(from <= to)) throw new AppError('invalid', '"from" must not be after "to".', { at: 'from' });
  return { from, to };
};

export type Figures = Omit<UsageRow, 'key' | 'currency'>;

/** Of rows in one currency; a mixture is added up for tokens and questions, and its cost is told by `costsOf`. */
export const sumOf = (rows: readonly UsageRow[]): Figures => {
  const add = (pick: (row: UsageRow) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  return {
    questions: add((row) => row.questions),
    promptTokens: add((row) => row.promptTokens),
    completionTokens: add((row) => row.completionTokens),
    embeddingTokens: add((row) => row.embeddingTokens),
    costNanos: add((row) => row.costNanos),
    costUnknown: rows.some((row) => row.costUnknown),
  };
};

/** What was paid, by currency. */
export const costsOf = (
  rows: readonly UsageRow[],
): readonly { readonly currency: string; readonly nanos: number }[] => {
  const costs = new Map<string, number>();
  for (const { currency, costNanos } of rows)
    if (currency !== undefined) costs.set(currency, (costs.get(currency) ?? 0) + costNanos);
  return [...costs]
    .map(([currency, nanos]) => ({ currency, nanos }))
    .sort((a, b) => (a.currency < b.currency ? -1 : 1));
};

/** A cost of which nothing is known is null, never 0. */
export const renderFigures = (row: Figures & { readonly currency?: string }, tenantCurrency: string) => ({
  questions: row.questions,
  promptTokens: row.promptTokens,
  completionTokens: row.completionTokens,
  embeddingTokens: row.embeddingTokens,
  cost:
    row.costUnknown && row.costNanos === 0
      ? null
      : { amount: decimalOf(row.costNanos), currency: row.currency ?? tenantCurrency },
  costIncomplete: row.costUnknown,
});

const usageColumns = [
  'key',
  'questions',
  'promptTokens',
  'completionTokens',
  'embeddingTokens',
  'cost',
  'currency',
  'costIncomplete',
];

export const renderUsageCsv = (rows: readonly UsageRow[], tenantCurrency: string): string =>
  [
    csvLine(usageColumns),
    ...rows.map((row) => {
      const { cost, ...figures } = renderFigures(row, tenantCurrency);
      return csvLine([
        row.key,
        figures.questions,
        figures.promptTokens,
        figures.completionTokens,
        figures.embeddingTokens,
        cost?.amount ?? '',
        cost?.currency ?? row.currency ?? tenantCurrency,
        figures.costIncomplete,
      ]);
    }),
  ].join('');

/** One line of the ledger as it leaves: what is not there is null. */
export const renderEntry = (entry: LedgerEntry) => ({
  id: entry.id,
  at: new Date(entry.at).toISOString(),
  kind: entry.kind,
  model: entry.model ?? null,
  promptTokens: entry.promptTokens,
  completionTokens: entry.completionTokens,
  embeddingTokens: entry.embeddingTokens,
  price:
    entry.price === undefined
      ? null
      : {
          inputPerMillion: entry.price.inputPerMillion,
          outputPerMillion: entry.price.outputPerMillion,
          currency: entry.price.currency,
          from: entry.price.from,
          origin: entry.price.origin,
        },
  cost:
    entry.costNanos === undefined || entry.currency === undefined
      ? null
      : { amount: decimalOf(entry.costNanos), currency: entry.currency },
  platform: entry.platform,
  channelId: entry.channelId ?? null,
  memberId: entry.memberId ?? null,
  sourceId: entry.sourceId ?? null,
  answerId: entry.answerId ?? null,
});

const ledgerColumns = [
  'id',
  'at',
  'kind',
  'model',
  'promptTokens',
  'completionTokens',
  'embeddingTokens',
  'inputPerMillion',
  'outputPerMillion',
  'priceFrom',
  'priceOrigin',
  'cost',
  'currency',
  'platform',
  'channelId',
  'memberId',
  'sourceId',
  'answerId',
];

const ledgerCsvLine = (entry: LedgerEntry): string => {
  const { price, cost, ...line } = renderEntry(entry);
  return csvLine([
    line.id,
    line.at,
    line.kind,
    line.model ?? '',
    line.promptTokens,
    line.completionTokens,
    line.embeddingTokens,
    price?.inputPerMillion ?? '',
    price?.outputPerMillion ?? '',
    price?.from ?? '',
    price?.origin ?? '',
    cost?.amount ?? '',
    cost?.currency ?? '',
    line.platform,
    line.channelId ?? '',
    line.memberId ?? '',
    line.sourceId ?? '',
    line.answerId ?? '',
  ]);
};

const entriesPerPage = 1000;

/** The ledger of a time as text, page by page, so that a year of it needs no more memory than a day. */
export async function* ledgerText(
  core: Core,
  tenantId: string,
  range: Range,
  format: 'csv' | 'json',
): AsyncGenerator<string> {
  yield format === 'csv' ? csvLine(ledgerColumns) : '{"entries":[';
  let cursor: string | undefined;
  let isFirst = true;
  do {
    const page = await core.usage.ledger(tenantId, range, {
      limit: entriesPerPage,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const entry of page.items) {
      if (format === 'csv') yield ledgerCsvLine(entry);
      else yield `${isFirst ? '' : ','}\n${JSON.stringify(renderEntry(entry))}`;
      isFirst = false;
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  if (format === 'json') yield '\n]}\n';
}

/** A stream that takes the next page only when the reader has room for it. */
export const streamOf = (parts: AsyncGenerator<string>): ReadableStream<Uint8Array> => {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      // In pieces of some size: a chunk a line would cost more than the line.
      let text = '';
      while (text.length < 64_000) {
        const next = await parts.next();
        if (next.done === true) {
          if (text !== '') controller.enqueue(encoder.encode(text));
          return controller.close();
        }
        text += next.value;
      }
      controller.enqueue(encoder.encode(text));
    },
    async cancel() {
      await parts.return(undefined);
    },
  });
};

const dayIn = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** `attachment` with a name that says what it holds. */
export const asDownload = (
  what: 'usage' | 'ledger',
  tenant: Tenant,
  range: Range,
  format: 'csv' | 'json',
): Record<string, string> => ({
  'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json; charset=utf-8',
  'content-disposition': `attachment; filename="${what}-${tenant.slug}-${dayIn(range.from)}-${dayIn(range.to)}.${format}"`,
});
