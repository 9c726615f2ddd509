import { AppError } from '../errors.ts';
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
}): { readonly chunks: ChunkStore; readonly embedder: Embedder | null } => {
  const { chunks, embedder, generations } = parts;
  if (embedder === null) return { chunks, embedder };
  return {
    chunks: {
      ...chunks,
      // Judged by the generation that is searched, not by the live one: the pointer may move in the middle of a question.
      searchVector: async (ref, vector, options) =>
        (await generations.modelOf(ref)) === embedder.name ? chunks.searchVector(ref, vector, options) : [],
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
