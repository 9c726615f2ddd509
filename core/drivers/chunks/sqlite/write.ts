import type { Chunk } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import { type CountedTerms, countTerms } from './count-terms.ts';
import {
  allRows,
  asBytes,
  asPairs,
  blockBits,
  blockRows,
  hasDocumentRows,
  type IndexFile,
  type Meta,
  metaOf,
  oneRow,
  profileOf,
  run,
  statement,
  writing,
} from './index-file.ts';
import { normalised } from './read.ts';
import { type DocumentTerms, eachTerm, foldAt, packByChunk, packTerms, recentOf } from './recent.ts';
import { quantise } from './vector-cache.ts';

/** A document as it crosses to the writer: vectors apart, so that they travel as one block. */
export type IncomingDocument = {
  readonly documentId: string;
  readonly chunks: readonly Chunk[];
  readonly vectors: readonly (Float32Array | undefined)[];
};

type Prepared = CountedTerms & {
  readonly chunks: readonly Chunk[];
  readonly vectors: readonly (Float32Array | undefined)[];
};

/** The work that needs no lock: analysis and the check of the vectors. */
const prepare = ({ chunks, vectors }: IncomingDocument, dimensions: number | null): Prepared => ({
  ...countTerms(chunks),
  chunks,
  vectors: chunks.map((_, at) => {
    const given = vectors[at];
    if (given && given.length !== dimensions) {
      throw new AppError(
        'conflict',
        `This search index takes vectors of ${dimensions ?? 'no'} dimensions, not of ${given.length}. Re-index with the embedding model that is configured now.`,
      );
    }
    return given && normalised(given);
  }),
});

/** The changes of one transaction, gathered so that each block is written once. */
type Batch = {
  readonly index: IndexFile;
  readonly blocks: Map<number, Uint16Array>;
  readonly live: Map<number, number>;
  /** Documents that are not in the posting lists yet, by their first row. */
  readonly recent: Map<number, DocumentTerms>;
  readonly documentRows: boolean;
  readonly languages: Record<string, number>;
  readonly sources: Map<string, number>;
  nextRow: number;
  chunks: number;
  documents: number;
  length: number;
};

const openBatch = (index: IndexFile, meta: Meta): Batch => ({
  index,
  blocks: new Map(),
  live: new Map(),
  recent: new Map(),
  documentRows: hasDocumentRows(meta),
  languages: JSON.parse(meta.languages) as Record<string, number>,
  sources: new Map(),
  nextRow: meta.next_row,
  chunks: meta.chunks,
  documents: meta.documents,
  length: meta.length,
});

const blockOf = (batch: Batch, block: number): Uint16Array => {
  const known = batch.blocks.get(block);
  if (known) return known;
  const row = oneRow(batch.index, 'SELECT rows, live FROM blocks WHERE block = ?', block);
  const rows = new Uint16Array(blockRows * 2);
  if (row) rows.set(asPairs(row.rows, batch.index.ref));
  batch.blocks.set(block, rows);
  batch.live.set(block, Number(row?.live ?? 0));
  return rows;
};

/** Marks a row as taken by a source's chunk of this length, or as free. */
const mark = (batch: Batch, row: number, source: number, length: number): void => {
  const block = row >> blockBits;
  const rows = blockOf(batch, block);
  const at = (row & (blockRows - 1)) * 2;
  const change = (source === 0 ? 0 : 1) - (rows[at] === 0 ? 0 : 1);
  batch.live.set(block, (batch.live.get(block) ?? 0) + change);
  rows[at] = source;
  rows[at + 1] = Math.min(length, 0xffff);
};

const sourceNumber = (batch: Batch, id: string): number => {
  const known = batch.sources.get(id);
  if (known !== undefined) return known;
  const row = oneRow(batch.index, 'SELECT n FROM sources WHERE id = ?', id);
  const n = Number(row?.n ?? run(batch.index, 'INSERT INTO sources (id) VALUES (?)', id).lastInsertRowid);
  if (n > 0xffff) throw new AppError('conflict', 'A search index holds documents of at most 65,535 sources.');
  batch.sources.set(id, n);
  return n;
};

