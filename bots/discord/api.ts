import {
  DefaultRestOptions,
  DiscordAPIError,
  HTTPError,
  type RateLimitData,
  RateLimitError,
  REST,
  RESTEvents,
} from 'discord.js';
import { AppError } from '../../core/errors.ts';
import type { Delivery } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';

/** What Discord said. `certain: false` means that it may have done it nevertheless: time-out, cut connection, 5xx. */
export type DiscordResult =
  | { readonly ok: true; readonly data: unknown }
  | {
      readonly ok: false;
      /** Discord's own number, such as 50013; 0 when it gave none. */
      readonly code: number;
      readonly status: number;
      readonly certain: boolean;
      readonly retryAfterMs?: number;
    };
export type DiscordRefusal = Extract<DiscordResult, { readonly ok: false }>;

export type DiscordCall = {
  readonly body?: Readonly<Record<string, unknown>> | readonly unknown[];
  readonly query?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** The address itself is the proof (an interaction's token): the bot's token stays at home. */
  readonly open?: boolean;
  /** Doing it twice is two messages: a failure whose outcome is unknown is not tried again here. */
  readonly once?: boolean;
  /** Do not wait for a rate limit, say so at once (edits while writing: the next one carries the text). */
  readonly hurried?: boolean;
  /** Asked at the last moment before each try: see `Delivery.awake`. */
  readonly awake?: () => Promise<void>;
};

export type DiscordMethod = 'get' | 'post' | 'put' | 'patch' | 'delete';
export type DiscordApi = {
  /** `path` begins with a slash and holds ids only, encoded where they are not ours. */
  call(method: DiscordMethod, path: `/${string}`, how?: DiscordCall): Promise<DiscordResult>;
  /** discord.js's own client, for the gateway. */
  readonly rest: REST;
};

/** For one answer: says nothing any more where others say it. */
export const whileAwake = (api: DiscordApi, { awake }: Pick<Delivery, 'awake'>): DiscordApi =>
  awake === undefined ? api : { ...api, call: (method, path, how) => api.call(method, path, { ...how, awake }) };

export type DiscordApiSettings = {
  readonly timeoutMs: number;
  /** Longest single wait for a rate limit before the work goes back in the queue. */
  readonly maxWaitMs: number;
  /** Refused calls (401, 403, 429) within ten minutes after which ours stop; Discord bans an address at 10,000. */
  readonly maxInvalid: number;
  /** Discord's own limit for one bot; larger only where somebody else answers (a load test). */
  readonly callsPerSecond: number;
};

const defaults: DiscordApiSettings = { timeoutMs: 10_000, maxWaitMs: 60_000, maxInvalid: 5000, callsPerSecond: 50 };

const invalidWindowMs = 600_000;
/** After a 401 the token is not shown again for a while. */
const distrustMs = 30_000;

/**
 * Discord's REST API for one token. discord.js keeps the buckets: calls of one route wait for each other and for its
 * limits. Its own retries are off, because it repeats whatever failed; here only what may be repeated is.
 */
export const createDiscordApi = (options: {
  readonly token: string;
  readonly apiUrl?: string;
  readonly runtime: Runtime;
  readonly settings?: Partial<DiscordApiSettings>;
}): DiscordApi => {
  const settings = { ...defaults, ...options.settings };
  const { clock, random, log, metrics } = options.runtime;
  /** Paths of hurried calls under way. Only one call at a time goes to a message, so the path tells them apart. */
  const hurried = new Set<string>();
  let silentUntil = 0;
  let invalid = { since: Number.NEGATIVE_INFINITY, count: 0 };

  /** Counted here, because discord.js counts for the whole process and tells only now and then. */
  const countInvalid = (status: number): void => {
    if (status !== 401 && status !== 403 && status !== 429) return;
    const now = clock.now();
    if (now - invalid.since > invalidWindowMs) invalid = { since: now, count: 0 };
    invalid.count += 1;
    if (invalid.count < settings.maxInvalid) return;
    silentUntil = Math.max(silentUntil, invalid.since + invalidWindowMs);
    log.error('discord-too-many-refused', { count: invalid.count, silentMs: silentUntil - now });
  };

  const rest = new REST({
    version: '10',
    ...(options.apiUrl === undefined ? {} : { api: options.apiUrl }),
    retries: 0,
    timeout: settings.timeoutMs,
    globalRequestsPerSecond: settings.callsPerSecond,
    makeRequest: async (url, init) => {
      const response = await DefaultRestOptions.makeRequest(url, init);
      countInvalid(response.status);
      if (response.status === 429) metrics.count('platform_limits_total', { platform: 'discord' });
      return response;
    },
    rejectOnRateLimit: (limit) => {
      // The one wait that discord.js does not tell of.
      if (!isTooLong(limit) && limit.sublimitTimeout > 0) waits(limit.sublimitTimeout);
      return isTooLong(limit);
    },
  }).setToken(options.token);
  const isTooLong = ({ url, timeToReset, retryAfter }: RateLimitData): boolean =>
    Math.max(timeToReset, retryAfter) > settings.maxWaitMs || [...hurried].some((path) => url.endsWith(path));
  const waits = (ms: number): void => metrics.observe('platform_wait_seconds', ms / 1000, { platform: 'discord' });
  rest.on(RESTEvents.RateLimited, (limit) => {
    const { route, method, timeToReset, global } = limit;
    log.debug('discord-rate-limited', { route, method, waitMs: Math.round(timeToReset), global });
    if (!isTooLong(limit)) waits(timeToReset);
  });

  const once = async (method: DiscordMethod, path: `/${string}`, how: DiscordCall): Promise<DiscordResult> => {
    const wait = silentUntil - clock.now();
    if (wait > 0) return { ok: false, code: 0, status: 429, certain: true, retryAfterMs: wait };
    if (how.hurried) hurried.add(path);
    const { promise: aborted, signal, stop } = abortOf(how.signal);
    try {
      const work = rest.request({
        method: method.toUpperCase() as never,
        fullRoute: path,
        ...(how.body === undefined ? {} : { body: how.body }),
        ...(how.query === undefined ? {} : { query: new URLSearchParams(how.query) }),
        ...(how.open ? { auth: false } : {}),
        signal,
      });
      // A call that waits for its bucket does not look at its signal; left behind, it ends before it is sent.
      work.catch(() => undefined);
      return { ok: true, data: await Promise.race([work, aborted]) };
    } catch (thrown) {
      if (how.signal?.aborted) throw how.signal.reason;
      const refused = refusalOf(thrown);
      if (refused.status === 401 && !how.open) {
        // discord.js forgets a token that was refused; ours may be right again when it is asked the next time.
        rest.setToken(options.token);
        silentUntil = clock.now() + distrustMs;
      }
      return refused;
    } finally {
      stop();
      hurried.delete(path);
    }
  };

  return {
    rest,
    call: async (method, path, how = {}) => {
      for (let attempt = 1; ; attempt += 1) {
        how.signal?.throwIfAborted();
        if (how.awake !== undefined) await how.awake();
        const result = await once(method, path, how);
        if (result.ok || result.retryAfterMs !== undefined || how.hurried || attempt >= 4) return result;
        // Status 0: never answered. When it is certain that nothing was sent, even what must happen once may be repeated.
        const transient = result.status === 0 || result.status >= 500;
        if (!transient || (how.once && !result.certain)) return result;
        await clock.sleep(250 * 2 ** attempt * (0.75 + random.float() / 2), how.signal);
      }
    },
  };
};

/**
 * The caller's signal for the time of one call: discord.js never stops listening to the one that it is given, and makes an
 * error with its stack for each call of long ago when that is aborted.
 */
const abortOf = (
  given: AbortSignal | undefined,
): { readonly promise: Promise<never>; readonly signal: AbortSignal; stop(): void } => {
  const own = new AbortController();
  let stop = (): void => undefined;
  const promise = new Promise<never>((_, reject) => {
    if (given === undefined) return;
    const fire = (): void => {
      own.abort(given.reason);
      reject(given.reason);
    };
    stop = () => given.removeEventListener('abort', fire);
    given.addEventListener('abort', fire, { once: true });
  });
  promise.catch(() => undefined);
  return { promise, signal: own.signal, stop: () => stop() };
};

const refusalOf = (thrown: unknown): DiscordRefusal => {
  if (thrown instanceof DiscordAPIError)
    return { ok: false, code: Number(thrown.code) || 0, status: thrown.status, certain: true };
  if (thrown instanceof RateLimitError)
    return {
      ok: false,
      code: 0,
      status: 429,
      certain: true,
      retryAfterMs: Math.max(100, thrown.timeToReset, thrown.retryAfter),
    };
  if (thrown instanceof HTTPError) return { ok: false, code: 0, status: thrown.status, certain: false };
  return { ok: false, code: 0, status: 0, certain: neverSent(thrown) };
};

/** The connection was never made, so nothing was done. */
const neverSent = (thrown: unknown): boolean => {
  let cause: unknown = thrown;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth += 1) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'UND_ERR_CONNECT_TIMEOUT')
      return true;
    cause = cause.cause;
  }
  return false;
};

