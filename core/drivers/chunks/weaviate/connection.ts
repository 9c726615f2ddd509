import weaviate, { type WeaviateClient } from 'weaviate-client';
import { AppError, isAppError } from '../../../errors.ts';
import type { Clock, Log } from '../../../ports/runtime.ts';
import { readBounded } from '../../../security/read-bounded.ts';
import { type Endpoints, isSupported, parseEndpoints } from './endpoints.ts';
import { faultError, faultOf, isPassing, RestFailure, type Whereabouts } from './faults.ts';
import { createRelay } from './relay.ts';

export type Timeouts = {
  /** For connecting: version, gRPC health. The client's own default of 2 s is tight across regions. */
  readonly connectMs: number;
  /** For one try of a search, a count or a look at the schema. */
  readonly queryMs: number;
  /** For one try of a write, a delete or a change of the schema. */
  readonly writeMs: number;
  /** Over all tries and pauses of one call. */
  readonly totalMs: number;
};

export const defaultTimeouts: Timeouts = { connectMs: 10_000, queryMs: 10_000, writeMs: 30_000, totalMs: 60_000 };

export type ConnectionOptions = {
  readonly url: string;
  /** Default: the host of `url`, port 50051, TLS as in `url`. */
  readonly grpcUrl?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly timeouts: Timeouts;
  readonly clock: Clock;
  readonly log: Log;
};

export type CallKind = 'query' | 'write';
export type Call = {
  readonly kind: CallKind;
  readonly signal?: AbortSignal | undefined;
  /** Over all tries, when it is to be shorter than usual. */
  readonly totalMs?: number;
};
export type RestAnswer = { readonly status: number; readonly body: unknown };

export type Connection = {
  readonly at: Whereabouts;
  readonly version: string;
  /** Runs one idempotent call over gRPC, again after passing faults and over a new channel after a broken one. */
  grpc<T>(call: Call, work: (client: WeaviateClient, signal: AbortSignal) => Promise<T>): Promise<T>;
  /** The same over REST. Statuses up to 399, and those in `expect`, are answers; the rest are thrown. */
  rest(call: Call, method: string, path: string, body?: unknown, expect?: readonly number[]): Promise<RestAnswer>;
  /**
   * Whether something stands in the schema, and what. A server that is still starting answers 404 for everything, so
   * only one that says it is ready is believed.
   */
  look(path: string, signal?: AbortSignal): Promise<RestAnswer | undefined>;
  close(): Promise<void>;
};

const maxAnswerBytes = 64 * 1024 * 1024;
const maxAttempts = 6;

/** Connects, checks version and key, and fails with a sentence within `timeouts.connectMs`. */
export const connect = async (options: ConnectionOptions): Promise<Connection> => {
  const { clock, log, timeouts } = options;
  const endpoints = parseEndpoints(options);
  const { at } = endpoints;
  const retired = new Set<Link>();
  let current: Promise<Link> | undefined;
  let closed = false;

  /*
   * Trap: with `skipInitChecks` and REST out of reach, `collections.use()` starts a version request whose rejection nobody
   * observes, which ends the process. So: always with the checks, and handles only from a client that has connected.
   */
  const link = (): Promise<Link> => {
    current ??= openLink(endpoints, options).catch((error: unknown) => {
      current = undefined;
      throw error;
    });
    return current;
  };
  /** grpc-js waits up to two minutes before it dials again, and never notices that a connection is half open; so we dial anew. */
  const discard = (broken: Promise<Link>): void => {
    if (current !== broken) return;
    current = undefined;
    void broken.then(
      (old) => {
        retired.add(old);
        // Other calls may still be waiting on it; they end by their own deadlines.
        setTimeout(() => retired.delete(old) && void old.close(), timeouts.writeMs).unref();
      },
      () => undefined,
    );
  };

  /*
   * The client itself retries searches, counts and inserts, on UNAVAILABLE only, and prints each failure as a warning. Deletes,
   * REST and other passing faults it does not retry. So all of it is done here, within one limit of time.
   */
  const persist = async <T>(call: Call, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const { kind, signal, totalMs = timeouts.totalMs } = call;
    const until = clock.now() + totalMs;
    const perTryMs = Math.min(totalMs, kind === 'query' ? timeouts.queryMs : timeouts.writeMs);
    for (let tries = 1; ; tries += 1) {
      if (closed) throw new AppError('store-unavailable', 'The connection to Weaviate is closed.');
      try {
        return await within(perTryMs, signal, attempt);
      } catch (error) {
        if (isAppError(error)) throw error;
        const fault = faultOf(error, signal?.aborted === true);
        const pauseMs = Math.min(2_000, 50 * 2 ** tries);
        if (!isPassing(fault) || tries >= maxAttempts || clock.now() + pauseMs > until) {
          if (fault !== 'cancelled' && fault !== 'no-index')
            log.warn('weaviate_failed', { fault, tries, detail: detailOf(error) });
          throw faultError(fault, at, error);
        }
        log.debug('weaviate_again', { fault, tries });
        await clock.sleep(pauseMs, signal);
      }
    }
  };

  const rest: Connection['rest'] = (call, method, path, body, expect = []) =>
    persist(call, (signal) => restCall(endpoints, options.apiKey, { method, path, body, expect, signal }));

  const { version } = await firstContact(rest, at, timeouts);
  try {
    await link();
  } catch (error) {
    // By then REST has answered, so what keeps the client from starting is its gRPC port, unless it says otherwise.
    const fault = faultOf(error, false);
    throw faultError(fault === 'slow' || fault === 'unreachable' ? 'unreachable-grpc' : fault, at, error);
  }
  log.info('weaviate_connected', { version, url: at.url, grpc: at.grpc });

  const look: Connection['look'] = async (path, signal) => {
    const call = { kind: 'query', signal } as const;
    // Under native tenancy a tenant that is not there is 422.
    for (const isReady of [false, true]) {
      if (isReady) await rest(call, 'GET', '/.well-known/ready');
      const answer = await rest(call, 'GET', path, undefined, [404, 422]);
      if (answer.status < 400) return answer;
    }
    return undefined;
  };

  return {
    at,
    version,
    rest,
    look,
    grpc: (call, work) =>
      persist(call, async (signal) => {
        const used = link();
        // Ours ran out, not the caller's: perhaps nobody is at the other end any more.
        const late = (): void => {
          if (call.signal?.aborted !== true) discard(used);
        };
        signal.addEventListener('abort', late, { once: true });
        try {
          return await work((await used).client, signal);
        } catch (error) {
          const fault = faultOf(error, false);
          if (fault === 'unreachable-grpc' || fault === 'unreachable') discard(used);
          throw error;
        } finally {
          signal.removeEventListener('abort', late);
        }
      }),
    close: async () => {
      if (closed) return;
      closed = true;
      for (const old of retired) await old.close();
      retired.clear();
      await current?.then(
        (open) => open.close(),
        () => undefined,
      );
    },
  };
};

