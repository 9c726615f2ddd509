import type { Context } from 'hono';
import { type AppError, isAppError } from '../core/errors.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import type { Env } from './guard.ts';

/** Well below the second within which a revoked key, session or membership must be refused. */
const lookEveryMs = 400;
const lost: readonly AppError['code'][] = ['unauthenticated', 'forbidden', 'not-found'];

export type Watch = {
  /** Fires when the caller would no longer be let in, with the AppError that says why. */
  readonly revoked: AbortSignal;
  stop(): void;
};

/**
 * A stream outlives the check that let it begin, so the check is repeated while it runs. A store that cannot be asked
 * for a moment takes nobody's access away.
 */
export const watchAccess = (c: Context<Env>, { clock }: Runtime): Watch => {
  const revoked = new AbortController();
  const over = new AbortController();
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await clock.sleep(lookEveryMs, over.signal);
      try {
        await c.get('checkAgain')();
      } catch (error) {
        if (!isAppError(error) || !lost.includes(error.code)) continue;
        revoked.abort(error);
        return;
      }
    }
  };
  // Only the end of the stream makes the sleep fail.
  look().catch(() => undefined);
  return { revoked: revoked.signal, stop: () => over.abort() };
};
