import type { Chunk, EmbeddedChunk, Job, JobError, Tenant } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { ChunkStore, IndexRef } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { BuiltDocument, DocumentContents, Generation, Lease, StateStore, StoredDocument } from '../ports/state.ts';
import { stampOf } from './contents.ts';
import type { EmbedChunks } from './embed-chunks.ts';
import { type Generations, wordsOf } from './generations.ts';
import type { JobContext } from './jobs.ts';
import type { ParsePool } from './parse-pool.ts';
import type { Progress } from './sync.ts';
import { verifyIndex } from './verify-index.ts';

export type ReindexLimits = {
  /** How long the generation before stays, to go back to. */
  readonly graceMs: number;
  /** How long what a failed re-index has built (and paid for) waits to be continued. */
  readonly keepUnfinishedMs: number;
  /** Documents read, embedded and written in one go; a crash repeats at most these. */
  readonly documentsAtOnce: number;
};

export const defaultReindexLimits: ReindexLimits = {
  graceMs: 5 * 60_000,
  keepUnfinishedMs: 24 * 3_600_000,
  documentsAtOnce: 16,
};

/** Named points at which a test ends the process. */
export type ReindexStep = 'building' | 'verified' | 'switching' | 'switched' | 'retired' | 'finished';

export type ReindexParts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly generations: Generations;
  readonly embed: EmbedChunks;
  readonly pool: ParsePool;
  readonly runtime: Runtime;
  readonly limits: ReindexLimits;
  reached?(step: ReindexStep): void | Promise<void>;
};

const pageOf = 500;
const leaseForMs = 30_000;
const writeWithinMs = 120_000;
const aliasWithinMs = 10_000;
/** Bytes of documents taken into memory at once. */
const bytesAtOnce = 8 * 1024 * 1024;
/** Passes over all documents before the rest is left to the last one, under which writers wait. */
const maxPasses = 20;
const keptErrors = 200;
const finishAttempts = 5;
const finishAgainMs = 1_000;

/**
 * Builds the tenant's next generation beside the live one (or brings an earlier one up to date), moves the pointer and
 * leaves the other to be swept. Everything before the pointer moves leaves the live index as it is. Repeats safely:
 * what was built is marked in the state store, document by document, with the version it had.
 */
export const runReindex = async (parts: ReindexParts, job: Job, context: JobContext): Promise<Progress> => {
  const { state, runtime } = parts;
  // The same job under another worker holds the same lease: that worker is fenced by the job's own lease.
  const key = reindexLeaseOf(job.tenantId);
  const lease = await state.leases.acquire(key, job.id, runtime.clock.now(), leaseForMs);
  if (lease === null) throw new AppError('conflict', 'Another re-index of this tenant is running.');
  const over = new AbortController();
  const lost = new AbortController();
  const beating = keepAlive(parts, lease, over.signal, lost);
  try {
    return await createRun(parts, job, {
      ...context,
      signal: AbortSignal.any([context.signal, lost.signal]),
      mayWrite: () => {
        context.mayWrite();
        lost.signal.throwIfAborted();
      },
    })();
  } finally {
    over.abort();
    await beating;
    await state.leases.release(lease).catch(() => undefined);
  }
};

export const reindexLeaseOf = (tenantId: string): string => `reindex:${tenantId}`;

const keepAlive = async (
  { state, runtime }: ReindexParts,
  lease: Lease,
  over: AbortSignal,
  lost: AbortController,
): Promise<void> => {
  let heldUntil = runtime.clock.now() + leaseForMs;
  while (!over.aborted) {
    await runtime.clock.sleep(leaseForMs / 3, over).catch(() => undefined);
    if (over.aborted) return;
    const now = runtime.clock.now();
    const renewed = await state.leases.renew(lease, now, leaseForMs).catch(() => null);
    if (renewed === true) heldUntil = now + leaseForMs;
    if (renewed === false || now >= heldUntil)
      return lost.abort(new AppError('lease-lost', 'Another worker has taken over.'));
  }
};

/** Where the job stands: which generation it fills, and by whose marks it knows what that one holds. */
type Target = {
  readonly record: Generation;
  readonly ref: IndexRef;
  readonly from: number;
  /** The generation whose marks tell what the target holds. */
  readonly base: number;
  readonly isNew: boolean;
};

