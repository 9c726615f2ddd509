import type { EmbeddedChunk } from '../domain.ts';
import { isAppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Generations, LiveIndex } from './generations.ts';

export type FillIndex = (
  target: LiveIndex,
  documentIds: readonly string[],
  chunks: readonly EmbeddedChunk[],
  signal: AbortSignal,
) => Promise<void>;

const rememberedIndexes = 1_000;

/**
 * Each document's passages replace what the index holds of it. Into an index that was filled with another embedding
 * model they go without vectors: found by their words now, and by their vectors once the index is built again.
 */
export const createFillIndex = (parts: {
  readonly chunks: ChunkStore;
  readonly generations: Generations;
}): FillIndex => {
  const { chunks: index, generations } = parts;
  /** Were there and as they should be when this process wrote into them first. One that is gone since says `not-found`. */
  const ensured = new Set<string>();

  const ensure = async ({ ref, record }: LiveIndex, dimensions: number | null): Promise<void> => {
    const { analyser, embeddingModel } = record.profile;
    await index.ensureIndex(ref, { analyser, embeddingModel, dimensions });
    if (ensured.size >= rememberedIndexes) ensured.clear();
    ensured.add(keyOf(ref));
  };

  return async (target, documentIds, chunks, signal) => {
    const { ref, record } = target;
    // Without a chunk nobody knows the vectors' dimensions, which an index is made for; and there is nothing to add.
    if (chunks.length === 0) return index.removeDocuments(ref, documentIds, signal);
    const write = async (with_: readonly EmbeddedChunk[], mayBeAbsent: boolean): Promise<void> => {
      if (mayBeAbsent) await ensure(target, with_[0]?.vector?.length ?? null);
      await index.replaceDocuments(ref, byDocument(documentIds, with_), signal);
    };
    const lacksVectors = record.profile.embeddingModel !== null && !target.takesVectors;
    if (lacksVectors) await generations.markIncomplete(target);
    try {
      await write(chunks, target.fits && !ensured.has(keyOf(ref)));
    } catch (error) {
      if (!isAppError(error) || (error.code !== 'conflict' && error.code !== 'not-found')) throw error;
      // `not-found`: the index has lost its file. `conflict`: the same model gives other dimensions now.
      if (error.code === 'not-found') return write(chunks, true);
      await generations.markIncomplete(target);
      await write(
        chunks.map(({ vector: _vector, ...chunk }) => chunk),
        false,
      );
    }
  };
};

const keyOf = ({ tenantId, generation }: LiveIndex['ref']): string => `${tenantId}/${generation}`;

const byDocument = (documentIds: readonly string[], chunks: readonly EmbeddedChunk[]) => {
  const lists = new Map<string, EmbeddedChunk[]>(documentIds.map((id) => [id, []]));
  for (const chunk of chunks) lists.get(chunk.documentId)?.push(chunk);
  return [...lists].map(([documentId, own]) => ({ documentId, chunks: own }));
};
