import { mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createBatches } from '../../../../core/drivers/state/sqlite/batch.ts';
import { openDatabase } from '../../../../core/drivers/state/sqlite/database.ts';
import { openLane } from '../../../../core/drivers/state/sqlite/lane.ts';
import { migrations } from '../../../../core/drivers/state/sqlite/migrations.ts';
import { createSql } from '../../../../core/drivers/state/sqlite/sql.ts';
import { openSqliteState, type SqliteStateOptions } from '../../../../core/drivers/state/sqlite/state.ts';
import { createSyncStore } from '../../../../core/drivers/state/sqlite/store.ts';
import type { Call } from '../../../../core/drivers/state/sqlite/sync.ts';
import type { StateStore } from '../../../../core/ports/state.ts';
import { aDocument, aLine, anEvent, anInboxRow, aReceipt, aTenant } from '../../../contracts/rows.ts';
import { createTestRuntime, testStart as now } from '../../../fakes/clock.ts';
import { startProcess } from './processes.ts';

// Real files, threads and processes: slow on a busy machine, and then not wrong.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let opened: StateStore[];
const runtime = createTestRuntime();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-state-'));
  opened = [];
});
afterEach(async () => {
  for (const state of opened) await state.maintenance.close();
  await rm(folder, { recursive: true, force: true });
});

const start = async (over: Partial<SqliteStateOptions> = {}): Promise<StateStore> => {
  const state = await openSqliteState({ dataDir: folder, log: runtime.log, ...over });
  opened.push(state);
  return state;
};
const file = () => join(folder, 'state.sqlite');
/** A batch ends early on a busy machine; what is about something else takes its time. */
const unhurried = 60_000;
const receiveMany = (state: StateStore, count: number, label = 'k') =>
  Promise.all(
    Array.from({ length: count }, (_, n) =>
      state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [`${label}-${n}`] }))),
    ),
  );

/** Counts commits from outside: in the log, the last frame of a commit carries the size of the file after it. */
const commitsInLog = async (): Promise<number> => {
  const log = await readFile(`${file()}-wal`);
  if (log.length === 0) return 0;
  const frameBytes = 24 + log.readUInt32BE(8);
  let commits = 0;
  for (let at = 32; at + frameBytes <= log.length; at += frameBytes) {
    const isCurrent = log.readUInt32BE(at + 8) === log.readUInt32BE(16);
    if (isCurrent && log.readUInt32BE(at + 4) > 0) commits += 1;
  }
  return commits;
};

describe('a search', () => {
  test('finds the same answers in the same order, whether its words are rare or common', async () => {
    await (await start()).maintenance.close();
    const database = openDatabase(file(), false);
    const { receipts, maintenance } = createSyncStore(createSql(database));
    // More than are tried first; many at one time, and written in another order than they were asked in.
    const all = Array.from({ length: 9_000 }, (_, n) =>
      aReceipt(n % 3 === 0 ? 't_other' : 't_1', {
        at: now + Math.floor(((n * 7) % 9_000) / 5),
        question: `How to handle case ${n}?${n % 2 === 0 ? ' Battery.' : ''}${n > 8_900 ? ' Old frame.' : ''}`,
        kind: n % 10 === 1 ? 'refused' : 'answered',
      }),
    );
    database.exec('BEGIN');
    for (const receipt of all) receipts.put(receipt);
    while (maintenance.indexReceipts() !== undefined);
    database.exec('COMMIT');
    const own = all
      .filter(({ tenantId }) => tenantId === 't_1')
      .sort((a, b) => b.at - a.at || (a.answerId < b.answerId ? 1 : -1));
    const searches: readonly (readonly [q: string, kind?: string])[] = [
      ['handle'],
      ['battery'],
      ['battery', 'refused'],
      ['handle frame'],
      ['handle 89'],
      ['case 8901'],
      ['battery zebra'],
    ];
    for (const [q, outcome] of searches) {
      const filter = { q, ...(outcome === undefined ? {} : { outcome }), from: now + 100 };
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = receipts.list('t_1', filter, { limit: 900, ...(cursor === undefined ? {} : { cursor }) });
        if (typeof page === 'symbol') throw new Error('a search is done at once');
        found.push(...page.items.map(({ answerId }) => answerId));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      const expected = own.filter(
        ({ question, kind, at }) =>
          at >= now + 100 &&
          (outcome === undefined || kind === outcome) &&
          q.split(' ').every((word) => question.toLowerCase().includes(word)),
      );
      expect(found, q).toEqual(expected.map(({ answerId }) => answerId));
    }
    database.close();
  });
});

