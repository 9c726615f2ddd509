import { AppError, isAppError } from '../../../errors.ts';

/**
 * What went wrong between us and Weaviate. The client exports none of its error classes (neither as ESM nor as CJS), and
 * a gRPC status stands only in the text of a message, so we go by `name` and by text.
 */
export type Fault =
  | 'cancelled' // the caller's signal
  | 'slow' // our own deadline
  | 'unreachable' // REST
  | 'unreachable-grpc'
  | 'busy' // the server asked us to come again
  | 'unauthenticated'
  | 'forbidden'
  | 'read-only' // disk or memory above the server's threshold, or an operator's OPERATIONAL_MODE
  | 'full' // the server's own limit on collections, tenants or objects
  | 'no-index'
  | 'dimensions'
  | 'not-weaviate'
  | 'unsupported'
  | 'refused';

/** Faults after which the same call may well succeed. All our calls are idempotent, so each of these is tried again. */
const passing: ReadonlySet<Fault> = new Set(['unreachable', 'unreachable-grpc', 'busy']);
export const isPassing = (fault: Fault): boolean => passing.has(fault);

/** An answer of the REST API that is none of the expected ones. */
export class RestFailure extends Error {
  override readonly name = 'RestFailure' as const;
  readonly status: number;
  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** Order matters: the first pattern that fits decides. */
const messages: readonly (readonly [RegExp, Fault])[] = [
  [/UNAUTHENTICATED|\b401\b.*(anonymous|key|token)/i, 'unauthenticated'],
  [/PERMISSION_DENIED/, 'forbidden'],
  [/could not find class|class not found|class name .* not found|tenant not found|class .* doesn.t exist/i, 'no-index'],
  [/vector (lengths?|dimensions?)|dimensions? do(es)? not match/i, 'dimensions'],
  [/read-only|readonly|no space left|disk usage too high|memory usage too high/i, 'read-only'],
  [/USAGE_LIMIT|maximum number of collections|collection limit|count limit of \d+ reached/i, 'full'],
  // typescript-client#154: a stream that the server or a proxy reset comes as INTERNAL and is not retried by the client.
  [
    /RST_STREAM|GOAWAY|RESOURCE_EXHAUSTED|ABORTED|leader not found|not enough memory|context deadline exceeded|too many requests/i,
    'busy',
  ],
  [
    /UNAVAILABLE|CANCELLED: |ECONNREFUSED|ECONNRESET|connection (dropped|reset|closed)|socket hang up|health check/i,
    'unreachable-grpc',
  ],
  [/DEADLINE_EXCEEDED|timed out/i, 'slow'],
];

/** `callerAborted` tells cancel from timeout: with a signal given, the client reports both as a plain AbortError. */
export const faultOf = (error: unknown, callerAborted: boolean): Fault => {
  if (callerAborted) return 'cancelled';
  const name = nameOf(error);
  if (error instanceof RestFailure) return faultOfStatus(error);
  if (name === 'AbortError' || name === 'TimeoutError' || name === 'WeaviateRequestTimeoutError') return 'slow';
  if (name === 'WeaviateUnauthenticatedError') return 'unauthenticated';
  if (name === 'WeaviateInsufficientPermissionsError') return 'forbidden';
  if (name === 'WeaviateGRPCUnavailableError') return 'unreachable-grpc';
  if (name === 'WeaviateUnsupportedFeatureError') return 'unsupported';
  if (name === 'WeaviateStartUpError') return faultOfStart(textOf(error));
  // fetch says only "fetch failed"; what failed stands in `cause.code`.
  if (error instanceof TypeError) return 'unreachable';
  if (error instanceof SyntaxError) return 'not-weaviate';
  return faultOfText(textOf(error)) ?? 'refused';
};

/** What the server's own words say, where we know them. */
export const faultOfText = (text: string): Fault | undefined => messages.find(([pattern]) => pattern.test(text))?.[1];

/** A new connection that did not come about; the client keeps only the text of the reason. */
const faultOfStart = (text: string): Fault => {
  if (/fetch failed/.test(text)) return 'unreachable';
  const byText = faultOfText(text);
  // In OPERATIONAL_MODE=ReadOnly even the client's first question over gRPC, how the server is, is refused as a write.
  const isKnown = byText === 'unauthenticated' || byText === 'forbidden' || byText === 'busy' || byText === 'read-only';
  return isKnown ? byText : 'unreachable-grpc';
};

const faultOfStatus = ({ status, message }: RestFailure): Fault => {
  if (status === 401) return 'unauthenticated';
  if (status === 403) return 'forbidden';
  const byText = faultOfText(message);
  if (status === 429) return byText === 'full' ? 'full' : 'busy';
  if (byText !== undefined && byText !== 'unreachable-grpc') return byText;
  if (status === 502 || status === 503 || status === 504) return 'busy';
  return 'refused';
};

export const cancelled = (cause?: unknown): AppError =>
  new AppError('cancelled', 'The work was stopped before it was finished.', { cause });

export type Whereabouts = { readonly url: string; readonly grpc: string };

/** The sentence for whoever runs the deployment: what is wrong and what to do. Never the server's own text. */
export const faultError = (fault: Fault, at: Whereabouts, cause: unknown): AppError => {
  if (isAppError(cause)) return cause;
  const down = (message: string, retryAfterMs?: number): AppError =>
    new AppError('store-unavailable', message, {
      cause,
      ...(retryAfterMs === undefined ? {} : { retryable: true, retryAfterMs }),
    });
  switch (fault) {
    case 'cancelled':
      return cancelled(cause);
    case 'slow':
      return down(`Weaviate at ${at.url} did not answer in time. It may be overloaded; try again in a moment.`, 2_000);
    case 'unreachable':
      return down(`Weaviate at ${at.url} cannot be reached. Check that it runs and that WEAVIATE_URL is right.`, 2_000);
    case 'unreachable-grpc':
      return down(
        `The gRPC port of Weaviate at ${at.grpc} cannot be reached. Check WEAVIATE_GRPC_URL and that no firewall closes the port.`,
        2_000,
      );
    case 'busy':
      return down(`Weaviate at ${at.url} is busy or restarting. Try again in a moment.`, 2_000);
    case 'unauthenticated':
      return down(`Weaviate at ${at.url} does not accept our key. Check WEAVIATE_API_KEY.`);
    case 'forbidden':
      return down(
        `The key for Weaviate at ${at.url} may not do this. Give it the right to read and write collections that begin with "Footnote_".`,
      );
    case 'read-only':
      return down(
        `Weaviate at ${at.url} takes no writes: its disk or memory is nearly full, or it was set to read-only. Make room, then set its shards to READY again; or end its OPERATIONAL_MODE.`,
      );
    case 'full':
      return down(
        `Weaviate at ${at.url} has reached its own limit of collections or objects. Raise it there, or remove tenants.`,
      );
    case 'no-index':
      return new AppError('not-found', 'There is no such search index in Weaviate any more.', { cause });
    case 'dimensions':
      return new AppError(
        'conflict',
        'The embedding model makes vectors of another length than this search index holds. Re-index the tenant with the present model.',
        { cause },
      );
    case 'not-weaviate':
      return down(`What answers at ${at.url} is not Weaviate. Check WEAVIATE_URL.`);
    case 'unsupported':
      return down(
        `The Weaviate server at ${at.url} is too old. Footnote needs 1.32 or newer, but not 1.32.3 or 1.32.4.`,
      );
    case 'refused':
      return down(`Weaviate at ${at.url} refused a request that should work. Its log and ours say more.`);
  }
};
