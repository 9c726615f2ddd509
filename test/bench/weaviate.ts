/**
 * The Weaviate chunk store against a real server: WEAVIATE_URL, WEAVIATE_GRPC_URL, and WEAVIATE_PID of the server for its
 * memory. Without a server every row says "not run". The server shares the machine's cores with the bench.
 */
import { readFileSync } from 'node:fs';
import weaviate from 'weaviate-client';
import type { Chunk, EmbeddedChunk } from '../../core/domain.ts';
import { openWeaviateChunks, type WeaviateChunks } from '../../core/drivers/chunks/weaviate/chunks.ts';
import { createNames } from '../../core/drivers/chunks/weaviate/names.ts';
import { systemClock } from '../../core/observe/system.ts';
import type { IndexRef } from '../../core/ports/chunks.ts';
import type { Log } from '../../core/ports/runtime.ts';
import { analyse, analyserVersion } from '../../core/text/analyse.ts';
import { chunksOfModules, createProjector, questionsFrom } from './corpus.ts';
import { type BenchResult, quantile, renderResults, rowOf } from './result.ts';

const dimensions = Number(process.env.BENCH_DIMENSIONS ?? 384);
const sizes = (process.env.BENCH_SIZES ?? '10000,50000').split(',').map(Number);
const deploymentId = 'bench';
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const { signal } = new AbortController();
/** Other settings of the vector index than ours, to see what they bring: BENCH_HNSW=efConstruction,maxConnections,ef */
const [efConstruction, maxConnections, ef] = (process.env.BENCH_HNSW ?? '').split(',').filter(Boolean).map(Number);
const otherSettings = {
  ...(efConstruction === undefined ? {} : { efConstruction }),
  ...(maxConnections === undefined ? {} : { maxConnections }),
  ...(ef === undefined ? {} : { ef }),
};
const { WEAVIATE_URL, WEAVIATE_GRPC_URL, WEAVIATE_API_KEY, WEAVIATE_PID } = process.env;

const open = (url: string, tenancy: 'collection' | 'native' = 'collection'): Promise<WeaviateChunks> =>
  openWeaviateChunks({
    url,
    grpcUrl: WEAVIATE_GRPC_URL,
    apiKey: WEAVIATE_API_KEY,
    deploymentId,
    tenancy,
    replicas: 1,
    maxTenants: 2_000,
    index: otherSettings,
    clock: systemClock,
    log: silent,
  });

const timed = async <T>(
  all: readonly T[],
  ask: (one: T) => Promise<unknown>,
): Promise<{ p50: number; p95: number }> => {
  for (const one of all.slice(0, 10)) await ask(one);
  const samples: number[] = [];
  for (const one of all) {
    const started = performance.now();
    await ask(one);
    samples.push(performance.now() - started);
  }
  return { p50: quantile(samples, 0.5), p95: quantile(samples, 0.95) };
};

type Project = (text: string) => Float32Array;

/** Chunks per second, 500 a call as the embedded store is measured; the vectors are made outside the time. */
const fill = async (
  store: WeaviateChunks,
  ref: IndexRef,
  chunks: readonly Chunk[],
  project: Project,
): Promise<number> => {
  let took = 0;
  for (let from = 0; from < chunks.length; from += 500) {
    const byDocument = new Map<string, EmbeddedChunk[]>();
    for (const chunk of chunks.slice(from, from + 500)) {
      const documentId = `${chunk.documentId}@${chunk.id}`.slice(0, 200);
      const list = byDocument.get(chunk.documentId) ?? [];
      list.push({ ...chunk, documentId: list[0]?.documentId ?? documentId, vector: project(chunk.text) });
      byDocument.set(chunk.documentId, list);
    }
    const documents = [...byDocument.values()].map((list) => ({ documentId: list[0]?.documentId ?? '', chunks: list }));
    const started = performance.now();
    await store.replaceDocuments(ref, documents, signal);
    took += performance.now() - started;
  }
  return (chunks.length / took) * 1_000;
};

const recallOf = async (
  store: WeaviateChunks,
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
      return { sum, id: chunks[at]?.id };
    });
    const best = scores.sort((a, b) => b.sum - a.sum);
    // What ties with the tenth is as right as the tenth.
    const least = (best[9]?.sum ?? 0) - 1e-6;
    const exact = new Set(best.filter(({ sum }) => sum >= least).map(({ id }) => id));
    for (const { chunk } of await store.searchVector(ref, query, { limit: 10, signal }))
      if (exact.has(chunk.id)) found += 1;
  }
  return found / (queries.length * 10);
};

