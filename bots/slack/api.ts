import { AppError } from '../../core/errors.ts';
import type { Delivery } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import type { Reply } from '../exchange.ts';
import { postForm } from './post-form.ts';

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
  /** Asked at the last moment before each try: see `Delivery.awake`. */
  readonly awake?: () => Promise<void>;
};

export type SlackApi = {
  call(method: string, args: Readonly<Record<string, unknown>>, how?: SlackCall): Promise<SlackResult>;
};

/** For one answer: says nothing any more where others say it. */
export const whileAwake = (api: SlackApi, { awake }: Pick<Delivery, 'awake'>): SlackApi =>
  awake === undefined ? api : { call: (method, args, how) => api.call(method, args, { ...how, awake }) };

export type SlackApiSettings = {
  readonly timeoutMs: number;
  /** Longest single wait for a 429 before the work goes back in the queue. */
  readonly maxWaitMs: number;
};

const defaults: SlackApiSettings = { timeoutMs: 10_000, maxWaitMs: 60_000 };

/**
 * Slack's Web API for one token. Only what may be repeated is repeated: a `chat.postMessage` whose reply was lost, sent
 * again, is a second answer. A 429 is waited out per channel, not for everything that the token does.
 */
export const createSlackApi = (options: {
  readonly token: string;
  readonly apiUrl?: string;
  readonly runtime: Runtime;
  readonly settings?: Partial<SlackApiSettings>;
}): SlackApi => {
  const settings = { ...defaults, ...options.settings };
  const { clock, random, log, metrics } = options.runtime;
  const base = new URL((options.apiUrl ?? 'https://slack.com/api').replace(/\/?$/, '/'));
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
    metrics.observe('platform_wait_seconds', wait / 1000, { platform: 'slack' });
    await clock.sleep(wait, signal);
  };

  const once = async (
    method: string,
    args: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<SlackResult> => {
    const reply = await postForm({
      url: new URL(method, base),
      fields: args,
      token: options.token,
      timeoutMs: settings.timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    if (reply === 'unsent' || reply === 'unsure')
      return { ok: false, error: 'unreachable', certain: reply === 'unsent' };
    return resultOf(reply);
  };

  return {
    call: async (method, args, how = {}) => {
      const channel = String(args.channel ?? args.channel_id ?? method);
      for (let attempt = 1; ; attempt += 1) {
        how.signal?.throwIfAborted();
        if (how.hurried && (resting.get(channel) ?? 0) > clock.now())
          return { ok: false, error: 'ratelimited', certain: true };
        await rest(channel, how.signal);
        if (how.awake !== undefined) await how.awake();
        const result = await once(method, args, how.signal);
        if (result.ok) return result;
        if (result.retryAfterMs !== undefined) {
          resting.set(channel, clock.now() + result.retryAfterMs);
          metrics.count('platform_limits_total', { platform: 'slack' });
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

const resultOf = (reply: Reply): SlackResult => {
  if (reply.status === 429)
    return { ok: false, error: 'ratelimited', certain: true, retryAfterMs: retryAfterOf(reply) };
  if (reply.status !== 200) return { ok: false, error: `http_${reply.status}`, certain: reply.status < 500 };
  const data = readObject(reply.text);
  // A page of some proxy on the way: what Slack did behind it nobody knows.
  if (data === null) return { ok: false, error: 'unreadable_reply', certain: false };
  if (data.ok === true) return { ok: true, data: withScopes(data, reply) };
  const error = String(data.error ?? 'unknown_error').slice(0, 80);
  return { ok: false, error, certain: !unsettled.has(error) };
};

const readObject = (text: string): Readonly<Record<string, unknown>> | null => {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
};

/** At least a second; five when Slack does not say. */
const retryAfterOf = ({ headers }: Reply): number => {
  const seconds = Number(headers['retry-after']);
  return Number.isFinite(seconds) ? Math.max(1, seconds) * 1000 : 5000;
};

/** Which permissions the token has stands in a header; they are handed on where Slack's own client puts them. */
const withScopes = (data: Readonly<Record<string, unknown>>, { headers }: Reply): Readonly<Record<string, unknown>> => {
  const scopes = headers['x-oauth-scopes'];
  if (typeof scopes !== 'string') return data;
  const metadata = typeof data.response_metadata === 'object' ? data.response_metadata : {};
  return { ...data, response_metadata: { ...metadata, scopes: scopes.trim().split(/\s*,\s*/) } };
};

/** Slack's own words for "it broke on our side, half-way for all you know". */
const unsettled = new Set([
  'internal_error',
  'fatal_error',
  'request_timeout',
  'service_unavailable',
  'team_added_to_org',
]);

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
