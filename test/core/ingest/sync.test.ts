import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Job, Source } from '../../../core/domain.ts';
import { createFolderSource } from '../../../core/drivers/sources/folder.ts';
import { AppError } from '../../../core/errors.ts';
import { documentIdOf } from '../../../core/ids.ts';
import type { Change, SourceDriver } from '../../../core/ports/source.ts';
import { type Bench, openBench, whileTimePasses } from './workbench.ts';

let bench: Bench;
let docs: string;
beforeEach(async () => {
  docs = await mkdtemp(join(tmpdir(), 'footnote-docs-'));
});
afterEach(async () => {
  await whileTimePasses(bench.runtime, bench.close());
  await rm(docs, { recursive: true, force: true });
});

const write = async (path: string, text: string): Promise<void> => {
  await mkdir(dirname(join(docs, path)), { recursive: true });
  await writeFile(join(docs, path), text);
};

/** A source whose changes a test writes down. */
const scripted = (script: () => AsyncIterable<Change>): SourceDriver => ({
  kind: 'scripted',
  label: 'Scripted',
  settings: z.strictObject({}),
  open: async () => ({ changes: script }),
});
const upsert = (externalId: string, text: string, version = text): Change => ({
  type: 'upsert',
  externalId,
  version,
  read: async () => new TextEncoder().encode(text),
});

const openFolder = async (options: Partial<Parameters<typeof openBench>[0]> = {}): Promise<Source> => {
  bench = await openBench({ sources: [createFolderSource({ roots: [docs], forbidden: [] })], ...options });
  return bench.ingest.createSource(bench.tenant, { kind: 'folder', name: 'Docs', settings: { path: docs } });
};
const openScript = async (
  script: () => AsyncIterable<Change>,
  options: Partial<Parameters<typeof openBench>[0]> = {},
): Promise<Source> => {
  bench = await openBench({ sources: [scripted(script)], ...options });
  return bench.ingest.createSource(bench.tenant, { kind: 'scripted', name: 'Script', settings: {} });
};

const synced = (source: Source, ingest = bench.ingest, pace = 1): Promise<Job> =>
  whileTimePasses(
    bench.runtime,
    (async () => {
      ingest.start();
      const { id } = await ingest.sync(bench.tenant, source.id);
      let last: Job | undefined;
      for await (const job of ingest.watch(bench.tenant.id, id, AbortSignal.timeout(60_000))) last = job;
      return last as Job;
    })(),
    pace,
  );

describe('syncing a folder', () => {
  it('notices new, changed and deleted files, and does nothing for the rest', async () => {
    await write('a.md', '# Anchor\n\nThe anchor is heavy.');
    await write('sub/b.md', 'The buoy is red.');
    const source = await openFolder();
    expect(await synced(source)).toMatchObject({
      state: 'done',
      counts: { seen: 2, upserted: 2, unchanged: 0, removed: 0, failed: 0 },
    });
    expect(await bench.find('buoy')).toEqual(['The buoy is red.']);
    expect((await synced(source)).counts).toEqual({ seen: 2, upserted: 0, unchanged: 2, removed: 0, failed: 0 });

    await write('sub/b.md', 'The buoy is green now.');
    await write('c.md', 'The cleat is loose.');
    await rm(join(docs, 'a.md'));
    expect((await synced(source)).counts).toEqual({ seen: 2, upserted: 2, unchanged: 0, removed: 1, failed: 0 });
    expect(await bench.find('anchor')).toEqual([]);
    expect(await bench.find('buoy')).toEqual(['The buoy is green now.']);
    expect((await bench.state.sources.get(bench.tenant.id, source.id))?.lastSyncedAt).toBeDefined();
  });

  it('reads a touched file but does not make its chunks again', async () => {
    await write('a.md', 'The anchor is heavy.');
    const source = await openFolder();
    await synced(source);
    await utimes(join(docs, 'a.md'), 1, 1);
    expect((await synced(source)).counts).toMatchObject({ upserted: 0, unchanged: 1 });
    // The new time is kept: next time the file is not even read.
    await writeFile(join(docs, 'a.md'), 'The anchor is light.');
    await utimes(join(docs, 'a.md'), 1, 1);
    expect((await synced(source)).counts).toMatchObject({ upserted: 0, unchanged: 1 });
  });

  it('goes on after a bad document, names it with the reason, and tries it again', async () => {
    await write('bad.pdf', '%PDF-1.7 nothing');
    await write('good.md', 'The gaff is new.');
    const source = await openFolder();
    const job = await synced(source);
    expect(job).toMatchObject({ state: 'done', counts: { upserted: 1, failed: 1 } });
    expect(job.errors).toEqual([
      { documentId: documentIdOf(source.id, 'bad.pdf'), problem: 'bad.pdf: The PDF is damaged and cannot be read.' },
    ]);
    await write('bad.pdf', 'The bowsprit, as text after all.');
    expect((await synced(source)).counts).toMatchObject({ upserted: 1, failed: 0 });
  });

  it('removes nothing when the folder has vanished', async () => {
    await write('a.md', 'The anchor is heavy.');
    const source = await openFolder();
    await synced(source);
    await rename(docs, `${docs}-away`);
    const job = await synced(source);
    expect(job.state).toBe('failed');
    expect(job.errors.at(-1)?.problem).toContain('does not exist');
    await mkdir(docs);
    expect((await synced(source)).counts.removed).toBe(0);
    expect(await bench.find('anchor')).toHaveLength(1);
    await rm(docs, { recursive: true });
    await rename(`${docs}-away`, docs);
    expect((await synced(source)).counts).toMatchObject({ unchanged: 1, removed: 0 });
  });

  it('puts back what the index has lost', async () => {
    await write('a.md', 'The anchor is heavy.');
    const source = await openFolder();
    await synced(source);
    await bench.chunks.removeDocuments(
      { tenantId: bench.tenant.id, generation: 1 },
      [documentIdOf(source.id, 'a.md')],
      AbortSignal.timeout(5_000),
    );
    expect((await synced(source)).counts).toMatchObject({ upserted: 1 });
    expect(await bench.find('anchor')).toHaveLength(1);
  });
});

