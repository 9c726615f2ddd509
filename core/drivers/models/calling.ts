import { BrokenCircuitError, CircuitState, ConsecutiveBreaker, circuitBreaker, handleAll } from 'cockatiel';
import { APIConnectionError, APIError } from 'openai';
import { AppError, isAppError } from '../../errors.ts';
import type { Clock, Random, Runtime } from '../../ports/runtime.ts';

/** What every call to a model endpoint has in common: time limits, a breaker, errors in our words, the pause before another try. */

export type CallLimits = {
  /** From sending the request to the first byte of its answer. */
  readonly firstByteMs: number;
  /** Between two pieces of a streamed answer. */
  readonly idleMs: number;
  /** Over all tries and pauses. */
  readonly totalMs: number;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly breakerFailures: number;
  readonly breakerOpenMs: number;
};

export const defaultLimits: CallLimits = {
  firstByteMs: 20_000,
  idleMs: 15_000,
  totalMs: 55_000,
  attempts: 4,
  backoffMs: 500,
  backoffMaxMs: 8_000,
  breakerFailures: 5,
  breakerOpenMs: 15_000,
};

// ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Watch = {
  /** Fires with an AppError as its reason when a limit is reached, or with the caller's own abort. */
  readonly signal: AbortSignal;
  /** A sign of life: from now on the pause between pieces counts. */
  heard(): void;
  end(): void;
};

/** Watches one try. One sleeping loop however many pieces arrive, so that a thousand streams cost a thousand timers. */
export const startWatch = (clock: Clock, limits: CallLimits, until: number, caller: AbortSignal): Watch => {
  const stop = new AbortController();
  const timers = new AbortController();
  let since = clock.now();
  let allowanceMs = limits.firstByteMs;
  const onAbort = (): void => stop.abort(isAppError(caller.reason) ? caller.reason : cancelled());
  if (caller.aborted) onAbort();
  else caller.addEventListener('abort', onAbort, { once: true });

  const loop = async (): Promise<void> => {
    for (;;) {
      const due = Math.min(since + allowanceMs, until);
      const left = due - clock.now();
      if (left <= 0) return stop.abort(timedOut());
      await clock.sleep(left, timers.signal);
    }
  };
  loop().catch(() => undefined);

  return {
    signal: stop.signal,
    heard: () => {
      since = clock.now();
      allowanceMs = limits.idleMs;
    },
    // Also hangs up when the reader walked away in the middle; after a whole answer there is nothing left to stop.
    end: () => {
      timers.abort();
      stop.abort(cancelled());
      caller.removeEventListener('abort', onAbort);
    },
  };
};

const cancelled = (): AppError => new AppError('cancelled', 'The work was stopped before it was finished.');
const timedOut = (): AppError =>
  new AppError('model-timeout', 'The language model took too long to answer. Please try again.', { retryable: true });

// ── breaker ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Breaker = {
  /** Throws AppError `model-failed` while the endpoint is given up for the moment. Every pass must be ended once. */
  enter(): Promise<Pass>;
};
export type Pass = {
  /** Only failures of the endpoint count; a refusal (400, 401, 429) or a caller's abort proves that it is alive. */
  end(failure?: AppError): void;
};

const provesDown = (failure: AppError | undefined): failure is AppError =>
  failure !== undefined && (failure.code === 'model-timeout' || (failure.code === 'model-failed' && failure.retryable));

/** Opens after consecutive failures; then one call at a time probes. A stream's end is known late, hence the pass. */
export const createBreaker = (endpoint: string, runtime: Runtime, limits: CallLimits): Breaker => {
  const policy = circuitBreaker(handleAll, {
    halfOpenAfter: limits.breakerOpenMs,
    breaker: new ConsecutiveBreaker(limits.breakerFailures),
  });
  policy.onBreak(() => {
    runtime.metrics.set('breaker_open', 1, { endpoint });
    runtime.log.warn('model_breaker_open', { endpoint });
  });
  policy.onReset(() => runtime.metrics.set('breaker_open', 0, { endpoint }));

  const closed = (): AppError =>
    new AppError(
      'model-failed',
      'The language model is not answering at the moment. Please try again in a little while.',
      {
        retryAfterMs: limits.breakerOpenMs,
      },
    );

  return {
    enter: async () => {
      // Waiting behind somebody else's probe could take a minute: better an honest answer now.
      if (policy.state === CircuitState.HalfOpen) throw closed();
      const entered = Promise.withResolvers<void>();
      const verdict = Promise.withResolvers<void>();
      const guarded = policy.execute(() => {
        entered.resolve();
        return verdict.promise;
      });
      guarded.catch((error: unknown) => entered.reject(error instanceof BrokenCircuitError ? closed() : error));
      await entered.promise;
      return {
        end: (failure) => (provesDown(failure) ? verdict.reject(failure) : verdict.resolve()),
      };
    },
  };
};