describe('the file', () => {
  test('is nobody else’s to read', async () => {
    await start({ dataDir: join(folder, 'data') });
    expect((await stat(join(folder, 'data'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'data/state.sqlite'))).mode & 0o777).toBe(0o600);
  });

  test('keeps what was written over a restart', async () => {
    const tenant = aTenant();
    const state = await start();
    await state.tenants.create(tenant);
    await state.maintenance.close();
    expect(await (await start()).tenants.get(tenant.id)).toEqual(tenant);
  });

  test('is flushed to the disk with every commit', async () => {
    const database = openDatabase(file(), false);
    expect(database.prepare('PRAGMA synchronous').get()).toMatchObject({ synchronous: 2 });
    expect(database.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' });
    database.close();
  });

  test('leaves the names of the sign-in library’s tables free', async () => {
    await start();
    const database = new DatabaseSync(file(), { readOnly: true });
    const tables = database
      .prepare('SELECT name FROM sqlite_schema')
      .all()
      .map((row) => String(row.name).toLowerCase());
    database.close();
    for (const name of [
      'user',
      'session',
      'account',
      'verification',
      'twofactor',
      'organization',
      'member',
      'invitation',
      'apikey',
      'ratelimit',
      'passkey',
      'jwks',
    ]) {
      expect(tables).not.toContain(name);
    }
  });

  test.each([
    [
      'whose header is garbage',
      async () => {
        const handle = await open(file(), 'r+');
        await handle.write('this is no database at all, but long enough to be read as one', 0);
        await handle.close();
      },
    ],
    ['that is empty', () => truncate(file(), 0)],
    ['that was cut short', () => truncate(file(), 40_000)],
    [
      'with a page of garbage',
      async () => {
        const handle = await open(file(), 'r+');
        for (let page = 4; page < 40; page += 1) await handle.write(Buffer.alloc(4_096, 0x5a), 0, 4_096, page * 4_096);
        await handle.close();
      },
    ],
  ])('%s stops the start with a sentence and is left as it is', async (_, damage) => {
    await (await start()).maintenance.close();
    await damage();
    const before = await readFile(file());
    await expect(start()).rejects.toMatchObject({
      name: 'AppError',
      message: expect.stringMatching(/damaged.*backup/s),
    });
    expect((await readFile(file())).equals(before)).toBe(true);
  });

  test('that is missing beside its log is not quietly begun anew', async () => {
    await writeFile(`${file()}-wal`, 'something');
    await expect(start()).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('missing'),
    });
  });

  test('of a newer version stops the start', async () => {
    await (await start()).maintenance.close();
    const database = new DatabaseSync(file());
    database.exec(`INSERT INTO migrations VALUES (99, 'from the future', 0); PRAGMA user_version = 99`);
    database.close();
    await expect(start()).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('newer version') });
  });

  test('of a newer version that only added to it is opened, so that two versions share it during a deploy', async () => {
    const newest = Math.max(...migrations.map(({ step }) => step));
    const adding = { step: newest + 1, name: 'adds', sql: 'ALTER TABLE tenants ADD COLUMN later TEXT' };
    openDatabase(file(), false, [...migrations, adding]).close();
    await (await start()).maintenance.close();
    const breaking = { step: newest + 2, name: 'breaks', sql: 'DROP TABLE leases', oldest: newest + 2 };
    openDatabase(file(), false, [...migrations, adding, breaking]).close();
    await expect(start()).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('newer version') });
  });

  test('is only added to by each step, unless the step says which versions can no longer share it', () => {
    // An index may go: an older version is only slower without it, as none that went was named by a statement.
    const adds =
      /^(CREATE (TABLE|INDEX|UNIQUE INDEX|TRIGGER|VIEW|VIRTUAL TABLE)|DROP INDEX|INSERT INTO|ALTER TABLE \w+ ADD COLUMN)\b/;
    for (const { step, sql, oldest } of migrations) {
      if (oldest !== undefined) continue;
      const made = new Set([...sql.matchAll(/^CREATE (?:VIRTUAL )?TABLE (\w+)/gm)].map(([, table]) => table));
      const statements = sql
        .replaceAll(/^--.*$/gm, '')
        // Not within a trigger, whose lines are indented up to its END.
        .split(/;\s*\n(?!END)(?=\S)|;\s*$/)
        .map((statement) => statement.trim())
        .filter((statement) => statement !== '');
      for (const statement of statements) {
        const [, replaced] = /^DROP TRIGGER (\w+)$/.exec(statement) ?? [];
        // Another trigger in its place does for an older version what it does for this one.
        if (replaced !== undefined) {
          expect(sql, `step ${step}`).toMatch(new RegExp(`^CREATE TRIGGER ${replaced} `, 'm'));
          continue;
        }
        expect(statement, `step ${step}`).toMatch(adds);
        // What an older version leaves out must have a value, and what it writes must not be refused.
        if (/ADD COLUMN/.test(statement) && /NOT NULL/.test(statement))
          expect(statement, `step ${step}`).toMatch(/DEFAULT|GENERATED/);
        const [, unique] = /^CREATE UNIQUE INDEX \w+ ON (\w+)/.exec(statement) ?? [];
        const [, inserted] = /^INSERT INTO (\w+)/.exec(statement) ?? [];
        for (const table of [unique, inserted]) if (table !== undefined) expect(made, `step ${step}`).toContain(table);
      }
    }
  });

  test('of another program stops the start', async () => {
    const database = new DatabaseSync(file());
    database.exec('CREATE TABLE songs (id INTEGER)');
    database.close();
    await expect(start()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('no Footnote state file'),
    });
  });

  test('is brought forward step by step, all or nothing', async () => {
    openDatabase(file(), false, migrations).close();
    const newest = Math.max(...migrations.map(({ step }) => step));
    const next = { step: newest + 1, name: 'next', sql: 'CREATE TABLE later (id INTEGER) STRICT' };
    const broken = {
      step: newest + 2,
      name: 'broken',
      sql: 'CREATE TABLE half (id INTEGER) STRICT; CREATE TABLE nonsense (',
    };
    expect(() => openDatabase(file(), false, [...migrations, next, broken])).toThrow();
    const tablesOf = (steps: typeof migrations) => {
      const database = openDatabase(file(), false, steps);
      const names = database
        .prepare(`SELECT name FROM sqlite_schema WHERE name IN ('later', 'half')`)
        .all()
        .map((row) => row.name);
      database.close();
      return names;
    };
    expect(tablesOf(migrations)).toEqual([]);
    expect(tablesOf([...migrations, next])).toEqual(['later']);
  });

  test.each(['nfs', 'cifs', 'smb2', '9p', 'fuse.sshfs', 'ceph'])('on %s is refused with a sentence', async (kind) => {
    await expect(start({ fileSystemOf: () => kind })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(`network file system (${kind})`),
    });
    await expect(stat(file())).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.each(['', 'ext2/3/4', 'overlay', 'fuseblk', 'virtiofs'])('on a local disk (%s) is opened', async (kind) => {
    await expect(start({ fileSystemOf: () => kind })).resolves.toBeDefined();
  });
});

