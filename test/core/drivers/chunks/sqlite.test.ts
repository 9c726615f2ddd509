import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteChunks } from '../../../../core/drivers/chunks/sqlite/chunks.ts';
import { foldAt } from '../../../../core/drivers/chunks/sqlite/recent.ts';
import type { ChunkStore } from '../../../../core/ports/chunks.ts';
import type { Log } from '../../../../core/ports/runtime.ts';
import { chunkOf, describeChunkStore, vectorAt } from '../../../contracts/chunks.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const { signal } = new AbortController();
const ref = { tenantId: 't_000000000000000000000001', generation: 1 };
const profile = { analyser: 'test', embeddingModel: 'fake', dimensions: 64 };
/** Chunks that are folded into the posting lists, and some more that are recent when they come by twos. */
const pastFolding = foldAt + 88;

describeChunkStore('sqlite', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'chunks-'));
  const store = await openSqliteChunks({ dataDir, log: silent });
  return {
    store,
    close: async () => {
      await store.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
});

describe('sqlite chunks', { timeout: 60_000 }, () => {
  let dataDir: string;
  let store: ChunkStore;
  const file = () => join(dataDir, 'chunks', ref.tenantId, 'g1.sqlite');
  const many = (documentId: string, count: number, word = 'wombat') =>
    Array.from({ length: count }, (_, at) =>
      chunkOf(documentId, at, `${word} number${at}`, { vector: vectorAt(at * 0.37 + documentId.length, 64) }),
    );
  const found = async (from: ChunkStore, query: string) =>
    (await from.searchText(ref, query, { limit: 1_000, signal })).hits.length;

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'chunks-'));
    store = await openSqliteChunks({ dataDir, log: silent });
    await store.ensureIndex(ref, profile);
  });
  afterEach(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('finds the same ten nearest chunks as an exact scan', async () => {
    const chunks = many('d1', 2_000);
    await store.replaceDocuments(ref, [{ documentId: 'd1', chunks }], signal);
    let right = 0;
    for (let at = 0; at < 20; at++) {
      const query = vectorAt(at * 1.7 + 0.1, 64);
      const exact = chunks
        .map((chunk) => ({
          id: chunk.id,
          score: (chunk.vector ?? query).reduce((sum, value, i) => sum + value * (query[i] ?? 0), 0),
        }))
        .sort((a, b) => b.score - a.score)
        .slice(0, 10);
      const hits = await store.searchVector(ref, query, { limit: 10, signal });
      right += hits.filter(({ chunk }) => exact.some(({ id }) => id === chunk.id)).length;
      expect(hits[0]?.score).toBeCloseTo(exact[0]?.score ?? 0, 5);
    }
    expect(right / 200).toBeGreaterThanOrEqual(0.99);
  });

  it('keeps what remains searchable when most of a block is gone', async () => {
    await store.replaceDocuments(ref, [{ documentId: 'keep', chunks: many('keep', 50, 'quokka') }], signal);
    for (let round = 0; round < 5; round++)
      await store.replaceDocuments(ref, [{ documentId: 'd1', chunks: many('d1', 1_500) }], signal);
    const db = new DatabaseSync(file(), { readOnly: true });
    const blocks = db
      .prepare('SELECT block FROM blocks')
      .all()
      .map(({ block }) => block);
    db.close();
    expect(blocks).not.toContain(0);
    expect(await found(store, 'quokka')).toBe(50);
    expect(await found(store, 'number1499')).toBe(1);
    const [nearest] = await store.searchVector(ref, many('keep', 8).at(-1)?.vector ?? vectorAt(1, 64), {
      limit: 1,
      signal,
    });
    expect(nearest?.chunk.id).toBe('c_keep_7');
  });

  it('scores the same whether postings are still recent or folded into their lists', async () => {
    // By twos they pass the point of folding and leave some recent; in one call all are folded.
    const texts = Array.from(
      { length: pastFolding },
      (_, at) => `wombat ${'fern '.repeat(at % 7)} number${at} item${at % 11}`,
    );
    const last = pastFolding - 1;
    const documents = texts.map((text, at) => ({
      documentId: `d${at}`,
      chunks: [chunkOf(`d${at}`, 0, text, { vector: vectorAt(at, 64) })],
    }));
    const whole = { ...ref, generation: 2 };
    await store.ensureIndex(whole, profile);
    await store.replaceDocuments(whole, documents, signal);
    for (let at = 0; at < documents.length; at += 2)
      await store.replaceDocuments(ref, documents.slice(at, at + 2), signal);
    await store.removeDocuments(whole, ['d3', `d${last}`], signal);
    await store.removeDocuments(ref, ['d3', `d${last}`], signal);
    for (const query of ['wombat', 'fern item3', 'number3', `number${last - 1} fern`, `number${last}`]) {
      const options = { limit: 1_000, signal };
      expect(await store.searchText(ref, query, options)).toEqual(await store.searchText(whole, query, options));
    }
    expect((await store.searchText(ref, `number${last - 1}`, { limit: 5, signal })).hits).toHaveLength(1);
  });

  it('finds each chunk of a document by what stands in it, before its postings are folded and after', async () => {
    const documentOf = (at: number) => ({
      documentId: `d${at}`,
      chunks: [0, 1, 2].map((ordinal) =>
        chunkOf(`d${at}`, ordinal, `wombat part${ordinal} number${at}`, {
          vector: vectorAt(at, 64),
        }),
      ),
    });
    const hits = async (query: string): Promise<readonly string[]> =>
      (await store.searchText(ref, query, { limit: 3, signal })).hits.map(({ chunk }) => chunk.id);
    const ask = async () => [await hits('number7 part2'), await hits('number7 part1'), await hits('number7 part0')];
    for (let at = 0; at < 10; at++) await store.replaceDocuments(ref, [documentOf(at)], signal);
    const recent = await ask();
    expect(recent.map(([best]) => best)).toEqual(['c_d7_2', 'c_d7_1', 'c_d7_0']);
    await store.removeDocuments(ref, ['d3'], signal);
    expect(await hits('number3')).toEqual([]);
    // Past the point of folding, in one go.
    await store.replaceDocuments(
      ref,
      Array.from({ length: pastFolding / 3 }, (_, at) => documentOf(100 + at)),
      signal,
    );
    expect((await ask()).map(([best]) => best)).toEqual(['c_d7_2', 'c_d7_1', 'c_d7_0']);
    expect(await hits('number3')).toEqual([]);
    expect(await found(store, 'wombat')).toBe(9 * 3 + (pastFolding / 3) * 3);
  });

  it('leaves a file of format 2 as it is, a row a chunk, because the version before may be at work in it', async () => {
    await store.replaceDocuments(ref, [{ documentId: 'd1', chunks: many('d1', 3) }], signal);
    await store.close();
    const db = new DatabaseSync(file());
    const first = Number(db.prepare('SELECT min(row) AS row FROM chunks').get()?.row);
    db.exec('DELETE FROM recent; UPDATE meta SET format = 2;');
    const insert = db.prepare('INSERT INTO recent VALUES (?, ?)');
    for (const at of [0, 1, 2]) insert.run(first + at, `\nwombat\t4\nnumber${at}\t8\n`);
    db.close();
    store = await openSqliteChunks({ dataDir, log: silent });
    const best = async (query: string) =>
      (await store.searchText(ref, query, { limit: 1, signal })).hits.map(({ chunk }) => chunk.id);
    expect(await best('number1')).toEqual(['c_d1_1']);
    await store.replaceDocuments(ref, [{ documentId: 'd3', chunks: many('d3', 2) }], signal);
    const rows = () => {
      const look = new DatabaseSync(file(), { readOnly: true });
      const { format } = look.prepare('SELECT format FROM meta').get() ?? {};
      const recent = look.prepare('SELECT row, terms FROM recent WHERE row >= ? ORDER BY row').all(first + 3);
      look.close();
      return { format, recent: recent.map(({ row, terms }) => ({ row: Number(row) - first, terms: String(terms) })) };
    };
    const written = rows();
    expect(written.format).toBe(2);
    expect(written.recent.map(({ row }) => row)).toEqual([3, 4]);
    for (const { terms } of written.recent) expect(terms).toMatch(/^(\n[^\s:]+\t\d+)+\n$/);
    expect(await found(store, 'wombat')).toBe(5);
    await store.removeDocuments(ref, ['d3'], signal);
    await store.replaceDocuments(ref, [{ documentId: 'd2', chunks: many('d2', pastFolding) }], signal);
    expect(rows()).toEqual({ format: 2, recent: [] });
    expect(await best('number2')).toEqual(['c_d1_2']);
    expect(await found(store, 'wombat')).toBe(3 + pastFolding);
  });

  it('searches an index that has seen a thousand million changes like any other', async () => {
    await store.replaceDocuments(ref, [{ documentId: 'd1', chunks: many('d1', 3) }], signal);
    const db = new DatabaseSync(file());
    db.exec('UPDATE meta SET next_row = 1000000000');
    db.close();
    await store.replaceDocuments(ref, [{ documentId: 'd2', chunks: many('d2', 3) }], signal);
    expect(await found(store, 'wombat')).toBe(6);
    expect((await store.searchText(ref, 'number1', { limit: 5, signal })).hits.map(({ chunk }) => chunk.id)).toEqual([
      'c_d1_1',
      'c_d2_1',
    ]);
  });

  it('brings an index of the first format up to date, and refuses one of a later', async () => {
    await store.replaceDocuments(ref, [{ documentId: 'd1', chunks: many('d1', pastFolding) }], signal);
    await store.close();
    const db = new DatabaseSync(file());
    db.exec('DROP TABLE recent; UPDATE meta SET format = 1;');
    db.close();
    store = await openSqliteChunks({ dataDir, log: silent });
    expect(await found(store, 'wombat')).toBe(pastFolding);
    await store.replaceDocuments(ref, [{ documentId: 'd2', chunks: many('d2', 2) }], signal);
    expect(await found(store, 'wombat')).toBe(pastFolding + 2);
    await store.close();
    const later = new DatabaseSync(file());
    later.exec('UPDATE meta SET format = 99;');
    later.close();
    store = await openSqliteChunks({ dataDir, log: silent });
    await expect(found(store, 'wombat')).rejects.toMatchObject({
      code: 'store-unavailable',
      retryable: true,
      message: expect.stringContaining('a newer version'),
    });
  });

  it('sees what another process wrote, removed and dropped', async () => {
    const other = await openSqliteChunks({ dataDir, log: silent });
    await store.replaceDocuments(ref, [{ documentId: 'd1', chunks: many('d1', 3) }], signal);
    expect(await found(other, 'wombat')).toBe(3);
    expect(await other.searchVector(ref, vectorAt(1, 64), { limit: 9, signal })).toHaveLength(3);
    await store.replaceDocuments(ref, [{ documentId: 'd2', chunks: many('d2', 2) }], signal);
    await store.removeDocuments(ref, ['d1'], signal);
    expect(await found(other, 'wombat')).toBe(2);
    expect(await other.searchVector(ref, vectorAt(1, 64), { limit: 9, signal })).toHaveLength(2);
    await store.dropGeneration(ref);
    await store.ensureIndex(ref, profile);
    expect(await found(other, 'wombat')).toBe(0);
    expect(await other.searchVector(ref, vectorAt(1, 64), { limit: 9, signal })).toEqual([]);
    await other.close();
  });

  it.each([
    ['overwritten', (path: string) => writeFileSync(path, 'this is no database, whatever its name says'.repeat(200))],
    ['cut to nothing', (path: string) => truncateSync(path, 0)],
  ])('says which index is damaged when its file is %s, and leaves it as it is', async (_, damage) => {
    await store.close();
    for (const end of ['-wal', '-shm']) rmSync(file() + end, { force: true });
    damage(file());
    store = await openSqliteChunks({ dataDir, log: silent });
    const refused = {
      code: 'store-unavailable',
      message: expect.stringMatching(/t_000000000000000000000001.*damaged.*[Rr]e-index/),
    };
    await expect(store.searchText(ref, 'wombat', { limit: 1, signal })).rejects.toMatchObject(refused);
    await expect(store.ensureIndex(ref, profile)).rejects.toMatchObject(refused);
    await expect(store.replaceDocuments(ref, [], signal)).rejects.toMatchObject(refused);
  });

  it('holds whole documents only after the writing process was killed', async () => {
    const child = fork(fileURLToPath(new URL('./killed-writer.ts', import.meta.url)), [dataDir, ref.tenantId], {
      stdio: 'ignore',
      execArgv: [],
    });
    let acknowledged = 0;
    child.on('message', (count) => {
      acknowledged = Number(count);
      if (acknowledged >= 12) child.kill('SIGKILL');
    });
    await once(child, 'exit');
    const db = new DatabaseSync(file());
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    db.close();
    const { documents, chunks } = await store.stats(ref);
    expect(acknowledged).toBeGreaterThanOrEqual(12);
    expect(documents).toBeGreaterThanOrEqual(acknowledged);
    expect(chunks).toBe(documents * 20);
    expect(await found(store, 'killed')).toBe(chunks);
    expect(await store.searchVector(ref, vectorAt(1, 64), { limit: 1_000, signal })).toHaveLength(chunks);
  });

  it('leaves the event loop free while fifty searches run', async () => {
    await store.replaceDocuments(ref, [{ documentId: 'd1', chunks: many('d1', 3_000) }], signal);
    await found(store, 'wombat');
    let turns = 0;
    let running = true;
    const turn = () => {
      turns += 1;
      if (running) setImmediate(turn);
    };
    setImmediate(turn);
    await Promise.all(
      Array.from({ length: 50 }, () => store.searchText(ref, 'wombat number7 number8', { limit: 10, signal })),
    );
    running = false;
    // A search on this thread would give one turn per search at most.
    expect(turns).toBeGreaterThan(200);
  });

  it('cancels a search that still waits', async () => {
    const controller = new AbortController();
    const waiting = Array.from({ length: 5 }, () =>
      store.searchText(ref, 'wombat', { limit: 1, signal: controller.signal }),
    );
    controller.abort();
    for (const each of await Promise.allSettled(waiting))
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
    expect(await found(store, 'wombat')).toBe(0);
  });

  it('copies every index whole into a folder', async () => {
    await store.replaceDocuments(ref, [{ documentId: 'd1', chunks: many('d1', 5) }], signal);
    const folder = join(dataDir, 'copy');
    await store.backup(folder, signal);
    const copy = await openSqliteChunks({ dataDir: folder, log: silent });
    expect(await found(copy, 'wombat')).toBe(5);
    await copy.close();
  });

  it('refuses ids that would leave its folder', async () => {
    for (const tenantId of ['../up', 'a/b', '', '.']) {
      await expect(store.generations(tenantId)).rejects.toMatchObject({ code: 'invalid' });
      await expect(store.ensureIndex({ tenantId, generation: 1 }, profile)).rejects.toMatchObject({ code: 'invalid' });
    }
    expect(readdirSync(join(dataDir, 'chunks'))).toEqual([ref.tenantId]);
  });
});