const removeDocument = (batch: Batch, documentId: string): void => {
  const rows = allRows(batch.index, 'SELECT row, length, language FROM chunks WHERE document = ?', documentId);
  if (rows.length === 0) return;
  for (const found of rows) {
    const row = Number(found.row);
    const language = String(found.language);
    mark(batch, row, 0, 0);
    batch.chunks -= 1;
    batch.length -= Number(found.length);
    batch.languages[language] = Math.max(0, (batch.languages[language] ?? 0) - 1);
    run(batch.index, 'DELETE FROM recent WHERE row = ?', row);
    run(batch.index, 'DELETE FROM vectors WHERE row = ?', row);
    run(batch.index, 'DELETE FROM quantised WHERE row = ?', row);
  }
  batch.documents -= 1;
  run(batch.index, 'DELETE FROM chunks WHERE document = ?', documentId);
};

const addDocument = (batch: Batch, documentId: string, prepared: Prepared): void => {
  const { chunks, vectors, language, lengths, terms } = prepared;
  if (chunks.length === 0) return;
  batch.documents += 1;
  batch.recent.set(batch.nextRow, terms);
  const insert = statement(batch.index, 'INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)');
  for (const [at, chunk] of chunks.entries()) {
    const row = batch.nextRow++;
    const length = lengths[at] ?? 0;
    insert.run(row, chunk.id, documentId, chunk.ordinal, length, language, JSON.stringify(chunk));
    mark(batch, row, sourceNumber(batch, chunk.sourceId), length);
    batch.length += length;
    const vector = vectors[at];
    if (!vector) continue;
    run(
      batch.index,
      'INSERT INTO vectors VALUES (?, ?)',
      row,
      new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength),
    );
    run(batch.index, 'INSERT INTO quantised VALUES (?, ?)', row, quantise(vector));
  }
  batch.chunks += chunks.length;
  batch.languages[language] = (batch.languages[language] ?? 0) + chunks.length;
};

type Postings = Map<number, Map<string, number[]>>;

const post = (postings: Postings, row: number, term: string, weight: number): void => {
  const block = row >> blockBits;
  const terms = postings.get(block) ?? new Map<string, number[]>();
  postings.set(block, terms);
  const pairs = terms.get(term);
  if (pairs) pairs.push(row & (blockRows - 1), Math.min(weight, 0xffff));
  else terms.set(term, [row & (blockRows - 1), Math.min(weight, 0xffff)]);
};

/** A document's terms, whose chunks have the rows from `row` on. */
const postDocument = (postings: Postings, row: number, term: string, pairs: readonly number[]): void => {
  for (let at = 0; at < pairs.length; at += 2) post(postings, row + (pairs[at] ?? 0), term, pairs[at + 1] ?? 0);
};

const writePostings = (index: IndexFile, postings: Postings): void => {
  // `||` makes a text of two BLOBs; the cast makes a BLOB of the same bytes again.
  const append = statement(
    index,
    'INSERT INTO postings VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET data = CAST(data || excluded.data AS BLOB)',
  );
  for (const [block, terms] of postings) {
    // In the order of the table, so that neighbours share a page while it is at hand.
    for (const term of [...terms.keys()].sort())
      append.run(block, term, asBytes(new Uint16Array(terms.get(term) ?? [])));
  }
};

/** All recent documents into the posting lists, so that what is recent is always above what is not. */
const fold = (batch: Batch): void => {
  const { index } = batch;
  const postings: Postings = new Map();
  for (const { row, terms } of recentOf(index))
    eachTerm(terms, (term, pairs) => postDocument(postings, row, term, pairs));
  for (const [row, terms] of batch.recent) for (const [term, pairs] of terms) postDocument(postings, row, term, pairs);
  writePostings(index, postings);
  run(index, 'DELETE FROM recent');
  batch.recent.clear();
};

