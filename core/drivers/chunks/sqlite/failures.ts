import { AppError, isAppError } from '../../../errors.ts';
import type { IndexRef } from '../../../ports/chunks.ts';
import { labelOf } from './files.ts';

// https://sqlite.org/rescode.html; the low byte is the primary code.
const busy = [5, 6];
const full = [13];
const damaged = [11, 26];

const errcodeOf = (error: unknown): number | undefined =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;

/** A damaged index is never recreated silently: an empty one would answer "not found" with a straight face. */
export const damagedIndex = (ref: IndexRef, cause?: unknown): AppError =>
  new AppError(
    'store-unavailable',
    `The search index of ${labelOf(ref)} is damaged. Re-index this tenant to build it again; its documents are not lost.`,
    { cause },
  );

/** During a deploy this process is about to be replaced, so that it is worth another try. */
export const newerIndex = (ref: IndexRef): AppError =>
  new AppError(
    'store-unavailable',
    `The search index of ${labelOf(ref)} was made by a newer version of Footnote. Start that version here as well, or re-index the tenant.`,
    { retryable: true },
  );

export const absentIndex = (ref: IndexRef): AppError =>
  new AppError('not-found', `There is no search index for ${labelOf(ref)}.`);

/** What SQLite reports, as the sentence for whoever runs the deployment. */
export const toStoreError = (error: unknown, ref: IndexRef): AppError => {
  if (isAppError(error)) return error;
  const code = errcodeOf(error);
  if (code !== undefined && damaged.includes(code)) return damagedIndex(ref, error);
  if (code !== undefined && busy.includes(code)) {
    return new AppError('store-unavailable', `The search index of ${labelOf(ref)} is busy. Try again in a moment.`, {
      retryable: true,
      retryAfterMs: 1_000,
      cause: error,
    });
  }
  if (code !== undefined && full.includes(code)) {
    return new AppError('store-unavailable', 'The disk that holds the search indexes is full. Make room on it.', {
      cause: error,
    });
  }
  return new AppError('store-unavailable', `The search index of ${labelOf(ref)} cannot be used right now.`, {
    retryable: true,
    cause: error,
  });
};
