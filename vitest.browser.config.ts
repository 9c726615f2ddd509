import { defineConfig } from 'vitest/config';
import { resultsIn } from './test/results.ts';

/** Walks the pages in Debian's Chromium; needs /usr/bin/chromium (or CHROMIUM_PATH). */
export default defineConfig({
  test: {
    ...resultsIn('browser'),
    include: ['test/browser/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
