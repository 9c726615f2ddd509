/** Every way the software can fail, as data. The three edges that turn errors into words switch on these codes. */
export type ErrorCode =
  | 'malformed' // 400: the request cannot be read
  | 'unauthenticated' // 401
  | 'forbidden' // 403: own tenant, scope missing
  | 'not-found' // 404: foreign and unknown alike
  | 'conflict' // 409
  | 'too-large' // 413
  | 'invalid' // 422: readable, but does not fit the schema
  | 'rate-limited' // 429
  | 'unreadable-document' // the document path: encrypted, damaged, over a limit, of an unknown type
  | 'address-not-allowed' // a guarded fetch refused the address
  | 'model-failed' // 502: the model endpoint refused, broke or answered half
  | 'model-timeout' // 504
  | 'platform-failed' // a chat platform refused or could not be reached
  | 'store-unavailable' // 503: a store is down, full, locked or damaged
  | 'lease-lost' // another worker took over; stop without a word
  | 'cancelled' // the caller went away or pressed stop
  | 'config' // the start is refused
  | 'internal';

export type AppErrorDetails = {
  /** Wait at least this long before trying again. */
  readonly retryAfterMs?: number;
  /** Trying the same thing again can help. */
  readonly retryable?: boolean;
  /** Where the fault lies, for a 422 or a per-document error: field path or document id. */
  readonly at?: string;
  readonly cause?: unknown;
};

/**
 * The one error class. `message` is a sentence that may be shown to the person: it says what is wrong and what to do,
 * and holds no secret, no stack and no text of a document.
 */
export class AppError extends Error {
  override readonly name = 'AppError' as const;
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly retryable: boolean;
  readonly at: string | undefined;

  constructor(code: ErrorCode, message: string, details: AppErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryAfterMs = details.retryAfterMs;
    this.retryable = details.retryable ?? false;
    this.at = details.at;
  }
}

export const isAppError = (error: unknown): error is AppError => error instanceof AppError;

/** An unknown thrown thing as an AppError; aborts become `cancelled`, everything unexpected `internal`. */
export const toAppError = (error: unknown): AppError => {
  if (isAppError(error)) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return new AppError('cancelled', 'The work was stopped before it was finished.', { cause: error });
  }
  return new AppError('internal', 'Something went wrong on our side.', { cause: error });
};
