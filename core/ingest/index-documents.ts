import type { Tenant } from '../domain.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import type { EmbedChunks } from './embed-chunks.ts';
import type { Generations } from './generations.ts';
import type { ParsePool } from './parse-pool.ts';
import { createLookUp, type Incoming, type LookUp, type Prepared } from './prepare-documents.ts';
import { createDocumentWriter, type DocumentWriter } from './write-documents.ts';

/** A document from its bytes to where it is found: looked up, prepared, written. */
export type Indexer = DocumentWriter & {
  /** Documents to have under way at once, read or written: enough to keep the parse workers busy. */
  readonly lanes: number;
  readonly look: LookUp;
  /** Looks and prepares all. */
  prepare(
    tenant: Tenant,
    sourceId: string,
    incoming: readonly Incoming[],
    signal: AbortSignal,
  ): Promise<readonly Prepared[]>;
};

type Parts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly generations: Generations;
  readonly embed: EmbedChunks;
  readonly pool: ParsePool;
  readonly runtime: Runtime;
  /** The live index is not what this process would fill: it should be built again. */
  onMisfit(tenant: Tenant): void;
};

/**
 * Beyond the parse workers: documents that are being read, or that wait to be written. With one, a worker whose document
 * was ready waited for the writing of the others before it got its next.
 */
const lanesBeside = 4;

export const createIndexer = (parts: Parts): Indexer => {
  const look = createLookUp(parts);
  return {
    ...createDocumentWriter(parts),
    lanes: parts.pool.size + lanesBeside,
    look,
    prepare: async (tenant, sourceId, incoming, signal) =>
      mapBounded(await look(tenant, sourceId, incoming, signal), parts.pool.size * 2, (prepare) => prepare()),
  };
};

/** Results in the order of the items, at most `width` under way. The first failure ends it. */
const mapBounded = async <T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> => {
  const results: R[] = new Array(items.length);
  let nextAt = 0;
  const lane = async (): Promise<void> => {
    for (let at = nextAt++; at < items.length; at = nextAt++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
};
