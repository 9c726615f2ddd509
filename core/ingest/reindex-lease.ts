import type { Job, TenantId } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import type { JobContext } from './jobs.ts';

type Parts = { readonly state: StateStore; readonly runtime: Runtime };

const leaseForMs = 30_000;

/** Held by whoever builds, switches or drops generations of a tenant. */
export const reindexLeaseOf = (tenantId: TenantId): string => `reindex:${tenantId}`;

/**
 * Runs `work` under the tenant's lease: one re-index at a time. Throws `conflict` while another job holds it. The same
 * job under another worker holds the same lease; that worker is fenced by the job's own.
 */
export const underReindexLease = async <T>(
  { state, runtime }: Parts,
  job: Job,
  context: JobContext,
  work: (context: JobContext) => Promise<T>,
): Promise<T> => {
  const { clock } = runtime;
  // Always counted from before the request: an answer may be long on its way, and the lease over when it is here.
  let heldUntil = clock.now() + leaseForMs;
  const lease = await state.leases.acquire(reindexLeaseOf(job.tenantId), job.id, clock.now(), leaseForMs);
  if (lease === null) throw new AppError('conflict', 'Another re-index of this tenant is running.');
  const over = new AbortController();
  const lost = new AbortController();
  const keepAlive = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await clock.sleep(leaseForMs / 3, over.signal).catch(() => undefined);
      if (over.signal.aborted) return;
      const askedAt = clock.now();
      const renewed = await state.leases.renew(lease, askedAt, leaseForMs).catch(() => null);
      if (renewed === true) heldUntil = askedAt + leaseForMs;
      if (renewed === false || clock.now() >= heldUntil) return lost.abort(takenOver());
    }
  };
  const beating = keepAlive();
  try {
    return await work({
      ...context,
      signal: AbortSignal.any([context.signal, lost.signal]),
      mayWrite: () => {
        context.mayWrite();
        lost.signal.throwIfAborted();
        if (clock.now() >= heldUntil) throw takenOver();
      },
    });
  } finally {
    over.abort();
    await beating;
    await state.leases.release(lease).catch(() => undefined);
  }
};

const takenOver = (): AppError => new AppError('lease-lost', 'Another worker has taken over.');
