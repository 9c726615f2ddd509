import type { EmbeddedChunk, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { DocumentContents, Standing, StateStore } from '../ports/state.ts';
import { stampOf } from './contents.ts';
import type { EmbedChunks } from './embed-chunks.ts';
import { fillIndex } from './fill-index.ts';
import type { Generations, LiveIndex } from './generations.ts';
import type { Prepared } from './prepare-documents.ts';
import { createStopwatch } from './stopwatch.ts';

export type DocumentWriter = {
  /**
   * Embeds and writes; searchable when it resolves. With an embedder one document after the other: a crash makes no more
   * than one be paid for twice. Throws `not-found` when the source is gone, and then nothing of these stays.
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
  readonly runtime: Runtime;
  /** The live index is not what this process would fill: it should be built again. */
  onMisfit(tenant: Tenant): void;
};

/** Once the index is being changed, the rest is finished even when the caller goes away; this bounds it. */
const finishWithinMs = 60_000;

/** The writing half of a document's way: index, then contents and row. */
export const createDocumentWriter = (parts: Parts): DocumentWriter => {
  const { state, chunks: index, generations, embed, runtime } = parts;
  const timed = createStopwatch(runtime.metrics);

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
    if (rows.length === 0) return live;
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
    if (changed.length > 0) await fill(live, all);
    // After the index, so that a crash leaves rows that are not up to date, and everything is done again.
    const contents = changed.map(
      ({ row, contents: data }): DocumentContents => ({ documentId: row.id, stamp: stampOf(row), data }),
    );
    const standing = await timed('rows', () => state.documents.write(tenant.id, sourceId, { rows, contents }));
    if (!standing.hasSource) {
      // Removed while this was being written: its removal has not seen these, so they are taken back here.
      await remove(
        tenant,
        prepared.map((one) => one.row.id),
      );
      throw sourceGone();
    }
    if (changed.length === 0) return live;
    let written = live;
    for (let seen: Standing | undefined = standing; ; seen = undefined) {
      const now = await generations.settled(tenant.id, written, seen);
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

  return {
    async commit(tenant, sourceId, prepared, signal) {
      const standing = await state.documents.standing(tenant.id, sourceId);
      if (!standing.hasSource) throw sourceGone();
      let live = await generations.liveIn(tenant.id, standing);
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

const sourceGone = (): AppError => new AppError('not-found', 'The source was removed meanwhile.');

const finishSignal = (): AbortSignal => AbortSignal.timeout(finishWithinMs);

/** What is paid for is written before the next is paid for; all else goes in one. */
const groupsOf = (prepared: readonly Prepared[], isPaidFor: boolean): readonly (readonly Prepared[])[] => {
  if (!isPaidFor) return [prepared];
  const free = prepared.filter((one) => !('chunks' in one));
  return [...(free.length > 0 ? [free] : []), ...prepared.filter((one) => 'chunks' in one).map((one) => [one])];
};
