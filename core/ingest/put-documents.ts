import type { BatchResult, DocumentInput, PutResult } from '../core.ts';
import type { Document, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import { documentIdOf } from '../ids.ts';
import type { SourceDriver } from '../ports/source.ts';
import type { StateStore, StoredDocument } from '../ports/state.ts';
import type { Indexer } from './index-documents.ts';
import type { Incoming } from './prepare-documents.ts';

type Parts = {
  readonly state: StateStore;
  readonly indexer: Indexer;
  readonly drivers: ReadonlyMap<string, SourceDriver>;
};

export type DocumentDoor = {
  put(tenant: Tenant, sourceId: string, document: DocumentInput, signal: AbortSignal): Promise<PutResult>;
  putBatch(
    tenant: Tenant,
    sourceId: string,
    documents: readonly DocumentInput[],
    signal: AbortSignal,
  ): Promise<BatchResult>;
  remove(tenant: Tenant, sourceId: string, externalId: string, signal: AbortSignal): Promise<boolean>;
};

/** Written in one go; the rest of a long batch is read meanwhile by nobody, so memory stays bounded. */
const documentsAtOnce = 64;

/** Documents that come from outside, one at a time or by the thousand. */
export const createDocumentDoor = ({ state, indexer, drivers }: Parts): DocumentDoor => {
  const locked = createLocks();

  const checkSource = async (tenant: Tenant, sourceId: string): Promise<void> => {
    const source = await state.sources.get(tenant.id, sourceId);
    if (source === null) throw new AppError('not-found', 'There is no such source.');
    if (drivers.get(source.kind)?.open !== undefined) {
      throw new AppError(
        'invalid',
        'This source is filled by syncing it. Put documents into a source of kind push or upload.',
        { at: 'source' },
      );
    }
  };

  const write = (tenant: Tenant, sourceId: string, documents: readonly DocumentInput[], signal: AbortSignal) => {
    const ids = documents.map((document) => documentIdOf(sourceId, document.externalId));
    return locked(ids, async () => {
      signal.throwIfAborted();
      const prepared = await indexer.prepare(tenant, sourceId, documents.map(incomingOf), signal);
      await indexer.commit(tenant, sourceId, prepared, signal);
      return prepared;
    });
  };

  return {
    async put(tenant, sourceId, document, signal) {
      const wrong = faultOf(document);
      if (wrong !== null) throw new AppError('invalid', wrong, { at: 'id' });
      await checkSource(tenant, sourceId);
      const [result] = await cancellable(signal, () => write(tenant, sourceId, [document], signal));
      if (result === undefined) throw new AppError('internal', 'The document was not written.');
      if (result.outcome === 'failed')
        throw new AppError('unreadable-document', result.problem, { at: document.externalId });
      return { outcome: result.outcome, document: publicDocument(result.row) };
    },

    async putBatch(tenant, sourceId, documents, signal) {
      await checkSource(tenant, sourceId);
      const failed: { id: string; problem: string }[] = [];
      // Of two lines with one id the later one is what the pusher means.
      const last = new Map<string, DocumentInput>();
      for (const document of documents) {
        const wrong = faultOf(document);
        if (wrong === null) last.set(document.externalId, document);
        else failed.push({ id: String(document.externalId).slice(0, 200), problem: wrong });
      }
      const wanted = [...last.values()];
      let upserted = 0;
      let unchanged = 0;
      for (let at = 0; at < wanted.length; at += documentsAtOnce) {
        const part = wanted.slice(at, at + documentsAtOnce);
        for (const one of await cancellable(signal, () => write(tenant, sourceId, part, signal))) {
          if (one.outcome === 'failed') failed.push({ id: one.row.externalId, problem: one.problem });
          else if (one.outcome === 'unchanged') unchanged++;
          else upserted++;
        }
      }
      return { upserted, unchanged, failed };
    },

    async remove(tenant, sourceId, externalId, signal) {
      await checkSource(tenant, sourceId);
      const id = documentIdOf(sourceId, externalId);
      return locked([id], async () => {
        signal.throwIfAborted();
        if ((await state.documents.get(tenant.id, id)) === null) return false;
        return (await indexer.remove(tenant, [id])) > 0;
      });
    },
  };
};

const faultOf = (document: DocumentInput): string | null =>
  document.externalId.trim() === '' || document.externalId.length > 1_000
    ? 'The id of a document must have 1 to 1,000 characters.'
    : null;

const incomingOf = ({ content, ...document }: DocumentInput): Incoming => ({
  ...document,
  ...(document.title === undefined ? {} : { title: document.title.slice(0, 500) }),
  read: async () => content,
});

const publicDocument = ({ version: _version, seenIn: _seenIn, rev: _rev, ...document }: StoredDocument): Document =>
  document;

/** An abort is told as `cancelled`, whatever it interrupted. */
const cancellable = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted && !(error instanceof AppError))
      throw new AppError('cancelled', 'The work was stopped before it was finished.', { cause: error });
    throw error;
  }
};

/**
 * Work on the same document waits for its turn; on others it does not. Taken in sorted order, so that two batches
 * cannot wait for each other.
 */
const createLocks = (): (<T>(keys: readonly string[], work: () => Promise<T>) => Promise<T>) => {
  const tails = new Map<string, Promise<void>>();
  return async (keys, work) => {
    const held: { key: string; free: () => void; tail: Promise<void> }[] = [];
    try {
      for (const key of [...new Set(keys)].sort()) {
        const before = tails.get(key);
        const { promise, resolve } = Promise.withResolvers<void>();
        const tail = (before ?? Promise.resolve()).then(() => promise);
        tails.set(key, tail);
        held.push({ key, free: resolve, tail });
        await before;
      }
      return await work();
    } finally {
      for (const { key, free, tail } of held) {
        free();
        if (tails.get(key) === tail) tails.delete(key);
      }
    }
  };
};
