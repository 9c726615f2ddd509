import type { Tally } from '../../ports/state.ts';

/** Where a percentile stands among `count` sorted values (nearest rank), from 0. */
export const percentileAt = (count: number, part: number): number => Math.max(0, Math.ceil(count * part) - 1);

export const percentiles = (p50Ms: number | undefined, p95Ms: number | undefined): Pick<Tally, 'p50Ms' | 'p95Ms'> => ({
  ...(p50Ms === undefined ? {} : { p50Ms }),
  ...(p95Ms === undefined ? {} : { p95Ms }),
});
