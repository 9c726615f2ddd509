import type { TenantId } from '../domain.ts';
import { AppError, isAppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Embedder } from '../ports/model.ts';
import type { Generations } from './generations.ts';

/**
 * The chunk store and the embedder as questions may use them: vectors of one model are never compared with those of
 * another. While the live index was filled with another model, questions are answered by their words alone.
 */
export const createVectorGate = (parts: {
  readonly chunks: ChunkStore;
  readonly embedder: Embedder | null;
  readonly generations: Generations;
  /** The live index has to be built anew. */
  onMisfit(tenantId: TenantId): void;
}): { readonly chunks: ChunkStore; readonly embedder: Embedder | null } => {
  const { chunks, embedder, generations } = parts;
  if (embedder === null) return { chunks, embedder };
  return {
    chunks: {
      ...chunks,
      // Judged by the generation that is searched, not by the live one: the pointer may move in the middle of a question.
      searchVector: async (ref, vector, options) => {
        if ((await generations.modelOf(ref)) !== embedder.name) return [];
        try {
          return await chunks.searchVector(ref, vector, options);
        } catch (error) {
          if (!isAppError(error) || error.code !== 'conflict') throw error;
          // The same model gives vectors of another length now: words alone, until the index has been built again.
          const live = await generations.live(ref.tenantId);
          if (live.ref.generation === ref.generation) {
            await generations.markIncomplete(live);
            parts.onMisfit(ref.tenantId);
          }
          return [];
        }
      },
    },
    embedder: {
      name: embedder.name,
      embed: async (texts, kind, options) => {
        const { takesVectors } = await generations.live(options.tenantId);
        if (kind === 'query' && !takesVectors)
          throw new AppError(
            'model-failed',
            'The index was filled with another embedding model; until it is built again, words alone are searched for.',
          );
        return embedder.embed(texts, kind, options);
      },
    },
  };
};
