import { constants } from 'node:fs';
import { access, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Chunk, EmbeddedChunk, TenantId } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import type { ChunkStore, DocumentChunks, IndexRef } from '../../../ports/chunks.ts';
import type { Log } from '../../../ports/runtime.ts';
import { chunksFolder, generationOf, indexFile, tenantFolder } from './files.ts';
import { createWorkerClient } from './worker-client.ts';
import type { IncomingDocument } from './write.ts';

export type SqliteChunksOptions = {
  readonly dataDir: string;
  readonly log: Log;
  /** Index files that each of the three threads keeps open (default 256). */
  readonly maxOpenFiles?: number;
  /** Memory for quantised vectors (default 512 MiB, about 330,000 chunks of 1,536 dimensions). */
  readonly maxVectorBytes?: number;
};

/** Chunks a message to the writer: copying more would hold the event loop. */
const chunksPerMessage = 256;
const writeTimeoutMs = 10 * 60_000;

/**
 * The embedded chunk store: one SQLite file per tenant and generation under `dataDir`/chunks. Three threads, started
 * when first needed: one writes, one searches text, one searches vectors, so that the halves of a hybrid search run side
 * by side. Several processes of one machine may share `dataDir`.
 */
export const openSqliteChunks = async (options: SqliteChunksOptions): Promise<ChunkStore> => {
  const { dataDir, log, maxOpenFiles = 256, maxVectorBytes = 512 * 1024 * 1024 } = options;
  await mkdir(chunksFolder(dataDir), { recursive: true });
  const settings = { dataDir, maxOpenFiles, maxVectorBytes };
  const writer = createWorkerClient('writer', settings, log);
  const text = createWorkerClient('text', settings, log);
  const vectors = createWorkerClient('vectors', settings, log);
  const all = [writer, text, vectors];
  let nextJob = 1;

  const forget = async (tenantId: TenantId, generation?: number): Promise<void> => {
    await Promise.all(
      all.filter((client) => client.started).map((client) => client.call('forget', { tenantId, generation })),
    );
  };

  const generations = async (tenantId: TenantId): Promise<number[]> => {
    const names = await readdir(tenantFolder(dataDir, tenantId)).catch(absent<string[]>([]));
    return names
      .map(generationOf)
      .filter((generation) => generation !== undefined)
      .sort((a, b) => a - b);
  };

  return {
    name: 'sqlite',
    generations,
    ensureIndex: async (ref, profile) => {
      await writer.call('ensure', { ref, profile }, { abandonable: false });
    },
    dropTenant: async (tenantId) => {
      const folder = tenantFolder(dataDir, tenantId);
      await forget(tenantId);
      await rm(folder, { recursive: true, force: true });
    },
    dropGeneration: async (ref) => {
      const file = indexFile(dataDir, ref);
      await forget(ref.tenantId, ref.generation);
      for (const end of ['', '-wal', '-shm']) await rm(file + end, { force: true });
    },
    replaceDocuments: async (ref, documents, signal) => {
      const job = nextJob++;
      try {
        let last: Parcel = { documents: [], buffers: [] };
        for (const parcel of parcelsOf(documents)) {
          if (last.documents.length > 0) {
            await writer.call(
              'stage',
              { job, documents: last.documents },
              { signal, transfer: last.buffers, abandonable: false },
            );
          }
          last = parcel;
        }
        await writer.call(
          'replace',
          { ref, job, documents: last.documents },
          { signal, transfer: last.buffers, abandonable: false, timeoutMs: writeTimeoutMs },
        );
      } catch (error) {
        await writer.call('unstage', { job }).catch(() => {});
        throw error;
      }
    },
    removeDocuments: async (ref, documentIds, signal) => {
      await writer.call('remove', { ref, documentIds }, { signal, abandonable: false, timeoutMs: writeTimeoutMs });
    },
    searchText: (ref, query, { limit, sourceIds, signal }) =>
      text.call('text', { ref, query, limit, sourceIds }, { signal }),
    searchVector: (ref, vector, { limit, sourceIds, signal }) =>
      vectors.call('vector', { ref, vector: vector.slice(), limit, sourceIds }, { signal }),
    documentChunks: (ref, documentId, signal) => text.call('document', { ref, documentId }, { signal }),
    presentDocuments: (ref, documentIds, signal) => text.call('present', { ref, documentIds }, { signal }),
    profileOf: (ref, signal) => text.call('profile', { ref }, { signal }),
    stats: (ref) => text.call('stats', { ref }),
    backup: async (folder, signal) => {
      // A thread of its own: a copy takes seconds per gigabyte, and searches should not wait for it.
      const copier = createWorkerClient('backup', settings, log);
      try {
        for (const ref of await everyIndex(dataDir, generations)) {
          await copier.call('copy', { ref, target: indexFile(folder, ref) }, { signal, timeoutMs: writeTimeoutMs });
        }
      } finally {
        await copier.close();
      }
    },
    check: async (signal) => {
      await access(chunksFolder(dataDir), constants.R_OK | constants.W_OK).catch((cause: unknown) => {
        throw new AppError(
          'store-unavailable',
          'The folder of the search indexes cannot be read and written. Check DATA_DIR.',
          { cause },
        );
      });
      await Promise.all([
        text.call('ping', {}, { signal, timeoutMs: 5_000 }),
        writer.call('ping', {}, { signal, timeoutMs: 30_000 }),
      ]);
    },
    close: async () => {
      await Promise.all(all.map((client) => client.close()));
    },
  };
};

const absent =
  <T>(value: T) =>
  (error: unknown): T => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return value;
    throw error;
  };

const everyIndex = async (
  dataDir: string,
  generations: (tenantId: TenantId) => Promise<number[]>,
): Promise<IndexRef[]> => {
  const refs: IndexRef[] = [];
  for (const tenantId of await readdir(chunksFolder(dataDir))) {
    if (!(await stat(join(chunksFolder(dataDir), tenantId))).isDirectory()) continue;
    for (const generation of await generations(tenantId)) refs.push({ tenantId, generation });
  }
  return refs;
};

type Parcel = { readonly documents: IncomingDocument[]; readonly buffers: ArrayBuffer[] };

/** Cuts documents into messages. Vectors are copied: what the caller holds stays his, and a view never drags its whole buffer along. */
function* parcelsOf(documents: readonly DocumentChunks[]): Generator<Parcel> {
  let parcel: Parcel = { documents: [], buffers: [] };
  let room = chunksPerMessage;
  // A document given twice counts with its last version.
  for (const { documentId, chunks } of new Map(documents.map((document) => [document.documentId, document])).values()) {
    for (let from = 0; from === 0 || from < chunks.length; ) {
      const part = chunks.slice(from, from + room);
      parcel.documents.push(packed(documentId, part, parcel.buffers));
      from += Math.max(1, part.length);
      room -= Math.max(1, part.length);
      if (room > 0) continue;
      yield parcel;
      parcel = { documents: [], buffers: [] };
      room = chunksPerMessage;
    }
  }
  if (parcel.documents.length > 0) yield parcel;
}

const packed = (documentId: string, part: readonly EmbeddedChunk[], buffers: ArrayBuffer[]): IncomingDocument => ({
  documentId,
  chunks: part.map(withoutVector),
  vectors: part.map(({ vector }) => {
    if (!vector) return undefined;
    const copy = new Float32Array(vector);
    buffers.push(copy.buffer);
    return copy;
  }),
});

const withoutVector = (embedded: EmbeddedChunk): Chunk => {
  if (embedded.vector === undefined) return embedded;
  const { vector: _, ...chunk } = embedded;
  return chunk;
};
