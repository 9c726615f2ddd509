import { AppError } from '../../errors.ts';
import type { Page, Paged } from '../../ports/state.ts';

/** Keyset cursors: the sort key of the last row shown, opaque to everybody else. */

const maxRows = 1_000;

export const encodeCursor = (key: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url');

/** Whoever pages with rubbish would otherwise begin again and again at the first page, and never notice. */
const notOurs = (): AppError =>
  new AppError('invalid', 'This cursor was not given out by this list. Leave it out to begin at the first page.', {
    at: 'cursor',
  });

/** What the rows of a list are sorted by: a time and an id, or one text. */
export type Order = 'time' | 'name';

const shapes: Readonly<Record<Order, readonly string[]>> = { time: ['number', 'string'], name: ['string'] };

/** Null for none. Throws AppError `invalid` for text that is no cursor of a list in this order. */
export const decodeCursor = (cursor: string | undefined, order: Order): readonly (string | number)[] | null => {
  if (cursor === undefined) return null;
  const key = parsed(cursor);
  const shape = shapes[order];
  const isKey = Array.isArray(key) && key.length === shape.length && key.every((part, at) => typeof part === shape[at]);
  // Decoding forgives letters that are not of the alphabet, so the way back is tried as well.
  if (!isKey || encodeCursor(key) !== cursor) throw notOurs();
  return key;
};

const parsed = (cursor: string): unknown => {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
};

export const rowLimit = (limit: number): number => Math.max(1, Math.min(maxRows, Math.floor(limit)));

/** `fetch` is asked for one row more than the page shows, which tells whether there is a next page. */
export const pageOf = <Row, Item>(
  page: Page,
  order: Order,
  fetch: (after: readonly (string | number)[] | null, limit: number) => readonly Row[],
  keyOf: (row: Row) => readonly (string | number)[],
  itemOf: (row: Row) => Item,
): Paged<Item> => {
  const limit = rowLimit(page.limit);
  const rows = fetch(decodeCursor(page.cursor, order), limit + 1);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const items = shown.map(itemOf);
  return rows.length > limit && last !== undefined ? { items, nextCursor: encodeCursor(keyOf(last)) } : { items };
};
