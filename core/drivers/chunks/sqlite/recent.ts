/**
 * Postings of the documents that came last, kept a row a document until there are enough of them to be folded into the
 * posting lists in one go. A posting list is a row a term: writing the terms of one document into them touches hundreds
 * of pages, those of twenty documents hardly more. So a document can be committed by itself, and cheaply.
 *
 * `row` is the document's first; its chunks have the rows from there on. `terms` is, for each term, `\nterm\t` and where
 * it stands: `offset:weight`, ascending, with spaces between; then a line end. No term holds white space. Files of format 2
 * have a row a chunk, with the weight alone, and keep it. Rows here are always above those in `postings`, because all are
 * folded at once.
 */
import { blockBits, blockRows, type IndexFile, statement } from './index-file.ts';

/** In chunks. A search reads all of them: half a millisecond at the most. With 1,024 writing folds only a seventh less. */
export const foldAt = 512;

/** Where a document's terms stand: pairs of a chunk's place in it and the weight there, ascending. */
export type DocumentTerms = ReadonlyMap<string, readonly number[]>;

export const packTerms = (terms: DocumentTerms): string => {
  let packed = '';
  for (const [term, pairs] of terms) {
    packed += `\n${term}\t${pairs[0]}:${pairs[1]}`;
    for (let at = 2; at < pairs.length; at += 2) packed += ` ${pairs[at]}:${pairs[at + 1]}`;
  }
  return `${packed}\n`;
};

/** The same for a file of format 2: the rows of a document's chunks, by their place in it. */
export const packByChunk = (terms: DocumentTerms): ReadonlyMap<number, string> => {
  const rows = new Map<number, string>();
  for (const [term, pairs] of terms)
    for (let at = 0; at < pairs.length; at += 2) {
      const offset = pairs[at] ?? 0;
      rows.set(offset, `${rows.get(offset) ?? ''}\n${term}\t${pairs[at + 1]}`);
    }
  for (const [offset, packed] of rows) rows.set(offset, `${packed}\n`);
  return rows;
};

const [lineEnd, colon, zero] = [0x0a, 0x3a, 0x30];

/** The pairs that stand from `at` to the end of the line; hands them over and returns where the line ends. */
const eachPair = (packed: string, from: number, take: (offset: number, weight: number) => void): number => {
  let at = from;
  let offset = 0;
  let number = 0;
  for (;;) {
    const code = packed.charCodeAt(at);
    if (code >= zero && code < colon) number = number * 10 + code - zero;
    else if (code === colon) {
      offset = number;
      number = 0;
    } else {
      take(offset, number);
      offset = 0;
      number = 0;
      // Not a number: the text is damaged and ends here.
      if (code === lineEnd || Number.isNaN(code)) return at;
    }
    at += 1;
  }
};

/** Hands over each term with its pairs. */
export const eachTerm = (packed: string, take: (term: string, pairs: readonly number[]) => void): void => {
  for (let at = 1; at < packed.length; ) {
    const tab = packed.indexOf('\t', at);
    const pairs: number[] = [];
    const end = eachPair(packed, tab + 1, (offset, weight) => pairs.push(offset, weight));
    take(packed.slice(at, tab), pairs);
    at = end + 1;
  }
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
    for (const [at, weight] of weightsIn(terms, variants)) {
      const pairs = found.get((row + at) >> blockBits) ?? [];
      pairs.push((row + at) & (blockRows - 1), Math.min(weight, 0xffff));
      found.set((row + at) >> blockBits, pairs);
    }
  }
  return found;
};

/** What a word weighs in each chunk of a document, ascending. */
const weightsIn = (packed: string, variants: readonly string[]): Iterable<readonly [number, number]> => {
  const weights = new Map<number, number>();
  let hits = 0;
  for (const variant of variants) {
    const found = packed.indexOf(`\n${variant}\t`);
    if (found < 0) continue;
    hits += 1;
    eachPair(packed, found + variant.length + 2, (offset, weight) => {
      weights.set(offset, (weights.get(offset) ?? 0) + weight);
    });
  }
  return hits < 2 ? weights : [...weights].sort(([a], [b]) => a - b);
};
