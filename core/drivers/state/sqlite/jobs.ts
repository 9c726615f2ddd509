import type { Job } from '../../../domain.ts';
import type { HeldJob, JobStore, Lease } from '../../../ports/state.ts';
import { pageOf } from '../cursors.ts';
import { patched, type Recorded, readRecord, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type JobRow = Recorded & { readonly id: string; readonly created_at: number; readonly fence: number };

type HeldRow = JobRow & { readonly state: string; readonly owner: string; readonly lease_until: number };

const heldJobOf = (row: HeldRow): HeldJob => ({
  ...(JSON.parse(row.record) as Job),
  ...(row.state === 'running' && row.owner !== '' ? { heldBy: row.owner, leaseUntil: row.lease_until } : {}),
});

const keptErrors = 200;

/** A job with a live lease that is another one than `jobs`. */
const runningOf =
  "SELECT 1 FROM jobs AS other WHERE other.state = 'running' AND other.tenant_id = jobs.tenant_id AND other.id <> jobs.id";

const claimable = `
  SELECT id, created_at, fence, record FROM jobs
  WHERE (
      -- A running job whose lease ran out stands before its source's next one, so the source never runs twice at once.
      (state = 'running' AND lease_until <= :now)
      OR (state = 'queued' AND (source_id = '' OR NOT EXISTS (${runningOf} AND other.source_id = jobs.source_id)))
    )
    AND state IN ('queued', 'running')
    AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
    AND (SELECT count(*) FROM (${runningOf} AND other.lease_until > :now)) < :perTenant
    AND NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = jobs.tenant_id AND tenants.deleted_at IS NOT NULL)
  ORDER BY created_at, id LIMIT 1`
  .replaceAll(':now', '?1')
  .replaceAll(':perTenant', '?2')
  .replaceAll(':kinds', '?3');

export const jobVerbs = (sql: Sql): SyncGroup<JobStore> => {
  const get = (tenantId: string, jobId: string) =>
    readRecord<Job>(sql.one<Recorded>('SELECT record FROM jobs WHERE tenant_id = ? AND id = ?', tenantId, jobId));
  const held = (lease: Lease) =>
    readRecord<Job>(
      sql.one<Recorded>(
        `SELECT record FROM jobs WHERE id = ? AND owner = ? AND fence = ? AND state = 'running'`,
        lease.key,
        lease.owner,
        lease.fence,
      ),
    );
  return {
    enqueue: (job) => {
      const sourceId = job.sourceId ?? '';
      const queued = sql.one<Recorded>(
        `SELECT record FROM jobs WHERE tenant_id = ? AND kind = ? AND source_id = ? AND state = 'queued'`,
        job.tenantId,
        job.kind,
        sourceId,
      );
      const earlier = readRecord<Job>(queued) ?? get(job.tenantId, job.id);
      if (earlier !== null) return earlier;
      sql.run(
        'INSERT INTO jobs (id, tenant_id, kind, source_id, state, created_at, record) VALUES (?, ?, ?, ?, ?, ?, ?)',
        job.id,
        job.tenantId,
        job.kind,
        sourceId,
        job.state,
        job.createdAt,
        JSON.stringify(job),
      );
      return job;
    },
    get,
    list: (tenantId, filter, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          sql.all<JobRow>(
            `SELECT id, created_at, fence, record FROM jobs
             WHERE tenant_id = ?1 AND (?2 IS NULL OR source_id = ?2) AND (?3 IS NULL OR (created_at, id) < (?3, ?4))
             ORDER BY created_at DESC, id DESC LIMIT ?5`,
            tenantId,
            filter.sourceId ?? null,
            after?.[0] ?? null,
            after?.[1] ?? null,
            limit,
          ),
        (row) => [row.created_at, row.id],
        (row) => JSON.parse(row.record) as Job,
      ),
    claim: ({ owner, now, leaseForMs, perTenant, kinds }) => {
      const row = sql.one<JobRow>(claimable, now, perTenant, kinds === undefined ? null : JSON.stringify(kinds));
      if (row === undefined) return null;
      const before = JSON.parse(row.record) as Job;
      const job: Job = {
        ...before,
        state: 'running',
        attempts: before.attempts + 1,
        startedAt: before.startedAt ?? now,
      };
      const lease = { key: row.id, owner, fence: row.fence + 1 };
      sql.run(
        `UPDATE jobs SET state = 'running', owner = ?, fence = ?, lease_until = ?, record = ? WHERE id = ?`,
        owner,
        lease.fence,
        now + leaseForMs,
        JSON.stringify(job),
        row.id,
      );
      return { job, lease };
    },
    heartbeat: (lease, now, leaseForMs, progress) => {
      const job = held(lease);
      if (job === null) return false;
      const next =
        progress === undefined ? job : { ...job, counts: progress.counts, errors: progress.errors.slice(-keptErrors) };
      sql.run(
        'UPDATE jobs SET lease_until = ?, record = ? WHERE id = ?',
        now + leaseForMs,
        JSON.stringify(next),
        lease.key,
      );
      return true;
    },
    finish: (lease, now, result) => {
      const job = held(lease);
      if (job === null) return false;
      const next: Job = {
        ...job,
        state: result.state,
        counts: result.counts,
        errors: result.errors.slice(-keptErrors),
        finishedAt: now,
      };
      sql.run(
        `UPDATE jobs SET state = ?, owner = '', lease_until = 0, finished_at = ?, record = ? WHERE id = ?`,
        result.state,
        now,
        JSON.stringify(next),
        lease.key,
      );
      return true;
    },
    release: (lease) => {
      const job = held(lease);
      if (job === null) return false;
      const twin = sql.one(
        `SELECT 1 FROM jobs WHERE tenant_id = ? AND kind = ? AND source_id = ? AND state = 'queued'`,
        job.tenantId,
        job.kind,
        job.sourceId ?? '',
      );
      // With an equal job waiting it cannot be queued again: it stays `running` with no lease, and is claimed first.
      const state = twin === undefined ? 'queued' : 'running';
      sql.run(
        `UPDATE jobs SET state = ?, owner = '', lease_until = 0, record = ? WHERE id = ?`,
        state,
        JSON.stringify(patched(job, { state })),
        lease.key,
      );
      return true;
    },
    all: ({ state }, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          sql.all<HeldRow>(
            `SELECT id, created_at, fence, state, owner, lease_until, record FROM jobs
             WHERE ${state === undefined ? '?1 IS NULL' : 'state = ?1'} AND (?2 IS NULL OR (created_at, id) < (?2, ?3))
             ORDER BY created_at DESC, id DESC LIMIT ?4`,
            state ?? null,
            after?.[0] ?? null,
            after?.[1] ?? null,
            limit,
          ),
        (row) => [row.created_at, row.id],
        heldJobOf,
      ),
    depth: (now) => {
      const counts = sql.all<{ readonly state: string; readonly n: number; readonly oldest: number }>(
        `SELECT state, count(*) AS n, min(created_at) AS oldest FROM jobs
         WHERE state IN ('queued', 'running', 'failed') GROUP BY state`,
      );
      const of = (state: string) => counts.find((row) => row.state === state);
      const oldest = of('queued')?.oldest;
      return {
        queued: of('queued')?.n ?? 0,
        running: of('running')?.n ?? 0,
        failed: of('failed')?.n ?? 0,
        oldestMs: oldest === undefined ? 0 : Math.max(0, now - oldest),
      };
    },
    cancel: (tenantId, jobId, now, problem) => {
      const job = get(tenantId, jobId);
      if (job === null || job.state === 'done' || job.state === 'failed') return false;
      const next: Job = {
        ...job,
        state: 'failed',
        errors: [...job.errors, { problem }].slice(-keptErrors),
        finishedAt: now,
      };
      sql.run(
        `UPDATE jobs SET state = 'failed', owner = '', lease_until = 0, finished_at = ?, record = ? WHERE id = ?`,
        now,
        JSON.stringify(next),
        jobId,
      );
      return true;
    },
  };
};
