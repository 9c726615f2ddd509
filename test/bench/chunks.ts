/** P4, P5 and P8 (search part): the embedded chunk store at 50,000 chunks, beside MiniSearch, LanceDB and the memory bandwidth. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import MiniSearch from 'minisearch';
import type { Chunk, EmbeddedChunk } from '../../core/domain.ts';
import { openSqliteChunks } from '../../core/drivers/chunks/sqlite/chunks.ts';
import type { ChunkStore, IndexRef } from '../../core/ports/chunks.ts';
import type { Log } from '../../core/ports/runtime.ts';
import { analyse, analyseQuery, analyserVersion } from '../../core/text/analyse.ts';
import { chunksOfModules, createProjector, questionsFrom } from './corpus.ts';
import { quantile, renderResults, rowOf } from './result.ts';

const dimensions = 1_536;
/** Fewer for a quick look: `node test/bench/chunks.ts P5 10000`. */
const many = Number(process.argv[3] ?? 50_000);
const few = 3_500;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const { signal } = new AbortController();

const fill = async (
  store: ChunkStore,
  ref: IndexRef,
  chunks: readonly Chunk[],
  project?: (text: string) => Float32Array,
): Promise<number> => {
  await store.ensureIndex(ref, {
    analyser: analyserVersion,
    embeddingModel: project ? 'projection' : null,
    dimensions: project ? dimensions : null,
  });
  let took = 0;
  for (let from = 0; from < chunks.length; from += 500) {
    const byDocument = new Map<string, EmbeddedChunk[]>();
    for (const chunk of chunks.slice(from, from + 500)) {
      // Slices of 500 may cut a document; each part is a document of its own here.
      const documentId = `${chunk.documentId}@${from}`;
      const list = byDocument.get(documentId) ?? [];
      list.push(project ? { ...chunk, vector: project(chunk.text) } : chunk);
      byDocument.set(documentId, list);
    }
    const started = performance.now();
    await store.replaceDocuments(
      ref,
      [...byDocument].map(([documentId, list]) => ({ documentId, chunks: list })),
      signal,
    );
    took += performance.now() - started;
  }
  return (chunks.length / took) * 1_000;
};

const timed = async <T>(
  questions: readonly T[],
  ask: (question: T) => unknown,
): Promise<{ p50: number; p95: number }> => {
  for (const question of questions.slice(0, 10)) await ask(question);
  const samples: number[] = [];
  for (const question of questions) {
    const started = performance.now();
    await ask(question);
    samples.push(performance.now() - started);
  }
  return { p50: quantile(samples, 0.5), p95: quantile(samples, 0.95) };
};

/** Milliseconds to read every float32 once: what no exact float32 scan can beat on one core. Best of seven. */
const bandwidthLimit = (): number => {
  const data = new Float64Array((many * dimensions) / 2).fill(1);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const target = new Float64Array(1 << 16);
    const started = performance.now();
    for (let at = 0; at < data.length; at += target.length) target.set(data.subarray(at, at + target.length));
    best = Math.min(best, performance.now() - started);
  }
  return best;
};

const recall = async (
  store: ChunkStore,
  ref: IndexRef,
  chunks: readonly Chunk[],
  vectors: readonly Float32Array[],
  queries: readonly Float32Array[],
) => {
  let found = 0;
  for (const query of queries) {
    const scores = vectors.map((vector, at) => {
      let sum = 0;
      for (let i = 0; i < dimensions; i++) sum += (vector[i] ?? 0) * (query[i] ?? 0);
      return [sum, chunks[at]?.id] as const;
    });
    const exact = new Set(
      scores
        .sort((a, b) => b[0] - a[0])
        .slice(0, 10)
        .map(([, id]) => id),
    );
    for (const { chunk } of await store.searchVector(ref, query, { limit: 10, signal }))
      if (exact.has(chunk.id)) found += 1;
  }
  return found / (queries.length * 10);
};