// ── another try ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Exponential with full jitter; never shorter than what the endpoint asked for. */
export const pauseBefore = (attempt: number, failure: AppError, limits: CallLimits, random: Random): number => {
  const ceiling = Math.min(limits.backoffMaxMs, limits.backoffMs * 2 ** (attempt - 1));
  return Math.max(failure.retryAfterMs ?? 0, Math.round(random.float() * ceiling));
};

/** Retry-After in seconds or as a date, and the finer `retry-after-ms`. Undefined when absent or unreadable. */
export const parseRetryAfter = (headers: Headers | undefined, now: number): number | undefined => {
  const precise = headers?.get('retry-after-ms');
  if (precise && Number.isFinite(Number(precise))) return Math.max(0, Number(precise));
  const value = headers?.get('retry-after');
  if (!value) return undefined;
  if (Number.isFinite(Number(value))) return Math.max(0, Number(value) * 1_000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
};

// ── errors in our words ─────────────────────────────────────────────────────────────────────────────────────────────

/** What the client threw, as an AppError whose sentence a person may read. `watch` knows why we hung up ourselves. */
export const toModelError = (error: unknown, watch: AbortSignal, model: string, now: number): AppError => {
  if (watch.aborted && isAppError(watch.reason)) return watch.reason;
  const own = findAppError(error);
  if (own !== undefined) return own;
  if (error instanceof APIConnectionError) return unreachable(error);
  if (error instanceof APIError) return refused(error, model, now);
  if (error instanceof SyntaxError) {
    return new AppError('model-failed', 'The language model sent something that cannot be read. Please try again.', {
      retryable: true,
      cause: error,
    });
  }
  return unreachable(error);
};

const findAppError = (error: unknown): AppError | undefined => {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (isAppError(at)) return at;
  }
  return undefined;
};

const unreachable = (cause: unknown): AppError =>
  new AppError(
    'model-failed',
    'The language model could not be reached, or broke off in the middle. Please try again.',
    { retryable: true, cause },
  );

const refused = (error: APIError, model: string, now: number): AppError => {
  const { status } = error;
  if (status === 401 || status === 403) {
    return new AppError(
      'model-failed',
      'The model endpoint refused the key, so no answer can be written. Whoever runs this bot needs to check OPENAI_API_KEY.',
      { cause: error },
    );
  }
  if (status === 404) {
    return new AppError(
      'model-failed',
      `The model endpoint does not know the model “${model}”. Whoever runs this bot needs to check its name and OPENAI_BASE_URL.`,
      { cause: error },
    );
  }
  if (status === 429 && error.code === 'insufficient_quota') {
    return new AppError(
      'model-failed',
      'The account at the model endpoint has no credit left. Whoever runs this bot needs to top it up.',
      { cause: error },
    );
  }
  if (status === 429) {
    const retryAfterMs = parseRetryAfter(error.headers, now);
    return new AppError(
      'rate-limited',
      'The language model is receiving too many questions just now. Please ask again in a moment.',
      {
        retryable: true,
        cause: error,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      },
    );
  }
  if (status === undefined || status >= 500 || status === 408 || status === 409) {
    const retryAfterMs = parseRetryAfter(error.headers, now);
    return new AppError('model-failed', 'The language model had a failure of its own. Please try again.', {
      retryable: true,
      cause: error,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  return new AppError('model-failed', 'The language model refused the request.', { cause: error });
};

// ── size ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A fetch whose answers end in a failure beyond `maxBytes`: no endpoint decides how much memory we use. */
export const withBodyLimit =
  (fetchIt: typeof globalThis.fetch, maxBytes: number): typeof globalThis.fetch =>
  async (input, init) => {
    const response = await fetchIt(input, init);
    if (response.body === null) return response;
    let bytes = 0;
    const counted = response.body.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: (piece, controller) => {
          bytes += piece.byteLength;
          if (bytes > maxBytes) {
            controller.error(
              new AppError(
                'model-failed',
                'The language model sent far more than was asked for, so its answer was cut off.',
              ),
            );
          } else controller.enqueue(piece);
        },
      }),
    );
    return new Response(counted, {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    });
  };
