import type { CallLimits } from '../../../../core/drivers/models/calling.ts';
import { AppError } from '../../../../core/errors.ts';
import { createTestRuntime, type TestRuntime } from '../../../fakes/clock.ts';

/** The test runtime with the wall's clock: a real socket does not wait for a fake one. */
export const createRealTimeRuntime = (): TestRuntime => {
  const runtime = createTestRuntime();
  const clock: TestRuntime['clock'] = {
    ...runtime.clock,
    now: () => Date.now(),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer);
          reject(new AppError('cancelled', 'The work was stopped before it was finished.'));
        };
        const timer = setTimeout(() => {
          signal?.removeEventListener('abort', stop);
          resolve();
        }, ms);
        if (signal?.aborted) stop();
        else signal?.addEventListener('abort', stop, { once: true });
      }),
  };
  return { ...runtime, clock };
};

/** A minute of patience in two seconds. */
export const shortLimits: CallLimits = {
  firstByteMs: 300,
  idleMs: 300,
  totalMs: 2_000,
  attempts: 4,
  backoffMs: 10,
  backoffMaxMs: 40,
  breakerFailures: 5,
  breakerOpenMs: 250,
};