type Table = {
  search(query: string, kind: string): { limit(count: number): { toArray(): Promise<unknown[]> } };
  createIndex(column: string, options: unknown): Promise<void>;
};
type Lance = {
  connect(path: string): Promise<{ createTable(name: string, rows: readonly object[]): Promise<Table> }>;
  Index: { fts(): unknown };
};

/** LanceDB's keyword search, when BENCH_PEERS names a folder whose node_modules hold it. */
const lance = async (
  folder: string,
  chunks: readonly Chunk[],
  questions: readonly string[],
): Promise<{ p50: number; p95: number } | undefined> => {
  if (process.env.BENCH_PEERS === undefined) return undefined;
  const load = createRequire(join(process.env.BENCH_PEERS, 'peers.cjs'));
  const found = load('@lancedb/lancedb') as Lance;
  const table = await (await found.connect(join(folder, 'lance'))).createTable(
    'chunks',
    chunks.map(({ id, text }) => ({ id, text })),
  );
  await table.createIndex('text', { config: found.Index.fts() });
  return timed(questions, (question) => table.search(question, 'fts').limit(10).toArray());
};

/** FTS5 over the same terms, as close to ours as it comes: title, headings and text, bm25() with our weights, OR of the words. */
const fts5 = async (folder: string, chunks: readonly Chunk[]) => {
  const db = new DatabaseSync(join(folder, 'fts5.sqlite'));
  db.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4000;
    CREATE VIRTUAL TABLE terms USING fts5 (title, headings, body, content = '', tokenize = "unicode61 categories 'L* N* Co P* S*'");
    CREATE TABLE chunks (row INTEGER PRIMARY KEY, data TEXT NOT NULL);
  `);
  const insert = db.prepare('INSERT INTO terms (rowid, title, headings, body) VALUES (?, ?, ?, ?)');
  const keep = db.prepare('INSERT INTO chunks VALUES (?, ?)');
  const started = performance.now();
  for (let from = 0; from < chunks.length; from += 500) {
    db.exec('BEGIN IMMEDIATE');
    for (const [at, { title, headingPath, text, ...chunk }] of chunks.slice(from, from + 500).entries()) {
      const joined = [title, headingPath.join('\n'), text].map((field) => analyse(field, 'en').join(' ')) as [
        string,
        string,
        string,
      ];
      insert.run(from + at, ...joined);
      keep.run(from + at, JSON.stringify({ ...chunk, title, headingPath, text }));
    }
    db.exec('COMMIT');
  }
  const rate = (chunks.length / (performance.now() - started)) * 1_000;
  // `ORDER BY bm25(…)` is FTS5's quicker way here: sorting by its own rank column took half as long again.
  const search = db.prepare(
    'SELECT data FROM (SELECT rowid FROM terms WHERE terms MATCH ? ORDER BY bm25(terms, 1.5, 1.5, 1.0) LIMIT 10) AS found JOIN chunks ON chunks.row = found.rowid',
  );
  return {
    rate,
    search: (question: string): readonly unknown[] => {
      const words = analyseQuery(question).flatMap(({ variants }) => variants);
      const match = words.map((word) => `"${word.replaceAll('"', '""')}"`).join(' OR ');
      return match === '' ? [] : search.all(match).map(({ data }) => JSON.parse(String(data)));
    },
    close: () => db.close(),
  };
};

/** Both asked each question in turn, so that a busy moment of the machine meets both. */
const inTurn = async <T>(
  questions: readonly T[],
  asks: readonly ((question: T) => unknown)[],
): Promise<readonly { p50: number; p95: number }[]> => {
  const samples = asks.map(() => [] as number[]);
  for (const [round, question] of [...questions.slice(0, 10), ...questions].entries()) {
    for (const [at, ask] of asks.entries()) {
      const started = performance.now();
      await ask(question);
      if (round >= 10) samples[at]?.push(performance.now() - started);
    }
  }
  return samples.map((own) => ({ p50: quantile(own, 0.5), p95: quantile(own, 0.95) }));
};

