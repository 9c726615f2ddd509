import type { Page, Paged } from '../../ports/state.ts';

/** Keyset cursors: the sort key of the last row shown, opaque to everybody else. */

const maxRows = 1_000;

export const encodeCursor = (key: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url');

/** Null for none, and for text that is no cursor of ours: such a caller starts at the beginning. */
export const decodeCursor = (cursor: string | undefined): readonly (string | number)[] | null => {
  if (cursor === undefined) return null;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    const isKey = Array.isArray(key) && key.every((part) => typeof part === 'string' || typeof part === 'number');
    return isKey ? (key as readonly (string | number)[]) : null;
  } catch {
    return null;
  }
};

export const rowLimit = (limit: number): number => Math.max(1, Math.min(maxRows, Math.floor(limit)));

/** `fetch` is asked for one row more than the page shows, which tells whether there is a next page. */
export const pageOf = <Row, Item>(
  page: Page,
  fetch: (after: readonly (string | number)[] | null, limit: number) => readonly Row[],
  keyOf: (row: Row) => readonly (string | number)[],
  itemOf: (row: Row) => Item,
): Paged<Item> => {
  const limit = rowLimit(page.limit);
  const rows = fetch(decodeCursor(page.cursor), limit + 1);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const items = shown.map(itemOf);
  return rows.length > limit && last !== undefined ? { items, nextCursor: encodeCursor(keyOf(last)) } : { items };
};
