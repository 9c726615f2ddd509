import type { Dispatcher } from 'undici';

export type Asking = {
  /** A pool of connections; one for all calls to a platform. */
  readonly agent: Dispatcher;
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  /** Longer replies are given up. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
};

export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
};

/** `unsent`: not a byte of it left, so nothing was done. `unsure`: it left, and no whole reply came back. */
export type Unanswered = 'unsent' | 'unsure';

const leftBehind = new Error('The reply is not waited for any more.');

/**
 * One request and its whole reply, bounded in time and size; no redirects, nothing repeated. Rejects only with the reason
 * of its signal. Asked of the pool directly and not through `fetch`, whose streams and signals were a quarter of what an
 * answer cost us.
 */
export const exchange = ({ agent, url, timeoutMs, maxBytes, signal, ...asking }: Asking): Promise<Reply | Unanswered> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let controller: Dispatcher.DispatchController | null = null;
    let over = false;
    let status = 0;
    let headers: Reply['headers'] = {};
    const chunks: Buffer[] = [];
    let size = 0;

    const end = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      return true;
    };
    const giveUp = (): void => {
      if (end()) resolve(controller === null ? 'unsent' : 'unsure');
      controller?.abort(leftBehind);
    };
    const stop = (): void => {
      if (end()) reject(signal?.reason);
      controller?.abort(leftBehind);
    };
    const timer = setTimeout(giveUp, timeoutMs);
    signal?.addEventListener('abort', stop, { once: true });

    agent.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: asking.method as Dispatcher.HttpMethod,
        headers: asking.headers,
        body: asking.body ?? null,
        // The timer above covers all of it, waiting for a connection too.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart: (started) => {
          // It waited for a connection longer than anybody waited for it: it must not be sent after all.
          if (over) started.abort(leftBehind);
          else controller = started;
        },
        onResponseStart: (_, code, head) => {
          status = code;
          headers = head;
        },
        onResponseData: (_, chunk) => {
          size += chunk.length;
          if (size > maxBytes) giveUp();
          else chunks.push(chunk);
        },
        onResponseEnd: () => {
          if (end())
            resolve({
              status,
              headers,
              text: (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))?.toString() ?? '',
            });
        },
        onResponseError: giveUp,
      },
    );
  });
