/**
 * Q1: keyword retrieval on public test collections, beside a Lucene-style BM25 computed in the same run and the published
 * figures. RETRIEVAL_DATA names a folder with one folder per collection: corpus.jsonl, queries.jsonl, qrels.tsv.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stemmer } from '@orama/stemmers/english';
import type { Chunk } from '../../core/domain.ts';
import { openSqliteChunks } from '../../core/drivers/chunks/sqlite/chunks.ts';
import type { Log } from '../../core/ports/runtime.ts';
import { analyserVersion } from '../../core/text/analyse.ts';
import { type BenchResult, renderResults, rowOf } from './result.ts';

type Collection = {
  readonly name: string;
  readonly documents: readonly { readonly id: string; readonly title: string; readonly text: string }[];
  readonly queries: readonly { readonly id: string; readonly text: string }[];
  readonly judged: ReadonlyMap<string, ReadonlyMap<string, number>>;
};

/** Anserini's regressions for BEIR v1.0.0 (BM25 k1 0.9 b 0.4), nDCG@10 and recall@100. */
const published: Readonly<
  Record<string, { readonly flat: readonly [number, number]; readonly fields: readonly [number, number] }>
> = {
  scifact: { flat: [0.6789, 0.9253], fields: [0.6647, 0.9076] },
  nfcorpus: { flat: [0.3218, 0.2457], fields: [0.3254, 0.25] },
};

const jsonLines = <T>(path: string): T[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);

const readCollection = (folder: string, name: string): Collection => {
  const judged = new Map<string, Map<string, number>>();
  for (const line of readFileSync(join(folder, name, 'qrels.tsv'), 'utf8')
    .split('\n')
    .slice(1)) {
    const [query, document, grade] = line.split('\t');
    if (!query || !document || !(Number(grade) > 0)) continue;
    judged.set(query, (judged.get(query) ?? new Map<string, number>()).set(document, Number(grade)));
  }
  const documents = jsonLines<{ _id: string; title?: string; text: string }>(join(folder, name, 'corpus.jsonl'));
  const queries = jsonLines<{ _id: string; text: string }>(join(folder, name, 'queries.jsonl'));
  return {
    name,
    documents: documents.map(({ _id, title, text }) => ({ id: _id, title: title ?? '', text })),
    queries: queries.filter(({ _id }) => judged.has(_id)).map(({ _id, text }) => ({ id: _id, text })),
    judged,
  };
};

type Run = ReadonlyMap<string, readonly string[]>;

/** nDCG@10 with linear gain, as trec_eval counts it, and recall@100. */
const judge = ({ queries, judged }: Collection, run: Run): readonly [number, number] => {
  let ndcg = 0;
  let recall = 0;
  for (const { id } of queries) {
    const grades = judged.get(id) ?? new Map<string, number>();
    const ranked = run.get(id) ?? [];
    const gain = (list: readonly number[]) =>
      list.slice(0, 10).reduce((sum, grade, at) => sum + grade / Math.log2(at + 2), 0);
    ndcg +=
      gain(ranked.map((document) => grades.get(document) ?? 0)) / gain([...grades.values()].sort((a, b) => b - a));
    recall += ranked.slice(0, 100).filter((document) => grades.has(document)).length / grades.size;
  }
  return [ndcg / queries.length, recall / queries.length];
};