/** Discord's numbers that decide something here. https://docs.discord.com/developers/topics/opcodes-and-status-codes#json */
export const codes = {
  unknownChannel: 10003,
  unknownMessage: 10008,
  unknownWebhook: 10015,
  unknownInteraction: 10062,
  tooManyEdits: 30046,
  missingAccess: 50001,
  cannotMessageUser: 50007,
  missingPermissions: 50013,
  invalidWebhookToken: 50027,
  threadExists: 160004,
} as const;

/** What a command's token is answered with when its time is over, or has not begun. */
export const deadToken: ReadonlySet<number> = new Set([
  codes.unknownWebhook,
  codes.unknownInteraction,
  codes.invalidWebhookToken,
]);
/** A worker may be quicker than the acknowledgement, for which Discord gives three seconds. */
export const tokenSettlesMs = 4000;

/** Why Discord does not take it, in words for the operator. */
const reasons: Readonly<Record<number, string>> = {
  10003: 'The channel or thread no longer exists, or the bot cannot see it.',
  10004: 'The bot is not in this Discord server.',
  10008: 'The message no longer exists.',
  10013: 'This person is not known to Discord.',
  10015: 'The time to answer this command is over.',
  10062: 'The time to answer this command is over.',
  30046: 'Discord takes no more edits of this old message for now.',
  40001: 'Discord does not accept the bot token.',
  40005: 'The message is too large for Discord.',
  50001: 'The bot cannot see this channel. Give its role the permission View Channel there.',
  50007: 'This person takes no direct messages from the bot.',
  50013:
    'The bot lacks a permission in this channel: View Channel, Send Messages, Send Messages in Threads or Create Public Threads.',
  50024: 'The bot cannot write in this kind of channel.',
  50027: 'The time to answer this command is over.',
  50035: 'Discord did not accept the form of the message.',
  50083: 'The thread is archived and locked.',
  160005: 'The thread is locked.',
  200000: "The server's AutoMod blocked the message.",
};

/** Never to be had by trying again, except for the network, the limits and what Discord itself calls passing. */
export const refusal = (result: DiscordRefusal): AppError => {
  const retryable =
    result.status === 0 || result.status === 429 || result.status >= 500 || result.code === codes.tooManyEdits;
  return new AppError(
    'platform-failed',
    reasons[result.code] ??
      (result.status === 401
        ? 'Discord does not accept the bot token.'
        : retryable
          ? 'Discord could not be reached.'
          : 'Discord refused the message.'),
    {
      retryable,
      at: String(result.code || result.status || 'unreachable'),
      ...(result.retryAfterMs === undefined
        ? result.code === codes.tooManyEdits
          ? { retryAfterMs: 60_000 }
          : {}
        : { retryAfterMs: result.retryAfterMs }),
    },
  );
};
