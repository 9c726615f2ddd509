import type { EmbeddedChunk } from '../domain.ts';
import { isAppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Generations, LiveIndex } from './generations.ts';

type Parts = { readonly index: ChunkStore; readonly generations: Generations };

/**
 * Each document's passages replace what the index holds of it. Into an index that was filled with another embedding
 * model they go without vectors: found by their words now, and by their vectors once the index is built again.
 */
export const fillIndex = async (
  { index, generations }: Parts,
  target: LiveIndex,
  documentIds: readonly string[],
  chunks: readonly EmbeddedChunk[],
  signal: AbortSignal,
): Promise<void> => {
  const { ref, record } = target;
  // Without a chunk nobody knows the vectors' dimensions, which an index is made for; and there is nothing to add.
  if (chunks.length === 0) return index.removeDocuments(ref, documentIds, signal);
  const write = async (with_: readonly EmbeddedChunk[], ensure: boolean): Promise<void> => {
    if (ensure) {
      const { analyser, embeddingModel } = record.profile;
      await index.ensureIndex(ref, { analyser, embeddingModel, dimensions: with_[0]?.vector?.length ?? null });
    }
    await index.replaceDocuments(ref, byDocument(documentIds, with_), signal);
  };
  const lacksVectors = record.profile.embeddingModel !== null && !target.takesVectors;
  if (lacksVectors) await generations.markIncomplete(target);
  try {
    await write(chunks, target.fits);
  } catch (error) {
    if (!isAppError(error) || (error.code !== 'conflict' && error.code !== 'not-found')) throw error;
    // `not-found`: an index that does not fit has lost its file. `conflict`: the same model gives other dimensions now.
    if (error.code === 'not-found') return write(chunks, true);
    await generations.markIncomplete(target);
    await write(
      chunks.map(({ vector: _vector, ...chunk }) => chunk),
      false,
    );
  }
};

const byDocument = (documentIds: readonly string[], chunks: readonly EmbeddedChunk[]) => {
  const lists = new Map<string, EmbeddedChunk[]>(documentIds.map((id) => [id, []]));
  for (const chunk of chunks) lists.get(chunk.documentId)?.push(chunk);
  return [...lists].map(([documentId, own]) => ({ documentId, chunks: own }));
};