describe('the batch', () => {
  const callOf = (id: number, group: string, verb: string, ...args: unknown[]): Call => ({
    id,
    group,
    verb,
    args,
    until: Date.now() + 5_000,
  });

  test('commits once for all who wait, and one who fails takes nobody down', () => {
    const database = openDatabase(file(), false);
    const runBatch = createBatches(database, createSyncStore(createSql(database)), unhurried);
    const tenants = Array.from({ length: 20 }, () => aTenant());
    const calls = tenants.map((tenant, n) => callOf(n, 'tenants', 'create', tenant));
    const failing = callOf(100, 'documents', 'write', 't_1', 's', {
      rows: [aDocument('t_1', 's'), { ...aDocument('t_1', 's'), id: undefined }],
      contents: [],
    });
    const unknown = callOf(101, 'tenants', 'nonsense');
    const { replies, left } = runBatch([
      ...calls.slice(0, 10),
      failing,
      unknown,
      ...calls.slice(10),
      callOf(102, 'documents', 'count', 't_1'),
    ]);
    expect(left).toEqual([]);
    expect(replies.filter((reply) => 'problem' in reply).map((reply) => reply.id)).toEqual([100, 101]);
    expect(replies.at(-1)).toEqual({ id: 102, value: 0 });
    expect(database.prepare('SELECT count(*) AS n FROM tenants').get()).toEqual({ n: 20 });
    database.close();
  });

  test('answers store-unavailable to everybody when the disk is full, and has stored nothing', () => {
    const database = openDatabase(file(), false);
    const pages = Number(database.prepare('PRAGMA page_count').get()?.page_count);
    database.exec(`PRAGMA max_page_count = ${pages + 2}`);
    const runBatch = createBatches(database, createSyncStore(createSql(database)), unhurried);
    const calls = Array.from({ length: 50 }, (_, n) =>
      callOf(n, 'inbox', 'receive', anInboxRow(anEvent({ text: 'x'.repeat(3_000) }))),
    );
    const { replies } = runBatch(calls);
    const stored = Number(database.prepare('SELECT count(*) AS n FROM inbox').get()?.n);
    expect(replies).toHaveLength(50);
    expect(replies.filter((reply) => 'value' in reply)).toHaveLength(stored);
    expect(replies.filter((reply) => 'problem' in reply).length).toBeGreaterThan(0);
    expect(replies.find((reply) => 'problem' in reply)).toMatchObject({
      problem: expect.stringMatching(/disk.*full/),
      retryable: true,
    });
    database.close();
  });

  test('waits for the disk for every write but leases, which a power cut ends anyway, and what can be made anew', () => {
    const database = openDatabase(file(), false);
    const runBatch = createBatches(database, createSyncStore(createSql(database)));
    const synchronous = () => Number(database.prepare('PRAGMA synchronous').get()?.synchronous);
    const [normal, full] = [1, 2];
    const claim = callOf(1, 'inbox', 'claimThread', { owner: 'o', now: Date.now(), leaseForMs: 1_000 });
    runBatch([claim, callOf(2, 'tenants', 'get', 't_1')]);
    expect(synchronous()).toBe(normal);
    runBatch([claim, callOf(3, 'inbox', 'receive', anInboxRow(anEvent()))]);
    expect(synchronous()).toBe(full);
    runBatch([callOf(4, 'outbox', 'open', 't_1', 'd', 'a', Date.now())]);
    expect(synchronous(), 'the attempts of the row are on the disk by then').toBe(normal);
    runBatch([callOf(5, 'inbox', 'pending', { key: 'k', owner: 'o', fence: 1 }, 1)]);
    expect(synchronous()).toBe(full);
    runBatch([
      callOf(6, 'outbox', 'finalize', 't_1', 'd', { markdown: 'a', reason: 'answered', receipt: aReceipt('t_1') }),
    ]);
    expect(synchronous(), 'what is lost of it is written anew').toBe(normal);
    runBatch([callOf(7, 'inbox', 'settleAndNext', { key: 'k', owner: 'o', fence: 1 }, 'r', 1, { reason: 'answered' })]);
    expect(synchronous()).toBe(full);
    database.close();
  });

  test('leaves out calls that nobody waits for any more', () => {
    const database = openDatabase(file(), false);
    const runBatch = createBatches(database, createSyncStore(createSql(database)));
    const { replies } = runBatch([{ ...callOf(1, 'tenants', 'create', aTenant()), until: Date.now() - 1 }]);
    expect(replies).toEqual([]);
    expect(database.prepare('SELECT count(*) AS n FROM tenants').get()).toEqual({ n: 0 });
    database.close();
  });

  test('turns hundreds of parallel inserts into a handful of commits', async () => {
    const state = await start();
    const before = await commitsInLog();
    expect((await receiveMany(state, 400)).every((outcome) => outcome === 'stored')).toBe(true);
    const commits = (await commitsInLog()) - before;
    expect(commits).toBeGreaterThan(0);
    expect(commits).toBeLessThanOrEqual(40);
  });

  test('a long erasure lets others through between its steps', async () => {
    const state = await start();
    const tenant = aTenant();
    await state.tenants.create(tenant);
    await state.documents.write(tenant.id, 's', {
      rows: Array.from({ length: 5_000 }, () => aDocument(tenant.id, 's')),
      contents: [],
    });
    await state.tenants.markDeleted(tenant.id, now);
    const order: string[] = [];
    await Promise.all([
      state.tenants.erase(tenant.id).then(() => order.push('erased')),
      receiveMany(state, 1).then(() => order.push('received')),
    ]);
    expect(order).toEqual(['received', 'erased']);
    expect(await state.documents.count(tenant.id)).toBe(0);
  });
});

