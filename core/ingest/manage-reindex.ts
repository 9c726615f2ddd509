import type { Job, Tenant, TenantId } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { GenerationProfile, StateStore } from '../ports/state.ts';
import { type Generations, wordsOf } from './generations.ts';
import { reindexLeaseOf } from './reindex-lease.ts';

/** One generation of a tenant's index, as people see it. */
export type GenerationView = {
  readonly number: number;
  readonly state: 'live' | 'building' | 'previous';
  readonly profile: GenerationProfile;
  readonly createdAt: number;
  /** Live: as this process is configured, and whole. */
  readonly fits: boolean;
  /** People went back to it: not re-indexed unasked. */
  readonly held: boolean;
  readonly jobId?: string;
  /** Until then one can go back to it. */
  readonly sweepAt?: number;
};

export type ReindexManager = {
  /** Throws AppError `conflict` while another one waits or runs. */
  start(tenant: Tenant): Promise<Job>;
  /** Back (or forth) to another generation. Throws `not-found` for one that is gone, `conflict` like `start`. */
  activate(tenant: Tenant, generation: number): Promise<Job>;
  list(tenant: Tenant): Promise<readonly GenerationView[]>;
  /** `lost`: documents have passages, and the chunk store has no index. `differs`: as many as the list says are not there. */
  condition(tenant: Tenant, signal: AbortSignal): Promise<'whole' | 'differs' | 'lost'>;
  /** A write met an index that this process would not fill like that. */
  misfit(tenantId: TenantId): void;
  /** Looks at every tenant once: at start. */
  look(stop: AbortSignal): Promise<void>;
  /** Asks for what is due and sweeps what is over. Called again and again. */
  tick(): Promise<void>;
};

/** After an automatic re-index failed, the next one waits for so long: embedding costs money. */
const againAfterMs = 10 * 60_000;
const sweepLeaseMs = 120_000;
const lookWithinMs = 15_000;

