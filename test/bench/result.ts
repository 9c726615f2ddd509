/** One measured figure. `target` is the one of docs/figures.md; `beside` is what was measured in the same run. */
export type BenchResult = {
  readonly id: string;
  readonly item: string;
  readonly value: number | string;
  readonly unit: string;
  readonly target?: string;
  readonly beside?: readonly { readonly name: string; readonly value: number | string }[];
  readonly note?: string;
  /** Whether the target is met; absent: measured, but nothing to compare with. */
  readonly ok?: boolean;
};

const shown = (value: number | string): string => {
  if (typeof value === 'string') return value;
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 3);
};

/** The shape that run.ts prints. */
export const rowOf = (result: BenchResult) => ({
  id: result.id,
  item: result.item,
  target: result.target ?? '',
  measured: `${shown(result.value)} ${result.unit}`.trim(),
  beside: [
    ...(result.beside ?? []).map(({ name, value }) => `${name} ${shown(value)}`),
    ...(result.note ? [result.note] : []),
  ].join('; '),
  ok: result.ok ?? null,
});

/** The figures as a table for people. */
export const renderResults = (rows: readonly ReturnType<typeof rowOf>[]): string => {
  const table = [
    ['id', 'item', 'measured', 'target', 'beside'],
    ...rows.map((row) => [row.id, row.item, row.measured, row.target, row.beside]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

/** The value below which the given share of the samples lies. */
export const quantile = (samples: readonly number[], share: number): number => {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
