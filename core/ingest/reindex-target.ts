import type { Job, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { ChunkStore, IndexRef } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { Generation, StateStore } from '../ports/state.ts';
import type { Generations } from './generations.ts';

/** Where a re-index stands: which generation it fills, and by whose marks it knows what that one holds. */
export type Target = {
  readonly record: Generation;
  readonly ref: IndexRef;
  /** The generation that answers until the pointer moves. */
  readonly from: number;
  /** The generation whose marks tell what the target holds. */
  readonly base: number;
  readonly isNew: boolean;
};

export type Targets = {
  /** The generation that an earlier attempt has begun, or a new one; no others stay beside it and the live one. */
  begin(tenant: Tenant): Promise<Target>;
  /** Throws `not-found` when it is gone. */
  goBack(tenant: Tenant, number: number): Promise<Target>;
  /** This job's own switch, when a crash came after it. */
  switchedBefore(tenant: Tenant): Promise<Target | null>;
  drop(number: number): Promise<void>;
};

type Parts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly generations: Generations;
  readonly runtime: Runtime;
  readonly limits: { readonly keepUnfinishedMs: number };
};

export const createTargets = (parts: Parts, job: Job): Targets => {
  const { state, chunks: index, generations, runtime, limits } = parts;
  const { clock } = runtime;
  const { tenantId } = job;
  const refOf = (generation: number): IndexRef => ({ tenantId, generation });

  const drop = async (number: number): Promise<void> => {
    await index.dropGeneration(refOf(number));
    await state.tenants.updateGeneration(tenantId, number, { phase: 'dropped', sweepAt: null });
  };

  return {
    drop,
    async begin(tenant) {
      const live = tenant.activeGeneration;
      const records = await state.tenants.generations(tenantId);
      const unfinished = records.find(
        ({ phase, number, ...record }) =>
          (phase === 'building' || phase === 'switching') &&
          number !== live &&
          generations.isFit({ number, ...record }),
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
        await state.tenants.updateGeneration(tenantId, unfinished.number, {
          jobId: job.id,
          sweepAt,
          phase: 'building',
        });
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
    },

    async goBack(tenant, number) {
      const record = (await state.tenants.generations(tenantId)).find((one) => one.number === number);
      const exists = (await index.generations(tenantId)).includes(number);
      if (record?.base === undefined || record.phase === 'dropped' || !exists)
        throw new AppError('not-found', 'That generation of the index is gone; re-index instead.');
      const sweepAt = clock.now() + limits.keepUnfinishedMs;
      await state.tenants.updateGeneration(tenantId, number, { jobId: job.id, sweepAt, phase: null });
      return { record, ref: refOf(number), from: tenant.activeGeneration, base: record.base, isNew: false };
    },

    async switchedBefore(tenant) {
      const records = await state.tenants.generations(tenantId);
      const record = records.find((one) => one.number === tenant.activeGeneration);
      if (record?.jobId !== job.id || record.phase !== 'switching') return null;
      const other = records.filter((one) => one.number !== record.number && one.phase !== 'dropped');
      const from = Math.max(0, ...other.map((one) => one.number));
      const isNew = job.reindex?.activate === undefined;
      return { record, ref: refOf(record.number), from, base: isNew ? record.number : (record.base ?? from), isNew };
    },
  };
};