describe('the thread', () => {
  test('that dies fails what was under way, and the next call is answered by a new one', async () => {
    openDatabase(file(), false).close();
    const mortal = new URL('./mortal-worker.ts', import.meta.url);
    const lane = await openLane({ file: file(), readOnly: false }, runtime.log, mortal);
    const doomed = [lane.call('die', 'now', []), lane.call('tenants', 'get', ['t_1'])];
    for (const call of doomed) await expect(call).rejects.toMatchObject({ code: 'store-unavailable', retryable: true });
    expect(await lane.call('tenants', 'get', ['t_1'])).toBeNull();
    await lane.close();
  });

  test('is spared what is no plain data, and so are the calls beside it', async () => {
    const state = await start();
    const [good, bad] = await Promise.allSettled([
      state.tenants.create(aTenant()),
      state.tenants.create({ ...aTenant(), settings: { instructions: (() => '') as unknown as string } }),
    ]);
    expect(good).toMatchObject({ value: 'created' });
    expect(bad).toMatchObject({ reason: { code: 'store-unavailable' } });
  });

  test('a closed store says so', async () => {
    const state = await start();
    await state.maintenance.close();
    await expect(state.maintenance.check()).rejects.toMatchObject({ code: 'store-unavailable' });
  });

  test('closing answers what was asked before', async () => {
    const state = await start();
    const asked = receiveMany(state, 50);
    await state.maintenance.close();
    expect(await asked).toHaveLength(50);
  });

  test('a locked file is a sentence after a bounded wait, and everything works again afterwards', async () => {
    const state = await start();
    const other = new DatabaseSync(file());
    other.exec('BEGIN IMMEDIATE');
    await expect(state.maintenance.check()).rejects.toMatchObject({
      code: 'store-unavailable',
      retryable: true,
      message: expect.stringContaining('busy'),
    });
    other.exec('ROLLBACK');
    other.close();
    await expect(state.maintenance.check()).resolves.toBeUndefined();
  });

  test('what only reads is answered while another process holds the lock, whoever wants a lease at the same time', async () => {
    const state = await start();
    const tenant = aTenant();
    await state.tenants.create(tenant);
    const other = new DatabaseSync(file());
    other.exec('BEGIN IMMEDIATE');
    const lease = state.leases.acquire('sweep', 'somebody', now, 1000);
    const read = state.tenants.get(tenant.id);
    await expect(lease).rejects.toMatchObject({ code: 'store-unavailable', retryable: true });
    expect((await read)?.id).toBe(tenant.id);
    other.exec('ROLLBACK');
    other.close();
  });

  test('so are words looked for, as far as they are in the index', async () => {
    const state = await start();
    const [known, fresh] = [aReceipt('t_1', { answer: 'a unicorn' }), aReceipt('t_1', { answer: 'a unicorn' })];
    const found = async () =>
      (await state.receipts.list('t_1', { q: 'unicorn' }, { limit: 9 })).items.map(({ answerId }) => answerId);
    await state.receipts.put(known);
    expect(await found()).toEqual([known.answerId]);
    await state.receipts.put(fresh);
    const other = new DatabaseSync(file());
    other.exec('BEGIN IMMEDIATE');
    expect(await found()).toEqual([known.answerId]);
    other.exec('ROLLBACK');
    other.close();
    expect((await found()).toSorted()).toEqual([known.answerId, fresh.answerId].toSorted());
  });
});