describe('a sync run', () => {
  it('keeps what was listed with a problem, and what lies below it, and sweeps the rest', async () => {
    let second = false;
    const source = await openScript(async function* () {
      yield upsert('gone', 'the gone rope');
      if (!second) for (const id of ['a', 'shut/b', 'shut/deep/c']) yield upsert(id, `the rope ${id}`);
      else for (const id of ['a', 'shut']) yield { type: 'problem', externalId: id, problem: 'cannot be listed' };
      yield { type: 'complete' };
    });
    await synced(source);
    second = true;
    expect((await synced(source)).counts).toMatchObject({ unchanged: 1, removed: 0, failed: 2 });
    expect(await bench.find('rope')).toHaveLength(4);
  });

  it('tells a note and sweeps all the same', async () => {
    let round = 0;
    const source = await openScript(async function* () {
      yield upsert('a', 'The anchor is heavy.');
      if (round++ === 0) yield upsert('b', 'The buoy is red.');
      yield { type: 'problem', isNote: true, problem: 'there were more than we may read' };
      yield { type: 'complete' };
    });
    await synced(source);
    expect(await synced(source)).toMatchObject({
      counts: { removed: 1, failed: 0 },
      errors: [{ problem: 'there were more than we may read' }],
    });
  });

  it('sweeps nothing at all when the listing itself had a problem', async () => {
    let second = false;
    const source = await openScript(async function* () {
      if (!second) yield upsert('a', 'the rope');
      else yield { type: 'problem', problem: 'half of the listing is missing' };
      yield { type: 'complete' };
    });
    await synced(source);
    second = true;
    expect(await synced(source)).toMatchObject({
      state: 'done',
      counts: { removed: 0 },
      errors: [{ problem: 'half of the listing is missing' }],
    });
    expect(await bench.find('rope')).toHaveLength(1);
  });

  it('fails with the source’s sentence when the source refuses, keeping what was done', async () => {
    const source = await openScript(async function* () {
      for (let n = 0; n < 20; n++) yield upsert(`${n}`, `the rope number ${n}`);
      throw new AppError('forbidden', 'The token was refused. Give this source a new one.');
    });
    const job = await synced(source);
    expect(job).toMatchObject({
      state: 'failed',
      errors: [{ problem: 'The token was refused. Give this source a new one.' }],
    });
    expect(await bench.find('rope')).not.toHaveLength(0);
  });

  it('gives up a source that says nothing more, however often it spoke before', async () => {
    let spoken = 0;
    const source = await openScript(
      async function* () {
        for (; spoken < 3; spoken++) {
          await bench.runtime.clock.sleep(250_000);
          yield upsert(`${spoken}`, `the rope number ${spoken}`);
        }
        await new Promise(() => undefined);
      },
      { limits: { jobs: { leaseForMs: 3_600_000 } } },
    );
    expect(await synced(source, bench.ingest, 2_000)).toMatchObject({
      state: 'failed',
      errors: [{ problem: 'The source stopped answering.' }],
    });
    expect(spoken).toBe(3);
  });

  it('never shows the words of an unexpected error', async () => {
    const source = await openScript(async function* () {
      yield upsert('a', 'the rope');
      throw new Error('password=hunter2');
    });
    expect(JSON.stringify(await synced(source))).not.toContain('hunter2');
  });

  it('saves the cursor only after everything before it is written, and begins there', async () => {
    const begun: (string | undefined)[] = [];
    const driver: SourceDriver = {
      ...scripted(async function* () {}),
      open: async () => ({
        changes: async function* ({ cursor }) {
          begun.push(cursor);
          yield upsert('a', 'the rope');
          yield { type: 'cursor', cursor: 'one' };
          yield { type: 'remove', externalId: 'a' };
          yield { type: 'cursor', cursor: 'two' };
        },
      }),
    };
    bench = await openBench({ sources: [driver] });
    const source = await bench.ingest.createSource(bench.tenant, { kind: 'scripted', name: 'x', settings: {} });
    expect((await synced(source)).counts).toMatchObject({ upserted: 1, removed: 1 });
    await synced(source);
    expect(begun).toEqual([undefined, 'two']);
    expect(await bench.find('rope')).toEqual([]);
  });

  it('stops at once when another worker has taken the lease, and leaves the job to it', async () => {
    const { promise: paused, resolve: reached } = Promise.withResolvers<void>();
    let runs = 0;
    const source = await openScript(
      async function* () {
        runs++;
        yield upsert(`by-${runs}`, `the rope of run ${runs}`);
        if (runs === 1) {
          reached();
          await new Promise(() => undefined);
        }
        yield { type: 'complete' };
      },
      {
        wrapState: (state) => ({
          ...state,
          jobs: {
            ...state.jobs,
            heartbeat: async (lease, ...rest) => (runs === 1 ? false : state.jobs.heartbeat(lease, ...rest)),
          },
        }),
      },
    );
    bench.ingest.start();
    const { id } = await bench.ingest.sync(bench.tenant, source.id);
    await whileTimePasses(bench.runtime, paused);
    const watched = (async () => {
      for await (const job of bench.ingest.watch(bench.tenant.id, id, AbortSignal.timeout(30_000)))
        if (job.state === 'done') return job;
      return null;
    })();
    const job = await whileTimePasses(bench.runtime, watched);
    expect(job?.attempts).toBe(2);
    // What the first run had read but not yet written was written by the second one only.
    expect(await bench.find('rope')).toEqual(['the rope of run 2']);
  });

  it('is done again, and not called failed, when the store did not take its end', async () => {
    let refusals = 0;
    const source = await openScript(
      async function* () {
        yield upsert('a', 'the rope');
        yield { type: 'complete' };
      },
      {
        wrapState: (state) => ({
          ...state,
          jobs: {
            ...state.jobs,
            finish: async (...args) => {
              if (++refusals > 1) return state.jobs.finish(...args);
              throw new AppError('store-unavailable', 'The store is away.', { retryable: true });
            },
          },
        }),
      },
    );
    expect(await synced(source)).toMatchObject({ state: 'done', attempts: 2, errors: [] });
  });

  it('is shared by two processes: each source runs once, both are at work', async () => {
    let running = 0;
    let most = 0;
    const script = async function* (): AsyncGenerator<Change> {
      running++;
      most = Math.max(most, running);
      yield upsert('a', 'the rope');
      await bench.runtime.clock.sleep(700);
      yield { type: 'complete' };
      running--;
    };
    const first = await openScript(script, { limits: { jobs: { atOnce: 1 } } });
    const second = await bench.ingest.createSource(bench.tenant, { kind: 'scripted', name: 'Other', settings: {} });
    const other = bench.another();
    other.start();
    const jobs = await Promise.all([synced(first), synced(second)]);
    expect(jobs.map((job) => job.state)).toEqual(['done', 'done']);
    expect(most).toBe(2);
    expect(jobs.map((job) => job.attempts)).toEqual([1, 1]);
    expect(await bench.state.documents.count(bench.tenant.id)).toBe(2);
  });

  it('writes nothing more for a source that is removed meanwhile', async () => {
    const { promise: paused, resolve: reached } = Promise.withResolvers<void>();
    const { promise: go, resolve: proceed } = Promise.withResolvers<void>();
    const source = await openScript(async function* () {
      for (let n = 0; n < 16; n++) yield upsert(`${n}`, `the rope ${n}`);
      reached();
      await go;
      for (let n = 16; n < 40; n++) yield upsert(`${n}`, `the rope ${n}`);
      yield { type: 'complete' };
    });
    const run = synced(source);
    await whileTimePasses(bench.runtime, paused);
    await bench.ingest.removeSource(bench.tenant, source.id, new AbortController().signal);
    proceed();
    expect((await run).state).toBe('failed');
    expect(await bench.state.documents.count(bench.tenant.id)).toBe(0);
    expect(await bench.find('rope')).toEqual([]);
  });

  it('hands the job back when the process drains, and another one continues it', async () => {
    const { promise: paused, resolve: reached } = Promise.withResolvers<void>();
    let runs = 0;
    const source = await openScript(async function* () {
      runs++;
      for (let n = 0; n < 40; n++) {
        yield upsert(`${n}`, `the rope ${n}`);
        if (n === 20 && runs === 1) reached();
      }
      yield { type: 'complete' };
    });
    bench.ingest.start();
    const { id } = await bench.ingest.sync(bench.tenant, source.id);
    await whileTimePasses(bench.runtime, paused);
    await whileTimePasses(bench.runtime, bench.ingest.stop(30_000));
    expect(await bench.state.jobs.get(bench.tenant.id, id)).toMatchObject({ state: 'queued' });
    const other = bench.another();
    other.start();
    const job = await whileTimePasses(
      bench.runtime,
      (async () => {
        for await (const now of other.watch(bench.tenant.id, id, AbortSignal.timeout(30_000)))
          if (now.state !== 'queued' && now.state !== 'running') return now;
        return null;
      })(),
    );
    expect(job).toMatchObject({ state: 'done', counts: { seen: 40 } });
    expect(await bench.state.documents.count(bench.tenant.id)).toBe(40);
  });
});

