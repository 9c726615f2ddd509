import type { z } from 'zod';

/** One thing that a source reports. Bytes are fetched lazily so that an unchanged document costs nothing. */
export type Change =
  | {
      readonly type: 'upsert';
      readonly externalId: string;
      readonly title?: string;
      readonly url?: string;
      /** A hint only; the type is decided by content. */
      readonly mediaType?: string;
      readonly metadata?: Readonly<Record<string, unknown>>;
      /** Cheap sign of change (mtime + size, etag); equal to the stored one: not read at all. */
      readonly version?: string;
      read(signal: AbortSignal): Promise<Uint8Array>;
    }
  | { readonly type: 'remove'; readonly externalId: string }
  /** "That was everything": documents of the source that were not reported are removed. */
  | { readonly type: 'complete' }
  /**
   * One document could not be listed or read; recorded, the sync goes on. Without an id the listing has a hole, and
   * nothing is removed by `complete`, unless it is only a note to the person who looks at the run.
   */
  | { readonly type: 'problem'; readonly externalId?: string; readonly problem: string; readonly isNote?: boolean }
  /** All changes before this one are safe to skip when resuming from the cursor. */
  | { readonly type: 'cursor'; readonly cursor: string };

export type ChangeOptions = {
  readonly cursor?: string;
  readonly signal: AbortSignal;
  /** What is stored of this source, for asking only for what changed. Absent when nothing is kept (a probe). */
  known?(): AsyncIterable<KnownDocument>;
};

/** `version` as it was reported; absent when the document has to be read again. */
export type KnownDocument = { readonly externalId: string; readonly version?: string };

/** A place documents come from. Cursors, retries, diffing and schedules belong to the core. */
export type SourceConnector = {
  changes(options: ChangeOptions): AsyncIterable<Change>;
};

export type SourceDriver = {
  readonly kind: string;
  readonly label: string;
  /** Settings a tenant gives; drawn as a form by the console. */
  readonly settings: z.ZodType<Readonly<Record<string, unknown>>>;
  /** Absent: the kind is filled from outside (push, upload) and has nothing to sync. Throws AppError `invalid` or `address-not-allowed`. */
  readonly open?: (settings: Readonly<Record<string, unknown>>) => Promise<SourceConnector>;
};
