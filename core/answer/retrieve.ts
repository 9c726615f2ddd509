import type { Chunk, Passage } from '../domain.ts';
import { toAppError } from '../errors.ts';
import type { ChunkStore, IndexRef, TextSearch } from '../ports/chunks.ts';
import type { Embedder } from '../ports/model.ts';
import type { Runtime } from '../ports/runtime.ts';
import { startDeadline } from './deadline.ts';
import type { Steps } from './steps.ts';
import { wordsAsked } from './terms.ts';

export type Candidate = {
  readonly chunk: Chunk;
  readonly score: number;
  /** Indexes into the text search's terms; empty when only the vectors found it. */
  readonly matched: readonly number[];
  /** Present when the vectors found it. */
  readonly cosine?: number;
};

export type Retrieval = {
  readonly query: string;
  /** Best first. */
  readonly candidates: readonly Candidate[];
  readonly text: TextSearch;
  readonly topCosine: number | null;
  readonly embedding: { readonly tokens: number; readonly model: string } | null;
  /** The embedding model was down: keywords alone, told by `keywords_only` in the timings. */
  readonly degraded: boolean;
};

export type RetrieveParts = {
  readonly chunks: ChunkStore;
  readonly embedder: Embedder | null;
  readonly runtime: Runtime;
};

export type RetrieveRequest = {
  readonly ref: IndexRef;
  readonly query: string;
  readonly limit: number;
  /** Weight of the search by meaning against that by words, 0 to 1 (default: 0.5, both alike). */
  readonly meaning?: number;
  readonly sourceIds?: readonly string[] | undefined;
  /** After this the question is searched for by its words alone. */
  readonly embedWithinMs: number;
  readonly signal: AbortSignal;
  readonly steps: Steps;
};

/** Reciprocal rank fusion as published: 1 / (60 + rank), both lists alike unless a tenant weighs them otherwise. */
const rankConstant = 60;
const depth = 100;

/** Keywords and, with an embedder, vectors, fused by rank. A broken embedder costs recall, never the answer. */
export const retrieve = async (parts: RetrieveParts, request: RetrieveRequest): Promise<Retrieval> => {
  const { ref, query, signal, steps } = request;
  const options = {
    limit: Math.max(depth, request.limit),
    signal,
    ...(request.sourceIds === undefined ? {} : { sourceIds: request.sourceIds }),
  };
  const [text, embedded] = await Promise.all([
    steps.time('search_text', () => parts.chunks.searchText(ref, wordsAsked(query), options)),
    embedQuery(parts, request),
  ]);
  const nearest =
    embedded === null || embedded === 'failed'
      ? []
      : await steps.time('search_vector', () => parts.chunks.searchVector(ref, embedded.vector, options));

  const byMeaning = 2 * (request.meaning ?? 0.5);
  const byWords = 2 - byMeaning;
  const fused = new Map<string, { chunk: Chunk; score: number; matched: readonly number[]; cosine?: number }>();
  text.hits.forEach((hit, rank) => {
    // Alone, keywords keep their own scores; fused, only ranks are comparable.
    const score = nearest.length === 0 ? hit.score : byWords / (rankConstant + rank + 1);
    fused.set(hit.chunk.id, { chunk: hit.chunk, score, matched: hit.matched });
  });
  nearest.forEach((hit, rank) => {
    const known = fused.get(hit.chunk.id);
    const score = (known?.score ?? 0) + byMeaning / (rankConstant + rank + 1);
    fused.set(hit.chunk.id, { chunk: hit.chunk, score, matched: known?.matched ?? [], cosine: hit.score });
  });
  const ranked = [...fused.values()].sort((a, b) => b.score - a.score || (a.chunk.id < b.chunk.id ? -1 : 1));
  return {
    query,
    candidates: ranked.slice(0, Math.max(request.limit, 20)),
    text,
    topCosine: nearest[0]?.score ?? null,
    embedding: embedded === null || embedded === 'failed' ? null : { tokens: embedded.tokens, model: embedded.model },
    degraded: embedded === 'failed',
  };
};

const embedQuery = async (
  { embedder, runtime }: RetrieveParts,
  { ref, query, signal, steps, embedWithinMs }: RetrieveRequest,
) => {
  if (embedder === null) return null;
  const short = startDeadline(runtime.clock, embedWithinMs, signal);
  try {
    const { vectors, tokens, model } = await steps.time('embed_query', () =>
      embedder.embed([query], 'query', { signal: short.signal, tenantId: ref.tenantId }),
    );
    const vector = vectors[0];
    return vector === undefined ? ('failed' as const) : { vector, tokens, model };
  } catch (error) {
    if (signal.aborted) throw toAppError(error);
    runtime.log.warn('embedder_failed', { code: toAppError(error).code });
    return 'failed' as const;
  } finally {
    short.end();
  }
};

/**
 * What goes on: no document fills the list (at most `perDocument` of one), and neighbours in one document stand
 * together in reading order, at the place of the better one, so that a model reads them as the one text they are.
 */
export const selectPassages = (
  candidates: readonly Candidate[],
  limit: number,
  perDocument: number,
): readonly Candidate[] => {
  const counts = new Map<string, number>();
  const seen = new Set<string>();
  const chosen: Candidate[] = [];
  for (const candidate of candidates) {
    const { documentId, text } = candidate.chunk;
    const count = counts.get(documentId) ?? 0;
    // The same text pushed under two names would use up the room of others.
    const key = text.replace(/\s+/g, ' ');
    if (count >= perDocument || seen.has(key)) continue;
    counts.set(documentId, count + 1);
    seen.add(key);
    chosen.push(candidate);
    if (chosen.length >= limit) break;
  }
  const placed = new Set<Candidate>();
  const ordered: Candidate[] = [];
  for (const candidate of chosen) {
    if (placed.has(candidate)) continue;
    const run = [candidate];
    for (const other of chosen.filter(
      (each) => each !== candidate && !placed.has(each) && each.chunk.documentId === candidate.chunk.documentId,
    )) {
      if (run.some((each) => Math.abs(each.chunk.ordinal - other.chunk.ordinal) === 1)) run.push(other);
    }
    run.sort((a, b) => a.chunk.ordinal - b.chunk.ordinal);
    for (const each of run) placed.add(each);
    ordered.push(...run);
  }
  return ordered;
};

export const toPassage = ({ chunk, score }: { readonly chunk: Chunk; readonly score: number }): Passage => ({
  documentId: chunk.documentId,
  externalId: chunk.externalId,
  chunkId: chunk.id,
  sourceId: chunk.sourceId,
  title: chunk.title,
  headingPath: chunk.headingPath,
  text: chunk.text,
  score,
  ...(chunk.url === undefined ? {} : { url: chunk.url }),
  ...(chunk.page === undefined ? {} : { page: chunk.page }),
});
