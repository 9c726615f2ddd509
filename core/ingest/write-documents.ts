import type { Chunk, EmbeddedChunk, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { DocumentWrite, Standing, StateStore, StoredDocument } from '../ports/state.ts';
import { stampOf } from './contents.ts';
import type { EmbedChunks } from './embed-chunks.ts';
import { createFillIndex } from './fill-index.ts';
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
/** Each time somebody else has succeeded meanwhile: more often than that no one document is written at once. */
const maxRounds = 30;
const againAfterMs = 20;
const standsForMs = 250;
const keptStandings = 100;

/** One row over the one that was read; with its passages and its text, if they change. */
type Write = {
  readonly row: StoredDocument;
  readonly over: string | null;
  readonly content?: { readonly chunks: readonly Chunk[]; readonly data: Uint8Array };
};

/**
 * The writing half of a document's way: index, then contents and row. Index and row are in two stores, so two processes may
 * write one document at the same moment, each into the index before the other's row. So a row is only replaced as it was
 * read; whoever comes too late begins anew, index first, and whose row stands in the end was also the last in the index.
 */
export const createDocumentWriter = (parts: Parts): DocumentWriter => {
  const { state, chunks: index, generations, embed, runtime } = parts;
  const timed = createStopwatch(runtime.metrics);
  const fillIndex = createFillIndex({ chunks: index, generations });
  const standings = createStandings(runtime.clock);
  const renewed = (row: StoredDocument): StoredDocument => ({ ...row, rev: runtime.random.hex(8) });
  const rowsOf = (tenant: Tenant, ids: readonly string[]) => state.documents.getMany(tenant.id, ids);

  const nextRound = async (round: number): Promise<void> => {
    if (round === maxRounds) throw tooManyWriters();
    await runtime.clock.sleep(runtime.random.float() * againAfterMs * round);
  };

  /** What came too late, over what stands now. Who brings no text has nothing to add but what it tells about the document. */
  const anew = async (tenant: Tenant, late: readonly Write[]): Promise<readonly Write[]> => {
    const ids = late.map(({ row }) => row.id);
    const now = new Map((await rowsOf(tenant, ids)).map((row) => [row.id, row]));
    return late.flatMap((write): Write[] => {
      const stands = now.get(write.row.id);
      const over = stands?.rev ?? null;
      if (write.content !== undefined) return [{ ...write, row: renewed(write.row), over }];
      const { metadata } = write.row;
      if (stands === undefined || metadata === undefined) return [];
      return [{ row: renewed({ ...stands, metadata }), over }];
    });
  };

  /** Into the live index, and into the one after it when the pointer moved meanwhile. */
  const commitGroup = async (
    tenant: Tenant,
    sourceId: string,
    writes: readonly Write[],
    live: LiveIndex,
    signal: AbortSignal,
  ): Promise<LiveIndex> => {
    const all = writes.flatMap(({ content, row }) => (content === undefined ? [] : [row.id]));
    const plain = writes.flatMap(({ content }) => content?.chunks ?? []);
    let embedded: readonly EmbeddedChunk[] | undefined;
    let isFirst = true;
    const fill = async (target: LiveIndex, ids: readonly string[]): Promise<void> => {
      if (target.takesVectors) embedded ??= await embed(tenant, plain, isFirst ? signal : finishSignal(), sourceId);
      // Once something stands, the rest is finished even when the caller goes away.
      if (isFirst) signal.throwIfAborted();
      isFirst = false;
      const wanted = new Set(ids);
      const chunks = (target.takesVectors && embedded !== undefined ? embedded : plain).filter((chunk) =>
        wanted.has(chunk.documentId),
      );
      await timed('index', () => fillIndex(target, ids, chunks, finishSignal()));
      if (!target.fits) parts.onMisfit(tenant);
    };

    const put = async (target: LiveIndex, wanted: readonly Write[]): Promise<Standing> => {
      for (let rest = wanted, round = 1; ; round++) {
        const changed = rest.flatMap(({ row, content }) => (content === undefined ? [] : [{ row, ...content }]));
        const ids = changed.map(({ row }) => row.id);
        if (ids.length > 0) await fill(target, ids);
        // After the index, so that a crash leaves rows that are not up to date, and everything is done again.
        const documents: DocumentWrite = {
          rows: rest.map(({ row }) => row),
          contents: changed.map(({ row, data }) => ({ documentId: row.id, stamp: stampOf(row), data })),
          expected: new Map(rest.map(({ row, over }) => [row.id, over])),
        };
        const { stale, ...standing } = await timed('rows', () => state.documents.write(tenant.id, sourceId, documents));
        if (!standing.hasSource) {
          // Removed while this was being written: its removal has not seen these, so they are taken back here.
          await remove(
            tenant,
            writes.map(({ row }) => row.id),
          );
          throw sourceGone();
        }
        if (stale.length === 0) {
          standings.keep(tenant.id, sourceId, standing);
          return standing;
        }
        await nextRound(round);
        rest = await anew(
          tenant,
          rest.filter(({ row }) => stale.includes(row.id)),
        );
      }
    };

    let seen: Standing | undefined = await put(live, writes);
    if (all.length === 0) return live;
    for (let written = live; ; seen = undefined) {
      const now = await generations.settled(tenant.id, written, seen);
      if (!now.moved) return now;
      // What somebody else has written since is newer than ours.
      const stamps = new Map(writes.map(({ row }) => [row.id, stampOf(row)]));
      const contents = new Map(writes.map(({ row, content }) => [row.id, content]));
      const ours = (await rowsOf(tenant, all)).flatMap((row): Write[] => {
        const content = contents.get(row.id);
        if (content === undefined || stamps.get(row.id) !== stampOf(row)) return [];
        return [{ row: renewed(row), over: row.rev ?? null, content }];
      });
      if (ours.length > 0) await put(now, ours);
      written = now;
    }
  };

  const remove = async (tenant: Tenant, documentIds: readonly string[]): Promise<number> => {
    if (documentIds.length === 0) return 0;
    let removed = 0;
    /** Until no row is left: one that was written meanwhile has put its passages into the index again. */
    const removeFrom = async ({ ref }: LiveIndex, wanted: readonly string[]): Promise<void> => {
      for (let ids = wanted, round = 1; ids.length > 0; round++) {
        const before = new Map((await rowsOf(tenant, ids)).map((row) => [row.id, row.rev ?? null]));
        await index.removeDocuments(ref, ids, finishSignal());
        await state.tenants.bumpContentRevision(tenant.id);
        const expected = new Map(ids.map((id) => [id, before.get(id) ?? null]));
        removed += await state.documents.remove(tenant.id, ids, expected);
        ids = (await rowsOf(tenant, ids)).map(({ id }) => id);
        if (ids.length > 0) await nextRound(round);
      }
    };
    let written = await generations.live(tenant.id);
    await removeFrom(written, documentIds);
    for (;;) {
      const now = await generations.settled(tenant.id, written);
      if (!now.moved) break;
      const back = new Set((await rowsOf(tenant, documentIds)).map((row) => row.id));
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
      const standing = standings.take(tenant.id, sourceId) ?? (await state.documents.standing(tenant.id, sourceId));
      if (!standing.hasSource) throw sourceGone();
      let live = await generations.liveIn(tenant.id, standing);
      for (const group of groupsOf(prepared, live.takesVectors)) {
        const writes = group.flatMap((one): Write[] => {
          if (one.outcome === 'unchanged' && !one.write) return [];
          const write = { row: renewed(one.row), over: one.over };
          return ['chunks' in one ? { ...write, content: { chunks: one.chunks, data: one.contents } } : write];
        });
        if (writes.length > 0) live = await commitGroup(tenant, sourceId, writes, live, signal);
      }
      for (const one of prepared) {
        const outcome = one.outcome === 'created' || one.outcome === 'updated' ? 'upserted' : one.outcome;
        runtime.metrics.count('documents_total', { outcome });
      }
    },
    remove,
  };
};

const tooManyWriters = (): AppError =>
  new AppError('conflict', 'The document was changed by others again and again meanwhile. Send it once more.', {
    retryable: true,
  });

/** A write looks at how things stand when it is done, and does again what has moved. So it may begin by what the last one saw. */
const createStandings = (clock: Runtime['clock']) => {
  const kept = new Map<string, { readonly standing: Standing; readonly at: number }>();
  return {
    keep(tenantId: string, sourceId: string, standing: Standing): void {
      if (kept.size >= keptStandings) kept.clear();
      kept.set(`${tenantId}/${sourceId}`, { standing, at: clock.now() });
    },
    take(tenantId: string, sourceId: string): Standing | undefined {
      const found = kept.get(`${tenantId}/${sourceId}`);
      kept.delete(`${tenantId}/${sourceId}`);
      return found !== undefined && clock.now() - found.at < standsForMs ? found.standing : undefined;
    },
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
