import { createHash } from 'node:crypto';
import type { Document, EmbeddedChunk, Tenant } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import { documentIdOf, hashOf } from '../ids.ts';
import type { Metering } from '../metering/metering.ts';
import type { ChunkStore, IndexRef } from '../ports/chunks.ts';
import type { Embedder } from '../ports/model.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore, StoredDocument } from '../ports/state.ts';
import { analyserVersion } from '../text/analyse.ts';
import { chunkerVersion } from './chunk.ts';
import { parserVersion } from './parse/parse.ts';
import type { ParsePool } from './parse-pool.ts';

/** A document on its way in, from a push, an upload or a sync. */
export type Incoming = {
  readonly externalId: string;
  readonly title?: string;
  readonly url?: string;
  readonly mediaType?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly version?: string;
  /** The sync run that brought it. */
  readonly seenIn?: string;
  read(signal: AbortSignal): Promise<string | Uint8Array>;
};

/** What is to be written for one document. Nothing has been written yet. */
export type Prepared =
  | { readonly outcome: 'unchanged'; readonly row: StoredDocument; readonly write: boolean }
  | { readonly outcome: 'created' | 'updated'; readonly row: StoredDocument; readonly chunks: readonly EmbeddedChunk[] }
  | { readonly outcome: 'failed'; readonly row: StoredDocument; readonly problem: string };

export type Indexer = {
  /**
   * Reads, compares, parses and cuts; a problem of the document is a value. What is stored is read for all at once.
   * Throws only what is not the document's fault: `cancelled`, `store-unavailable`, `internal`.
   */
  prepare(
    tenant: Tenant,
    sourceId: string,
    incoming: readonly Incoming[],
    signal: AbortSignal,
  ): Promise<readonly Prepared[]>;
  /** Embeds and writes; searchable when it resolves. */
  commit(tenant: Tenant, sourceId: string, prepared: readonly Prepared[], signal: AbortSignal): Promise<void>;
  /** Out of the index first, then out of the list. Returns how many there were. */
  remove(tenant: Tenant, documentIds: readonly string[]): Promise<number>;
};

type Parts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly embedder: Embedder | null;
  readonly metering: Metering;
  readonly pool: ParsePool;
  readonly runtime: Runtime;
};

/** Texts sent to the embedder in one call; it makes batches of its own below that. */
const embedAtOnce = 512;
/** Once the index is being changed, the rest is finished even when the caller goes away; this bounds it. */
const finishWithinMs = 60_000;

