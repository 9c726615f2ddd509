import { describe, it } from 'vitest';
import type { Chunk, EmbeddedChunk } from '../../../../../core/domain.ts';
import {
  openWeaviateChunks,
  type WeaviateChunks,
  type WeaviateChunksOptions,
} from '../../../../../core/drivers/chunks/weaviate/chunks.ts';
import { systemClock } from '../../../../../core/observe/system.ts';
import { createTestRuntime } from '../../../../fakes/clock.ts';

const { WEAVIATE_URL, WEAVIATE_GRPC_URL, WEAVIATE_API_KEY } = process.env;

/**
 * A server that tests may fill and empty: WEAVIATE_URL, WEAVIATE_GRPC_URL when it is not port 50051 of the same host, and
 * WEAVIATE_API_KEY when it does not let everybody in.
 */
export const realServer =
  WEAVIATE_URL === undefined
    ? undefined
    : {
        url: WEAVIATE_URL,
        grpcUrl: WEAVIATE_GRPC_URL ?? `http://${new URL(WEAVIATE_URL).hostname}:50051`,
        apiKey: WEAVIATE_API_KEY,
      };

/** A request of the test itself, past the driver; JSON comes back parsed. */
export const askReal = async (method: string, path: string, body?: unknown): Promise<unknown> => {
  const response = await fetch(`${WEAVIATE_URL}/v1${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(WEAVIATE_API_KEY === undefined ? {} : { authorization: `Bearer ${WEAVIATE_API_KEY}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return text === '' ? undefined : JSON.parse(text);
};

/** Runs the suite where there is a server, and says so where there is none. */
export const againstRealServer = (title: string, suite: (server: NonNullable<typeof realServer>) => void): void => {
  if (realServer !== undefined) describe(title, () => suite(realServer));
  else
    describe(title, () => {
      it('was not run: WEAVIATE_URL names no server', (context) => {
        console.warn(`NOT RUN: ${title}. Set WEAVIATE_URL to a Weaviate server that tests may fill and empty.`);
        context.skip('WEAVIATE_URL is not set');
      });
    });
};

export const openReal = (
  server: { readonly url: string; readonly grpcUrl: string },
  options: Partial<WeaviateChunksOptions> = {},
): Promise<WeaviateChunks> =>
  openWeaviateChunks({
    ...server,
    deploymentId: 'tests',
    tenancy: 'collection',
    replicas: 1,
    maxTenants: 100,
    clock: systemClock,
    log: createTestRuntime().log,
    ...options,
  });

export const chunkOf = (
  documentId: string,
  ordinal: number,
  text: string,
  more: Partial<EmbeddedChunk> = {},
): EmbeddedChunk => ({
  ...({
    id: `c_${documentId}_${String(ordinal).padStart(5, '0')}`,
    documentId,
    sourceId: 's_1',
    externalId: `${documentId}.md`,
    ordinal,
    title: '',
    headingPath: [],
    text,
    start: 0,
    end: text.length,
    tokens: 3,
  } satisfies Chunk),
  ...more,
});
