import { createHash } from 'node:crypto';
import type { Chunk, Document, EmbeddedChunk, Tenant } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import { documentIdOf, hashOf } from '../ids.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { DocumentContents, StateStore, StoredDocument } from '../ports/state.ts';
import { stampOf } from './contents.ts';
import type { EmbedChunks } from './embed-chunks.ts';
import { fillIndex } from './fill-index.ts';
import type { Generations, LiveIndex } from './generations.ts';
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
  | {
      readonly outcome: 'created' | 'updated';
      readonly row: StoredDocument;
      readonly chunks: readonly Chunk[];
      readonly contents: Uint8Array;
    }
  | { readonly outcome: 'failed'; readonly row: StoredDocument; readonly problem: string };

export type Indexer = {
  /** Documents to have under way at once, read or written: enough to keep the parse workers busy. */
  readonly lanes: number;
  /**
   * What is stored of these, read for all at once. Each answer reads, compares, parses and cuts its document; a problem
   * of the document is a value. They throw only what is not its fault: `cancelled`, `store-unavailable`, `internal`.
   */
  look(
    tenant: Tenant,
    sourceId: string,
    incoming: readonly Incoming[],
    signal: AbortSignal,
  ): Promise<readonly (() => Promise<Prepared>)[]>;
  /** Looks and prepares all. */
  prepare(
    tenant: Tenant,
    sourceId: string,
    incoming: readonly Incoming[],
    signal: AbortSignal,
  ): Promise<readonly Prepared[]>;
  /**
   * Embeds and writes; searchable when it resolves. With an embedder one document after the other: a crash makes no more
   * than one be paid for twice.
   */
  commit(tenant: Tenant, sourceId: string, prepared: readonly Prepared[], signal: AbortSignal): Promise<void>;
  /** Out of the index first, then out of the list. Returns how many there were. */
  remove(tenant: Tenant, documentIds: readonly string[]): Promise<number>;
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

/** Once the index is being changed, the rest is finished even when the caller goes away; this bounds it. */
const finishWithinMs = 60_000;

export const createIndexer = (parts: Parts): Indexer => {
  const { state, chunks: index, generations, embed, pool, runtime } = parts;

  /** The given title and address stand in every chunk, so another title is another fingerprint. */
  const fingerprintOf = (incoming: Incoming): string =>
    `${parserVersion}/${hashOf(incoming.title ?? '', incoming.url ?? '', incoming.mediaType ?? '').slice(0, 12)}`;

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
      return {
        outcome: stored === undefined ? 'created' : 'updated',
        row,
        chunks: parsed.chunks,
        contents: parsed.contents,
      };
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

  /** Into the live index, and into the one after it when the pointer moved meanwhile. */
  const commitGroup = async (
    tenant: Tenant,
    sourceId: string,
    prepared: readonly Prepared[],
    live: LiveIndex,
    signal: AbortSignal,
  ): Promise<LiveIndex> => {
    const changed = prepared.filter((one) => 'chunks' in one);
    const rows = prepared.filter((one) => one.outcome !== 'unchanged' || one.write).map((one) => one.row);
    const plain = changed.flatMap((one) => one.chunks);
    let embedded: readonly EmbeddedChunk[] | undefined;
    const fill = async (target: LiveIndex, ids: readonly string[]): Promise<void> => {
      // Once the rows stand, the rest is finished even when the caller goes away.
      const isFirst = target === live;
      if (target.takesVectors) embedded ??= await embed(tenant, plain, isFirst ? signal : finishSignal(), sourceId);
      if (isFirst) signal.throwIfAborted();
      const wanted = new Set(ids);
      const chunks = (target.takesVectors && embedded !== undefined ? embedded : plain).filter((chunk) =>
        wanted.has(chunk.documentId),
      );
      await timed('index', () => fillIndex({ index, generations }, target, ids, chunks, finishSignal()));
      if (!target.fits) parts.onMisfit(tenant);
    };
    const all = changed.map((one) => one.row.id);
    if (changed.length > 0) {
      await fill(live, all);
      const contents = changed.map(
        ({ row, contents: data }): DocumentContents => ({ documentId: row.id, stamp: stampOf(row), data }),
      );
      // Both before the rows: a crash from here on leaves rows that are not up to date, so everything, also this, is
      // done again. With the revision after them, answers of the old documents could be given from the cache for ever.
      await timed('contents', () =>
        Promise.all([state.tenants.bumpContentRevision(tenant.id), state.documents.putContents(tenant.id, contents)]),
      );
    }
    if (rows.length > 0) await timed('rows', () => state.documents.putMany(tenant.id, rows));
    if (changed.length === 0) return live;
    let written = live;
    for (;;) {
      const now = await generations.settled(tenant.id, written);
      if (!now.moved) return now;
      // What somebody else has written since is newer than ours.
      const stamps = new Map((await state.documents.getMany(tenant.id, all)).map((row) => [row.id, stampOf(row)]));
      const ours = changed.filter((one) => stamps.get(one.row.id) === stampOf(one.row)).map((one) => one.row.id);
      if (ours.length > 0) {
        await fill(now, ours);
        await state.tenants.bumpContentRevision(tenant.id);
      }
      written = now;
    }
  };

  const remove = async (tenant: Tenant, documentIds: readonly string[]): Promise<number> => {
    if (documentIds.length === 0) return 0;
    let written = await generations.live(tenant.id);
    await index.removeDocuments(written.ref, documentIds, finishSignal());
    await state.tenants.bumpContentRevision(tenant.id);
    const removed = await state.documents.remove(tenant.id, documentIds);
    for (;;) {
      const now = await generations.settled(tenant.id, written);
      if (!now.moved) break;
      const back = new Set((await state.documents.getMany(tenant.id, documentIds)).map((row) => row.id));
      const gone = documentIds.filter((id) => !back.has(id));
      if (gone.length > 0) {
        await index.removeDocuments(now.ref, gone, finishSignal());
        await state.tenants.bumpContentRevision(tenant.id);
      }
      written = now;
    }
    runtime.metrics.count('documents_total', { outcome: 'removed' }, removed);
    return removed;
  };

  const look: Indexer['look'] = async (tenant, sourceId, incoming, signal) => {
    const ids = incoming.map((one) => documentIdOf(sourceId, one.externalId));
    const stored = new Map((await state.documents.getMany(tenant.id, ids)).map((row) => [row.id, row]));
    // An index may have lost documents (restored from an older copy, deleted by hand): what it lacks is made again.
    const expected = [...stored.values()].filter((row) => row.chunkCount > 0).map((row) => row.id);
    const present = new Set(
      expected.length === 0
        ? []
        : await index.presentDocuments((await generations.live(tenant.id)).ref, expected, signal).catch(absent),
    );
    const isIndexed = (id: string): boolean => (stored.get(id)?.chunkCount ?? 0) === 0 || present.has(id);
    return incoming.map(
      (one, at) => () => prepareOne(tenant, sourceId, one, stored.get(ids[at] ?? ''), isIndexed, signal),
    );
  };

  return {
    lanes: pool.size + 1,
    look,
    prepare: async (tenant, sourceId, incoming, signal) =>
      mapBounded(await look(tenant, sourceId, incoming, signal), pool.size * 2, (prepare) => prepare()),

    async commit(tenant, sourceId, prepared, signal) {
      let live = await generations.live(tenant.id);
      for (const group of groupsOf(prepared, live.takesVectors))
        live = await commitGroup(tenant, sourceId, group, live, signal);
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

const finishSignal = (): AbortSignal => AbortSignal.timeout(finishWithinMs);

/** What is paid for is written before the next is paid for; all else goes in one. */
const groupsOf = (prepared: readonly Prepared[], isPaidFor: boolean): readonly (readonly Prepared[])[] => {
  if (!isPaidFor) return [prepared];
  const free = prepared.filter((one) => !('chunks' in one));
  return [...(free.length > 0 ? [free] : []), ...prepared.filter((one) => 'chunks' in one).map((one) => [one])];
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
