/** What SQLite's result codes mean for the person who reads the sentence. https://www.sqlite.org/rescode.html */

import { AppError, type ErrorCode } from '../../../errors.ts';

type SqliteError = Error & { readonly errcode: number };

const isSqliteError = (error: unknown): error is SqliteError =>
  error instanceof Error && typeof (error as { readonly errcode?: unknown }).errcode === 'number';

const sentences: Readonly<Record<number, readonly [sentence: string, retryable: boolean]>> = {
  5: ['The state store is busy with other work. Try again in a moment.', true],
  6: ['The state store is busy with other work. Try again in a moment.', true],
  7: ['The state store ran out of memory.', true],
  8: ['The state store may not write its file: check the owner and the rights of DATA_DIR.', false],
  10: ['The state store could not read or write its file: the disk reports an error.', true],
  11: [
    'The state file state.sqlite is damaged. Stop Footnote and restore the newest backup; the damaged file was left as it is.',
    false,
  ],
  13: ['The disk of the state store is full. Free some space and try again.', true],
  14: ['The state store cannot open its file: check that DATA_DIR exists and may be written.', false],
  26: [
    'The file state.sqlite is damaged or is no Footnote state file. Restore the newest backup; the file was left as it is.',
    false,
  ],
};

/** What is wrong with what was asked for, and not with the store. */
export type Refusal = { readonly code: ErrorCode; readonly at?: string };

/** A fault as a sentence for people, a detail for the log, and whether trying again can help. */
export const describeFault = (
  error: unknown,
): {
  readonly problem: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly refusal?: Refusal;
} => {
  if (error instanceof AppError) {
    const { code, message, at, retryable } = error;
    return { problem: message, detail: message, retryable, refusal: { code, ...(at === undefined ? {} : { at }) } };
  }
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  // Extended codes keep the plain one in the low byte.
  const [problem, retryable] = (isSqliteError(error) ? sentences[error.errcode & 0xff] : undefined) ?? [
    'The state store could not carry out what was asked.',
    false,
  ];
  return { problem, detail, retryable };
};
