import type { Core } from './core.ts';
import type { Job, Tenant, TenantId } from './domain.ts';
import { AppError } from './errors.ts';
import type { Ingest } from './ingest/ingest.ts';
import type { ChunkStore } from './ports/chunks.ts';
import type { Clock } from './ports/runtime.ts';
import type { StateStore } from './ports/state.ts';
import type { Presence } from './presence.ts';
import { requireTenant } from './tenancy/tenants.ts';

/** What the operator sees and does over all tenants. */
export const createDeployment = (parts: {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly ingest: Pick<Ingest, 'sync' | 'reindex' | 'activate' | 'generations'>;
  readonly presence: Presence;
  readonly clock: Clock;
}): Core['deployment'] => {
  const { state, chunks, ingest, presence, clock } = parts;

  const jobOf = async (tenantId: TenantId, jobId: string): Promise<Job> => {
    const job = await state.jobs.get(tenantId, jobId);
    if (job === null) throw new AppError('not-found', 'There is no such job.');
    return job;
  };

  const again = (tenant: Tenant, { kind, sourceId, reindex }: Job): Promise<Job> => {
    if (kind === 'sync' && sourceId !== undefined) return ingest.sync(tenant, sourceId);
    if (kind === 'reindex')
      return reindex?.activate === undefined ? ingest.reindex(tenant) : ingest.activate(tenant, reindex.activate);
    throw new AppError('conflict', 'What a deleted tenant leaves behind is removed without being asked.');
  };

  return {
    async tenants(filter, page) {
      const { items, nextCursor } = await state.tenants.list(page, filter);
      const figures = await state.tenants.figures(
        items.map(({ id }) => id),
        monthOf(clock.now()),
      );
      return {
        items: items.map((tenant, at) => ({ tenant, figures: figures[at] ?? nothingOf(tenant.id) })),
        ...(nextCursor === undefined ? {} : { nextCursor }),
      };
    },
    async figures(tenantId) {
      const [figures] = await state.tenants.figures([tenantId], monthOf(clock.now()));
      return figures ?? nothingOf(tenantId);
    },
    async index(tenantId) {
      const generations = await ingest.generations(await requireTenant(state, tenantId));
      const sizes = await Promise.all(
        // What is gone or cannot be asked has no size; the list of what there is stands in the state.
        generations.map(({ number }) => chunks.stats({ tenantId, generation: number }).catch(() => null)),
      );
      return generations.map((generation, at) => ({ ...generation, size: sizes[at] ?? null }));
    },
    jobs: (filter, page) => state.jobs.all(filter, page),
    async queues() {
      const now = clock.now();
      const [inbox, jobs] = await Promise.all([state.inbox.depth(now), state.jobs.depth(now)]);
      return { inbox, jobs };
    },
    async retry(tenantId, jobId) {
      const [job, tenant] = await Promise.all([jobOf(tenantId, jobId), requireTenant(state, tenantId)]);
      if (job.state !== 'failed') throw new AppError('conflict', 'Only a job that has failed can be tried again.');
      return again(tenant, job);
    },
    async cancel(tenantId, jobId) {
      await jobOf(tenantId, jobId);
      if (!(await state.jobs.cancel(tenantId, jobId, clock.now(), 'Stopped by the operator.')))
        throw new AppError('conflict', 'This job has ended already.');
    },
    instances: () => presence.all(),
  };
};

const nothingOf = (tenantId: TenantId) => ({
  tenantId,
  documents: 0,
  chunks: 0,
  bytes: 0,
  questions: 0,
  costs: [],
  costUnknown: false,
});

/** The calendar month in UTC, as quotas and statements count. */
const monthOf = (now: number): { readonly from: number; readonly to: number } => {
  const date = new Date(now);
  return {
    from: Date.UTC(date.getUTCFullYear(), date.getUTCMonth()),
    to: Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1),
  };
};
