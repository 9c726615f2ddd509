import { type Dispatcher, fetch } from 'undici';
import { AppError } from '../../../core/errors.ts';

/** Why Teams did not take a call. `certain: false` means that it may have done it nevertheless. */
export type Refusal = {
  /** 0: no answer. */
  readonly status: number;
  /** Teams' own word, such as `ContentStreamNotAllowed`. */
  readonly code: string;
  readonly message: string;
  readonly certain: boolean;
  readonly retryAfterMs?: number;
};

/** What the SDK hands to its HTTP client, as far as we need it. */
type SdkRequest = {
  readonly url: string;
  readonly method: string;
  readonly headers: { toJson(options?: { readonly preserveCase?: boolean }): Record<string, string> };
  readonly body?: unknown;
  readonly abortSignal?: unknown;
};
export type SdkHttpClient = { sendRequest(request: SdkRequest): Promise<unknown> };

const maxReply = 1_048_576;

/**
 * The SDK's requests over undici: bounded in time and size, no redirects, never repeated. Everything but a 2xx is thrown
 * as AppError `platform-failed` with the Refusal as its cause, which the SDK's own retries let pass: they would post an
 * answer again whose reply was lost.
 */
export const createHttpClient = (options: {
  readonly timeoutMs: number;
  readonly dispatcher: Dispatcher;
}): SdkHttpClient => ({
  sendRequest: async (request) => {
    const given = request.abortSignal instanceof AbortSignal ? [request.abortSignal] : [];
    const signal = AbortSignal.any([...given, AbortSignal.timeout(options.timeoutMs)]);
    try {
      const response = await fetch(request.url, {
        method: request.method,
        headers: withoutLength(request.headers.toJson({ preserveCase: true })),
        ...(typeof request.body === 'string' ? { body: request.body } : {}),
        redirect: 'manual',
        dispatcher: options.dispatcher,
        signal,
      });
      const bodyAsText = await readBounded(response.body);
      if (!response.ok) throw refused(refusalOf(response.status, response.headers.get('retry-after'), bodyAsText));
      const headers = Object.fromEntries(response.headers);
      return { status: response.status, headers: { toJson: () => headers }, bodyAsText, request };
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      for (const one of given) one.throwIfAborted();
      throw refused({
        status: 0,
        code: 'unreachable',
        message: thrown instanceof Error ? thrown.name : 'unknown',
        certain: neverSent(thrown),
      });
    }
  },
});

const refused = (refusal: Refusal): AppError =>
  new AppError('platform-failed', 'Teams did not take the message.', { at: refusal.code, cause: refusal });

/** The Refusal inside what a call threw; null for anything else. */
export const refusalIn = (thrown: unknown): Refusal | null =>
  thrown instanceof AppError && thrown.code === 'platform-failed' && isRefusal(thrown.cause) ? thrown.cause : null;
const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'certain' in value && 'status' in value;

const refusalOf = (status: number, retryAfter: string | null, body: string): Refusal => {
  const { code, message } = errorIn(body);
  const wait = retryAfter === null ? null : retryAfterMsOf(retryAfter);
  return {
    status,
    code: code ?? `http-${status}`,
    message: message ?? '',
    certain: status < 500,
    ...(wait === null ? {} : { retryAfterMs: wait }),
  };
};

/** `{error: {code, message}}`, and the older `{errorCode, message}`. */
const errorIn = (body: string): { readonly code?: string; readonly message?: string } => {
  try {
    const parsed = JSON.parse(body) as {
      readonly error?: { readonly code?: unknown; readonly message?: unknown };
      readonly message?: unknown;
    };
    const code = parsed.error?.code;
    const message = parsed.error?.message ?? parsed.message;
    return {
      ...(typeof code === 'string' ? { code: code.slice(0, 80) } : {}),
      ...(typeof message === 'string' ? { message: message.slice(0, 300) } : {}),
    };
  } catch {
    return {};
  }
};

/** Seconds, or a date of HTTP. */
const retryAfterMsOf = (header: string): number | null => {
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
};

const readBounded = async (body: AsyncIterable<Uint8Array> | null): Promise<string> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > maxReply) break;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
};

/** The length is undici's to say. */
const withoutLength = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(?:content-length|accept-encoding)$/i.test(name)));

/** The connection was never made, so nothing was done. */
const neverSent = (thrown: unknown): boolean => {
  let cause: unknown = thrown;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth += 1) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'UND_ERR_CONNECT_TIMEOUT')
      return true;
    cause = cause.cause;
  }
  return false;
};