/** Lucene's default stop words for English. */
const stopWords = new Set(
  'a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with'.split(
    ' ',
  ),
);
/** What Lucene's EnglishAnalyzer does, near enough: words, possessive off, stop words, Porter. */
const luceneTerms = (text: string): string[] =>
  (text.toLowerCase().match(/[\p{L}\p{N}]+(?:[.'’_](?=[\p{L}\p{N}])[\p{L}\p{N}]+)*/gu) ?? [])
    .map((word) => word.replace(/['’]s$/, ''))
    .filter((word) => !stopWords.has(word))
    .map((word) => stemmer(word));

const reference = (collection: Collection, k1: number, b: number): Run => {
  const postings = new Map<string, [number, number][]>();
  const lengths = collection.documents.map(({ title, text }, at) => {
    const counts = new Map<string, number>();
    const terms = luceneTerms(`${title} ${text}`);
    for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
    for (const [term, count] of counts) {
      const list = postings.get(term) ?? [];
      list.push([at, count]);
      postings.set(term, list);
    }
    return terms.length;
  });
  const average = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const run = new Map<string, readonly string[]>();
  for (const { id, text } of collection.queries) {
    const scores = new Map<number, number>();
    for (const term of luceneTerms(text)) {
      const found = postings.get(term) ?? [];
      const weight = Math.log(1 + (lengths.length - found.length + 0.5) / (found.length + 0.5));
      for (const [at, count] of found) {
        const saturation = count + k1 * (1 - b + (b * (lengths[at] ?? 0)) / average);
        scores.set(at, (scores.get(at) ?? 0) + (weight * count) / saturation);
      }
    }
    const best = [...scores].sort((x, y) => y[1] - x[1]).slice(0, 100);
    run.set(
      id,
      best.map(([at]) => collection.documents[at]?.id ?? ''),
    );
  }
  return run;
};

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

const asChunk = (document: Collection['documents'][number]): Chunk => ({
  id: document.id,
  documentId: document.id,
  sourceId: 'collection',
  externalId: document.id,
  ordinal: 0,
  title: document.title,
  headingPath: [],
  text: document.text,
  start: 0,
  end: document.text.length,
  tokens: 0,
});

/** The run of our own store, through the port. */
const ours = async (collection: Collection): Promise<Run> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'retrieval-'));
  const store = await openSqliteChunks({ dataDir, log: silent });
  const { signal } = new AbortController();
  try {
    const ref = { tenantId: 't_bench', generation: 1 };
    await store.ensureIndex(ref, { analyser: analyserVersion, embeddingModel: null, dimensions: null });
    for (let from = 0; from < collection.documents.length; from += 500) {
      const part = collection.documents.slice(from, from + 500);
      await store.replaceDocuments(
        ref,
        part.map((document) => ({ documentId: document.id, chunks: [asChunk(document)] })),
        signal,
      );
    }
    const run = new Map<string, readonly string[]>();
    for (const { id, text } of collection.queries) {
      const { hits } = await store.searchText(ref, text, { limit: 100, signal });
      run.set(
        id,
        hits.map(({ chunk }) => chunk.id),
      );
    }
    return run;
  } finally {
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
};

const measure = async (collection: Collection): Promise<BenchResult[]> => {
  const figures = {
    ours: judge(collection, await ours(collection)),
    'reference BM25 k1 0.9 b 0.4': judge(collection, reference(collection, 0.9, 0.4)),
    'reference BM25 k1 1.2 b 0.75': judge(collection, reference(collection, 1.2, 0.75)),
  };
  const known = published[collection.name];
  return ['nDCG@10', 'recall@100'].map((item, at) => ({
    id: 'Q1',
    item: `${collection.name} ${item}, keyword`,
    value: figures.ours[at] ?? Number.NaN,
    unit: '',
    target: '≥ reference BM25',
    ok: Object.values(figures).every((values) => (figures.ours[at] ?? 0) >= (values[at] ?? 0)),
    beside: [
      ...Object.entries(figures)
        .slice(1)
        .map(([name, values]) => ({ name, value: values[at] ?? Number.NaN })),
      ...(known
        ? [
            { name: 'published, Anserini flat', value: known.flat[at] ?? Number.NaN },
            { name: 'published, Anserini multifield', value: known.fields[at] ?? Number.NaN },
          ]
        : []),
    ],
    note: `${collection.documents.length} documents, ${collection.queries.length} queries`,
  }));
};

export const run = async () => {
  const folder = process.env.RETRIEVAL_DATA;
  if (!folder)
    return [
      rowOf({
        id: 'Q1',
        item: 'keyword retrieval quality',
        value: 'not run',
        unit: '',
        note: 'RETRIEVAL_DATA names no folder',
      }),
    ];
  const results: BenchResult[] = [];
  for (const name of readdirSync(folder).sort()) {
    if (existsSync(join(folder, name, 'qrels.tsv'))) results.push(...(await measure(readCollection(folder, name))));
  }
  return results.map(rowOf);
};

if (import.meta.main) console.log(renderResults(await run()));
