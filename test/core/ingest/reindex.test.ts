import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Job } from '../../../core/domain.ts';
import { pushSource } from '../../../core/drivers/sources/push.ts';
import { AppError } from '../../../core/errors.ts';
import type { Ingest, IngestParts } from '../../../core/ingest/ingest.ts';
import type { ReindexStep } from '../../../core/ingest/reindex.ts';
import type { ChunkStore } from '../../../core/ports/chunks.ts';
import type { Embedder } from '../../../core/ports/model.ts';
import type { DocumentContents } from '../../../core/ports/state.ts';
import { createHashingEmbedder } from '../../fakes/hashing-embedder.ts';
import { type Bench, openBench, whileTimePasses } from './workbench.ts';

// Real threads and files under a clock that keeps pace: on a busy machine a minute.
vi.setConfig({ testTimeout: 120_000 });

let bench: Bench;
let source: string;
afterEach(() => whileTimePasses(bench.runtime, bench.close()));
const { signal } = new AbortController();

const open = async (options: Partial<Parameters<typeof openBench>[0]> = {}): Promise<void> => {
  bench = await openBench({ sources: [pushSource], ...options });
  source = (await bench.ingest.createSource(bench.tenant, { kind: 'push', name: 'Handbook', settings: {} })).id;
};
const put = (externalId: string, content: string, into: Ingest = bench.ingest) =>
  into.put(bench.tenant, source, { externalId, content }, signal);
const fill = (count: number, into: Ingest = bench.ingest) =>
  into.putBatch(
    bench.tenant,
    source,
    Array.from({ length: count }, (_, n) => ({ externalId: `d${n}`, content: `The valve number${n} is red.` })),
    signal,
  );
const live = async () => (await bench.state.tenants.get(bench.tenant.id))?.activeGeneration ?? 0;
const find = async (query: string, generation?: number): Promise<readonly string[]> => {
  const ref = { tenantId: bench.tenant.id, generation: generation ?? (await live()) };
  return (await bench.chunks.searchText(ref, query, { limit: 50, signal })).hits.map((hit) => hit.chunk.externalId);
};
const near = async (embedder: Embedder, query: string): Promise<readonly string[]> => {
  const { vectors } = await embedder.embed([query], 'query', { signal, tenantId: bench.tenant.id });
  const ref = { tenantId: bench.tenant.id, generation: await live() };
  const hits = await bench.chunks.searchVector(ref, vectors[0] ?? new Float32Array(), { limit: 1, signal });
  return hits.map((hit) => hit.chunk.externalId);
};
const ended = async (job: Job): Promise<Job> => {
  let last = job;
  for await (const state of bench.ingest.watch(bench.tenant.id, job.id, AbortSignal.timeout(60_000))) last = state;
  return last;
};
const reindexed = async (ingest: Ingest = bench.ingest): Promise<Job> => {
  ingest.start();
  return whileTimePasses(bench.runtime, ended(await ingest.reindex(bench.tenant)));
};
const newestJob = async (): Promise<Job | undefined> =>
  (await bench.state.jobs.list(bench.tenant.id, {}, { limit: 10 })).items.find((job) => job.kind === 'reindex');