const keyword = async (store: ChunkStore, folder: string, chunks: readonly Chunk[], questions: readonly string[]) => {
  const big = { tenantId: 't_big', generation: 1 };
  const small = { tenantId: 't_small', generation: 1 };
  const rate = await fill(store, big, chunks);
  await fill(store, small, chunks.slice(0, few));
  const search = (ref: IndexRef) => (question: string) => store.searchText(ref, question, { limit: 10, signal });
  const builtIn = await fts5(folder, chunks);
  const [inBig, inFts5] = await inTurn(questions, [search(big), builtIn.search]);
  builtIn.close();
  if (inBig === undefined || inFts5 === undefined) throw new Error('Nothing was measured.');
  const inSmall = await timed(questions, search(small));
  const mini = new MiniSearch<Chunk>({ fields: ['title', 'text'], storeFields: ['text'] });
  mini.addAll(chunks);
  const peer = await timed(questions.slice(0, 60), (question) => mini.search(question).slice(0, 10));
  const other = await lance(folder, chunks, questions);
  const beside = [
    { name: 'p95', value: inBig.p95 },
    { name: 'FTS5 over the same terms p50 (on this thread, no message)', value: inFts5.p50 },
    { name: 'FTS5 p95', value: inFts5.p95 },
    { name: 'FTS5 indexing, chunks/s', value: builtIn.rate },
    { name: 'MiniSearch p50 (in memory, blocks)', value: peer.p50 },
    { name: 'LanceDB p50', value: other?.p50 ?? 'not installed' },
  ];
  return [
    {
      id: 'P5',
      item: `keyword search, ${many.toLocaleString('en')} chunks, p50`,
      value: inBig.p50,
      unit: 'ms',
      target: '≤ 15',
      beside,
      ok: inBig.p50 <= 15,
    },
    {
      id: 'P5',
      item: 'keyword search, 3,500 chunks beside 50,000, p50',
      value: inSmall.p50,
      unit: 'ms',
      target: '≤ 3',
      beside: [{ name: 'p95', value: inSmall.p95 }],
      ok: inSmall.p50 <= 3,
    },
    {
      id: 'P6',
      item: 'indexing without vectors',
      value: rate,
      unit: 'chunks/s',
      note: '500 chunks a call, commits synced',
    },
  ].map(rowOf);
};

/** A process that does nothing but watch its own loop: what it sees is the machine, not us. */
const idleBeside = async (): Promise<{ stop(): Promise<{ readonly max: number; readonly p99: number }> }> => {
  const program = `
    const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    process.on('message', () => process.send({ max: delay.max / 1e6, p99: delay.percentile(99) / 1e6 }, () => process.exit(0)));
    setTimeout(() => { delay.reset(); process.send('ready'); }, 200);
  `;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  await once(child, 'message');
  return {
    stop: async () => {
      child.send('stop');
      const [seen] = (await once(child, 'message')) as [{ readonly max: number; readonly p99: number }];
      return seen;
    },
  };
};

