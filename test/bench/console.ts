import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchResult } from './result.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The pages are JSX, which Node does not run by itself: they are measured under vitest, in console-pages.ts. */
export const run = async (): Promise<BenchResult[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'footnote-bench-'));
  const file = join(folder, 'results.json');
  try {
    const { status } = spawnSync(
      process.execPath,
      [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'vitest.bench.config.ts'],
      { cwd: root, env: { ...process.env, BENCH_RESULTS: file }, stdio: ['ignore', 'ignore', 'inherit'] },
    );
    if (status !== 0) throw new Error(`The pages could not be measured (exit code ${status}).`);
    return JSON.parse(readFileSync(file, 'utf8')) as BenchResult[];
  } finally {
    rmSync(folder, { recursive: true });
  }
};
