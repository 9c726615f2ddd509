import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import { anEvent, anInboxRow } from '../contracts/rows.ts';
import { createTestRuntime } from '../fakes/clock.ts';
import type { BenchResult } from './result.ts';

/**
 * P1: the durable insert before an acknowledgement, at 1, 32 and 256 senders, beside the limit of the same disk in the same
 * run: appending as many bytes to a file and waiting for them to be on the disk, one after the other.
 */
export type StateFigure = {
  readonly senders: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};
export type StateFigures = { readonly limit: StateFigure; readonly receive: readonly StateFigure[] };

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;

const figureOf = (senders: number, times: readonly number[], forMs: number): StateFigure => {
  const sorted = times.toSorted((a, b) => a - b);
  return {
    senders,
    perSecond: Math.round((times.length / forMs) * 1_000),
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
  };
};

/** `forMs` for each row of the table. */
export const measureState = async (forMs: number): Promise<StateFigures> => {
  const folder = mkdtempSync(join(tmpdir(), 'footnote-bench-'));
  try {
    const limit = measureDisk(join(folder, 'limit'), forMs);
    const state = await openSqliteState({ dataDir: join(folder, 'data'), log: createTestRuntime().log });
    const receive: StateFigure[] = [];
    for (const senders of [1, 32, 256]) {
      const times: number[] = [];
      const began = performance.now();
      const send = async (sender: number) => {
        for (let n = 0; performance.now() - began < forMs; n += 1) {
          const key = `${senders}-${sender}-${n}`;
          const row = anInboxRow(
            anEvent({ dedupeKeys: [`e:${key}`, `m:${key}`], text: 'How many days of leave do I have? '.repeat(6) }),
            `thread-${key.length}-${n % 100}`,
          );
          const from = performance.now();
          await state.inbox.receive(row);
          times.push(performance.now() - from);
        }
      };
      await Promise.all(Array.from({ length: senders }, (_, sender) => send(sender)));
      receive.push(figureOf(senders, times, performance.now() - began));
    }
    await state.maintenance.close();
    return { limit, receive };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const measureDisk = (path: string, forMs: number): StateFigure => {
  const handle = openSync(path, 'a');
  const page = Buffer.alloc(4_120, 1);
  const times: number[] = [];
  const began = performance.now();
  while (performance.now() - began < forMs) {
    const from = performance.now();
    writeSync(handle, page);
    fdatasyncSync(handle);
    times.push(performance.now() - from);
  }
  closeSync(handle);
  return figureOf(1, times, performance.now() - began);
};

export const run = async (): Promise<BenchResult[]> => {
  const { limit, receive } = await measureState(3_000);
  return receive.map(({ senders, perSecond, p50Ms, p99Ms }) => ({
    id: 'P1',
    item: `inbox.receive on the disk, ${senders} at once, closed loop`,
    value: `${p50Ms.toFixed(2)} / ${p99Ms.toFixed(1)}`,
    unit: `ms p50 / p99, ${perSecond} a second`,
    beside: [
      {
        name: 'one page and fdatasync',
        value: `${limit.p50Ms.toFixed(2)} / ${limit.p99Ms.toFixed(1)} ms, ${limit.perSecond} a second`,
      },
    ],
  }));
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { limit, receive } = await measureState(3_000);
  console.table([
    { what: 'one page, fdatasync', ...limit },
    ...receive.map((figure) => ({ what: 'inbox.receive', ...figure })),
  ]);
}
