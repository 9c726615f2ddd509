import type { Collection, Document, Filter, UpdateFilter, WithId, WithoutId } from 'mongodb';
import type { Page, Paged } from '../../../ports/state.ts';
import { decodeCursor, encodeCursor, type Order, rowLimit } from '../cursors.ts';
import { isDuplicate, isOnlyDuplicates } from './faults.ts';

export { rowLimit } from '../cursors.ts';

/** The few forms of a query that all aggregates share. */

/** Rows a step of a long verb reads and changes at once. */
export const stepRows = 500;

/** How long the server may work on one read. */
export const within = { maxTimeMS: 10_000 } as const;

export const inserted = async (insert: () => Promise<unknown>): Promise<boolean> => {
  try {
    await insert();
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
};

/**
 * An upsert by exact id. Two first ones at once end as one insert and one duplicate key (SERVER-14322); the loser's second
 * try finds the row.
 */
export const twice = async <T>(upsert: () => Promise<T>): Promise<T> => {
  try {
    return await upsert();
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    return upsert();
  }
};

/** Puts every document in the place of the one with its id, if there is one. */
export const replaceAll = async <Doc extends Document & { _id: string }>(
  collection: Collection<Doc>,
  docs: readonly Doc[],
): Promise<void> => {
  if (docs.length === 0) return;
  const write = () =>
    collection.bulkWrite(
      docs.map(({ _id, ...replacement }) => ({
        replaceOne: {
          filter: { _id } as unknown as Filter<Doc>,
          replacement: replacement as unknown as WithoutId<Doc>,
          upsert: true,
        },
      })),
      { ordered: false },
    );
  try {
    await write();
  } catch (error) {
    // Somebody put one of them for the first time at the same moment; by now it is there to be replaced.
    if (!isOnlyDuplicates(error)) throw error;
    await write();
  }
};

/** `ids` in groups that fit a command. */
export const chunksOf = <T>(items: readonly T[], size = stepRows): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));

/** `fetch` is asked for one row more than the page shows, which tells whether there is a next page. */
export const pageOf = async <Row, Item>(
  page: Page,
  order: Order,
  fetch: (after: readonly (string | number)[] | null, limit: number) => Promise<readonly Row[]>,
  keyOf: (row: Row) => readonly (string | number)[],
  itemOf: (row: Row) => Item,
): Promise<Paged<Item>> => {
  const limit = rowLimit(page.limit);
  const rows = await fetch(decodeCursor(page.cursor, order), limit + 1);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const items = shown.map(itemOf);
  return rows.length > limit && last !== undefined ? { items, nextCursor: encodeCursor(keyOf(last)) } : { items };
};

/** Rows beyond `after` in the order of two fields; `way` is the order of both. */
export const beyond = (
  after: readonly (string | number)[] | null,
  [first, second]: readonly [string, string],
  way: '$lt' | '$gt',
): object[] =>
  after === null
    ? []
    : [{ $or: [{ [first]: { [way]: after[0] } }, { [first]: after[0], [second]: { [way]: after[1] ?? '' } }] }];

/** Every condition that is there; a `$and` of none is refused by servers. */
export const all = <Doc>(conditions: readonly object[]): Filter<Doc> =>
  (conditions.length === 1 ? conditions[0] : { $and: conditions }) as Filter<Doc>;

/** These words anywhere in a text, whatever their case. */
export const containing = (words: string): { readonly $regex: string; readonly $options: string } => ({
  $regex: words.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&'),
  $options: 'i',
});

/** Deletes up to a step's rows; true when there may be more. */
export const trim = async <Doc extends Document & { _id: string }>(
  collection: Collection<Doc>,
  where: object,
): Promise<boolean> => (await removeSome(collection, where)) === stepRows;

/** Deletes up to a step's rows and tells how many it found. The condition is repeated, for rows that change meanwhile. */
export const removeSome = async <Doc extends Document & { _id: string }>(
  collection: Collection<Doc>,
  where: object,
): Promise<number> => {
  const rows = await collection
    .find(where as Filter<Doc>, within)
    .project<{ _id: string }>({ _id: 1 })
    .limit(stepRows)
    .toArray();
  if (rows.length === 0) return 0;
  await collection.deleteMany(all<Doc>([where, { _id: { $in: rows.map((row) => row._id) } }]));
  return rows.length;
};

/** Changes up to a step's rows so that `where` holds of them no longer; true when there may be more. */
export const change = async <Doc extends Document & { _id: string }>(
  collection: Collection<Doc>,
  where: object,
  updateOf: (row: WithId<Doc>) => UpdateFilter<Doc>,
): Promise<boolean> => {
  const rows = await collection
    .find(where as Filter<Doc>, within)
    .limit(stepRows)
    .toArray();
  if (rows.length === 0) return false;
  await collection.bulkWrite(
    rows.map((row) => ({
      updateOne: { filter: all<Doc>([where, { _id: row._id }]), update: updateOf(row) },
    })),
    { ordered: false },
  );
  return rows.length === stepRows;
};

export const parsed = <T>(text: string): T => JSON.parse(text) as T;

/** A record without the keys whose value is null: absence is null in the store and nothing in the core. */
export const present = <T extends object>(record: { readonly [Key in keyof T]: T[Key] | null }): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null && value !== undefined)) as T;
