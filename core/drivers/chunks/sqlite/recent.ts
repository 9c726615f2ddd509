/**
 * Postings of the chunks that came last, kept a row a chunk until there are enough of them to be folded into the posting
 * lists in one go. A posting list is a row a term: writing the terms of one document into them touches hundreds of
 * pages, those of two hundred chunks hardly more. So a document can be committed by itself, and cheaply.
 *
 * `terms` is `\nterm\tweight` for each term and a line end; no term holds white space. Rows here are always above
 * those in `postings`, because all of them are folded at once.
 */
import { blockBits, blockRows, type IndexFile, statement } from './index-file.ts';

/** A search reads all of them: half a millisecond at the most. */
export const foldAt = 256;

export const packTerms = (weights: ReadonlyMap<string, number>): string => {
  let packed = '';
  for (const [term, weight] of weights) packed += `\n${term}\t${weight}`;
  return `${packed}\n`;
};

export const eachTerm = (packed: string, take: (term: string, weight: number) => void): void => {
  for (let at = 1; at < packed.length; ) {
    const tab = packed.indexOf('\t', at);
    let weight = 0;
    let end = tab + 1;
    for (let code = packed.charCodeAt(end); code !== 0x0a; code = packed.charCodeAt(++end))
      weight = weight * 10 + code - 0x30;
    take(packed.slice(at, tab), weight);
    at = end + 1;
  }
};

const weightOf = (packed: string, term: string): number => {
  const found = packed.indexOf(`\n${term}\t`);
  return found < 0 ? 0 : Number.parseInt(packed.slice(found + term.length + 2, found + term.length + 10), 10);
};

export type Recent = readonly { readonly row: number; readonly terms: string }[];

/** In ascending order. Call inside `reading`. */
export const recentOf = (index: IndexFile): Recent =>
  statement(index, 'SELECT row, terms FROM recent ORDER BY row')
    .all()
    .map(({ row, terms }) => ({ row: Number(row), terms: String(terms) }));

/** Where a word occurs among the recent chunks, in the form of a posting list: pairs of offset and weight, per block. */
export const recentPostings = (recent: Recent, variants: readonly string[]): ReadonlyMap<number, number[]> => {
  const found = new Map<number, number[]>();
  for (const { row, terms } of recent) {
    let weight = 0;
    for (const variant of variants) weight += weightOf(terms, variant);
    if (weight === 0) continue;
    const pairs = found.get(row >> blockBits) ?? [];
    pairs.push(row & (blockRows - 1), Math.min(weight, 0xffff));
    found.set(row >> blockBits, pairs);
  }
  return found;
};
