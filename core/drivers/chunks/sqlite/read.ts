import { statSync } from 'node:fs';
import type { Chunk, Hit } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import type { IndexStats, TextHit, TextSearch } from '../../../ports/chunks.ts';
import { analyseQuery, isLanguage, type Language } from '../../../text/analyse.ts';
import { thresholdOf } from './best.ts';
import { damagedIndex } from './failures.ts';
import {
  allRows,
  asPairs,
  blockBits,
  blockRows,
  blocksOf,
  type IndexFile,
  type Meta,
  metaOf,
  oneRow,
  profileOf,
  reading,
  sourceNumbers,
  statement,
} from './index-file.ts';
import { type Recent, recentOf, recentPostings } from './recent.ts';
import type { VectorCache } from './vector-cache.ts';

/** Lucene's BM25 with its own defaults: on the collections of test/bench/retrieval.ts no other setting is better by more than noise. */
export const bm25 = { k1: 1.2, b: 0.75 } as const;

export const maxLimit = 1_000;
const maxLanguages = 4;

export type Read = { readonly limit: number; readonly sourceIds: readonly string[] | undefined };
type Wanted = { readonly query: string } & Read;

/** The languages that a fair part of the index is written in, commonest first. */
const languagesOf = (meta: Meta): Language[] => {
  const counts = Object.entries(JSON.parse(meta.languages) as Record<string, number>).sort((a, b) => b[1] - a[1]);
  return counts
    .filter(([, count]) => count * 50 >= meta.chunks)
    .map(([language]) => language)
    .filter(isLanguage)
    .slice(0, maxLanguages);
};

type Postings = ReadonlyMap<number, Uint16Array>;

/** Where a word occurs, per block. Variants are one word: a chunk with two of them counts once, with the sum of weights. */
const postingsOf = (
  index: IndexFile,
  variants: readonly string[],
  blocks: Iterable<number>,
  recent: Recent,
): Postings => {
  const found = new Map<number, Uint16Array>();
  const look = statement(index, 'SELECT data FROM postings WHERE block = ? AND term = ?');
  for (const block of blocks) {
    for (const variant of variants) {
      const row = look.get(block, variant);
      if (!row) continue;
      const pairs = asPairs(row.data, index.ref);
      const before = found.get(block);
      found.set(block, before ? merged(before, pairs) : pairs);
    }
  }
  // Always of higher rows, so the lists stay in order.
  for (const [block, pairs] of recentPostings(recent, variants)) {
    const before = found.get(block) ?? [];
    found.set(block, Uint16Array.from([...before, ...pairs]));
  }
  return found;
};

const merged = (a: Uint16Array, b: Uint16Array): Uint16Array => {
  const both = new Map<number, number>();
  for (const pairs of [a, b]) {
    for (let at = 0; at < pairs.length; at += 2)
      both.set(pairs[at] ?? 0, (both.get(pairs[at] ?? 0) ?? 0) + (pairs[at + 1] ?? 0));
  }
  const result = new Uint16Array(both.size * 2);
  [...both]
    .sort((x, y) => x[0] - y[0])
    .forEach(([offset, weight], at) => {
      result[at * 2] = offset;
      result[at * 2 + 1] = Math.min(weight, 0xffff);
    });
  return result;
};

const liveOf = (postings: Postings, blocks: ReadonlyMap<number, Uint16Array>): number => {
  let live = 0;
  for (const [block, pairs] of postings) {
    const rows = blocks.get(block);
    if (!rows) continue;
    for (let at = 0; at < pairs.length; at += 2) if (rows[(pairs[at] ?? 0) * 2] !== 0) live += 1;
  }
  return live;
};

const holds = (pairs: Uint16Array | undefined, offset: number): boolean => {
  if (!pairs) return false;
  let low = 0;
  let high = pairs.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = pairs[middle * 2] ?? 0;
    if (found === offset) return true;
    if (found < offset) low = middle + 1;
    else high = middle - 1;
  }
  return false;
};

type ScoredRow = { readonly row: number; readonly score: number };
type Found = ScoredRow & { readonly id: string };

