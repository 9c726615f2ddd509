import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqliteChunks } from '../../../core/drivers/chunks/sqlite/chunks.ts';
import { createFolderSource } from '../../../core/drivers/sources/folder.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { tenantOf } from './workbench.ts';

const documents = 200;
const tenant = tenantOf('t_000000000000000000000009');
let base: string;
let children: ChildProcess[] = [];
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'footnote-kill-'));
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await rm(base, { recursive: true, force: true });
});

const start = (
  ...args: readonly string[]
): { child: ChildProcess; exit: Promise<number | null>; output: () => string } => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./sync-child.ts', import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let output = '';
  child.stdout?.on('data', (part: Buffer) => {
    output += part.toString();
  });
  return { child, exit: new Promise((resolve) => child.on('exit', (code) => resolve(code))), output: () => output };
};

const readsOf = (output: string): readonly string[] =>
  output.split('\n').filter((line) => line.startsWith('{"read":') && line.endsWith('}'));

it('indexes everything once although the process is killed in the middle, and writes at most one document twice', async () => {
  const docs = join(base, 'docs');
  const dataDir = join(base, 'data');
  const { log } = createTestRuntime();
  await import('node:fs/promises').then(({ mkdir }) => mkdir(docs));
  for (let n = 0; n < documents; n++)
    await writeFile(
      join(docs, `${n}.md`),
      `# Valve ${n}\n\nThe valve number${n} is closed on Mondays.\n\n${'Some more words about it. '.repeat(200)}`,
    );
  const state = await openSqliteState({ dataDir, log });
  await state.tenants.create(tenant);
  const driver = createFolderSource({ roots: [docs], forbidden: [] });
  await state.sources.create({
    id: 's_kill',
    tenantId: tenant.id,
    kind: driver.kind,
    name: 'Docs',
    settings: { path: docs },
    createdAt: 0,
    rev: 1,
  });

  const parseWorkers = 2;
  const arguments_ = [dataDir, docs, tenant.id, 's_kill', String(parseWorkers)];
  const first = start(...arguments_);
  const done = async (): Promise<number> => state.documents.count(tenant.id, 's_kill');
  while ((await done()) < 30 && first.child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  first.child.kill('SIGKILL');
  await first.exit;
  const written = await done();
  expect(written).toBeGreaterThanOrEqual(30);
  expect(written).toBeLessThan(documents);
  // At most one document had left a trace without being done: its passages were there and its row was not.
  const ref = { tenantId: tenant.id, generation: 1 };
  const before = await openSqliteChunks({ dataDir, log });
  const indexed = (await before.stats(ref)).documents;
  await before.close();
  expect(indexed - written).toBeGreaterThanOrEqual(0);
  expect(indexed - written).toBeLessThanOrEqual(1);

  const second = start(...arguments_);
  expect(await second.exit).toBe(0);
  const last = JSON.parse(second.output().trim().split('\n').at(-1) ?? '{}') as {
    state: string;
    counts: Record<string, number>;
  };
  expect(last).toMatchObject({ state: 'done', counts: { seen: documents, failed: 0, removed: 0 } });
  // What had a row was not even read again. What had none was at most one document in the hands of each parse worker,
  // of which nothing was written anywhere, and the four of the other lanes.
  const reads = readsOf(first.output()).length + readsOf(second.output()).length;
  expect(readsOf(second.output())).toHaveLength(documents - written);
  expect(reads - documents).toBeLessThanOrEqual(parseWorkers + 4);
  expect(last.counts.unchanged).toBe(written);
  expect(last.counts.upserted).toBe(documents - written);

  const chunks = await openSqliteChunks({ dataDir, log });
  expect(await done()).toBe(documents);
  expect((await chunks.stats(ref)).documents).toBe(documents);
  const { signal } = new AbortController();
  for (const n of [0, 17, 99, 199]) {
    const { hits } = await chunks.searchText(ref, `number${n}`, { limit: 10, signal });
    expect(hits.map((hit) => hit.chunk.externalId)).toEqual([`${n}.md`]);
  }
  await chunks.close();
  await state.maintenance.close();
}, 180_000);
