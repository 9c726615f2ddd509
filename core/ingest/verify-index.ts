import type { Chunk, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { ChunkStore, IndexRef } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { BuiltDocument, Generation, StateStore } from '../ports/state.ts';
import type { EmbedChunks } from './embed-chunks.ts';

type Parts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly embed: EmbedChunks;
  readonly runtime: Runtime;
};
type Built = { readonly record: Generation; readonly ref: IndexRef; readonly base: number };

/** Documents looked for by their own words, and of these by their own vectors. */
const sampledDocuments = 20;
const sampledVectors = 5;
const queryCharacters = 300;
const hitsLookedAt = 50;

/**
 * Does the index hold what was put into it? As many documents and passages as were built, and each of a sample found by
 * its own text. Throws AppError `conflict` with the difference; then the pointer must not move.
 */
export const verifyIndex = async (
  parts: Parts,
  tenant: Tenant,
  { record, ref, base }: Built,
  signal: AbortSignal,
): Promise<void> => {
  const { state, chunks: index, embed, runtime } = parts;
  const expected = { documents: 0, chunks: 0 };
  const sample: BuiltDocument[] = [];
  let seen = 0;
  let cursor: string | undefined;
  do {
    const page = { limit: 500, ...(cursor === undefined ? {} : { cursor }) };
    const { items, nextCursor } = await state.documents.built(tenant.id, base, page);
    for (const built of items) {
      if (built.chunks === 0) continue;
      expected.documents += 1;
      expected.chunks += built.chunks;
      // Each document is in the sample with the same chance, however many there are.
      seen += 1;
      if (sample.length < sampledDocuments) sample.push(built);
      else {
        const at = Math.floor(runtime.random.float() * seen);
        if (at < sampledDocuments) sample[at] = built;
      }
    }
    cursor = nextCursor;
  } while (cursor !== undefined);
  if (expected.documents === 0) return;

  const found = await index.stats(ref);
  if (found.documents !== expected.documents || found.chunks !== expected.chunks)
    throw new AppError(
      'conflict',
      `The new index holds ${found.documents} documents in ${found.chunks} passages instead of ${expected.documents} in ${expected.chunks}. The index in use was left as it is.`,
    );

  const passages: Chunk[] = [];
  for (const { documentId } of sample) {
    const own = await index.documentChunks(ref, documentId, signal);
    const passage = own[Math.floor(runtime.random.float() * own.length)];
    if (passage === undefined) throw missing(documentId);
    passages.push(passage);
    const query = passage.text.slice(0, queryCharacters);
    const { hits, terms } = await index.searchText(ref, query, { limit: hitsLookedAt, signal });
    // Twins share the words: any of them will do. A passage of marks and stop words is found by nobody.
    const isFound = hits.some(({ chunk }) => chunk.documentId === documentId || chunk.text === passage.text);
    if (!isFound && hits.length < hitsLookedAt && terms.length > 0) throw missing(documentId);
  }

  if (record.profile.embeddingModel === null) return;
  for (const chunk of await embed(tenant, passages.slice(0, sampledVectors), signal)) {
    if (chunk.vector === undefined) continue;
    const nearest = await index.searchVector(ref, chunk.vector, { limit: hitsLookedAt, signal });
    const isFound = nearest.some((hit) => hit.chunk.documentId === chunk.documentId || hit.chunk.text === chunk.text);
    if (!isFound && nearest.length < hitsLookedAt) throw missing(chunk.documentId);
  }
};

const missing = (documentId: string): AppError =>
  new AppError(
    'conflict',
    `The new index does not find the document ${documentId} by its own text. The index in use was left as it is.`,
  );