export const createReindexManager = (parts: {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly generations: Generations;
  readonly runtime: Runtime;
  /** There may be a job to claim. */
  wake(): void;
}): ReindexManager => {
  const { state, chunks, generations, runtime } = parts;
  const { clock, random, log } = runtime;
  const startedAt = clock.now();
  /** Tenants whose index does not fit, and what this process has asked for last. */
  const misfits = new Map<TenantId, { readonly jobId: string; readonly askedAt: number } | null>();
  const profile = wordsOf(generations.configured);

  const enqueue = (tenantId: TenantId, reindex: NonNullable<Job['reindex']>): Promise<Job> =>
    state.jobs.enqueue({
      id: `j_${random.hex(12)}`,
      tenantId,
      kind: 'reindex',
      reindex,
      state: 'queued',
      counts: { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 },
      errors: [],
      createdAt: clock.now(),
      attempts: 0,
    });

  const openJob = async (tenantId: TenantId): Promise<Job | undefined> => {
    const { items } = await state.jobs.list(tenantId, {}, { limit: 100 });
    return items.find((job) => job.kind === 'reindex' && (job.state === 'queued' || job.state === 'running'));
  };

  const request = async (tenantId: TenantId, reindex: NonNullable<Job['reindex']>): Promise<Job> => {
    const other = await openJob(tenantId);
    const job = other ?? (await enqueue(tenantId, reindex));
    // Two that ask at the same time get the same job, and it does what the first one asked for.
    if (other !== undefined || job.reindex?.activate !== reindex.activate)
      throw new AppError('conflict', `A re-index of this tenant is under way (job ${job.id}). Wait for its end.`);
    parts.wake();
    return job;
  };

  const trigger = async (tenantId: TenantId): Promise<void> => {
    const { fits, record, ref } = await generations.live(tenantId);
    if (fits || record.held === true) return void misfits.delete(tenantId);
    // Made by somebody who started later, with other settings: during a rolling deploy the older process gives way.
    const filledWith = wordsOf(record.profile);
    if (filledWith !== profile && record.createdAt > startedAt) return void misfits.delete(tenantId);
    const last = misfits.get(tenantId) ?? null;
    if (last !== null && clock.now() < last.askedAt + againAfterMs) {
      // Done, and yet no better: somebody took it who is configured otherwise.
      const job = await state.jobs.get(tenantId, last.jobId);
      if (job?.state !== 'done') return;
    }
    if ((await openJob(tenantId)) !== undefined) return;
    const job = await enqueue(tenantId, { automatic: true, profile });
    misfits.set(tenantId, { jobId: job.id, askedAt: clock.now() });
    log.warn('reindex.needed', {
      tenantId,
      jobId: job.id,
      generation: ref.generation,
      filledWith,
      configured: profile,
    });
    parts.wake();
  };

  const condition: ReindexManager['condition'] = async (tenant, signal) => {
    if (await isLost(tenant)) return 'lost';
    const listed = { documents: 0, chunks: 0 };
    let cursor: string | undefined;
    do {
      signal.throwIfAborted();
      const page = { limit: 500, ...(cursor === undefined ? {} : { cursor }) };
      const { items, nextCursor } = await state.documents.list(tenant.id, {}, page);
      for (const { chunkCount } of items) {
        if (chunkCount > 0) listed.documents += 1;
        listed.chunks += chunkCount;
      }
      cursor = nextCursor;
    } while (cursor !== undefined);
    const held = await chunks.stats({ tenantId: tenant.id, generation: tenant.activeGeneration });
    return held.documents === listed.documents && held.chunks === listed.chunks ? 'whole' : 'differs';
  };

  /** Its documents have passages, and the chunk store has no index: it is new, or its data is gone. */
  const isLost = async ({ id: tenantId, activeGeneration: generation }: Tenant): Promise<boolean> => {
    const { items } = await state.documents.list(tenantId, {}, { limit: 100 });
    return (
      items.some((row) => row.chunkCount > 0) &&
      (await chunks.profileOf({ tenantId, generation }, AbortSignal.timeout(lookWithinMs))) === null
    );
  };

  const sweepOne = async (tenantId: TenantId, number: number): Promise<void> => {
    // A job that is going back to it holds this.
    const owner = `sweep-${random.hex(8)}`;
    const lease = await state.leases.acquire(reindexLeaseOf(tenantId), owner, clock.now(), sweepLeaseMs);
    if (lease === null) return;
    try {
      const isDue = (await state.tenants.generationsDue(clock.now(), 1_000)).some(
        (one) => one.tenantId === tenantId && one.number === number,
      );
      if (!isDue) return;
      // First nobody goes back to it any more; due it stays until it is gone.
      await state.tenants.updateGeneration(tenantId, number, { phase: 'dropped' });
      await chunks.dropGeneration({ tenantId, generation: number });
      await state.tenants.updateGeneration(tenantId, number, { sweepAt: null });
      log.info('reindex.swept', { tenantId, generation: number });
    } finally {
      await state.leases.release(lease);
    }
  };

  const lookAt = async (tenant: Tenant): Promise<void> => {
    const live = await generations.live(tenant.id);
    const lost = live.fits && (await isLost(tenant));
    if (lost) await generations.markIncomplete(live);
    if (lost || !live.fits) misfits.set(tenant.id, null);
  };

  /** The damaged index of one tenant is no reason to leave the others alone; an outage meets all of them. */
  const goOn =
    (tenantId: TenantId) =>
    (error: unknown): void => {
      const { code, retryable } = toAppError(error);
      if (retryable) throw error;
      log.warn('reindex.not-looked-after', { tenantId, code });
    };

  return {
    start: (tenant) => request(tenant.id, { profile }),
    async activate(tenant, generation) {
      const [{ ref }, records] = await Promise.all([generations.live(tenant.id), state.tenants.generations(tenant.id)]);
      const record = records.find(({ number }) => number === generation);
      if (ref.generation === generation)
        throw new AppError('conflict', `Generation ${generation} is the one that answers already.`);
      if (record?.base === undefined || record.phase !== undefined)
        throw new AppError('not-found', 'There is no such generation to go back to.');
      return request(tenant.id, { activate: generation });
    },
    async list(tenant) {
      const live = await generations.live(tenant.id);
      return (await state.tenants.generations(tenant.id))
        .filter((record) => record.phase !== 'dropped')
        .map((record) => ({
          number: record.number,
          state: record.number === live.ref.generation ? 'live' : record.phase === undefined ? 'previous' : 'building',
          profile: record.profile,
          createdAt: record.createdAt,
          fits: generations.isFit(record),
          held: record.held === true,
          ...(record.jobId === undefined ? {} : { jobId: record.jobId }),
          ...(record.sweepAt === undefined ? {} : { sweepAt: record.sweepAt }),
        }));
    },
    condition,
    misfit(tenantId) {
      if (misfits.has(tenantId)) return;
      misfits.set(tenantId, null);
      trigger(tenantId).catch((error: unknown) =>
        log.warn('reindex.not-asked-for', { tenantId, code: toAppError(error).code }),
      );
    },
    async look(stop) {
      let cursor: string | undefined;
      do {
        const { items, nextCursor } = await state.tenants.list({
          limit: 100,
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const tenant of items) {
          if (stop.aborted) return;
          await lookAt(tenant).catch(goOn(tenant.id));
        }
        cursor = nextCursor;
      } while (cursor !== undefined);
    },
    async tick() {
      for (const tenantId of [...misfits.keys()])
        await trigger(tenantId).catch((error: unknown) => {
          if (toAppError(error).code === 'not-found') misfits.delete(tenantId);
          else goOn(tenantId)(error);
        });
      for (const { tenantId, number } of await state.tenants.generationsDue(clock.now(), 20))
        await sweepOne(tenantId, number).catch(goOn(tenantId));
    },
  };
};
