import type { EmbeddedChunk, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Metering } from '../metering/metering.ts';
import type { Embedder } from '../ports/model.ts';
import type { Runtime } from '../ports/runtime.ts';
import { createStopwatch } from './stopwatch.ts';

/** Texts sent to the embedder in one call; it makes batches of its own below that. */
const embedAtOnce = 512;

export type EmbedChunks = (
  tenant: Tenant,
  chunks: readonly EmbeddedChunk[],
  signal: AbortSignal,
  sourceId?: string,
) => Promise<readonly EmbeddedChunk[]>;

/**
 * Vectors for passages; without an embedder they come back as they are. Each call that a provider charges for is one
 * line of the ledger, also when a crash makes it happen twice. Throws `model-failed` and what the embedder throws.
 */
export const createEmbedChunks = (parts: {
  readonly embedder: Embedder | null;
  readonly metering: Metering;
  readonly runtime: Runtime;
}): EmbedChunks => {
  const { embedder, metering, runtime } = parts;
  const timed = createStopwatch(runtime.metrics);
  return async (tenant, chunks, signal, sourceId) => {
    if (embedder === null) return chunks;
    const embedded: EmbeddedChunk[] = [];
    for (let at = 0; at < chunks.length; at += embedAtOnce) {
      const part = chunks.slice(at, at + embedAtOnce);
      const texts = part.map(embeddedText);
      const result = await timed('embed', () => embedder.embed(texts, 'document', { signal, tenantId: tenant.id }));
      if (result.vectors.length !== part.length)
        throw new AppError(
          'model-failed',
          'The embedding model gave back another number of vectors than it was asked for.',
        );
      await metering.record(tenant.id, [
        {
          id: `embedding:${runtime.random.hex(12)}`,
          kind: 'embedding',
          model: result.model,
          promptTokens: 0,
          completionTokens: 0,
          embeddingTokens: result.tokens,
          tenant,
          platform: 'api',
          ...(sourceId === undefined ? {} : { sourceId }),
        },
      ]);
      for (const [offset, chunk] of part.entries()) {
        const vector = result.vectors[offset];
        embedded.push(vector === undefined ? chunk : { ...chunk, vector });
      }
    }
    return embedded;
  };
};

/** A passage is understood by where it stands, so title and headings are embedded with it. */
const embeddedText = (chunk: EmbeddedChunk): string => {
  const place = [chunk.title, ...chunk.headingPath].filter((part, at, all) => part !== '' && part !== all[at - 1]);
  return `${place.join(' > ')}\n\n${chunk.text}`;
};
