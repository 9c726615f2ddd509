import type { Job, TenantId } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { LeasedJob, StateStore } from '../ports/state.ts';
import type { Progress } from './sync.ts';

/** What a job may rely on while it runs. */
export type JobContext = {
  /** Fires with the reason when the lease is lost, the tenant is dropped or the time to drain is over. */
  readonly signal: AbortSignal;
  readonly drain: AbortSignal;
  mayWrite(): void;
  report(progress: Progress): void;
};

export type JobLimits = {
  readonly leaseForMs: number;
  readonly pollEveryMs: number;
  /** Running at once in this process. */
  readonly atOnce: number;
  /** Running at once for one tenant, over all processes. */
  readonly perTenant: number;
  /** A job that brought its process down this often is given up. */
  readonly maxAttempts: number;
};

export const defaultJobLimits: JobLimits = {
  leaseForMs: 5_000,
  pollEveryMs: 1_000,
  atOnce: 2,
  perTenant: 2,
  maxAttempts: 8,
};

export type JobWorker = {
  start(): void;
  stop(forMs: number): Promise<void>;
  /** There may be something to claim. */
  wake(): void;
  /** Stops this tenant's jobs and waits until they have. */
  cancelTenant(tenantId: TenantId): Promise<void>;
  /** Resolves at the next change of a job of this process, or after `ms`. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
};

/** Every kind that this version can do; the compiler sees to it that none is left out. */
const knownKinds = Object.keys({ sync: true, reindex: true } satisfies Record<
  Job['kind'],
  true
>) as readonly Job['kind'][];

const nothingYet: Progress = { counts: { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 }, errors: [] };

/** Claims jobs, keeps their leases alive and ends them; what a job does is handed in. */
export const createJobWorker = (
  parts: { readonly state: StateStore; readonly runtime: Runtime },
  limits: JobLimits,
  work: (job: Job, context: JobContext) => Promise<Progress>,
  /** Told before a job's end is written down: repeated when that fails. */
  ended: (job: Job, result: 'done' | 'failed', progress: Progress) => Promise<void> = async () => undefined,
): JobWorker => {
  const { state, runtime } = parts;
  const { clock, log, metrics } = runtime;
  const owner = `ingest-${runtime.random.hex(8)}`;
  const running = new Map<
    string,
    { readonly tenantId: TenantId; readonly control: AbortController; readonly done: Promise<void> }
  >();
  const waiters = new Set<() => void>();
  let drain = new AbortController();
  let loop: Promise<void> | null = null;

  const wake = (): void => {
    for (const waiter of [...waiters]) waiter();
  };

  /** In-process news arrive at once; another process's are found by looking again. */
  const changed = async (ms: number, signal: AbortSignal): Promise<void> => {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    await new Promise<void>((resolve) => {
      const waiter = (): void => resolve();
      waiters.add(waiter);
      clock.sleep(ms, either).then(waiter, waiter);
      either.addEventListener('abort', () => waiters.delete(waiter), { once: true });
    });
    stop.abort();
  };

  const runJob = async ({ job, lease }: LeasedJob, control: AbortController, claimedAt: number): Promise<void> => {
    let progress = nothingYet;
    let heldUntil = claimedAt + limits.leaseForMs;
    const lost = (): AppError => new AppError('lease-lost', 'Another worker has taken over.');
    const over = new AbortController();
    const beat = async (): Promise<void> => {
      while (!over.signal.aborted) {
        await clock.sleep(limits.leaseForMs / 3, over.signal).catch(() => undefined);
        if (over.signal.aborted) return;
        const now = clock.now();
        try {
          if (!(await state.jobs.heartbeat(lease, now, limits.leaseForMs, progress))) return control.abort(lost());
          heldUntil = now + limits.leaseForMs;
        } catch {
          // The store may be back before the lease runs out; after that somebody else may be at work.
          if (clock.now() >= heldUntil) return control.abort(lost());
        }
        wake();
      }
    };
    const beating = beat();
    const finish = async (result: 'done' | 'failed', errors: Progress['errors']): Promise<void> => {
      over.abort();
      await beating;
      if (control.signal.reason instanceof AppError && control.signal.reason.code === 'lease-lost') return;
      await ended(job, result, { counts: progress.counts, errors });
      await state.jobs.finish(lease, clock.now(), { state: result, counts: progress.counts, errors });
    };
    try {
      if (job.attempts > limits.maxAttempts)
        throw new AppError('internal', 'The job was given up: it was interrupted too often.');
      progress = await work(job, {
        signal: control.signal,
        drain: drain.signal,
        mayWrite: () => {
          control.signal.throwIfAborted();
          if (clock.now() >= heldUntil) throw lost();
        },
        report: (next) => {
          progress = next;
        },
      });
    } catch (error) {
      const problem = toAppError(error);
      if (problem.code === 'lease-lost') return log.warn('job.lease-lost', { jobId: job.id, tenantId: job.tenantId });
      if (problem.code === 'cancelled' && (drain.signal.aborted || control.signal.aborted)) {
        over.abort();
        await beating;
        await state.jobs.heartbeat(lease, clock.now(), limits.leaseForMs, progress).catch(() => false);
        await state.jobs.release(lease).catch(() => false);
        return;
      }
      log.error('job.failed', { jobId: job.id, tenantId: job.tenantId, code: problem.code, error: causeOf(error) });
      metrics.count('errors_total', { code: problem.code });
      return finish('failed', [...progress.errors, { problem: problem.message }]);
    } finally {
      over.abort();
    }
    // Outside of the above: a store that does not take the end of a job does not make it a failed one.
    await finish('done', progress.errors);
  };

  const begin = (leased: LeasedJob, claimedAt: number): void => {
    const control = new AbortController();
    const done = runJob(leased, control, claimedAt)
      .catch((error: unknown) =>
        log.error('job.unfinished', { jobId: leased.job.id, error: toAppError(error).message }),
      )
      .finally(() => {
        running.delete(leased.job.id);
        metrics.set('jobs_running', running.size);
        wake();
      });
    running.set(leased.job.id, { tenantId: leased.job.tenantId, control, done });
    metrics.set('jobs_running', running.size);
  };

  const claimAll = async (stop: AbortSignal): Promise<void> => {
    while (!stop.aborted) {
      let leased: LeasedJob | null = null;
      // An answer that was long in coming has used up a part of the lease.
      const now = clock.now();
      try {
        if (running.size < limits.atOnce) {
          leased = await state.jobs.claim({
            owner,
            now,
            leaseForMs: limits.leaseForMs,
            perTenant: limits.perTenant,
            kinds: knownKinds,
          });
        }
      } catch (error) {
        log.warn('job.claim-failed', { code: toAppError(error).code });
      }
      if (leased !== null) begin(leased, now);
      else await changed(limits.pollEveryMs, stop);
    }
  };

  return {
    start() {
      if (loop !== null) return;
      drain = new AbortController();
      loop = claimAll(drain.signal);
    },
    async stop(forMs) {
      drain.abort();
      wake();
      await loop;
      loop = null;
      const all = Promise.all([...running.values()].map((one) => one.done));
      const late = new AbortController();
      await Promise.race([all, clock.sleep(forMs, late.signal).catch(() => undefined)]);
      late.abort();
      for (const one of running.values()) one.control.abort(new AppError('cancelled', 'The process is ending.'));
      await all;
    },
    wake,
    changed,
    async cancelTenant(tenantId) {
      const theirs = [...running.values()].filter((one) => one.tenantId === tenantId);
      for (const one of theirs) one.control.abort(new AppError('lease-lost', 'The tenant was deleted.'));
      await Promise.all(theirs.map((one) => one.done));
    },
  };
};

const causeOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message).slice(0, 2_000) : 'unknown';