const hybrid = async (store: ChunkStore, chunks: readonly Chunk[], questions: readonly string[]) => {
  const ref = { tenantId: 't_hybrid', generation: 1 };
  const project = createProjector(dimensions);
  const rate = await fill(store, ref, chunks, project);
  const queries = questions.map((question) => ({ question, vector: project(question) }));
  const cold = performance.now();
  await store.searchVector(ref, queries[0]?.vector ?? new Float32Array(dimensions), { limit: 10, signal });
  const loaded = performance.now() - cold;
  const both = ({ question, vector }: { question: string; vector: Float32Array }) =>
    Promise.all([
      store.searchText(ref, question, { limit: 30, signal }),
      store.searchVector(ref, vector, { limit: 30, signal }),
    ]);
  const pair = await timed(queries, both);
  const alone = await timed(queries, ({ vector }) => store.searchVector(ref, vector, { limit: 10, signal }));
  const idle = await idleBeside();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await Promise.all(queries.slice(0, 50).map(both));
  delay.disable();
  const held = delay.max / 1e6;
  const heldIdle = await idle.stop();
  const sample = queries.slice(0, 20).map(({ vector }) => vector);
  const right = await recall(
    store,
    ref,
    chunks,
    chunks.map((chunk) => project(chunk.text)),
    sample,
  );
  const limit = bandwidthLimit();
  return [
    {
      id: 'P4',
      item: 'hybrid search, 50,000 × 1,536, p50',
      value: pair.p50,
      unit: 'ms',
      target: '≤ 25',
      ok: pair.p50 <= 25,
      beside: [
        { name: 'vector half alone p50', value: alone.p50 },
        { name: 'bandwidth limit of a float32 scan', value: limit },
        { name: 'first search (load)', value: loaded },
      ],
    },
    { id: 'P4', item: 'hybrid search, p95', value: pair.p95, unit: 'ms', target: '≤ 55', ok: pair.p95 <= 55 },
    { id: 'P4', item: 'vector recall@10 of exact', value: right, unit: '', target: '≥ 0.99', ok: right >= 0.99 },
    {
      id: 'P4',
      item: 'event loop held, 50 hybrid searches at once',
      value: held,
      unit: 'ms',
      target: '≤ 15',
      ok: held <= 15,
      beside: [
        { name: 'held in a process beside that does nothing, meanwhile', value: heldIdle.max },
        { name: 'its p99', value: heldIdle.p99 },
        { name: 'p99 of ours', value: delay.percentile(99) / 1e6 },
      ],
    },
    { id: 'P6', item: 'indexing with vectors', value: rate, unit: 'chunks/s' },
  ].map(rowOf);
};

const growth = async (folder: string, chunks: readonly Chunk[], questions: readonly string[]) => {
  const store = await openSqliteChunks({ dataDir: join(folder, 'growth'), log: silent });
  const refs = Array.from({ length: 1_000 }, (_, at) => ({ tenantId: `t_${at}`, generation: 1 }));
  for (const [at, ref] of refs.entries()) await fill(store, ref, chunks.slice(at * 40, at * 40 + 40));
  await store.close();
  const memoryOf = async (count: number) => {
    const fresh = await openSqliteChunks({ dataDir: join(folder, 'growth'), log: silent });
    const used = refs.slice(0, count);
    const asked = Array.from({ length: 2_000 }, (_, at) => ({
      ref: used[(at * 7) % count] ?? refs[0],
      question: questions[at % questions.length] ?? '',
    }));
    const ask = ({ ref, question }: (typeof asked)[number]) =>
      fresh.searchText(ref as IndexRef, question, { limit: 10, signal });
    await ask(asked[0] as (typeof asked)[number]);
    const before = process.memoryUsage.rss();
    const time = await timed(asked, ask);
    const after = process.memoryUsage.rss();
    await fresh.close();
    return { ...time, bytes: after - before };
  };
  const one = await memoryOf(1);
  const all = await memoryOf(1_000);
  const each = Math.max(0, all.bytes - Math.max(0, one.bytes)) / 1_000 / 1_024;
  return [
    {
      id: 'P8',
      item: 'search with 1,000 tenants against 1, p50 ratio',
      value: all.p50 / one.p50,
      unit: '×',
      target: '≤ 1.2',
      ok: all.p50 / one.p50 <= 1.2,
      beside: [
        { name: 'p50 of 1', value: one.p50 },
        { name: 'p50 of 1,000', value: all.p50 },
        { name: 'p95 of 1,000', value: all.p95 },
      ],
    },
    {
      id: 'P8',
      item: 'memory per tenant after each was searched',
      value: each,
      unit: 'kB',
      target: '≤ 50',
      ok: each <= 50,
    },
  ].map(rowOf);
};

export const run = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chunks-'));
  const chunks = chunksOfModules(many);
  const questions = questionsFrom(chunks, 200);
  const only = process.argv[2];
  try {
    const store = await openSqliteChunks({ dataDir: folder, log: silent });
    const rows = [
      ...(only && only !== 'P5' ? [] : await keyword(store, folder, chunks, questions)),
      ...(only && only !== 'P4' ? [] : await hybrid(store, chunks, questions)),
    ];
    await store.close();
    return [...rows, ...(only && only !== 'P8' ? [] : await growth(folder, chunks, questions))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

if (import.meta.main) console.log(renderResults(await run()));