describe('sources', () => {
  it('run on their schedule, once for all processes', async () => {
    const { promise: ran, resolve: hasRun } = Promise.withResolvers<void>();
    bench = await openBench({
      sources: [
        scripted(async function* () {
          hasRun();
          yield { type: 'complete' };
        }),
      ],
    });
    const source = await bench.ingest.createSource(bench.tenant, {
      kind: 'scripted',
      name: 'x',
      settings: {},
      schedule: '0 * * * *',
    });
    expect(source.nextRunAt).toBe(Date.UTC(2026, 10, 22, 10));
    bench.runtime.clock.set(Date.UTC(2026, 10, 22, 10, 0, 1));
    bench.ingest.start();
    bench.another().start();
    await whileTimePasses(bench.runtime, ran);
    const jobs = await bench.state.jobs.list(bench.tenant.id, {}, { limit: 10 });
    expect(jobs.items).toHaveLength(1);
    expect((await bench.state.sources.get(bench.tenant.id, source.id))?.nextRunAt).toBe(Date.UTC(2026, 10, 22, 11));
  });

  it('are refused with the field that is wrong', async () => {
    const source = await openFolder();
    const create = (input: object) =>
      bench.ingest.createSource(bench.tenant, { kind: 'folder', name: 'x', settings: { path: docs }, ...input });
    await expect(create({ kind: 'nonsense' })).rejects.toMatchObject({ code: 'invalid', at: 'kind' });
    await expect(create({ name: ' ' })).rejects.toMatchObject({ code: 'invalid', at: 'name' });
    await expect(create({ settings: {} })).rejects.toMatchObject({ code: 'invalid', at: 'settings.path' });
    await expect(create({ settings: { path: '/etc' } })).rejects.toMatchObject({
      code: 'invalid',
      at: 'settings.path',
    });
    for (const schedule of ['soon', '* * * * * *', '61 * * * *'])
      await expect(create({ schedule })).rejects.toMatchObject({ code: 'invalid', at: 'schedule' });
    await expect(bench.ingest.updateSource(bench.tenant, source.id, { name: 'y' }, 99)).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await bench.ingest.updateSource(bench.tenant, source.id, { schedule: '5 4 * * *' })).toMatchObject({
      schedule: '5 4 * * *',
    });
    expect((await bench.ingest.updateSource(bench.tenant, source.id, { schedule: null })).schedule).toBeUndefined();
  });
});