const keepRecent = (batch: Batch): void => {
  const { index } = batch;
  // Rows that were removed count as well; counting the others would read all of them, for each document again.
  const kept = oneRow(index, 'SELECT min(row) AS row FROM recent')?.row ?? null;
  const [added = batch.nextRow] = batch.recent.keys();
  if (batch.nextRow - (kept === null ? added : Number(kept)) >= foldAt) {
    fold(batch);
    return;
  }
  const insert = statement(index, 'INSERT INTO recent VALUES (?, ?)');
  for (const [row, terms] of batch.recent) {
    if (batch.documentRows) insert.run(row, packTerms(terms));
    else for (const [offset, packed] of packByChunk(terms)) insert.run(row + offset, packed);
  }
  batch.recent.clear();
};

const writeBlocks = (batch: Batch): void => {
  for (const [block, rows] of batch.blocks) {
    const used = Math.max(0, Math.min(blockRows, batch.nextRow - (block << blockBits)));
    run(
      batch.index,
      'INSERT INTO blocks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET live = excluded.live, rows = excluded.rows',
      block,
      batch.live.get(block) ?? 0,
      asBytes(rows.subarray(0, used * 2)),
    );
  }
  batch.blocks.clear();
  batch.live.clear();
};

const sweepBelow = blockRows / 4;

/**
 * Postings of chunks that are gone stay until most of a full block is gone; then its remaining chunks move to new rows
 * and the block goes whole. At most one block a transaction, so that no write waits long for it.
 */
const sweep = (batch: Batch): void => {
  const { index } = batch;
  const last = batch.nextRow >> blockBits;
  const found = oneRow(
    index,
    'SELECT block, live, rows FROM blocks WHERE block < ? AND live < ? ORDER BY live LIMIT 1',
    last,
    sweepBelow,
  );
  if (!found) return;
  fold(batch);
  const block = Number(found.block);
  const rows = asPairs(found.rows, index.ref);
  const moved = new Map<number, number>();
  for (let offset = 0; offset * 2 < rows.length; offset++) {
    const source = rows[offset * 2] ?? 0;
    if (source === 0) continue;
    const from = (block << blockBits) + offset;
    const to = batch.nextRow++;
    moved.set(offset, to);
    mark(batch, to, source, rows[offset * 2 + 1] ?? 0);
    for (const table of ['chunks', 'vectors', 'quantised'])
      run(index, `UPDATE ${table} SET row = ? WHERE row = ?`, to, from);
  }
  if (moved.size > 0) {
    const postings: Postings = new Map();
    for (const row of allRows(index, 'SELECT term, data FROM postings WHERE block = ?', block)) {
      const pairs = asPairs(row.data, index.ref);
      for (let at = 0; at < pairs.length; at += 2) {
        const to = moved.get(pairs[at] ?? 0);
        if (to !== undefined) post(postings, to, String(row.term), pairs[at + 1] ?? 0);
      }
    }
    writePostings(index, postings);
  }
  run(index, 'DELETE FROM postings WHERE block = ?', block);
  run(index, 'DELETE FROM blocks WHERE block = ?', block);
  writeBlocks(batch);
};

const finish = (batch: Batch): void => {
  keepRecent(batch);
  writeBlocks(batch);
  sweep(batch);
  run(
    batch.index,
    'UPDATE meta SET revision = revision + 1, next_row = ?, chunks = ?, documents = ?, length = ?, languages = ?',
    batch.nextRow,
    batch.chunks,
    batch.documents,
    batch.length,
    JSON.stringify(batch.languages),
  );
};

/** One transaction: every document's old chunks go and its new ones appear, or nothing happens. */
export const replaceDocuments = (index: IndexFile, documents: readonly IncomingDocument[]): void => {
  const { dimensions } = profileOf(metaOf(index));
  // A document given twice counts with its last version.
  const latest = new Map(documents.map((document) => [document.documentId, document]));
  const prepared = [...latest].map(([id, document]) => [id, prepare(document, dimensions)] as const);
  writing(index, () => {
    const batch = openBatch(index, metaOf(index));
    for (const [id, parts] of prepared) {
      removeDocument(batch, id);
      addDocument(batch, id, parts);
    }
    finish(batch);
  });
};

export const removeDocuments = (index: IndexFile, documentIds: readonly string[]): void => {
  writing(index, () => {
    const batch = openBatch(index, metaOf(index));
    for (const id of new Set(documentIds)) removeDocument(batch, id);
    finish(batch);
  });
};
