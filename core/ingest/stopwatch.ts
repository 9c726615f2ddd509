import type { Metrics } from '../ports/runtime.ts';

/** Tells the metrics how long a step of the document path took, also when it failed. */
export const createStopwatch =
  (metrics: Metrics) =>
  async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await work();
    } finally {
      metrics.observe('ingest_seconds', (performance.now() - started) / 1_000, { step });
    }
  };
