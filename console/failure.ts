import type { Context } from 'hono';
import { isAppError } from '../core/errors.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import type { Env } from './guard.ts';
import { problemOf } from './problem.ts';

/** Logs and counts what failed on our side, and only that, whether before an answer or in the middle of it. */
export const noteFailure = (
  { log, metrics }: Pick<Runtime, 'log' | 'metrics'>,
  c: Context<Env>,
  thrown: unknown,
): void => {
  const { problem, error } = problemOf(thrown, c.req.path);
  if (problem.status < 500) return;
  log.error('request failed', {
    requestId: c.get('requestId'),
    route: c.get('route'),
    code: error.code,
    error: isAppError(thrown) ? `${error.message} ${describeCause(error.cause)}`.trim() : describe(thrown),
  });
  metrics.count('errors_total', { code: error.code });
};

/** What others say about a failure may repeat a key or a question that we sent them: only its kind goes into the log. */
const describeCause = (cause: unknown): string => {
  if (!(cause instanceof Error)) return '';
  const { status, code } = cause as { readonly status?: unknown; readonly code?: unknown };
  const details = [status, code].filter((part) => typeof part === 'number' || /^[A-Z_]{2,40}$/.test(String(part)));
  return `(${[cause.name, ...details].join(' ')})`;
};

/** Stack of our own code for the operator's log; messages of unexpected errors may hold text, so only their first line. */
const describe = (cause: unknown): string => {
  if (!(cause instanceof Error)) return typeof cause;
  const place =
    cause.stack
      ?.split('\n')
      .find((line) => line.trim().startsWith('at '))
      ?.trim() ?? '';
  return `${cause.name}: ${cause.message.split('\n')[0]?.slice(0, 200) ?? ''} ${place}`;
};
