import type { Metrics } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';

type Verbs = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;

/** The same store, with the time of each verb told to `state_seconds`. Sweeps and backups are left out: they take theirs. */
export const timeState = (state: StateStore, metrics: Pick<Metrics, 'observe'>): StateStore => {
  const timed = (group: string, verbs: Verbs): Verbs =>
    Object.fromEntries(
      Object.entries(verbs).map(([name, verb]) => {
        const labels = { verb: `${group}.${name}` };
        const measured: typeof verb = (...args) => {
          const began = performance.now();
          return verb(...args).finally(() =>
            metrics.observe('state_seconds', (performance.now() - began) / 1_000, labels),
          );
        };
        return [name, measured];
      }),
    );
  const groups = Object.entries(state).map(([group, verbs]) =>
    typeof verbs === 'object' && group !== 'maintenance' ? [group, timed(group, verbs as Verbs)] : [group, verbs],
  );
  return Object.fromEntries(groups) as unknown as StateStore;
};
