import { defineConfig } from 'vitest/config';

/** Walks the pages in Debian's Chromium; needs /usr/bin/chromium (or CHROMIUM_PATH). */
export default defineConfig({
  test: { include: ['test/browser/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 60_000, fileParallelism: false },
});
