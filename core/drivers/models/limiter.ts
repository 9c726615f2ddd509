import { AppError } from '../../errors.ts';
import type { Runtime } from '../../ports/runtime.ts';

/**
 * The provider's requests and tokens per minute, shared fairly: one question of each waiting tenant in turn, so that a
 * busy tenant waits for itself and not the others for it. A sliding minute, so that no minute ever exceeds the limits.
 */
export type Limiter = {
  /** Throws AppError `rate-limited` (queue full, waited too long) or `cancelled`. */
  acquire(tenantId: string, tokens: number, signal: AbortSignal, withinMs?: number): Promise<Permit>;
  /** Nobody starts before this time: the provider said when it is ready again. */
  pauseUntil(time: number): void;
};

export type Permit = {
  /** Replaces the estimate by what the call really used. */
  correct(tokens: number): void;
};

export type LimiterOptions = {
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
  /** Places in the queue over all tenants, and for one of them. */
  readonly maxWaiting?: number;
  readonly maxWaitingPerTenant?: number;
  readonly maxWaitMs?: number;
};

type Spent = { at: number; tokens: number };
type Waiter = {
  readonly tokens: number;
  readonly start: (permit: Permit) => void;
  readonly fail: (error: AppError) => void;
};

const minuteMs = 60_000;

export const createLimiter = (runtime: Runtime, options: LimiterOptions): Limiter => {
  const { clock, metrics } = runtime;
  const maxRequests = options.requestsPerMinute ?? Number.POSITIVE_INFINITY;
  const maxTokens = options.tokensPerMinute ?? Number.POSITIVE_INFINITY;
  const maxWaiting = options.maxWaiting ?? 1_000;
  const maxWaitingPerTenant = options.maxWaitingPerTenant ?? 200;
  const maxWaitMs = options.maxWaitMs ?? 30_000;
  const limited = Number.isFinite(maxRequests) || Number.isFinite(maxTokens);

  const spent: Spent[] = [];
  /** Insertion order is the order of turns: a served tenant goes to the end. */
  const queues = new Map<string, Waiter[]>();
  let waiting = 0;
  let pausedUntil = 0;
  let timer: AbortController | null = null;

  const forget = (now: number): void => {
    while (spent[0] !== undefined && spent[0].at <= now - minuteMs) spent.shift();
  };

  /** 0: may start now; otherwise how long until it is worth looking again. */
  const waitFor = (tokens: number, now: number): number => {
    if (now < pausedUntil) return pausedUntil - now;
    if (!limited) return 0;
    forget(now);
    const used = spent.reduce((sum, entry) => sum + entry.tokens, 0);
    // A single call above the whole allowance goes alone: refusing it for ever would help nobody.
    const fits = spent.length < maxRequests && (used + tokens <= maxTokens || spent.length === 0);
    const oldest = spent[0];
    return fits || oldest === undefined ? 0 : oldest.at + minuteMs - now;
  };

  const grant = (tokens: number, now: number): Permit => {
    const entry: Spent = { at: now, tokens };
    if (limited) spent.push(entry);
    return {
      correct: (actual) => {
        entry.tokens = actual;
        pump();
      },
    };
  };

  const wakeIn = (ms: number): void => {
    timer?.abort();
    timer = new AbortController();
    clock.sleep(ms, timer.signal).then(pump, () => undefined);
  };

  const pump = (): void => {
    for (const [tenantId, queue] of queues) {
      const next = queue[0];
      if (next === undefined) {
        queues.delete(tenantId);
        continue;
      }
      const now = clock.now();
      const wait = waitFor(next.tokens, now);
      if (wait > 0) {
        wakeIn(wait);
        return;
      }
      queue.shift();
      waiting -= 1;
      metrics.set('model_queue', waiting);
      queues.delete(tenantId);
      if (queue.length > 0) queues.set(tenantId, queue);
      next.start(grant(next.tokens, now));
    }
  };

  const busy = (): AppError =>
    new AppError(
      'rate-limited',
      'Too many questions are waiting for the language model just now. Please ask again in a moment.',
      {
        retryAfterMs: 10_000,
        retryable: false,
      },
    );

  const acquire = async (
    tenantId: string,
    tokens: number,
    signal: AbortSignal,
    withinMs = maxWaitMs,
  ): Promise<Permit> => {
    if (signal.aborted) throw new AppError('cancelled', 'The work was stopped before it was finished.');
    const now = clock.now();
    if (waiting === 0 && waitFor(tokens, now) === 0) return grant(tokens, now);
    const queue = queues.get(tenantId) ?? [];
    if (waiting >= maxWaiting || queue.length >= maxWaitingPerTenant) throw busy();

    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const waiter: Waiter = { tokens, start: resolve, fail: reject };
    queue.push(waiter);
    queues.set(tenantId, queue);
    waiting += 1;
    metrics.set('model_queue', waiting);

    const leave = (error: AppError): void => {
      const own = queues.get(tenantId);
      const place = own?.indexOf(waiter) ?? -1;
      if (own === undefined || place < 0) return;
      own.splice(place, 1);
      waiting -= 1;
      metrics.set('model_queue', waiting);
      waiter.fail(error);
      pump();
    };
    const settled = new AbortController();
    const onAbort = (): void => leave(new AppError('cancelled', 'The work was stopped before it was finished.'));
    signal.addEventListener('abort', onAbort, { once: true });
    clock.sleep(Math.min(maxWaitMs, withinMs), settled.signal).then(
      () => leave(busy()),
      () => undefined,
    );
    pump();
    try {
      return await promise;
    } finally {
      settled.abort();
      signal.removeEventListener('abort', onAbort);
    }
  };

  return {
    acquire,
    pauseUntil: (time) => {
      pausedUntil = Math.max(pausedUntil, time);
    },
  };
};
