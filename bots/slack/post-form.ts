import { Agent, type Dispatcher } from 'undici';

export type FormPost = {
  readonly url: URL;
  /** Undefined fields are left out; what is no text, number or boolean goes as JSON. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly token: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
};

export type FormReply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
};

/** `unsent`: not a byte of it left, so nothing was done. `unsure`: it left, and no whole reply came back. */
export type Unanswered = 'unsent' | 'unsure';

/** Slack's longest replies, a hundred messages of a thread with their blocks, stay below. */
const maxReplyBytes = 8 * 1024 * 1024;

/**
 * One pool for all workspaces, because all of them live at one address. Asked directly and not through `fetch`: the
 * streams and signals of a fetch were a quarter of what an answer cost us.
 */
const agent = new Agent({ connections: 128, allowH2: false, connect: { timeout: 10_000 } });

const leftBehind = new Error('The reply is not waited for any more.');

/** Posts a form and reads the reply whole, bounded in time and size. Rejects only with the reason of its signal. */
export const postForm = ({ url, fields, token, timeoutMs, signal }: FormPost): Promise<FormReply | Unanswered> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let controller: Dispatcher.DispatchController | null = null;
    let over = false;
    let status = 0;
    let headers: FormReply['headers'] = {};
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
        path: url.pathname,
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/x-www-form-urlencoded',
          'user-agent': 'footnote',
        },
        body: encodeForm(fields),
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
          if (size > maxReplyBytes) giveUp();
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

/** As `application/x-www-form-urlencoded`; halves of surrogate pairs become U+FFFD, as in every other encoder. */
const encodeForm = (fields: FormPost['fields']): string => {
  let form = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    form += `${form === '' ? '' : '&'}${name}=${encodeURIComponent(text.toWellFormed())}`;
  }
  return form;
};