/** The best rows, ties by chunk id. Ids are read only of what can be among them. */
const inOrder = (index: IndexFile, rows: readonly ScoredRow[], limit: number): Found[] => {
  const idOf = statement(index, 'SELECT id FROM chunks WHERE row = ?');
  return rows
    .map((found) => ({ ...found, id: String(idOf.get(found.row)?.id ?? '') }))
    .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : a.id > b.id ? 1 : a.row - b.row))
    .slice(0, limit);
};

const chunkAt = (index: IndexFile, row: number): Chunk => {
  const data = oneRow(index, 'SELECT data FROM chunks WHERE row = ?', row)?.data;
  if (typeof data !== 'string') throw damagedIndex(index.ref);
  return JSON.parse(data) as Chunk;
};

const limitOf = (limit: number): number => Math.max(0, Math.min(maxLimit, Math.floor(limit)));

/** BM25 over weighted fields: title, headings and text are one field whose occurrences weigh differently. */
export const searchText = (index: IndexFile, { query, limit, sourceIds }: Wanted): TextSearch =>
  reading(index, () => {
    const meta = metaOf(index);
    const blocks = blocksOf(index, meta);
    const words = analyseQuery(query, languagesOf(meta));
    const sources = sourceNumbers(index, sourceIds);
    const recent = recentOf(index);
    const places = words.map(({ variants }) => postingsOf(index, variants, blocks.keys(), recent));
    const frequencies = places.map((postings) => liveOf(postings, blocks));
    const terms = words.map(({ variants }, at) => ({
      term: variants[0] ?? '',
      documentFrequency: frequencies[at] ?? 0,
    }));

    // By the blocks that still stand: row numbers are never used again and grow with every change of a document.
    const starts = new Map<number, number>();
    let room = 0;
    for (const [block, rows] of blocks) {
      starts.set(block, room);
      room += rows.length / 2;
    }
    const scores = new Float64Array(room);
    const averageLength = meta.chunks === 0 ? 1 : meta.length / meta.chunks || 1;
    const start = bm25.k1 * (1 - bm25.b);
    const slope = (bm25.k1 * bm25.b) / averageLength;
    words.forEach(({ count }, word) => {
      const frequency = frequencies[word] ?? 0;
      const weight = count * Math.log(1 + (meta.chunks - frequency + 0.5) / (frequency + 0.5)) * (bm25.k1 + 1);
      for (const [block, pairs] of places[word] ?? []) {
        const rows = blocks.get(block);
        if (!rows) continue;
        const base = starts.get(block) ?? 0;
        for (let at = 0; at < pairs.length; at += 2) {
          const offset = pairs[at] ?? 0;
          const source = rows[offset * 2] ?? 0;
          if (source === 0 || (sources && !sources.has(source))) continue;
          // Weights and lengths are in quarter terms.
          const occurrences = (pairs[at + 1] ?? 0) / 4;
          const saturation = occurrences + start + slope * (rows[offset * 2 + 1] ?? 0);
          scores[base + offset] = (scores[base + offset] ?? 0) + (weight * occurrences) / saturation;
        }
      }
    });

    const most = limitOf(limit);
    const threshold = thresholdOf(scores, scores.length, most, 0);
    const candidates: ScoredRow[] = [];
    for (const [block, base] of starts) {
      const end = base + (blocks.get(block)?.length ?? 0) / 2;
      for (let at = base; at < end; at++) {
        const score = scores[at] ?? 0;
        if (score > 0 && score >= threshold) candidates.push({ row: (block << blockBits) + at - base, score });
      }
    }
    const hits: TextHit[] = inOrder(index, candidates, most).map(({ row, score }) => ({
      chunk: chunkAt(index, row),
      score,
      matched: places.flatMap((postings, word) =>
        holds(postings.get(row >> blockBits), row & (blockRows - 1)) ? [word] : [],
      ),
    }));
    return { hits, terms, totalChunks: meta.chunks };
  });

/** Candidates that the quantised scan hands to exact scoring: its order is right to well within this many. */
const minCandidates = 100;
const maxCandidates = 4_096;