const searching = async (store: WeaviateChunks, url: string): Promise<BenchResult[]> => {
  const results: BenchResult[] = [];
  const ref = { tenantId: 't_search', generation: 1 };
  const project = createProjector(dimensions);
  const chunks = chunksOfModules(sizes.at(-1) ?? 0);
  const vectors = chunks.map((chunk) => project(chunk.text));
  const questions = questionsFrom(chunks, 150).map((question) => ({ question, vector: project(question) }));
  await store.dropTenant(ref.tenantId);
  await store.ensureIndex(ref, { analyser: analyserVersion, embeddingModel: 'projection', dimensions });
  let have = 0;
  for (const size of sizes) {
    const rate = await fill(store, ref, chunks.slice(have, size), project);
    results.push({
      id: 'W1',
      item: `insert, from ${have} to ${size} chunks × ${dimensions}`,
      value: rate,
      unit: 'chunks/s',
      note: '500 a call',
    });
    have = size;
    // Changed within the last minute, every document is searched twice; a tenant at rest is not.
    await systemClock.sleep(61_000);
    const text = await timed(questions, ({ question }) => store.searchText(ref, question, { limit: 10, signal }));
    const vector = await timed(questions, (each) => store.searchVector(ref, each.vector, { limit: 10, signal }));
    const deep = await timed(questions, ({ question }) => store.searchText(ref, question, { limit: 100, signal }));
    const recall = await recallOf(
      store,
      ref,
      chunks.slice(0, size),
      vectors.slice(0, size),
      questions.slice(0, 50).map((each) => each.vector),
    );
    const label = `${size} chunks`;
    results.push(
      {
        id: 'W2',
        item: `keyword search, ${label}, p50`,
        value: text.p50,
        unit: 'ms',
        beside: [
          { name: 'p95', value: text.p95 },
          { name: 'limit 100 p50', value: deep.p50 },
          { name: 'p95', value: deep.p95 },
        ],
      },
      {
        id: 'W3',
        item: `vector search, ${label}, p50`,
        value: vector.p50,
        unit: 'ms',
        beside: [{ name: 'p95', value: vector.p95 }],
      },
      {
        id: 'W4',
        item: `vector recall@10 of exact, ${label}`,
        value: recall,
        unit: '',
        target: '≥ 0.99',
        ok: recall >= 0.99,
      },
    );
  }
  results.push(...(await hybridBeside(store, url, ref, questions)));
  await store.dropTenant(ref.tenantId);
  return results;
};

/** What `answer/` does (both lists at depth 100, fused there) beside one hybrid query of the server's. */
const hybridBeside = async (
  store: WeaviateChunks,
  url: string,
  ref: IndexRef,
  questions: readonly { question: string; vector: Float32Array }[],
): Promise<BenchResult[]> => {
  const both = (limit: number) => (each: { question: string; vector: Float32Array }) =>
    Promise.all([
      store.searchText(ref, each.question, { limit, signal }),
      store.searchVector(ref, each.vector, { limit, signal }),
    ]);
  const client = await rawClient(url);
  const collection = client.collections.use(createNames(deploymentId).collection(ref));
  const own = (limit: number) => (each: { question: string; vector: Float32Array }) =>
    collection.query.hybrid(analyse(each.question, 'en').join(' '), {
      vector: Array.from(each.vector),
      alpha: 0.5,
      fusionType: 'RelativeScore',
      queryProperties: ['terms'],
      limit,
      returnMetadata: ['score'],
      returnProperties: ['documentId', 'rev', 'title', 'text', 'payload'],
    });
  const results: BenchResult[] = [];
  for (const limit of [20, 100]) {
    const ours = await timed(questions, both(limit));
    const theirs = await timed(questions, own(limit));
    results.push({
      id: 'W5',
      item: `both lists for fusion by us, ${sizes.at(-1)} chunks, limit ${limit}, p50`,
      value: ours.p50,
      unit: 'ms',
      beside: [
        { name: 'p95', value: ours.p95 },
        { name: "Weaviate's own hybrid p50", value: theirs.p50 },
        { name: 'p95', value: theirs.p95 },
      ],
      note: "the server's own knows nothing of whole documents, matched terms or frequencies",
    });
  }
  await client.close();
  return results;
};

const rawClient = (url: string) => {
  const http = new URL(url);
  const grpc = new URL(WEAVIATE_GRPC_URL ?? `http://${http.hostname}:50051`);
  return weaviate.connectToCustom({
    httpHost: http.hostname,
    httpPort: Number(http.port),
    grpcHost: grpc.hostname,
    grpcPort: Number(grpc.port),
    timeout: { init: 10 },
    ...(WEAVIATE_API_KEY === undefined ? {} : { authCredentials: new weaviate.ApiKey(WEAVIATE_API_KEY) }),
  });
};

