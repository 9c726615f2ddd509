import type { Chunk, Hit } from '../../../domain.ts';
import type { ErrorCode } from '../../../errors.ts';
import type { IndexProfile, IndexRef, IndexStats, TextSearch } from '../../../ports/chunks.ts';
import type { IncomingDocument } from './write.ts';

/** What each worker is asked for, and what it answers with. */
export type Requests = {
  ensure: { readonly asked: { readonly ref: IndexRef; readonly profile: IndexProfile }; readonly answer: null };
  /** Hands over a part of a big replacement, so that no single message is long to copy. */
  stage: {
    readonly asked: { readonly job: number; readonly documents: readonly IncomingDocument[] };
    readonly answer: null;
  };
  unstage: { readonly asked: { readonly job: number }; readonly answer: null };
  replace: {
    readonly asked: { readonly ref: IndexRef; readonly job: number; readonly documents: readonly IncomingDocument[] };
    readonly answer: null;
  };
  remove: {
    readonly asked: { readonly ref: IndexRef; readonly documentIds: readonly string[] };
    readonly answer: null;
  };
  text: {
    readonly asked: {
      readonly ref: IndexRef;
      readonly query: string;
      readonly limit: number;
      readonly sourceIds: readonly string[] | undefined;
    };
    readonly answer: TextSearch;
  };
  vector: {
    readonly asked: {
      readonly ref: IndexRef;
      readonly vector: Float32Array;
      readonly limit: number;
      readonly sourceIds: readonly string[] | undefined;
    };
    readonly answer: readonly Hit[];
  };
  document: {
    readonly asked: { readonly ref: IndexRef; readonly documentId: string };
    readonly answer: readonly Chunk[];
  };
  present: {
    readonly asked: { readonly ref: IndexRef; readonly documentIds: readonly string[] };
    readonly answer: readonly string[];
  };
  profile: { readonly asked: { readonly ref: IndexRef }; readonly answer: IndexProfile | null };
  stats: { readonly asked: { readonly ref: IndexRef }; readonly answer: IndexStats };
  copy: { readonly asked: { readonly ref: IndexRef; readonly target: string }; readonly answer: null };
  forget: {
    readonly asked: { readonly tenantId: string; readonly generation: number | undefined };
    readonly answer: null;
  };
  ping: { readonly asked: Record<string, never>; readonly answer: null };
  close: { readonly asked: Record<string, never>; readonly answer: null };
};
export type Verb = keyof Requests;

export type WorkerSettings = {
  readonly dataDir: string;
  readonly maxOpenFiles: number;
  readonly maxVectorBytes: number;
};

export type Question = {
  [V in Verb]: { readonly id: number; readonly verb: V; readonly asked: Requests[V]['asked'] };
}[Verb];
export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | {
      readonly id: number;
      readonly failure: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly retryable: boolean;
        readonly detail: string;
      };
    };
