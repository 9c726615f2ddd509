import type { Chunk, EmbeddedChunk, Hit, TenantId } from '../domain.ts';
import type { Finding } from './finding.ts';

/** One tenant's index in one generation: a place of its own, with statistics of its own. */
export type IndexRef = { readonly tenantId: TenantId; readonly generation: number };

/** What filled an index; a search or write with another one is refused, so that vectors are never mixed. */
export type IndexProfile = {
  readonly analyser: string;
  readonly embeddingModel: string | null;
  readonly dimensions: number | null;
};

export type SearchOptions = {
  readonly limit: number;
  /** Only these sources; empty means none. Absent: all. */
  readonly sourceIds?: readonly string[];
  readonly signal: AbortSignal;
};

/** Keyword search result: hits plus what the floor needs to judge them. */
export type TextSearch = {
  readonly hits: readonly TextHit[];
  /** The analysed terms of the query, each with the number of chunks that hold it in the whole index. */
  readonly terms: readonly { readonly term: string; readonly documentFrequency: number }[];
  readonly totalChunks: number;
};
export type TextHit = Hit & {
  /** Indexes into `terms` of those that the chunk (title, headings, text) holds. */
  readonly matched: readonly number[];
};

export type DocumentChunks = { readonly documentId: string; readonly chunks: readonly EmbeddedChunk[] };

export type IndexStats = { readonly documents: number; readonly chunks: number; readonly bytes: number };

/**
 * Chunks. Scans never run on the main thread. Ties order by chunk id. Derived data: everything here can be rebuilt from
 * the state store and the sources. An index that is not there is read as an empty one, and removing from it is nothing;
 * writing to it throws AppError `not-found`.
 */
export type ChunkStore = {
  readonly name: string;
  /** Creates the index if absent; throws AppError `conflict` when it was filled under another profile. */
  ensureIndex(ref: IndexRef, profile: IndexProfile): Promise<void>;
  /** Removes every generation of the tenant. Idempotent. */
  dropTenant(tenantId: TenantId): Promise<void>;
  dropGeneration(ref: IndexRef): Promise<void>;
  generations(tenantId: TenantId): Promise<readonly number[]>;
  /** Each document's old chunks go and its new ones appear in one step. Searchable when it resolves. */
  replaceDocuments(ref: IndexRef, documents: readonly DocumentChunks[], signal: AbortSignal): Promise<void>;
  /** Idempotent. Gone from every search when it resolves. */
  removeDocuments(ref: IndexRef, documentIds: readonly string[], signal: AbortSignal): Promise<void>;
  searchText(ref: IndexRef, query: string, options: SearchOptions): Promise<TextSearch>;
  /** Cosine similarity as score. */
  searchVector(ref: IndexRef, vector: Float32Array, options: SearchOptions): Promise<readonly Hit[]>;
  documentChunks(ref: IndexRef, documentId: string, signal: AbortSignal): Promise<readonly Chunk[]>;
  /** The ids among the given ones that the index holds. */
  presentDocuments(ref: IndexRef, documentIds: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  stats(ref: IndexRef): Promise<IndexStats>;
  /** What the index was made for; null where there is none. */
  profileOf(ref: IndexRef, signal: AbortSignal): Promise<IndexProfile | null>;
  /** Moves the name under which people find the live generation in the server's own tools. The truth is in state. */
  pointAlias?(ref: IndexRef, signal: AbortSignal): Promise<void>;
  /** What `footnote doctor` tells of the server. Failures are findings. */
  examine?(signal: AbortSignal): Promise<readonly Finding[]>;
  /** Consistent copy of everything into a folder. */
  backup(folder: string, signal: AbortSignal): Promise<void>;
  /** Throws AppError `store-unavailable` with a sentence. */
  check(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
};
