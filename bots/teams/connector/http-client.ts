import type { Dispatcher } from 'undici';
import { AppError } from '../../../core/errors.ts';
import { exchange, type Reply } from '../../exchange.ts';

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
    const reply = await exchange({
      agent: options.dispatcher,
      url: new URL(request.url),
      method: request.method,
      headers: withoutLength(request.headers.toJson({ preserveCase: true })),
      ...(typeof request.body === 'string' ? { body: request.body } : {}),
      timeoutMs: options.timeoutMs,
      maxBytes: maxReply,
      ...(request.abortSignal instanceof AbortSignal ? { signal: request.abortSignal } : {}),
    });
    if (typeof reply === 'string')
      throw refused({ status: 0, code: 'unreachable', message: '', certain: reply === 'unsent' });
    const { status, headers, text } = reply;
    if (status < 200 || status > 299) throw refused(refusalOf(status, headers['retry-after'], text));
    return { status, headers: { toJson: () => headers }, bodyAsText: text, request };
  },
});

const refused = (refusal: Refusal): AppError =>
  new AppError('platform-failed', 'Teams did not take the message.', { at: refusal.code, cause: refusal });

/** The Refusal inside what a call threw; null for anything else. */
export const refusalIn = (thrown: unknown): Refusal | null =>
  thrown instanceof AppError && thrown.code === 'platform-failed' && isRefusal(thrown.cause) ? thrown.cause : null;
const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'certain' in value && 'status' in value;

const refusalOf = (status: number, retryAfter: Reply['headers'][string], body: string): Refusal => {
  const { code, message } = errorIn(body);
  const wait = typeof retryAfter === 'string' ? retryAfterMsOf(retryAfter) : null;
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

/** The length is undici's to say. */
const withoutLength = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(?:content-length|accept-encoding)$/i.test(name)));
