import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createTestRuntime, testStart } from '../../fakes/clock.ts';
import { type Process, startProcess } from '../drivers/state/processes.ts';

// Real files, threads and processes: slow on a busy machine, and then not wrong.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let state: StateStore;
const tenantId = 't_race';
const bucket = `tenant:${tenantId}:tokens:2026-11-22`;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-race-'));
  state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
  await state.metering.putLimits(tenantId, [
    { scope: 'member', unit: 'questions', per: 'day', limit: 1_000 },
    { scope: 'tenant', unit: 'tokens', per: 'day', limit: 1_000 },
  ]);
});
afterEach(async () => {
  await state.maintenance.close();
  await rm(folder, { recursive: true });
});

const four = (settle: 'yes' | 'no'): Promise<readonly Process[]> =>
  Promise.all(
    ['a', 'b', 'c', 'd'].map((label) => startProcess(folder, { do: 'reserve', tenantId, label, count: 50, settle })),
  );

test('four processes asking 200 times at once spend exactly the limit', async () => {
  const processes = await four('yes');
  for (const process of processes) process.go();
  const reports = await Promise.all(processes.map((process) => process.report('held')));
  await Promise.all(processes.map((process) => process.ended));
  expect(reports.reduce((sum, report) => sum + report.held, 0)).toBe(100);
  expect(reports.reduce((sum, report) => sum + report.refused, 0)).toBe(100);
  expect(await state.metering.counters(tenantId, [bucket], testStart)).toEqual([{ id: bucket, used: 1_000, held: 0 }]);
});

test('processes killed between reserving and settling leave nothing reserved', async () => {
  const processes = await four('no');
  for (const process of processes) process.go();
  const reports = await Promise.all(processes.map((process) => process.report('held')));
  await Promise.all(processes.map((process) => process.kill()));
  expect(reports.reduce((sum, report) => sum + report.held, 0)).toBe(100);
  expect(await state.metering.counters(tenantId, [bucket], testStart)).toEqual([{ id: bucket, used: 0, held: 1_000 }]);
  const later = testStart + 60_000;
  expect(await state.metering.counters(tenantId, [bucket], later)).toEqual([{ id: bucket, used: 0, held: 0 }]);
  await state.maintenance.sweep(later);
  // Read at the old time: the rows themselves are gone, not only out of date.
  const members = ['a', 'b', 'c', 'd'].map((label) => `member:slack:${label}:questions:2026-11-22`);
  for (const counter of await state.metering.counters(tenantId, [bucket, ...members], testStart))
    expect(counter.held).toBe(0);
});