describe('the backup', () => {
  test('is a whole copy while others write, and opens', async () => {
    const state = await start();
    const tenant = aTenant();
    await state.tenants.create(tenant);
    await state.ledger.append(tenant.id, [aLine(tenant.id)]);
    const foreign = new DatabaseSync(file());
    foreign.exec(`CREATE TABLE session (id TEXT); INSERT INTO session VALUES ('s1')`);
    foreign.close();
    const [, written] = await Promise.all([state.maintenance.backup(join(folder, 'copy')), receiveMany(state, 300)]);
    expect(written).toHaveLength(300);
    expect((await stat(join(folder, 'copy/state.sqlite'))).mode & 0o777).toBe(0o600);
    const copy = await start({ dataDir: join(folder, 'copy') });
    const whole = { from: 0, to: now + 1 };
    expect(await copy.ledger.list(tenant.id, whole, { limit: 9 })).toEqual(
      await state.ledger.list(tenant.id, whole, { limit: 9 }),
    );
    const session = new DatabaseSync(join(folder, 'copy/state.sqlite'), { readOnly: true });
    expect(session.prepare('SELECT id FROM session').get()).toEqual({ id: 's1' });
    session.close();
    await expect(state.maintenance.backup(join(folder, 'copy'))).rejects.toMatchObject({ code: 'conflict' });
  });

  test('of a folder that cannot be written fails with a sentence', async () => {
    const state = await start();
    await mkdir(join(folder, 'copy'));
    await mkdir(join(folder, 'copy/state.sqlite.part'));
    await expect(state.maintenance.backup(join(folder, 'copy'))).rejects.toThrow();
  });
});

