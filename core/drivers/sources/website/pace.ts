import type { Clock } from '../../../ports/runtime.ts';

/** One line of requests per host, whoever asks: two sources of one site share it. */
export type Pace = {
  /** Resolves when it is this request's turn. Rejects with `cancelled`. */
  turn(host: string, intervalMs: number, signal: AbortSignal): Promise<void>;
  /** Nobody asks this host again before that. */
  pause(host: string, ms: number): void;
};

export const createPace = (clock: Clock): Pace => {
  const nextAt = new Map<string, number>();
  const forgetOld = (now: number): void => {
    if (nextAt.size < 1_000) return;
    for (const [host, at] of nextAt) if (at < now) nextAt.delete(host);
  };
  return {
    async turn(host, intervalMs, signal) {
      for (;;) {
        const now = clock.now();
        const at = nextAt.get(host) ?? 0;
        if (at <= now) {
          forgetOld(now);
          nextAt.set(host, now + intervalMs);
          return;
        }
        await clock.sleep(at - now, signal);
      }
    },
    pause(host, ms) {
      nextAt.set(host, Math.max(nextAt.get(host) ?? 0, clock.now() + ms));
    },
  };
};
