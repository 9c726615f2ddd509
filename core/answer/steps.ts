import type { Runtime } from '../ports/runtime.ts';

/** Time per step of one answer: for the receipt in milliseconds, for the graphs in seconds. */
export type Steps = {
  time<T>(step: string, work: () => Promise<T>): Promise<T>;
  /** Also `total`, from the first moment. */
  timings(): Readonly<Record<string, number>>;
  note(step: string, value: number): void;
};

export const createSteps = ({ clock, metrics }: Runtime): Steps => {
  const begun = clock.now();
  const spent: Record<string, number> = {};
  return {
    time: async (step, work) => {
      const from = clock.now();
      try {
        return await work();
      } finally {
        const ms = clock.now() - from;
        spent[step] = (spent[step] ?? 0) + ms;
        metrics.observe('step_seconds', ms / 1_000, { step });
      }
    },
    note: (step, value) => {
      spent[step] = value;
    },
    timings: () => ({ ...spent, total: clock.now() - begun }),
  };
};
