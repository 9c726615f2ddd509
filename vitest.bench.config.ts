import { defineConfig } from 'vitest/config';

/** What is measured of the console's pages; started by test/bench/console.ts. */
export default defineConfig({ test: { include: ['test/bench/console-pages.ts'], hookTimeout: 60_000 } });
