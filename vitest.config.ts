import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { resultsIn } from './test/results.ts';

/** Everything that needs no server and no browser. Pages in a real browser: `npm run test:browser`. */
export default defineConfig({
  test: {
    ...resultsIn('suite'),
    include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
    exclude: ['test/browser/**', 'node_modules/**', 'dist/**'],
    // Real sockets, worker threads and child processes share two cores on a small machine: patience, never sleeps.
    // Much of the suite waits for real sockets and processes: one file more than there are cores keeps the cores busy.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 30_000,
    // Opening all stores and filling them takes a very busy machine this long.
    hookTimeout: 120_000,
    // A leaked fake or variable would make one test's colour depend on another's.
    restoreMocks: true,
    unstubEnvs: true,
    // A skipped test is a silent gap: `it.only` must not slip in either.
    allowOnly: false,
  },
});