const createRun = (parts: ReindexParts, job: Job, context: JobContext): (() => Promise<Progress>) => {
  const { state, chunks: index, generations, embed, pool, runtime, limits } = parts;
  const { clock, log } = runtime;
  const { tenantId } = job;
  const counts = { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 };
  const errors: JobError[] = [];
  /** Of a generation that is gone back to: brought up to date in this run. Its marks stay, being those of both. */
  const replayed = new Map<string, string>();
  const progress = (): Progress => ({ counts: { ...counts }, errors: errors.slice(-keptErrors) });
  const reached = async (step: ReindexStep): Promise<void> => parts.reached?.(step);

  /** After the pointer has moved the rest is short, and writers wait for it: then not even a drain interrupts. */
  let isFinishing = false;
  const goOn = (): void => {
    if (context.drain.aborted && !isFinishing) throw new AppError('cancelled', 'The re-index was paused.');
    context.mayWrite();
  };
  const tenantNow = async (): Promise<Tenant> => {
    const tenant = await state.tenants.get(tenantId);
    if (tenant === null) throw new AppError('not-found', 'The tenant was deleted while it was being re-indexed.');
    return tenant;
  };

  const drop = async (number: number): Promise<void> => {
    await index.dropGeneration({ tenantId, generation: number });
    await state.tenants.updateGeneration(tenantId, number, { phase: 'dropped', sweepAt: null });
  };

  /** The generation that an earlier attempt has begun, or a new one; no others stay beside it and the live one. */
  const begin = async (tenant: Tenant): Promise<Target> => {
    const live = tenant.activeGeneration;
    const records = await state.tenants.generations(tenantId);
    const unfinished = records.find(
      ({ phase, number, ...record }) =>
        (phase === 'building' || phase === 'switching') && number !== live && generations.isFit({ number, ...record }),
    );
    for (const number of new Set([...records.map((one) => one.number), ...(await index.generations(tenantId))]))
      if (number !== live && number !== unfinished?.number) await drop(number);
    const newest = Math.max(live, ...records.map((one) => one.number), ...(await index.generations(tenantId)));
    // No number is given twice, so one record of what was dropped has to stay.
    for (const { number, phase } of records)
      if (phase === 'dropped' && number < newest) await state.tenants.removeGeneration(tenantId, number);
    const now = clock.now();
    const sweepAt = now + limits.keepUnfinishedMs;
    let record: Generation | null = unfinished ?? null;
    if (unfinished !== undefined)
      await state.tenants.updateGeneration(tenantId, unfinished.number, { jobId: job.id, sweepAt, phase: 'building' });
    else {
      record = await state.tenants.addGeneration(tenantId, {
        number: newest + 1,
        profile: generations.configured,
        createdAt: now,
        jobId: job.id,
        phase: 'building',
        sweepAt,
      });
    }
    if (record === null) throw new AppError('not-found', 'The tenant was deleted while it was being re-indexed.');
    return { record, ref: refOf(record.number), from: live, base: record.number, isNew: true };
  };

  const goBack = async (tenant: Tenant, number: number): Promise<Target> => {
    const record = (await state.tenants.generations(tenantId)).find((one) => one.number === number);
    const exists = (await index.generations(tenantId)).includes(number);
    if (record?.base === undefined || record.phase === 'dropped' || !exists)
      throw new AppError('not-found', 'That generation of the index is gone; re-index instead.');
    const sweepAt = clock.now() + limits.keepUnfinishedMs;
    await state.tenants.updateGeneration(tenantId, number, { jobId: job.id, sweepAt, phase: null });
    return { record, ref: refOf(number), from: tenant.activeGeneration, base: record.base, isNew: false };
  };

  const refOf = (generation: number): IndexRef => ({ tenantId, generation });

  /** Brings the target to what the state store says now. Returns how many documents differed. */
  const pass = async (target: Target, mark: boolean): Promise<number> => {
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
    const tenant = await tenantNow();
    const plain = cut.flatMap((one) => one.chunks);
    const takesVectors = target.record.profile.embeddingModel === generations.configured.embeddingModel;
    const embedded: readonly EmbeddedChunk[] =
      takesVectors && plain.length > 0 ? await embed(tenant, plain, context.signal) : plain;
    if (!takesVectors && target.record.profile.embeddingModel !== null)
      await state.tenants.updateGeneration(tenantId, target.record.number, { incomplete: true });
    context.mayWrite();
    await write(target, due, embedded);
    // Between embedding and here the tenant may have gone, and with it the index, which the write has made again.
    await tenantNow().catch(async (gone: unknown) => {
      await index.dropGeneration(target.ref);
      throw gone;
    });
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
      .documentChunks(refOf(target.from), documentId, context.signal)
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

  const moveTo = async (target: Target): Promise<void> => {
    const { record, from } = target;
    // From here on whoever writes waits for the end of this before it says that it has written.
    await state.tenants.updateGeneration(tenantId, record.number, { phase: 'switching' });
    await reached('switching');
    await pass(target, true);
    goOn();
    if (!(await state.tenants.switchGeneration(tenantId, from, record.number)))
      throw new AppError('conflict', 'The index was switched by somebody else meanwhile.');
  };

  /** After the pointer has moved: what was written to the other one in the last moment, and the other one's end. */
  const finish = async (target: Target): Promise<void> => {
    const { record, from, base } = target;
    await reached('switched');
    // For people who look into the chunk store; nothing of ours goes by it, so nothing waits for it or fails with it.
    index
      .pointAlias?.(target.ref, AbortSignal.timeout(aliasWithinMs))
      .catch((error: unknown) => log.warn('reindex.alias-not-moved', { tenantId, code: toAppError(error).code }));
    await state.tenants.updateGeneration(tenantId, from, {
      sweepAt: clock.now() + limits.graceMs,
      base,
      phase: null,
      held: null,
    });
    await reached('retired');
    // Not marked: the other one has not got it, and would miss it after a roll-back.
    await pass(target, false);
    await state.tenants.bumpContentRevision(tenantId);
    await state.tenants.updateGeneration(tenantId, record.number, {
      phase: null,
      sweepAt: null,
      base,
      held: generations.isFit(record) ? null : true,
    });
    await reached('finished');
    log.info('reindex.done', { tenantId, jobId: job.id, from, to: record.number, documents: counts.seen });
  };

  /** The pointer has moved: a store or model that fails now is waited for. In the end the index is marked as lacking something. */
  const finishSurely = async (target: Target): Promise<void> => {
    isFinishing = true;
    for (let attempt = 1; ; attempt++) {
      try {
        return await finish(target);
      } catch (error) {
        if (context.signal.aborted || toAppError(error).code === 'not-found') throw error;
        if (attempt < finishAttempts) await clock.sleep(finishAgainMs * attempt, context.signal);
        else {
          await state.tenants.updateGeneration(tenantId, target.record.number, { phase: null, incomplete: true });
          throw error;
        }
      }
    }
  };

  const untilNothingChanges = async (target: Target): Promise<void> => {
    for (let passes = 0; passes < maxPasses; passes++) if ((await pass(target, true)) === 0) return;
  };

  /** What was begun waits to be continued, what proved wrong goes; the live index was never touched. */
  const giveUp = async (target: Target, error: unknown): Promise<void> => {
    const { code } = toAppError(error);
    const { number } = target.record;
    if (!target.isNew)
      await state.tenants.updateGeneration(tenantId, number, { phase: null, sweepAt: clock.now() + limits.graceMs });
    else if (code === 'conflict' || code === 'internal') await drop(number);
    else
      await state.tenants.updateGeneration(tenantId, number, {
        phase: 'building',
        sweepAt: clock.now() + limits.keepUnfinishedMs,
      });
  };

  /** This job's own switch, when a crash came after it. */
  const switchedBefore = async (tenant: Tenant): Promise<Target | null> => {
    const records = await state.tenants.generations(tenantId);
    const record = records.find((one) => one.number === tenant.activeGeneration);
    if (record?.jobId !== job.id || record.phase !== 'switching') return null;
    const other = records.filter((one) => one.number !== record.number && one.phase !== 'dropped');
    const from = Math.max(0, ...other.map((one) => one.number));
    const isNew = job.reindex?.activate === undefined;
    return { record, ref: refOf(record.number), from, base: isNew ? record.number : (record.base ?? from), isNew };
  };

  return async () => {
    const tenant = await tenantNow();
    const before = await switchedBefore(tenant);
    if (before !== null) {
      await finishSurely(before);
      return progress();
    }
    const { activate, automatic, profile } = job.reindex ?? {};
    if (activate === undefined && profile !== undefined && profile !== wordsOf(generations.configured)) {
      if (automatic === true) return progress();
      throw new AppError(
        'conflict',
        `The process that took the job is configured otherwise (${wordsOf(generations.configured)}) than the one that asked for it (${profile}). Give both the same settings.`,
      );
    }
    const live = await generations.live(tenantId);
    // Done before by this very job: only its own end was not written down.
    if (live.record.jobId === job.id) return progress();
    if (activate === live.ref.generation || (automatic === true && (live.fits || live.record.held === true)))
      return progress();
    const target = activate === undefined ? await begin(tenant) : await goBack(tenant, activate);
    log.info('reindex.begun', { tenantId, jobId: job.id, from: target.from, to: target.record.number });
    try {
      await reached('building');
      await untilNothingChanges(target);
      // What is gone back to has proven itself.
      if (target.isNew) await verifyIndex(parts, tenant, target, context.signal);
      await reached('verified');
      await moveTo(target);
    } catch (error) {
      const problem = toAppError(error);
      if (problem.code === 'lease-lost') throw error;
      // A pause or the end of the process: whoever goes on with this job finds what was built.
      if (problem.code === 'cancelled' || context.signal.aborted) {
        const phase = target.isNew ? 'building' : null;
        await state.tenants.updateGeneration(tenantId, target.record.number, { phase }).catch(() => false);
        throw error;
      }
      await giveUp(target, error);
      throw error;
    }
    await finishSurely(target);
    return progress();
  };
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