/** Exact cosine similarities of the nearest chunks: a scan over every vector, quantised, then full precision for the best. */
export const searchVector = (
  index: IndexFile,
  cache: VectorCache,
  query: Float32Array,
  { limit, sourceIds }: Read,
): readonly Hit[] =>
  reading(index, () => {
    const meta = metaOf(index);
    const { dimensions } = profileOf(meta);
    if (dimensions === null) return [];
    if (dimensions !== query.length) {
      throw new AppError(
        'conflict',
        `This search index holds vectors of ${dimensions} dimensions, not of ${query.length}. Re-index it with the embedding model that is configured now.`,
      );
    }
    const unit = normalised(query);
    if (!unit) return [];
    const blocks = blocksOf(index, meta);
    const sources = sourceNumbers(index, sourceIds);
    const { matrix, scores } = cache.scores(index, dimensions, unit);
    let gone = 0;
    for (let at = 0; at < matrix.count; at++) {
      const row = matrix.rows[at] ?? 0;
      const source = blocks.get(row >> blockBits)?.[(row & (blockRows - 1)) * 2] ?? 0;
      if (source === 0) gone += 1;
      if (source === 0 || (sources && !sources.has(source))) scores[at] = Number.NEGATIVE_INFINITY;
    }
    const most = limitOf(limit);
    const threshold = thresholdOf(
      scores,
      matrix.count,
      most === 0 ? 0 : Math.max(minCandidates, most * 2),
      Number.NEGATIVE_INFINITY,
    );
    const candidates: ScoredRow[] = [];
    const exact = statement(index, 'SELECT data FROM vectors WHERE row = ?');
    for (let at = 0; at < matrix.count && candidates.length < maxCandidates; at++) {
      const approximate = scores[at] ?? Number.NEGATIVE_INFINITY;
      if (approximate === Number.NEGATIVE_INFINITY || approximate < threshold) continue;
      const row = matrix.rows[at] ?? 0;
      const data = exact.get(row)?.data;
      if (!(data instanceof Uint8Array) || data.byteLength !== dimensions * 4) throw damagedIndex(index.ref);
      candidates.push({ row, score: dot(unit, asFloats(data)) });
    }
    // Rows of chunks that are gone still cost time in the scan.
    if (gone > 256 && gone * 4 > matrix.count) cache.drop(index.path);
    return inOrder(index, candidates, most).map(({ row, score }) => ({ chunk: chunkAt(index, row), score }));
  });

const asFloats = (data: Uint8Array): Float32Array => {
  const whole = data.byteOffset % 4 === 0 ? data : data.slice();
  return new Float32Array(whole.buffer, whole.byteOffset, whole.byteLength / 4);
};

const dot = (a: Float32Array, b: Float32Array): number => {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
};

/** The vector at unit length; nothing for one that points nowhere. */
export const normalised = (vector: Float32Array): Float32Array | undefined => {
  const length = Math.sqrt(dot(vector, vector));
  if (!Number.isFinite(length)) throw new AppError('invalid', 'A vector holds a value that is no number.');
  return length === 0 ? undefined : vector.map((value) => value / length);
};

export const documentChunks = (index: IndexFile, documentId: string): readonly Chunk[] =>
  reading(index, () =>
    allRows(index, 'SELECT data FROM chunks WHERE document = ? ORDER BY ordinal, row', documentId).map(
      (row) => JSON.parse(String(row.data)) as Chunk,
    ),
  );

export const presentDocuments = (index: IndexFile, documentIds: readonly string[]): readonly string[] =>
  reading(index, () => {
    const look = statement(index, 'SELECT 1 FROM chunks WHERE document = ? LIMIT 1');
    return documentIds.filter((id) => look.get(id) !== undefined);
  });

export const statsOf = (index: IndexFile): IndexStats =>
  reading(index, () => {
    const meta = metaOf(index);
    const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    return { documents: meta.documents, chunks: meta.chunks, bytes: size(index.path) + size(`${index.path}-wal`) };
  });
