import { HTTPException } from 'hono/http-exception';
import { AppError, type ErrorCode, toAppError } from '../core/errors.ts';

/** The HTTP edge: where an error becomes a status and a JSON problem (RFC 9457) or a page. */

export type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 | 499 | 500 | 502 | 503 | 504;

export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: ProblemStatus;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  /** Where the fault lies, for a 422: field path and what is wrong with it. */
  readonly errors?: readonly { readonly at: string; readonly message: string }[];
};

const statuses: Readonly<Record<ErrorCode, ProblemStatus>> = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  invalid: 422,
  'rate-limited': 429,
  'unreadable-document': 422,
  'address-not-allowed': 422,
  'model-failed': 502,
  'model-timeout': 504,
  'platform-failed': 502,
  'store-unavailable': 503,
  'lease-lost': 503,
  cancelled: 499,
  config: 500,
  internal: 500,
};

const titles: Readonly<Record<ProblemStatus, string>> = {
  400: 'The request cannot be read',
  401: 'A key is needed',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'The request does not fit',
  429: 'Too many requests',
  499: 'Cancelled',
  500: 'Something went wrong on our side',
  502: 'A service that we rely on failed',
  503: 'Not available right now',
  504: 'A service that we rely on took too long',
};

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'malformed',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  413: 'too-large',
};

export const statusOf = (error: AppError): ProblemStatus => statuses[error.code];

/** Any thrown thing as a problem. Nothing of an unexpected error's own text gets out. */
export const problemOf = (
  thrown: unknown,
  instance: string,
): { readonly problem: Problem; readonly error: AppError } => {
  if (thrown instanceof HTTPException) {
    if (thrown.status === 415) {
      const error = new AppError('invalid', 'The content type of the request is not one that this address takes.');
      return { error, problem: { ...problem(error, 415, instance), code: 'unsupported-media-type' } };
    }
    const code = codeOfStatus[thrown.status];
    const error = code ? new AppError(code, httpDetail(code)) : toAppError(thrown);
    return { error, problem: problem(error, statusOf(error), instance) };
  }
  const error = toAppError(thrown);
  return { error, problem: problem(error, statusOf(error), instance) };
};

const problem = (error: AppError, status: ProblemStatus, instance: string): Problem => ({
  type: 'about:blank',
  title: titles[status],
  status,
  detail: error.message,
  instance,
  code: error.code,
  ...(error.at === undefined ? {} : { errors: [{ at: error.at, message: error.message }] }),
});

export const methodNotAllowed = (instance: string, allowed: readonly string[]): Problem => ({
  type: 'about:blank',
  title: titles[405],
  status: 405,
  detail: `This address takes ${allowed.join(', ')}.`,
  instance,
  code: 'method-not-allowed',
});

/** What a validation found, field by field. */
export const invalid = (issues: readonly Issue[], instance: string): Problem => {
  const errors = issues
    .slice(0, 20)
    .map((issue) => ({ at: issue.path.map(String).join('.'), message: sentenceOf(issue) }));
  const first = errors[0];
  return {
    type: 'about:blank',
    title: titles[422],
    status: 422,
    detail:
      first === undefined
        ? 'The request does not fit the schema.'
        : `${first.at === '' ? '' : `${first.at}: `}${first.message}`,
    instance,
    code: 'invalid',
    errors,
  };
};

export type Issue = {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly code?: string | undefined;
  readonly minimum?: number | bigint | undefined;
  readonly maximum?: number | bigint | undefined;
  readonly origin?: string | undefined;
};

/** The library's words where they are good enough, our own where a person would stumble. */
export const sentenceOf = ({ code, message, minimum, maximum, origin }: Issue): string => {
  const unit = origin === 'string' ? ' characters' : origin === 'array' ? ' items' : '';
  if (code === 'too_small')
    return unit !== '' && Number(minimum) === 1 ? 'must not be empty' : `must be at least ${minimum}${unit}`;
  if (code === 'too_big') return `must be at most ${maximum}${unit}`;
  if (code === 'invalid_type') {
    const expected = /expected (\w+)/.exec(message)?.[1] ?? 'another type';
    return /received undefined$/.test(message)
      ? `is missing (a ${expected} is expected)`
      : `must be of the type ${expected}`;
  }
  return message;
};

export const problemResponse = (body: Problem, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(body), {
    status: body.status,
    headers: { 'content-type': 'application/problem+json; charset=utf-8', ...headers },
  });

/** Headers that belong to an error: how long to wait, how to identify oneself. */
export const headersOf = (error: AppError): Record<string, string> => ({
  ...(error.retryAfterMs === undefined
    ? {}
    : { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) }),
  ...(error.code === 'unauthenticated' ? { 'www-authenticate': 'Bearer realm="footnote"' } : {}),
});

const httpDetail = (code: ErrorCode): string => {
  switch (code) {
    case 'malformed':
      return 'The body of the request cannot be read.';
    case 'forbidden':
      return 'The request came from another site.';
    case 'too-large':
      return 'The body of the request is too large.';
    default:
      return 'The request was refused.';
  }
};
