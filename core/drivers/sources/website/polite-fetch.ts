import { AppError } from '../../../errors.ts';
import type { Clock } from '../../../ports/runtime.ts';
import type { GuardedFetch, GuardedResponse } from '../../../security/guarded-fetch.ts';
import type { Pace } from './pace.ts';

export type PoliteFetch = (
  address: string,
  options: Parameters<GuardedFetch>[1] & { readonly intervalMs: number },
) => Promise<GuardedResponse>;

const attempts = 3;
const waitMs = 2_000;
/** A longer rest is the next sync's business; a sync may not fall silent for minutes. */
const longestWaitMs = 60_000;

/**
 * In turn, and again later when the site says so (429, 503 with or without Retry-After). Redirects are answers unless
 * asked for otherwise. Throws what the guarded fetch throws; what asks for too long a rest answers as it is.
 */
export const createPoliteFetch =
  ({ fetch, pace, clock }: { readonly fetch: GuardedFetch; readonly pace: Pace; readonly clock: Clock }): PoliteFetch =>
  async (address, { intervalMs, ...options }) => {
    const host = URL.parse(address)?.host ?? address;
    for (let attempt = 1; ; attempt += 1) {
      await pace.turn(host, intervalMs, options.signal);
      try {
        const answer = await fetch(address, { redirects: 0, ...options });
        if (attempt === attempts || !(answer.status === 429 || answer.status === 503)) return answer;
        const wait = retryAfterMs(answer.headers['retry-after'], clock.now()) ?? waitMs * 2 ** attempt;
        if (wait > longestWaitMs) return answer;
        pace.pause(host, wait);
      } catch (error) {
        const mayHelp = error instanceof AppError && error.retryable && attempt === 1;
        if (!mayHelp) throw error;
        pace.pause(host, waitMs / 2);
      }
    }
  };

/** Seconds or a date; null for what is neither. */
export const retryAfterMs = (value: string | undefined, now: number): number | null => {
  if (value === undefined) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value.trim()) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
};
