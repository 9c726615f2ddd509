import { hash } from 'node:crypto';
import type { Chunk, Document, Tenant } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import { documentIdOf, hashOf } from '../ids.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore, StoredDocument } from '../ports/state.ts';
import type { Generations } from './generations.ts';
import { parserVersion } from './parse/parse.ts';
import type { ParsePool } from './parse-pool.ts';
import { createStopwatch } from './stopwatch.ts';

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

/** What is to be written for one document, over the row that was read of it. Nothing has been written yet. */
export type Prepared = {
  readonly row: StoredDocument;
  /** Its `rev`; null where there was no row, or one without. */
  readonly over: string | null;
} & (
  | { readonly outcome: 'unchanged'; readonly write: boolean }
  | { readonly outcome: 'created' | 'updated'; readonly chunks: readonly Chunk[]; readonly contents: Uint8Array }
  | { readonly outcome: 'failed'; readonly problem: string }
);

/**
 * What is stored of these, read for all at once. Each answer reads, compares, parses and cuts its document; a problem
 * of the document is a value. They throw only what is not its fault: `cancelled`, `store-unavailable`, `internal`.
 */
export type LookUp = (
  tenant: Tenant,
  sourceId: string,
  incoming: readonly Incoming[],
  signal: AbortSignal,
) => Promise<readonly (() => Promise<Prepared>)[]>;

type Parts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly generations: Generations;
  readonly pool: ParsePool;
  readonly runtime: Runtime;
};

/** The reading half of a document's way: nothing is written here. */
export const createLookUp = (parts: Parts): LookUp => {
  const { state, chunks: index, generations, pool, runtime } = parts;
  const timed = createStopwatch(runtime.metrics);

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
    const over = stored?.rev ?? null;
    const intact = stored !== undefined && stored.fingerprint === fingerprint && isIndexed(documentId);
    if (
      intact &&
      stored.problem === undefined &&
      incoming.version !== undefined &&
      incoming.version === stored.version
    ) {
      return { outcome: 'unchanged', row: stored, over, write: false };
    }
    let content: string | Uint8Array = '';
    let contentHash = '';
    try {
      content = await timed('read', () => incoming.read(signal));
      contentHash = hash('sha256', content, 'hex');
      if (intact && stored.contentHash === contentHash) {
        const row = refreshed(stored, incoming);
        return { outcome: 'unchanged', row, over, write: JSON.stringify(row) !== JSON.stringify(stored) };
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
        over,
        chunks: parsed.chunks,
        contents: parsed.contents,
      };
    } catch (error) {
      const problem = problemOf(error, signal);
      return {
        outcome: 'failed',
        problem,
        over,
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

  return async (tenant, sourceId, incoming, signal) => {
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