export const createIndexer = ({ state, chunks: index, embedder, metering, pool, runtime }: Parts): Indexer => {
  const made = [parserVersion, chunkerVersion, analyserVersion, embedder?.name ?? 'no-embedding'].join('/');

  /** The given title and address stand in every chunk, so another title is another fingerprint. */
  const fingerprintOf = (incoming: Incoming): string =>
    `${made}/${hashOf(incoming.title ?? '', incoming.url ?? '', incoming.mediaType ?? '').slice(0, 12)}`;

  const prepareOne = async (
    tenant: Tenant,
    sourceId: string,
    incoming: Incoming,
    stored: StoredDocument | undefined,
    isIndexed: (documentId: string) => boolean,
    signal: AbortSignal,
  ): Promise<Prepared> => {
    const documentId = documentIdOf(sourceId, incoming.externalId);
    const fingerprint = fingerprintOf(incoming);
    const intact = stored !== undefined && stored.fingerprint === fingerprint && isIndexed(documentId);
    if (
      intact &&
      stored.problem === undefined &&
      incoming.version !== undefined &&
      incoming.version === stored.version
    ) {
      return { outcome: 'unchanged', row: stored, write: false };
    }
    let content: string | Uint8Array = '';
    let contentHash = '';
    try {
      content = await timed('read', () => incoming.read(signal));
      contentHash = createHash('sha256').update(content).digest('hex');
      if (intact && stored.contentHash === contentHash) {
        const row = refreshed(stored, incoming);
        return { outcome: 'unchanged', row, write: JSON.stringify(row) !== JSON.stringify(stored) };
      }
      const parsed = await timed('parse', () =>
        pool.parse(
          {
            documentId,
            sourceId,
            externalId: incoming.externalId,
            content,
            ...(incoming.title === undefined ? {} : { title: incoming.title }),
            ...(incoming.mediaType === undefined ? {} : { mediaType: incoming.mediaType }),
            ...(incoming.url === undefined ? {} : { url: incoming.url }),
          },
          signal,
        ),
      );
      const row = rowOf(tenant, sourceId, incoming, {
        title: parsed.title,
        mediaType: parsed.mediaType,
        contentHash,
        fingerprint,
        bytes: byteLength(content),
        chunkCount: parsed.chunks.length,
      });
      return { outcome: stored === undefined ? 'created' : 'updated', row, chunks: parsed.chunks };
    } catch (error) {
      const problem = problemOf(error, signal);
      return {
        outcome: 'failed',
        problem,
        row: failedRow(tenant, sourceId, incoming, stored, problem, contentHash, byteLength(content)),
      };
    }
  };

  const rowOf = (
    tenant: Tenant,
    sourceId: string,
    incoming: Incoming,
    known: Pick<Document, 'title' | 'mediaType' | 'contentHash' | 'fingerprint' | 'bytes' | 'chunkCount'>,
  ): StoredDocument => ({
    id: documentIdOf(sourceId, incoming.externalId),
    tenantId: tenant.id,
    sourceId,
    externalId: incoming.externalId,
    ...known,
    updatedAt: runtime.clock.now(),
    ...(incoming.url === undefined ? {} : { url: incoming.url }),
    ...(incoming.metadata === undefined ? {} : { metadata: incoming.metadata }),
    ...(incoming.version === undefined ? {} : { version: incoming.version }),
    ...(incoming.seenIn === undefined ? {} : { seenIn: incoming.seenIn }),
  });

  /** The last good version stays as it is, searchable; without version and fingerprint the next run tries again. */
  const failedRow = (
    tenant: Tenant,
    sourceId: string,
    incoming: Incoming,
    stored: StoredDocument | undefined,
    problem: string,
    contentHash: string,
    bytes: number,
  ): StoredDocument => {
    if (stored !== undefined) {
      const { version: _version, ...last } = stored;
      return { ...last, problem, ...(incoming.seenIn === undefined ? {} : { seenIn: incoming.seenIn }) };
    }
    const { version: _version, ...row } = rowOf(tenant, sourceId, incoming, {
      title: incoming.title ?? incoming.externalId,
      mediaType: incoming.mediaType ?? 'application/octet-stream',
      contentHash,
      fingerprint: '',
      bytes,
      chunkCount: 0,
    });
    return { ...row, problem };
  };

  const timed = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await work();
    } finally {
      runtime.metrics.observe('ingest_seconds', (performance.now() - started) / 1_000, { step });
    }
  };

  const refOf = (tenant: Tenant): IndexRef => ({ tenantId: tenant.id, generation: tenant.activeGeneration });

  /** Each call that a provider charges for is one line of the ledger, also when a crash makes it happen twice. */
  const embed = async (
    tenant: Tenant,
    sourceId: string,
    chunks: readonly EmbeddedChunk[],
    signal: AbortSignal,
  ): Promise<readonly EmbeddedChunk[]> => {
    if (embedder === null) return chunks;
    const embedded: EmbeddedChunk[] = [];
    for (let at = 0; at < chunks.length; at += embedAtOnce) {
      const part = chunks.slice(at, at + embedAtOnce);
      const result = await timed('embed', () =>
        embedder.embed(part.map(embeddedText), 'document', { signal, tenantId: tenant.id }),
      );
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
          sourceId,
        },
      ]);
      for (const [offset, chunk] of part.entries()) {
        const vector = result.vectors[offset];
        embedded.push(vector === undefined ? chunk : { ...chunk, vector });
      }
    }
    return embedded;
  };

  const replace = async (
    tenant: Tenant,
    documentIds: readonly string[],
    chunks: readonly EmbeddedChunk[],
  ): Promise<void> => {
    const ref = refOf(tenant);
    const signal = AbortSignal.timeout(finishWithinMs);
    // Without a chunk nobody knows the vectors' dimensions, which an index is made for; and there is nothing to add.
    if (chunks.length === 0) return index.removeDocuments(ref, documentIds, signal);
    const byDocument = new Map<string, EmbeddedChunk[]>(documentIds.map((id) => [id, []]));
    for (const chunk of chunks) byDocument.get(chunk.documentId)?.push(chunk);
    await index.ensureIndex(ref, {
      analyser: analyserVersion,
      embeddingModel: embedder?.name ?? null,
      dimensions: chunks[0]?.vector?.length ?? null,
    });
    await index.replaceDocuments(
      ref,
      [...byDocument].map(([documentId, own]) => ({ documentId, chunks: own })),
      signal,
    );
  };

  const remove = async (tenant: Tenant, documentIds: readonly string[]): Promise<number> => {
    if (documentIds.length === 0) return 0;
    await index.removeDocuments(refOf(tenant), documentIds, AbortSignal.timeout(finishWithinMs));
    await state.tenants.bumpContentRevision(tenant.id);
    const removed = await state.documents.remove(tenant.id, documentIds);
    runtime.metrics.count('documents_total', { outcome: 'removed' }, removed);
    return removed;
  };

  return {
    async prepare(tenant, sourceId, incoming, signal) {
      const ids = incoming.map((one) => documentIdOf(sourceId, one.externalId));
      const stored = new Map((await state.documents.getMany(tenant.id, ids)).map((row) => [row.id, row]));
      // An index may have lost documents (restored from an older copy, deleted by hand): what it lacks is made again.
      const expected = [...stored.values()].filter((row) => row.chunkCount > 0).map((row) => row.id);
      const present = new Set(
        expected.length === 0 ? [] : await index.presentDocuments(refOf(tenant), expected, signal).catch(absent),
      );
      const isIndexed = (id: string): boolean => (stored.get(id)?.chunkCount ?? 0) === 0 || present.has(id);
      return mapBounded(incoming, pool.size * 2, (one) =>
        prepareOne(tenant, sourceId, one, stored.get(documentIdOf(sourceId, one.externalId)), isIndexed, signal),
      );
    },

    async commit(tenant, sourceId, prepared, signal) {
      const changed = prepared.filter((one) => 'chunks' in one);
      const embedded = await embed(
        tenant,
        sourceId,
        changed.flatMap((one) => one.chunks),
        signal,
      );
      signal.throwIfAborted();
      if (changed.length > 0) {
        await timed('index', () =>
          replace(
            tenant,
            changed.map((one) => one.row.id),
            embedded,
          ),
        );
        // Before the rows: a crash from here on leaves rows that are not up to date, so everything, also this, is
        // done again. After them, answers of the old documents could be given from the cache for ever.
        await state.tenants.bumpContentRevision(tenant.id);
      }
      const rows = prepared.filter((one) => one.outcome !== 'unchanged' || one.write).map((one) => one.row);
      if (rows.length > 0) await timed('rows', () => state.documents.putMany(tenant.id, rows));
      for (const one of prepared) {
        const outcome = one.outcome === 'created' || one.outcome === 'updated' ? 'upserted' : one.outcome;
        runtime.metrics.count('documents_total', { outcome });
      }
    },

    remove,
  };
};

