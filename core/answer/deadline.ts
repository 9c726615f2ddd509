import { AppError } from '../errors.ts';
import type { Clock } from '../ports/runtime.ts';

/** A signal that also fires, with `model-timeout`, when the time is up. */
export const startDeadline = (
  clock: Clock,
  ms: number,
  parent: AbortSignal,
): { readonly signal: AbortSignal; end(): void } => {
  const own = new AbortController();
  const timer = new AbortController();
  const onAbort = (): void => own.abort(new AppError('cancelled', 'The work was stopped before it was finished.'));
  if (parent.aborted) onAbort();
  else parent.addEventListener('abort', onAbort, { once: true });
  clock.sleep(ms, timer.signal).then(
    () => own.abort(new AppError('model-timeout', 'The answer took too long. Please try again.', { retryable: true })),
    () => undefined,
  );
  return {
    signal: own.signal,
    end: () => {
      timer.abort(over);
      parent.removeEventListener('abort', onAbort);
    },
  };
};

/** An abort without a reason makes one, with its stack, each time. */
const over = new AppError('cancelled', 'The work is over.');