describe('several processes', () => {
  test('that start together on an empty folder end up with one file', async () => {
    const states = await Promise.all([start(), start(), start()]);
    const tenant = aTenant();
    await states[0]?.tenants.create(tenant);
    for (const state of states) expect(await state.tenants.get(tenant.id)).toEqual(tenant);
  });

  test('claim each thread once', async () => {
    const state = await start();
    await receiveMany(state, 200);
    const processes = await Promise.all(
      ['a', 'b', 'c'].map((label) => startProcess(folder, { do: 'claim', label, now: now + 1_000 })),
    );
    for (const process of processes) process.go();
    const claimed = (await Promise.all(processes.map((process) => process.report('claimed')))).flatMap(
      (report) => report.claimed,
    );
    await Promise.all(processes.map((process) => process.ended));
    expect(claimed).toHaveLength(200);
    expect(new Set(claimed).size).toBe(200);
  });

  test('killed while writing lose nothing that was acknowledged', async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const process = await startProcess(folder, { do: 'receive', label: `r${round}`, count: 1_000_000 });
      process.go();
      await process.report('acknowledged');
      await new Promise((resolve) => setTimeout(resolve, 20 + 40 * round));
      await process.kill();
      for (const report of await process.ended) if ('acknowledged' in report) acknowledged.push(...report.acknowledged);
    }
    const state = await start();
    expect(acknowledged.length).toBeGreaterThan(100);
    const found = await Promise.all(acknowledged.map((id) => state.inbox.get(id)));
    expect(found.filter((row) => row === null)).toEqual([]);
    const check = new DatabaseSync(file(), { readOnly: true });
    expect(check.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    // A row is never there without its key and its thread.
    expect(
      check
        .prepare(
          `SELECT count(*) AS n FROM inbox WHERE id NOT IN (SELECT row_id FROM inbox_keys) OR thread_key NOT IN (SELECT key FROM threads)`,
        )
        .get(),
    ).toEqual({ n: 0 });
    expect(
      check
        .prepare(
          `SELECT count(*) AS n FROM threads WHERE ready <> (SELECT count(*) FROM inbox WHERE thread_key = threads.key AND state = 'ready')`,
        )
        .get(),
    ).toEqual({ n: 0 });
    check.close();
  });
});
