import type { Chunk, EmbeddedChunk, Job, JobError, Tenant } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { BuiltDocument, DocumentContents, StateStore, StoredDocument } from '../ports/state.ts';
import { stampOf } from './contents.ts';
import type { EmbedChunks } from './embed-chunks.ts';
import type { Generations } from './generations.ts';
import type { JobContext } from './jobs.ts';
import type { ParsePool } from './parse-pool.ts';
import type { Target } from './reindex-target.ts';
import type { Progress } from './sync.ts';

const pageOf = 500;
const writeWithinMs = 120_000;
/** Bytes of documents taken into memory at once. */
const bytesAtOnce = 8 * 1024 * 1024;
const keptErrors = 200;

type Parts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly generations: Generations;
  readonly embed: EmbedChunks;
  readonly pool: ParsePool;
  /** Documents read, embedded and written in one go; a crash repeats at most these. */
  readonly limits: { readonly documentsAtOnce: number };
};

/** What fills a generation, and counts. */
export type Builder = {
  /**
   * Brings the target to what the state store says now. Returns how many documents differed. With `mark` it is written
   * down, document by document, which version of it the target holds: a repetition builds only the others.
   */
  pass(target: Target, mark: boolean): Promise<number>;
  progress(): Progress;
};

/** `goOn` throws where the work must stop between two groups of documents. */
export const createBuilder = (parts: Parts, job: Job, context: JobContext, goOn: () => void): Builder => {
  const { state, chunks: index, generations, embed, pool, limits } = parts;
  const { tenantId } = job;
  const counts = { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 };
  const errors: JobError[] = [];
  /** Of a generation that is gone back to: brought up to date in this run. Its marks stay, being those of both. */
  const replayed = new Map<string, string>();
  const progress = (): Progress => ({ counts: { ...counts }, errors: errors.slice(-keptErrors) });

  const pass: Builder['pass'] = async (target, mark) => {
    let changed = 0;
    let seen = 0;
    for await (const rows of pages((cursor) => state.documents.list(tenantId, {}, page(cursor)))) {
      const ids = rows.map((row) => row.id);
      const marks = new Map((await state.documents.builtOf(tenantId, ids)).map((one) => [one.documentId, one]));
      const stale = rows.filter((row) => !isBuilt(target, marks.get(row.id), row.id, stampOf(row)));
      for (const batch of batchesOf(stale, limits.documentsAtOnce)) {
        goOn();
        changed += await build(target, batch, marks, mark);
        context.report(progress());
      }
      seen += rows.length;
      // The first pass: what an earlier attempt has built already.
      if (seen > counts.seen) counts.unchanged += rows.length - stale.length;
      counts.seen = Math.max(counts.seen, seen);
      context.report(progress());
    }
    return changed + (await removeGone(target, mark));
  };

  const isBuilt = (target: Target, marked: BuiltDocument | undefined, id: string, stamp: string): boolean =>
    replayed.get(id) === stamp || (marked !== undefined && marked.generation === target.base && marked.stamp === stamp);

  const build = async (
    target: Target,
    rows: readonly StoredDocument[],
    marks: ReadonlyMap<string, BuiltDocument>,
    mark: boolean,
  ): Promise<number> => {
    const kept = new Map(
      (
        await state.documents.contents(
          tenantId,
          rows.map((row) => row.id),
        )
      ).map((one) => [one.documentId, one]),
    );
    // A write that was cut short left contents that are newer than their row; once built they are not built again.
    const due = rows.filter((row) => {
      const stamp = kept.get(row.id)?.stamp;
      return stamp === undefined || !isBuilt(target, marks.get(row.id), row.id, stamp);
    });
    if (due.length === 0) return 0;
    const cut = await Promise.all(due.map((row) => cutAgain(target, row, kept.get(row.id))));
    const tenant = await livingTenant(state, tenantId);
    const plain = cut.flatMap((one) => one.chunks);
    const takesVectors = target.record.profile.embeddingModel === generations.configured.embeddingModel;
    const embedded: readonly EmbeddedChunk[] =
      takesVectors && plain.length > 0 ? await embed(tenant, plain, context.signal) : plain;
    if (!takesVectors && target.record.profile.embeddingModel !== null)
      await state.tenants.updateGeneration(tenantId, target.record.number, { incomplete: true });
    context.mayWrite();
    try {
      await write(target, due, embedded);
    } finally {
      // Since embedding the tenant may have gone, and with it the index, which even a write that was stopped has made again.
      await livingTenant(state, tenantId).catch(async (error: unknown) => {
        if (toAppError(error).code === 'not-found') await index.dropGeneration(target.ref);
        throw error;
      });
    }
    context.mayWrite();
    if (mark && target.isNew)
      await state.documents.markBuilt(
        tenantId,
        cut.map(({ row, stamp, chunks }) => ({
          documentId: row.id,
          generation: target.base,
          stamp,
          chunks: chunks.length,
        })),
      );
    else for (const { row, stamp } of cut) replayed.set(row.id, stamp);
    counts.upserted += due.length;
    return due.length;
  };

  /** From the kept text; without one, the passages that the live index holds are carried over as they are. */
  const cutAgain = async (
    target: Target,
    row: StoredDocument,
    kept: DocumentContents | undefined,
  ): Promise<{ readonly row: StoredDocument; readonly stamp: string; readonly chunks: readonly Chunk[] }> => {
    const { id: documentId, sourceId, externalId } = row;
    if (kept !== undefined && kept.data.byteLength > 0) {
      try {
        const { chunks } = await pool.parse(
          { documentId, sourceId, externalId, content: kept.data, kept: true },
          context.signal,
        );
        return { row, stamp: kept.stamp, chunks };
      } catch (error) {
        if (toAppError(error).code !== 'unreadable-document') throw error;
      }
    }
    const stamp = kept?.stamp ?? stampOf(row);
    if (row.chunkCount === 0) return { row, stamp, chunks: [] };
    const chunks = await index
      .documentChunks({ tenantId, generation: target.from }, documentId, context.signal)
      .catch((error: unknown): readonly Chunk[] => {
        if (context.signal.aborted) throw error;
        return [];
      });
    if (chunks.length === 0) {
      counts.failed += 1;
      const problem = `${externalId}: its text is kept nowhere. Push or sync it again.`;
      errors.push({ documentId, problem });
    }
    return { row, stamp, chunks };
  };

  const write = async (
    target: Target,
    rows: readonly StoredDocument[],
    chunks: readonly EmbeddedChunk[],
  ): Promise<void> => {
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(writeWithinMs)]);
    const ids = rows.map((row) => row.id);
    if (chunks.length === 0) return removeFrom(target, ids, signal);
    if (target.isNew) {
      const { analyser, embeddingModel } = target.record.profile;
      await index.ensureIndex(target.ref, { analyser, embeddingModel, dimensions: chunks[0]?.vector?.length ?? null });
    }
    const lists = new Map<string, EmbeddedChunk[]>();
    for (const chunk of chunks) {
      const own = lists.get(chunk.documentId);
      if (own === undefined) lists.set(chunk.documentId, [chunk]);
      else own.push(chunk);
    }
    const empty = ids.filter((id) => !lists.has(id));
    if (empty.length > 0) await removeFrom(target, empty, signal);
    await index.replaceDocuments(
      target.ref,
      [...lists].map(([documentId, own]) => ({ documentId, chunks: own })),
      signal,
    );
  };

  /** A new index is made with its first passage; until then there is nothing to remove from. */
  const removeFrom = (target: Target, ids: readonly string[], signal: AbortSignal): Promise<void> =>
    index.removeDocuments(target.ref, ids, signal).catch((error: unknown) => {
      if (toAppError(error).code !== 'not-found') throw error;
    });

  /** Marks without a row are documents that were removed since. */
  const removeGone = async (target: Target, mark: boolean): Promise<number> => {
    let removed = 0;
    const list = (cursor: string | undefined) => state.documents.built(tenantId, target.base, page(cursor));
    for await (const marks of pages(list)) {
      const ids = marks.map((one) => one.documentId);
      const there = new Set((await state.documents.getMany(tenantId, ids)).map((row) => row.id));
      const gone = ids.filter((id) => !there.has(id) && replayed.get(id) !== 'removed');
      if (gone.length === 0) continue;
      goOn();
      await removeFrom(target, gone, AbortSignal.timeout(writeWithinMs));
      if (mark && target.isNew) await state.documents.removeBuilt(tenantId, gone);
      else for (const id of gone) replayed.set(id, 'removed');
      removed += gone.length;
    }
    counts.removed += removed;
    return removed;
  };

  return { pass, progress };
};

export const livingTenant = async (state: StateStore, tenantId: string): Promise<Tenant> => {
  const tenant = await state.tenants.get(tenantId);
  if (tenant === null) throw new AppError('not-found', 'The tenant was deleted while it was being re-indexed.');
  return tenant;
};

const page = (cursor: string | undefined) => ({ limit: pageOf, ...(cursor === undefined ? {} : { cursor }) });

async function* pages<T>(
  read: (cursor: string | undefined) => Promise<{ readonly items: readonly T[]; readonly nextCursor?: string }>,
): AsyncGenerator<readonly T[]> {
  let cursor: string | undefined;
  do {
    const { items, nextCursor } = await read(cursor);
    if (items.length > 0) yield items;
    cursor = nextCursor;
  } while (cursor !== undefined);
}

function* batchesOf(rows: readonly StoredDocument[], most: number): Generator<readonly StoredDocument[]> {
  let batch: StoredDocument[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (batch.length > 0 && (batch.length === most || bytes + row.bytes > bytesAtOnce)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(row);
    bytes += row.bytes;
  }
  if (batch.length > 0) yield batch;
}
