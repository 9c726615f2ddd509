import type { Job, TenantId } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { Lease, StateStore } from '../ports/state.ts';
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
  parts: Parts,
  job: Job,
  context: JobContext,
  work: (context: JobContext) => Promise<T>,
): Promise<T> => {
  const { state, runtime } = parts;
  const lease = await state.leases.acquire(reindexLeaseOf(job.tenantId), job.id, runtime.clock.now(), leaseForMs);
  if (lease === null) throw new AppError('conflict', 'Another re-index of this tenant is running.');
  const over = new AbortController();
  const lost = new AbortController();
  const beating = keepAlive(parts, lease, over.signal, lost);
  try {
    return await work({
      ...context,
      signal: AbortSignal.any([context.signal, lost.signal]),
      mayWrite: () => {
        context.mayWrite();
        lost.signal.throwIfAborted();
      },
    });
  } finally {
    over.abort();
    await beating;
    await state.leases.release(lease).catch(() => undefined);
  }
};

const keepAlive = async (
  { state, runtime }: Parts,
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