/** An index that does not exist yet holds nothing. */
const absent = (error: unknown): readonly string[] => {
  const problem = toAppError(error);
  if (problem.code === 'not-found') return [];
  throw problem;
};

const refreshed = (stored: StoredDocument, incoming: Incoming): StoredDocument => {
  const { problem: _problem, metadata: _metadata, version: _version, ...rest } = stored;
  return {
    ...rest,
    ...(incoming.metadata === undefined ? {} : { metadata: incoming.metadata }),
    ...(incoming.version === undefined ? {} : { version: incoming.version }),
    ...(incoming.seenIn === undefined ? {} : { seenIn: incoming.seenIn }),
  };
};

/** A passage is understood by where it stands, so title and headings are embedded with it. */
const embeddedText = (chunk: EmbeddedChunk): string => {
  const place = [chunk.title, ...chunk.headingPath].filter((part, at, all) => part !== '' && part !== all[at - 1]);
  return `${place.join(' > ')}\n\n${chunk.text}`;
};

const byteLength = (content: string | Uint8Array): number =>
  typeof content === 'string' ? Buffer.byteLength(content) : content.length;

/** The document's own problems as sentences; everything else is thrown on. */
const problemOf = (error: unknown, signal: AbortSignal): string => {
  if (signal.aborted) throw new AppError('cancelled', 'The work was stopped before it was finished.', { cause: error });
  const problem = toAppError(error);
  if (problem.code === 'unreadable-document' || problem.code === 'too-large' || problem.code === 'address-not-allowed')
    return problem.message;
  if (problem.code === 'cancelled' || problem.code === 'store-unavailable' || error instanceof AppError) throw problem;
  // A file system's or a library's own error: one document's, and its words may hold paths or text.
  return 'The document could not be read.';
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
