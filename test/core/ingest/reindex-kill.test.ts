import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { pushSource } from '../../../core/drivers/sources/push.ts';
import { type Bench, openBench } from './workbench.ts';

const documents = 160;
let bench: Bench;
let children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await bench.close();
});

const start = (...args: readonly string[]) => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./reindex-child.ts', import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let output = '';
  child.stdout?.on('data', (part: Buffer) => {
    output += part.toString();
  });
  return { child, exit: new Promise((resolve) => child.on('exit', resolve)), output: () => output };
};

it('a process that is killed in the middle of a re-index loses nothing, and the next one builds only what is left', async () => {
  bench = await openBench({ sources: [pushSource] });
  const { tenant, ingest, state, chunks } = bench;
  const { signal } = new AbortController();
  const { id: source } = await ingest.createSource(tenant, { kind: 'push', name: 'Handbook', settings: {} });
  const content = (n: number) =>
    `# Valve ${n}\n\nThe valve number${n} is red.\n\n${'More words about it. '.repeat(300)}`;
  await ingest.putBatch(
    tenant,
    source,
    Array.from({ length: documents }, (_, n) => ({ externalId: `d${n}`, content: content(n) })),
    signal,
  );
  const { id: job } = await ingest.reindex(tenant);
  const built = async () => (await state.documents.built(tenant.id, 2, { limit: 1_000 })).items.length;

  const first = start(bench.folder, tenant.id, job);
  while ((await built()) < 32 && first.child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2));
  first.child.kill('SIGKILL');
  await first.exit;
  const before = await built();
  expect(before).toBeGreaterThanOrEqual(32);
  expect(before).toBeLessThan(documents);
  expect((await state.tenants.get(tenant.id))?.activeGeneration).toBe(1);
  await ingest.put(tenant, source, { externalId: 'd3', content: 'The valve number3 is green.' }, signal);

  const second = start(bench.folder, tenant.id, job);
  expect(await second.exit).toBe(0);
  expect(JSON.parse(second.output().trim().split('\n').at(-1) ?? '{}')).toMatchObject({
    state: 'done',
    counts: { seen: documents, upserted: documents - before + 1, failed: 0 },
    errors: [],
  });
  const ref = { tenantId: tenant.id, generation: 2 };
  expect((await state.tenants.get(tenant.id))?.activeGeneration).toBe(2);
  expect((await chunks.stats(ref)).documents).toBe(documents);
  const { hits } = await chunks.searchText(ref, 'green', { limit: 5, signal });
  expect(hits.map((hit) => hit.chunk.externalId)).toEqual(['d3']);
}, 180_000);
