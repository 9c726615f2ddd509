import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BenchResult, rowOf } from './result.ts';

/**
 * `npm run bench [-- p5 q1 …]`: runs every file of this folder that exports `run()`, one after the other, each in a
 * process of its own (so that memory and warmth are its own), prints a table and writes test-results/bench.json.
 *
 * `run()` answers one result or several (BenchResult, or the row that is printed); other fields go to the JSON only. A
 * bench that fails is a row that says so, and the exit code is 1.
 */

export type BenchRow = {
  /** As in docs/figures.md: P5, Q1, … */
  readonly id: string;
  readonly item: string;
  readonly target: string;
  readonly measured: string;
  /** The peer or limit of the same run. */
  readonly beside?: string;
  /** Null: measured, but nothing to compare with. */
  readonly ok?: boolean | null;
};

const folder = fileURLToPath(new URL('.', import.meta.url));
const results = fileURLToPath(new URL('../../test-results/', import.meta.url));
const forMs = 20 * 60_000;

/** In the child: run one bench and hand its rows to the parent. */
const runOne = async (file: string): Promise<void> => {
  // A bench may read arguments when it is started by itself; these here are not for it.
  process.argv.splice(2);
  const bench: unknown = await import(join(folder, file));
  const run = typeof bench === 'object' && bench !== null && 'run' in bench ? bench.run : undefined;
  if (typeof run !== 'function') throw new Error(`${file} exports no run()`);
  const outcome: unknown = await run();
  const results: unknown[] = Array.isArray(outcome) ? outcome : [outcome];
  const rows = results.map((result) => (isResult(result) ? rowOf(result) : result));
  await new Promise((done) => process.send?.(rows, done));
  // Worker threads of the bench must not keep it alive.
  process.exit(0);
};

const isResult = (result: unknown): result is BenchResult =>
  typeof result === 'object' && result !== null && 'value' in result && 'unit' in result;

const benches = (wanted: readonly string[]): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && file !== 'run.ts')
    .filter((file) => /^export (?:const|async function|function) run\b/m.test(readFileSync(join(folder, file), 'utf8')))
    .filter((file) => wanted.length === 0 || wanted.some((name) => file.toLowerCase().includes(name.toLowerCase())))
    .sort();

const inChild = (file: string): Promise<Record<string, unknown>[]> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url), '--one', file], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const name = file.replace(/\.ts$/, '');
    let rows: Record<string, unknown>[] | undefined;
    const timer = setTimeout(() => child.kill('SIGKILL'), forMs);
    child.on('message', (message) => {
      rows = (message as unknown[]).map((row) =>
        typeof row === 'object' && row !== null ? { bench: name, ...row } : { bench: name, measured: String(row) },
      );
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      const why = signal === null ? `exit code ${code}` : `ended by ${signal}`;
      resolve(rows ?? [{ bench: name, id: '', item: name, target: '', measured: `failed: ${why}`, ok: false }]);
    });
  });

const columns = ['id', 'item', 'target', 'measured', 'beside', 'ok'] as const;
const cell = (value: unknown): string =>
  value === true ? 'yes' : value === false ? 'NO' : value === null || value === undefined ? '' : String(value);

const renderRows = (rows: readonly Record<string, unknown>[]): string => {
  const lines = [columns.map(String), ...rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

const main = async (): Promise<void> => {
  const files = benches(process.argv.slice(2));
  const rows: Record<string, unknown>[] = [];
  for (const file of files) {
    console.error(`… ${file}`);
    rows.push(...(await inChild(file)));
  }
  const machine = { node: process.version, cores: availableParallelism(), memoryGb: Math.round(totalmem() / 1e9) };
  mkdirSync(results, { recursive: true });
  writeFileSync(
    join(results, 'bench.json'),
    `${JSON.stringify({ at: new Date().toISOString(), machine, rows }, null, 2)}\n`,
  );
  console.log(
    `${renderRows(rows)}\n\n${machine.cores} cores, ${machine.memoryGb} GB, Node ${machine.node}; test-results/bench.json`,
  );
  if (files.length === 0 || rows.some((row) => row.ok === false)) process.exitCode = 1;
};

if (process.argv[2] === '--one') await runOne(process.argv[3] ?? '');
else await main();