const until = async (is: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 60_000;
  await whileTimePasses(
    bench.runtime,
    (async () => {
      while (!(await is())) {
        if (Date.now() > deadline) throw new Error('It did not come to pass.');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })(),
  );
};
const keep = (contents: DocumentContents): Promise<unknown> =>
  bench.state.documents.write(bench.tenant.id, source, { rows: [], contents: [contents] });
/** Told at a named point; goes on when the promise that is given back resolves. */
const at = (step: ReindexStep, act: () => void | Promise<void>): Pick<IngestParts, 'reached'> => ({
  reached: (reached) => (reached === step ? act() : undefined),
});

describe('re-indexing', () => {
  it('builds a new generation from the kept texts, and carries over what has none', async () => {
    await open();
    await fill(20);
    const { document } = await put('old', 'The anchor is heavy.');
    await keep({ documentId: document.id, stamp: 'x', data: new Uint8Array() });
    const job = await reindexed();
    expect(job).toMatchObject({ state: 'done', counts: { seen: 21, upserted: 21, failed: 0 }, errors: [] });
    expect(await live()).toBe(2);
    expect(await find('number7')).toEqual(['d7']);
    expect(await find('anchor')).toEqual(['old']);
    expect((await put('d7', 'The valve number7 is red.')).outcome).toBe('unchanged');
  });

  it('keeps a document’s text no longer than the document', async () => {
    await open();
    const { document } = await put('a', 'The anchor is heavy.');
    expect(await bench.state.documents.contents(bench.tenant.id, [document.id])).toHaveLength(1);
    await bench.ingest.remove(bench.tenant, source, 'a', signal);
    expect(await bench.state.documents.contents(bench.tenant.id, [document.id])).toEqual([]);
  });

  it('says which document has its text nowhere, and indexes the others', async () => {
    await open();
    await fill(3);
    const { document } = await put('lost', 'The anchor is heavy.');
    await keep({ documentId: document.id, stamp: 'x', data: new Uint8Array([1, 2, 3]) });
    await bench.chunks.removeDocuments({ tenantId: bench.tenant.id, generation: 1 }, [document.id], signal);
    const job = await reindexed();
    expect(job).toMatchObject({ state: 'done', counts: { failed: 1 }, errors: [{ documentId: document.id }] });
    expect(await find('valve')).toHaveLength(3);
    // It is not taken for unchanged.
    expect((await put('lost', 'The anchor is heavy.')).outcome).toBe('updated');
    expect(await find('anchor')).toEqual(['lost']);
  });

  it('refuses a second one, before and while it runs', async () => {
    await open();
    await fill(2);
    await bench.ingest.reindex(bench.tenant);
    await expect(bench.ingest.reindex(bench.tenant)).rejects.toMatchObject({ code: 'conflict' });
    let refused: unknown;
    const worker = bench.another(
      at('verified', async () => {
        refused = await bench.ingest.reindex(bench.tenant).catch((error: unknown) => error);
      }),
    );
    worker.start();
    await until(async () => (await live()) === 2);
    expect(refused).toMatchObject({ code: 'conflict' });
  });

  it('does not run beside another one of the same tenant, whoever queued it', async () => {
    await open();
    await fill(2);
    expect(await bench.state.leases.acquire(`reindex:${bench.tenant.id}`, 'j_other', 0, 1e15)).not.toBeNull();
    const job = await reindexed();
    expect(job).toMatchObject({ state: 'failed', errors: [{ problem: expect.stringContaining('Another re-index') }] });
    expect(await live()).toBe(1);
  });

  it('leaves the index in use as it is when the new one is not whole', async () => {
    await open({
      wrapChunks: (chunks) => ({
        ...chunks,
        stats: async (ref) => {
          const stats = await chunks.stats(ref);
          return ref.generation === 2 ? { ...stats, documents: stats.documents - 1 } : stats;
        },
      }),
    });
    await fill(5);
    const job = await reindexed();
    expect(job).toMatchObject({
      state: 'failed',
      errors: [{ problem: expect.stringContaining('4 documents in 5 passages instead of 5 in 5') }],
    });
    expect(await live()).toBe(1);
    expect(await bench.chunks.generations(bench.tenant.id)).toEqual([1]);
    expect(await find('number3')).toEqual(['d3']);
  });

  it('leaves the index in use as it is when documents are not found in the new one', async () => {
    await open({
      wrapChunks: (chunks) => ({
        ...chunks,
        searchText: async (ref, query, options) => {
          const found = await chunks.searchText(ref, query, options);
          return ref.generation === 2 ? { ...found, hits: [] } : found;
        },
      }),
    });
    await fill(5);
    expect(await reindexed()).toMatchObject({
      state: 'failed',
      errors: [{ problem: expect.stringContaining('does not find') }],
    });
    expect(await live()).toBe(1);
  });

  it('stops when the tenant is deleted meanwhile, and nothing of it stays', async () => {
    await open();
    await fill(5);
    const elsewhere = bench.another();
    const worker = bench.another(
      at('verified', async () => {
        await bench.state.tenants.markDeleted(bench.tenant.id, bench.runtime.clock.now());
        await elsewhere.dropTenant(bench.tenant.id);
      }),
    );
    await worker.reindex(bench.tenant);
    worker.start();
    await until(async () => (await bench.state.tenants.deleted(10)).length === 0);
    await until(async () => bench.runtime.logged.some(({ event }) => event.startsWith('job.')));
    expect(await bench.chunks.generations(bench.tenant.id)).toEqual([]);
    expect(await bench.state.tenants.generations(bench.tenant.id)).toEqual([]);
    expect((await bench.state.documents.built(bench.tenant.id, 2, { limit: 10 })).items).toEqual([]);
  });

  it('leaves no index behind when the tenant goes in the middle of a write', async () => {
    let isArmed = false;
    await open({
      wrapChunks: (chunks) => ({
        ...chunks,
        ensureIndex: async (ref, profile) => {
          if (isArmed) {
            isArmed = false;
            await bench.state.tenants.markDeleted(bench.tenant.id, bench.runtime.clock.now());
            await bench.another().dropTenant(bench.tenant.id);
          }
          return chunks.ensureIndex(ref, profile);
        },
      }),
    });
    await fill(5);
    const worker = bench.another(
      at('building', () => {
        isArmed = true;
      }),
    );
    await worker.reindex(bench.tenant);
    worker.start();
    await until(async () => bench.runtime.logged.some(({ event }) => event.startsWith('job.')));
    expect(await bench.chunks.generations(bench.tenant.id)).toEqual([]);
  });
});

describe('an embedding model that is added or changed', () => {
  it('makes the documents found by their vectors, and nothing fails meanwhile', async () => {
    await open();
    await fill(4);
    const embedder = createHashingEmbedder(32);
    const later = bench.another({ embedder });
    const ask = () => later.forQuestions.embedder?.embed(['valve'], 'query', { signal, tenantId: bench.tenant.id });
    await expect(ask()).rejects.toMatchObject({ code: 'model-failed' });
    expect((await put('new', 'The anchor is heavy.', later)).outcome).toBe('created');
    expect(await find('anchor')).toEqual(['new']);
    later.start();
    await until(async () => (await later.generations(bench.tenant)).some((one) => one.state === 'live' && one.fits));
    await until(async () => (await newestJob())?.state === 'done');
    expect(await near(embedder, 'The anchor is heavy.')).toEqual(['new']);
    expect(await near(embedder, 'The valve number2 is red.')).toEqual(['d2']);
    await expect(ask()).resolves.toMatchObject({ vectors: [expect.any(Float32Array)] });
    expect(bench.runtime.logged.filter(({ event }) => event === 'reindex.needed')).toHaveLength(1);
    expect(bench.metered.reduce((sum, call) => sum + call.embeddingTokens, 0)).toBeGreaterThan(0);
  });

  it('is seen at start, without any write', async () => {
    await open();
    await fill(2);
    const later = bench.another({ embedder: createHashingEmbedder(32) });
    later.start();
    await until(async () => (await live()) === 2);
  });

  it('is left to the newer process during a rolling deploy', async () => {
    await open();
    await fill(2);
    await bench.runtime.clock.advance(1_000);
    const later = bench.another({ embedder: createHashingEmbedder(32) });
    later.start();
    await until(async () => (await newestJob())?.state === 'done');
    const job = (await newestJob())?.id;
    bench.ingest.start();
    await put('x', 'The anchor is heavy.');
    await whileTimePasses(bench.runtime, bench.runtime.clock.sleep(50));
    // The index lacks the vectors of what the older process wrote; the newer one makes it whole.
    await put('y', 'The rope is long.', later);
    await until(async () => (await live()) === 3);
    expect((await newestJob())?.id).not.toBe(job);
    expect(await find('anchor rope')).toHaveLength(2);
    expect((await bench.state.tenants.generations(bench.tenant.id)).find((one) => one.number === 3)).toMatchObject({
      profile: { embeddingModel: 'hashing-32' },
    });
  });

  it('switches under questions: none fails, none compares vectors of two models, none misses a document', async () => {
    const compared: string[] = [];
    await open({
      embedder: createHashingEmbedder(16),
      wrapChunks: (chunks) => ({
        ...chunks,
        searchVector: (ref, vector, options) => {
          compared.push(`generation ${ref.generation}: ${vector.length}`);
          return chunks.searchVector(ref, vector, options);
        },
      }),
    });
    await fill(40);
    const next = bench.another({ embedder: createHashingEmbedder(32) });
    const problems: unknown[] = [];
    let questions = 0;
    let over = false;
    const asker = async (): Promise<void> => {
      for (let n = 0; !over; n = (n + 1) % 40) {
        // Like a question: the pointer is read once, and both halves go there; the embedder may be ahead of it.
        const tenant = await bench.state.tenants.get(bench.tenant.id);
        const ref = { tenantId: bench.tenant.id, generation: tenant?.activeGeneration ?? 0 };
        const { chunks } = next.forQuestions;
        const { vectors } = await createHashingEmbedder(32).embed([`number${n}`], 'query', { signal, tenantId: 't' });
        try {
          const [text] = await Promise.all([
            chunks.searchText(ref, `number${n}`, { limit: 5, signal }),
            chunks.searchVector(ref, vectors[0] ?? new Float32Array(), { limit: 5, signal }),
          ]);
          if (text.hits[0]?.chunk.externalId !== `d${n}`) problems.push(`number${n} not found in ${ref.generation}`);
        } catch (error) {
          problems.push(error);
        }
        questions += 1;
      }
    };
    const askers = [asker(), asker()];
    next.start();
    await until(async () => (await newestJob())?.state === 'done');
    over = true;
    await Promise.all(askers);
    expect(problems).toEqual([]);
    expect(questions).toBeGreaterThan(20);
    expect(new Set(compared.filter((one) => !one.startsWith('generation 2: 32')))).toEqual(new Set());
    expect(await live()).toBe(2);
  });

  it('goes on with what a failed attempt has paid for', async () => {
    await open();
    await fill(40);
    let calls = 0;
    let isDown = true;
    const hashing = createHashingEmbedder(16);
    const failing: Embedder = {
      ...hashing,
      embed: async (texts, kind, options) => {
        calls += texts.length;
        if (isDown && calls > 20) throw new AppError('model-failed', 'The model is down.');
        return hashing.embed(texts, kind, options);
      },
    };
    const later = bench.another({ embedder: failing });
    const failed = await reindexed(later);
    expect(failed).toMatchObject({ state: 'failed', errors: [{ problem: 'The model is down.' }] });
    expect(await live()).toBe(1);
    expect(await find('number3')).toEqual(['d3']);
    isDown = false;
    calls = 0;
    const again = await reindexed(later);
    expect(again).toMatchObject({ state: 'done', counts: { seen: 40, unchanged: 16 } });
    // 24 that were left, and a few to look at the result.
    expect(calls).toBeLessThan(40);
    expect(await live()).toBe(2);
  });
});

describe('a crash of the process that re-indexes', () => {
  const steps: readonly ReindexStep[] = ['building', 'verified', 'switching', 'switched', 'retired', 'finished'];
  it.each(steps)('at "%s" is taken up by another one; what was written meanwhile is there', async (step) => {
    await open();
    await fill(20);
    const { promise: died, resolve: reached } = Promise.withResolvers<void>();
    const victim = bench.mortal(
      at(step, () => {
        victim.die();
        reached();
        return new Promise<void>(() => undefined);
      }),
    );
    const job = await victim.ingest.reindex(bench.tenant);
    victim.ingest.start();
    await whileTimePasses(bench.runtime, died);
    // Nobody is at work: writers go on, at the worst after waiting out the switch.
    await whileTimePasses(bench.runtime, put('d3', 'The valve number3 is green.'), 50);
    await whileTimePasses(bench.runtime, bench.ingest.remove(bench.tenant, source, 'd4', signal), 50);
    bench.ingest.start();
    const last = await whileTimePasses(bench.runtime, ended(job));
    expect(last).toMatchObject({ state: 'done', errors: [] });
    expect(await live()).toBe(2);
    expect(await find('green')).toEqual(['d3']);
    expect(await find('number4')).toEqual([]);
    expect(await find('valve')).toHaveLength(19);
    const records = await bench.state.tenants.generations(bench.tenant.id);
    expect(records.map(({ number, phase, sweepAt }) => [number, phase, sweepAt !== undefined])).toEqual([
      [1, undefined, true],
      [2, undefined, false],
    ]);
  });

  it('builds nothing twice that was built before', async () => {
    await open();
    await fill(60);
    const { promise: died, resolve: reached } = Promise.withResolvers<void>();
    let written = 0;
    const replaced: string[] = [];
    const counting = (chunks: ChunkStore, stopAfter: number): ChunkStore => ({
      ...chunks,
      replaceDocuments: async (ref, documents, aborted) => {
        await chunks.replaceDocuments(ref, documents, aborted);
        replaced.push(...documents.map((one) => one.documentId));
        written += documents.length;
        if (written >= stopAfter) {
          reached();
          await new Promise(() => undefined);
        }
      },
    });
    const first = bench.mortal({ chunks: counting(bench.chunks, 32) });
    const job = await first.ingest.reindex(bench.tenant);
    first.ingest.start();
    await whileTimePasses(bench.runtime, died);
    first.die();
    const second = bench.another({ chunks: counting(bench.chunks, Number.POSITIVE_INFINITY) });
    second.start();
    const last = await whileTimePasses(bench.runtime, ended(job));
    expect(last).toMatchObject({ state: 'done', counts: { unchanged: 16 } });
    // The group in hand was written and not yet marked.
    expect(replaced).toHaveLength(60 + 16);
  });
});

describe('writers that race with the switch', () => {
  it('who began before and end after it are found in the new index', async () => {
    let hold: Promise<void> | undefined;
    await open({
      wrapChunks: (chunks) => ({
        ...chunks,
        replaceDocuments: async (ref, documents, aborted) => {
          if (ref.generation === 1) await hold;
          return chunks.replaceDocuments(ref, documents, aborted);
        },
      }),
    });
    await fill(3);
    const gate = Promise.withResolvers<void>();
    hold = gate.promise;
    const writing = put('late', 'The anchor is heavy.');
    // The job writes to the second generation only, so it is not held.
    await reindexed();
    expect(await live()).toBe(2);
    gate.resolve();
    await whileTimePasses(bench.runtime, writing);
    expect(await find('anchor')).toEqual(['late']);
  });

  it('who die in the middle of it have their rows replayed', async () => {
    let hold: Promise<void> | undefined;
    await open({
      wrapChunks: (chunks) => ({
        ...chunks,
        replaceDocuments: async (ref, documents, aborted) => {
          if (ref.generation === 1) await hold;
          return chunks.replaceDocuments(ref, documents, aborted);
        },
      }),
    });
    await fill(3);
    const gate = Promise.withResolvers<void>();
    hold = gate.promise;
    const victim = bench.mortal();
    void put('late', 'The anchor is heavy.', victim.ingest);
    const worker = bench.another(
      at('switched', async () => {
        gate.resolve();
        await until(async () => (await bench.state.documents.count(bench.tenant.id)) === 4);
        victim.die();
      }),
    );
    worker.start();
    await whileTimePasses(bench.runtime, ended(await worker.reindex(bench.tenant)));
    expect(await find('anchor')).toEqual(['late']);
  });

  it('wait while the pointer moves, and then say the truth', async () => {
    await open();
    await fill(3);
    let removal: Promise<boolean> | undefined;
    let change: Promise<unknown> | undefined;
    let isSaid = false;
    let wasSaidEarly: boolean | undefined;
    const worker = bench.another({
      reached: async (step) => {
        if (step === 'switching') {
          removal = bench.ingest.remove(bench.tenant, source, 'd1', signal);
          change = put('d2', 'The valve number2 is green.').then(() => {
            isSaid = true;
          });
          await until(async () => (await bench.state.documents.count(bench.tenant.id)) === 2);
        }
        if (step === 'retired') {
          // The pointer has moved, and what was written a moment ago may not be where it points.
          await new Promise((resolve) => setTimeout(resolve, 300));
          wasSaidEarly = isSaid;
        }
      },
    });
    worker.start();
    await whileTimePasses(bench.runtime, ended(await worker.reindex(bench.tenant)));
    await whileTimePasses(bench.runtime, Promise.all([removal, change]));
    expect(wasSaidEarly).toBe(false);
    expect(await removal).toBe(true);
    expect(await live()).toBe(2);
    expect(await find('number1')).toEqual([]);
    expect(await find('green')).toEqual(['d2']);
  });

  it('are replayed when they come while the new index is being built', async () => {
    await open();
    await fill(20);
    const worker = bench.another(
      at('verified', async () => {
        await put('d2', 'The valve number2 is green.');
        await put('new', 'The anchor is heavy.');
        await bench.ingest.remove(bench.tenant, source, 'd1', signal);
      }),
    );
    worker.start();
    const job = await whileTimePasses(bench.runtime, ended(await worker.reindex(bench.tenant)));
    expect(job).toMatchObject({ state: 'done', counts: { removed: 1 } });
    expect(await find('green')).toEqual(['d2']);
    expect(await find('anchor')).toEqual(['new']);
    expect(await find('number1')).toEqual([]);
  });
});

describe('going back', () => {
  it('leads to the generation before, with what has changed since, and stays there', async () => {
    await open();
    await fill(5);
    const later = bench.another({ embedder: createHashingEmbedder(16) });
    expect(await reindexed(later)).toMatchObject({ state: 'done' });
    await put('d1', 'The valve number1 is green.', later);
    await put('new', 'The anchor is heavy.', later);
    await later.remove(bench.tenant, source, 'd2', signal);
    const job = await whileTimePasses(bench.runtime, ended(await later.activate(bench.tenant, 1)));
    expect(job).toMatchObject({ state: 'done', errors: [] });
    expect(await live()).toBe(1);
    expect(await find('green')).toEqual(['d1']);
    expect(await find('anchor')).toEqual(['new']);
    expect(await find('number2')).toEqual([]);
    expect(await find('valve')).toHaveLength(4);
    // A write meets an index that is not as configured; people chose it, so nothing happens by itself.
    await put('d3', 'The valve number3 is blue.', later);
    await bench.runtime.clock.advance(20_000);
    await whileTimePasses(bench.runtime, bench.runtime.clock.sleep(100));
    const jobs = await bench.state.jobs.list(bench.tenant.id, {}, { limit: 10 });
    expect(jobs.items.map(({ reindex }) => reindex?.activate)).toEqual([1, undefined]);
    expect(await live()).toBe(1);
    const forth = await whileTimePasses(bench.runtime, ended(await later.activate(bench.tenant, 2)));
    expect(forth).toMatchObject({ state: 'done' });
    expect(await live()).toBe(2);
    expect(await find('blue')).toEqual(['d3']);
    expect(await find('valve')).toHaveLength(4);
  });

  it('brings what was written while the switch was coming to its end', async () => {
    await open();
    await fill(3);
    let writing: Promise<unknown> | undefined;
    const worker = bench.another(
      at('retired', async () => {
        writing ??= put('late', 'The anchor is heavy.');
        await until(async () => (await bench.state.documents.count(bench.tenant.id)) === 4);
      }),
    );
    worker.start();
    await whileTimePasses(bench.runtime, ended(await worker.reindex(bench.tenant)));
    await whileTimePasses(bench.runtime, Promise.resolve(writing));
    expect(await find('anchor')).toEqual(['late']);
    await whileTimePasses(bench.runtime, ended(await worker.activate(bench.tenant, 1)));
    expect(await live()).toBe(1);
    expect(await find('anchor')).toEqual(['late']);
  });

  it('is possible until the generation before was swept, by whoever comes by', async () => {
    await open();
    await fill(3);
    await reindexed();
    expect(await bench.chunks.generations(bench.tenant.id)).toEqual([1, 2]);
    await bench.runtime.clock.advance(4 * 60_000);
    expect(await bench.chunks.generations(bench.tenant.id)).toEqual([1, 2]);
    const other = bench.another();
    other.start();
    await bench.runtime.clock.advance(2 * 60_000);
    await until(async () => (await bench.chunks.generations(bench.tenant.id)).length === 1);
    await expect(bench.ingest.activate(bench.tenant, 1)).rejects.toMatchObject({ code: 'not-found' });
    await expect(bench.ingest.activate(bench.tenant, 7)).rejects.toMatchObject({ code: 'not-found' });
    expect(await find('number1')).toEqual(['d1']);
  });
});
