import { webApi } from '@slack/bolt';
import { AppError } from '../../core/errors.ts';
import type { Runtime } from '../../core/ports/runtime.ts';

/** What Slack said. `certain: false` means that it may have done it nevertheless: time-out, cut connection, 5xx. */
export type SlackResult =
  | { readonly ok: true; readonly data: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: string; readonly certain: boolean; readonly retryAfterMs?: number };

export type SlackCall = {
  readonly signal?: AbortSignal;
  /** Repeating it does no harm: failures of the network are tried again here. */
  readonly repeatable?: boolean;
  /** Do not wait out a 429, say `ratelimited` at once (stream appends: the next one carries the text). */
  readonly hurried?: boolean;
};

export type SlackApi = {
  call(method: string, args: Readonly<Record<string, unknown>>, how?: SlackCall): Promise<SlackResult>;
};

export type SlackApiSettings = {
  readonly timeoutMs: number;
  /** Longest single wait for a 429 before the work goes back in the queue. */
  readonly maxWaitMs: number;
};

const defaults: SlackApiSettings = { timeoutMs: 10_000, maxWaitMs: 60_000 };

/**
 * Slack's Web API for one token. The client's own retries are off, because it repeats a `chat.postMessage` whose reply
 * was lost, and that is a second answer; here only what may be repeated is. A 429 is waited out per channel, not (as
 * the client would) for everything that the token does.
 */
export const createSlackApi = (options: {
  readonly token: string;
  readonly apiUrl?: string;
  readonly runtime: Runtime;
  readonly settings?: Partial<SlackApiSettings>;
}): SlackApi => {
  const settings = { ...defaults, ...options.settings };
  const { clock, random, log } = options.runtime;
  const client = new webApi.WebClient(options.token, {
    ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: settings.timeoutMs,
    allowAbsoluteUrls: false,
    logger: silentLogger,
  });
  /** Channel → time before which it must be left alone. */
  const resting = new Map<string, number>();

  const rest = async (channel: string, signal: AbortSignal | undefined): Promise<void> => {
    const until = resting.get(channel) ?? 0;
    const wait = until - clock.now();
    if (wait <= 0) {
      if (until > 0) resting.delete(channel);
      return;
    }
    if (wait > settings.maxWaitMs) throw tooBusy(wait);
    await clock.sleep(wait, signal);
  };

  const once = async (
    method: string,
    args: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<SlackResult> => {
    try {
      const data = await orAborted(client.apiCall(method, { ...args }), signal);
      return { ok: true, data: data as unknown as Readonly<Record<string, unknown>> };
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      return failureOf(thrown);
    }
  };

  return {
    call: async (method, args, how = {}) => {
      const channel = String(args.channel ?? args.channel_id ?? method);
      for (let attempt = 1; ; attempt += 1) {
        how.signal?.throwIfAborted();
        if (how.hurried && (resting.get(channel) ?? 0) > clock.now())
          return { ok: false, error: 'ratelimited', certain: true };
        await rest(channel, how.signal);
        const result = await once(method, args, how.signal);
        if (result.ok) return result;
        if (result.retryAfterMs !== undefined) {
          resting.set(channel, clock.now() + result.retryAfterMs);
          if (how.hurried || attempt >= 8) return result;
          log.debug('slack-rate-limited', { method, waitMs: result.retryAfterMs });
          continue;
        }
        const harmless =
          result.error === 'unreachable' ? how.repeatable || result.certain : how.repeatable && !result.certain;
        if (!harmless || attempt >= 4) return result;
        await clock.sleep(250 * 2 ** attempt * (0.75 + random.float() / 2), how.signal);
      }
    },
  };
};

const tooBusy = (retryAfterMs: number): AppError =>
  new AppError('platform-failed', 'Slack asked us to wait longer than we hold an answer.', {
    retryable: true,
    retryAfterMs,
    at: 'ratelimited',
  });

/** The client takes no signal; leaving it behind is safe, because its own time-out ends it. */
const orAborted = async <T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    work.catch(() => undefined);
  }
};

const failureOf = (thrown: unknown): SlackResult => {
  if (thrown instanceof webApi.WebAPIPlatformError) {
    const error = String(thrown.data.error);
    return {
      ok: false,
      error: error.length > 80 ? 'unreadable_reply' : error,
      certain: !unsettled.has(error) && error.length <= 80,
    };
  }
  if (thrown instanceof webApi.WebAPIRateLimitedError)
    return { ok: false, error: 'ratelimited', certain: true, retryAfterMs: Math.max(1, thrown.retryAfter) * 1000 };
  if (thrown instanceof webApi.WebAPIHTTPError)
    return { ok: false, error: `http_${thrown.statusCode}`, certain: thrown.statusCode < 500 };
  return { ok: false, error: 'unreachable', certain: neverSent(thrown) };
};

/** Slack's own words for "it broke on our side, half-way for all you know". */
const unsettled = new Set([
  'internal_error',
  'fatal_error',
  'request_timeout',
  'service_unavailable',
  'team_added_to_org',
]);

/** The connection was never made, so nothing was done. */
const neverSent = (thrown: unknown): boolean => {
  let cause: unknown = thrown;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth += 1) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'UND_ERR_CONNECT_TIMEOUT')
      return true;
    cause = 'original' in cause ? (cause as { readonly original: unknown }).original : cause.cause;
  }
  return false;
};

/** Slack's client logs request bodies at debug level; none of it may reach a log. */
export const silentLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => 'error' as never,
  setName: () => undefined,
};
