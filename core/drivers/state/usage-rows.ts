import type { UsageRow } from '../../domain.ts';

/** Lines of the ledger added up, of one key in one currency; '' where there is none. */
export type UsageSum = {
  readonly key: string;
  readonly currency: string;
  readonly questions: number;
  readonly prompt: number;
  readonly completion: number;
  readonly embedding: number;
  readonly cost: number;
  /** Above 0: some were of unknown price. */
  readonly unpriced: number;
};

/**
 * One row a key, in order; amounts of different currencies are never added up, so a key that was paid in two has two rows.
 * What has no currency (questions, calls of unknown price) stands with the key's first.
 */
export const usageRows = (sums: readonly UsageSum[]): readonly UsageRow[] => {
  const rows: UsageRow[] = [];
  for (const sum of sums.toSorted(byKey)) {
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

/** What has no currency comes last of its key. */
const byKey = (a: UsageSum, b: UsageSum): number =>
  a.key === b.key ? (a.currency > b.currency ? -1 : 1) : a.key < b.key ? -1 : 1;

const added = (row: UsageRow, other: UsageRow): UsageRow => ({
  ...row,
  questions: row.questions + other.questions,
  promptTokens: row.promptTokens + other.promptTokens,
  completionTokens: row.completionTokens + other.completionTokens,
  embeddingTokens: row.embeddingTokens + other.embeddingTokens,
  costUnknown: row.costUnknown || other.costUnknown,
});
