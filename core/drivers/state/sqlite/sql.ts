import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** Statements over one connection, prepared once per text. Values are bound, never written into the text. */
export type Sql = {
  one<Row>(text: string, ...values: readonly SQLInputValue[]): Row | undefined;
  all<Row>(text: string, ...values: readonly SQLInputValue[]): Row[];
  /** Returns how many rows changed. */
  run(text: string, ...values: readonly SQLInputValue[]): number;
};

export const createSql = (database: DatabaseSync): Sql => {
  const prepared = new Map<string, StatementSync>();
  const statement = (text: string): StatementSync => {
    const known = prepared.get(text);
    if (known !== undefined) return known;
    const fresh = database.prepare(text);
    prepared.set(text, fresh);
    return fresh;
  };
  return {
    one: <Row>(text: string, ...values: readonly SQLInputValue[]) => statement(text).get(...values) as Row | undefined,
    all: <Row>(text: string, ...values: readonly SQLInputValue[]) => statement(text).all(...values) as Row[],
    run: (text, ...values) => Number(statement(text).run(...values).changes),
  };
};

/** A bare `?` after LIMIT makes SQLite prepare the statement anew each time a value is bound, which costs more than running it. */
export const atMost = 'LIMIT (? + 0)';

export type Recorded = { readonly record: string };

export const readRecord = <T>(row: Recorded | undefined): T | null =>
  row === undefined ? null : (JSON.parse(row.record) as T);

export const readRecords = <T>(rows: readonly Recorded[]): T[] => rows.map((row) => JSON.parse(row.record) as T);

/** A patch over a record: a key whose value is null or undefined is taken out. */
export const patched = <T extends object>(record: T, patch: object): T =>
  Object.fromEntries(
    Object.entries({ ...record, ...patch }).filter(([, value]) => value !== undefined && value !== null),
  ) as T;