// ── one try ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Only queries of the client take a signal; everything else is left to end by itself once we stop waiting for it. */
const within = async <T>(
  ms: number,
  caller: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  caller?.throwIfAborted();
  const limit = AbortSignal.timeout(ms);
  const signal = caller === undefined ? limit : AbortSignal.any([limit, caller]);
  let stop: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new DOMException('The call to Weaviate was given up.', 'AbortError'));
    signal.addEventListener('abort', stop, { once: true });
  });
  const working = work(signal);
  working.catch(() => undefined); // what we no longer wait for may fail unheard
  try {
    return await Promise.race([working, stopped]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
};

type RestRequest = {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly expect: readonly number[];
  readonly signal: AbortSignal;
};

/** Our own REST calls rather than the client's: those take no signal and put names unescaped into addresses. */
const restCall = async ({ base }: Endpoints, apiKey: string | undefined, request: RestRequest): Promise<RestAnswer> => {
  const { method, path, body, expect, signal } = request;
  const response = await fetch(`${base}/v1${path}`, {
    method,
    signal,
    redirect: 'error',
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const bytes = await readBounded(response.body, maxAnswerBytes);
  if (bytes === null) throw new Error('The answer is larger than any that Weaviate should give.');
  const text = bytes.toString('utf8');
  if (response.status >= 400 && !expect.includes(response.status))
    throw new RestFailure(response.status, text.slice(0, 2_000));
  if (text === '') return { status: response.status, body: null };
  const parsed: unknown = response.status >= 400 ? text : JSON.parse(text);
  return { status: response.status, body: parsed };
};

/** For our log only: class and text of the server's complaint, shortened. It names ids and settings, never document text. */
const detailOf = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message.replaceAll(/\s+/g, ' ').slice(0, 300)}` : 'unknown';

// ── the start ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A client and the relay that its gRPC goes through. */
type Link = { readonly client: WeaviateClient; close(): Promise<void> };

const openLink = async ({ http, grpc }: Endpoints, { apiKey, timeouts }: ConnectionOptions): Promise<Link> => {
  const relay = await createRelay(grpc);
  try {
    const client = await weaviate.connectToCustom({
      httpHost: http.host,
      httpPort: http.port,
      httpSecure: http.secure,
      httpPath: http.path,
      grpcHost: '127.0.0.1',
      grpcPort: relay.port,
      grpcSecure: false,
      ...(apiKey === undefined ? {} : { authCredentials: new weaviate.ApiKey(apiKey) }),
      // Seconds, not milliseconds.
      timeout: { init: timeouts.connectMs / 1_000, query: timeouts.queryMs / 1_000, insert: timeouts.writeMs / 1_000 },
    });
    return {
      client,
      close: async () => {
        await client.close();
        relay.close();
      },
    };
  } catch (error) {
    relay.close();
    throw error;
  }
};

const firstContact = async (
  rest: Connection['rest'],
  at: Whereabouts,
  timeouts: Timeouts,
): Promise<{ version: string }> => {
  const call = { kind: 'query', totalMs: timeouts.connectMs } as const;
  const { body } = await rest(call, 'GET', '/meta', undefined, [404]);
  const version = typeof body === 'object' && body !== null && 'version' in body ? body.version : undefined;
  if (typeof version !== 'string') throw faultError('not-weaviate', at, undefined);
  if (!isSupported(version)) {
    throw new AppError(
      'store-unavailable',
      `The Weaviate server at ${at.url} is version ${version}. Footnote needs 1.32 or newer, but not 1.32.3 or 1.32.4, whose aliases are broken.`,
    );
  }
  return { version };
};