/** Two generations that can be told apart; eight askers go on asking while the pointer, and the alias, move to and fro. */
const switching = async (store: WeaviateChunks, url: string): Promise<BenchResult[]> => {
  const tenantId = 't_switch';
  const names = createNames(deploymentId);
  const project = createProjector(dimensions);
  const chunks = chunksOfModules(1_000, 'w');
  await store.dropTenant(tenantId);
  for (const generation of [1, 2]) {
    const ref = { tenantId, generation };
    await store.ensureIndex(ref, { analyser: analyserVersion, embeddingModel: 'projection', dimensions });
    await fill(
      store,
      ref,
      chunks.map((chunk) => ({ ...chunk, title: `generation${generation}` })),
      project,
    );
  }
  await store.pointAlias({ tenantId, generation: 1 }, signal);
  const client = await rawClient(url);
  const alias = client.collections.use(names.alias(tenantId));
  const [question] = questionsFrom(chunks, 1);
  let live = 1;
  let asking = true;
  let asked = 0;
  let failed = 0;
  let mixed = 0;
  const judge = (titles: readonly string[]): void => {
    asked += 1;
    if (new Set(titles).size !== 1) mixed += 1;
  };
  const asker = async (ask: () => Promise<readonly string[]>): Promise<void> => {
    while (asking) await ask().then(judge, () => (failed += 1));
  };
  const byPointer = async () =>
    (await store.searchText({ tenantId, generation: live }, question ?? 'package', { limit: 20, signal })).hits.map(
      ({ chunk }) => chunk.title,
    );
  const byAlias = async () =>
    (
      await alias.query.bm25(analyse(question ?? 'package', 'en').join(' '), {
        queryProperties: ['terms'],
        limit: 20,
        returnProperties: ['title'],
      })
    ).objects.map(({ properties }) => String(properties.title));
  const askers = [byPointer, byPointer, byPointer, byPointer, byAlias, byAlias, byAlias, byAlias].map(asker);
  const moves: number[] = [];
  for (let turn = 0; turn < 20; turn += 1) {
    await systemClock.sleep(150);
    live = live === 1 ? 2 : 1;
    const started = performance.now();
    await store.pointAlias({ tenantId, generation: live }, signal);
    moves.push(performance.now() - started);
  }
  asking = false;
  await Promise.all(askers);
  await client.close();
  await store.dropTenant(tenantId);
  return [
    {
      id: 'W6',
      item: 'failed queries while pointer and alias move 20 times',
      value: failed,
      unit: '',
      target: '0',
      ok: failed === 0,
      beside: [{ name: 'queries', value: asked }],
    },
    { id: 'W6', item: 'results that mix two generations', value: mixed, unit: '', target: '0', ok: mixed === 0 },
    {
      id: 'W6',
      item: 'moving the alias under load, p50',
      value: quantile(moves, 0.5),
      unit: 'ms',
      beside: [{ name: 'worst', value: Math.max(...moves) }],
    },
  ];
};

const residentKb = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${WEAVIATE_PID}/status`, 'utf8'))?.[1] ?? Number.NaN);

/** Resident memory of the server per tenant that was created and never filled, in a shared collection. Collections: weaviate-server.ts. */
const nativeTenants = async (url: string): Promise<BenchResult[]> => {
  const item = (count: number) => `memory of the server per empty tenant, ${count} tenants of a shared collection`;
  if (WEAVIATE_PID === undefined)
    return [{ id: 'W7', item: item(100), value: 'not run', unit: '', note: 'WEAVIATE_PID is not set' }];
  const store = await open(url, 'native');
  const results: BenchResult[] = [];
  const refs = Array.from({ length: 500 }, (_, at) => ({ tenantId: `t_empty${at}`, generation: 1 }));
  const profile = { analyser: analyserVersion, embeddingModel: 'projection', dimensions };
  // The first of all pays for what is there once.
  await store.ensureIndex({ tenantId: 't_first', generation: 1 }, profile);
  await systemClock.sleep(5_000);
  const before = residentKb();
  let made = 0;
  for (const count of [100, 500]) {
    const started = performance.now();
    for (const ref of refs.slice(made, count)) await store.ensureIndex(ref, profile);
    const each = (performance.now() - started) / (count - made);
    made = count;
    await systemClock.sleep(5_000);
    results.push({
      id: 'W7',
      item: item(count),
      value: (residentKb() - before) / count,
      unit: 'kB',
      beside: [{ name: 'creating one takes ms', value: each }],
    });
  }
  for (const { tenantId } of [...refs, { tenantId: 't_first' }])
    await store.dropGeneration({ tenantId, generation: 1 });
  await store.close();
  return results;
};

export const run = async () => {
  if (WEAVIATE_URL === undefined) {
    return [
      rowOf({
        id: 'W',
        item: 'Weaviate chunk store',
        value: 'not run',
        unit: '',
        note: 'WEAVIATE_URL names no server',
      }),
    ];
  }
  const wanted = process.argv.slice(2);
  const parts: Record<string, (store: WeaviateChunks) => Promise<BenchResult[]>> = {
    switch: (store) => switching(store, WEAVIATE_URL),
    native: () => nativeTenants(WEAVIATE_URL),
    search: (store) => searching(store, WEAVIATE_URL),
  };
  const store = await open(WEAVIATE_URL);
  const results: BenchResult[] = [];
  for (const [name, part] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const found = await part(store);
    // At once: a later part that is broken off must not take these with it.
    console.error(renderResults(found.map(rowOf)));
    results.push(...found);
  }
  await store.close();
  return results.map(rowOf);
};

if (import.meta.main) console.log(renderResults(await run()));
