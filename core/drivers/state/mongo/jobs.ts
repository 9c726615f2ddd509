import type { Job, JobCounts, JobError } from '../../../domain.ts';
import type { HeldJob, JobStore, Lease, LeasedJob } from '../../../ports/state.ts';
import { type Collections, type JobDoc, keyOf } from './collections.ts';
import { isDuplicate } from './faults.ts';
import { all, beyond, inserted, pageOf, parsed, present, within } from './queries.ts';
import { deadTenants } from './tenants.ts';

const keptErrors = 200;
/** Queued jobs that one claim tries; each failed try means that somebody else got on. */
const tried = 8;
/** Jobs that run at once in a deployment; beyond, claims wait. */
const maxRunning = 2_000;

type Progress = { readonly counts: JobCounts; readonly errors: readonly JobError[] };

const progressOf = ({ counts, errors }: Progress): string =>
  JSON.stringify({ counts, errors: errors.slice(-keptErrors) });

const jobOf = (doc: JobDoc): Job =>
  present<Job>({
    id: doc._id,
    tenantId: doc.tenantId,
    kind: doc.kind,
    sourceId: doc.sourceId === '' ? null : doc.sourceId,
    reindex: doc.reindex === null ? null : parsed<NonNullable<Job['reindex']>>(doc.reindex),
    state: doc.state,
    ...parsed<Progress>(doc.progress),
    createdAt: doc.createdAt,
    startedAt: doc.startedAt,
    finishedAt: doc.finishedAt,
    attempts: doc.attempts,
  } as Job);

const heldJobOf = (doc: JobDoc): HeldJob => ({
  ...jobOf(doc),
  ...(doc.state === 'running' && doc.owner !== '' ? { heldBy: doc.owner, leaseUntil: doc.leaseUntil } : {}),
});

const queuedSlot = (job: { readonly tenantId: string; readonly kind: string; readonly sourceId?: string }): string =>
  keyOf('queued', job.tenantId, job.kind, job.sourceId ?? '');

const held = (lease: Lease) => ({ _id: lease.key, owner: lease.owner, fence: lease.fence, state: 'running' });

export const jobVerbs = (collections: Collections): JobStore => {
  const { jobs } = collections;
  const get = async (tenantId: string, jobId: string): Promise<Job | null> => {
    const doc = await jobs.findOne({ _id: jobId, tenantId }, within);
    return doc === null ? null : jobOf(doc);
  };

  /** Takes over exactly the state that was read; null when somebody was faster or the source runs by now. */
  const take = async (doc: JobDoc, owner: string, now: number, leaseForMs: number): Promise<JobDoc | null> => {
    try {
      return await jobs.findOneAndUpdate(
        { _id: doc._id, state: doc.state, fence: doc.fence, leaseUntil: { $lte: now } },
        {
          $set: {
            state: 'running',
            owner,
            leaseUntil: now + leaseForMs,
            startedAt: doc.startedAt ?? now,
            slot: doc._id,
            lane: doc.wants,
          },
          $inc: { fence: 1, attempts: 1 },
        },
        { returnDocument: 'after' },
      );
    } catch (error) {
      if (isDuplicate(error)) return null;
      throw error;
    }
  };

  const requeue = async (lease: Lease, job: Job, attempts: number): Promise<boolean> => {
    const free = { owner: '', leaseUntil: 0 };
    const back = { ...free, state: 'queued', slot: queuedSlot(job), lane: lease.key };
    try {
      return (await jobs.updateOne(held(lease), { $set: back, $inc: { attempts } })).matchedCount === 1;
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      // With an equal job waiting it cannot be queued again: it stays `running` with no lease, and is claimed first.
      return (await jobs.updateOne(held(lease), { $set: free, $inc: { attempts } })).matchedCount === 1;
    }
  };

  return {
    enqueue: async (job) => {
      const doc: JobDoc = {
        _id: job.id,
        tenantId: job.tenantId,
        kind: job.kind,
        sourceId: job.sourceId ?? '',
        reindex: job.reindex === undefined ? null : JSON.stringify(job.reindex),
        state: job.state,
        createdAt: job.createdAt,
        startedAt: job.startedAt ?? null,
        finishedAt: job.finishedAt ?? null,
        attempts: job.attempts,
        owner: '',
        fence: 0,
        leaseUntil: 0,
        slot: queuedSlot(job),
        lane: job.id,
        wants: job.sourceId === undefined ? job.id : keyOf('running', job.tenantId, job.sourceId),
        progress: progressOf(job),
      };
      for (let attempt = 0; attempt < 5; attempt += 1) {
        if (await inserted(() => jobs.insertOne(doc))) return job;
        const equal = await jobs.findOne({ slot: doc.slot }, within);
        if (equal !== null) return jobOf(equal);
        const itself = await get(job.tenantId, job.id);
        if (itself !== null) return itself;
        // The equal one was claimed between the two looks: now there is room.
      }
      throw new Error('an equal job came and went five times');
    },
    get,
    list: (tenantId, { sourceId }, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          jobs
            .find(
              all<JobDoc>([
                { tenantId, ...(sourceId === undefined ? {} : { sourceId }) },
                ...beyond(after, ['createdAt', '_id'], '$lt'),
              ]),
              within,
            )
            .sort({ createdAt: -1, _id: -1 })
            .limit(limit)
            .toArray(),
        (doc) => [doc.createdAt, doc._id],
        jobOf,
      ),
    claim: async ({ owner, now, leaseForMs, perTenant, kinds }) => {
      const [running, deadIds] = await Promise.all([
        jobs.find({ state: 'running' }, within).limit(maxRunning).toArray(),
        deadTenants(collections),
      ]);
      const dead = new Set(deadIds);
      const alive = running.filter((doc) => doc.leaseUntil > now);
      const full = tenantsAtTheirShare(alive, perTenant);
      const queued = await jobs
        .find(
          all<JobDoc>([
            { state: 'queued', tenantId: { $nin: full }, wants: { $nin: running.map((doc) => doc.wants) } },
            { tenantId: { $nin: deadIds } },
            ...(kinds === undefined ? [] : [{ kind: { $in: [...kinds] } }]),
          ]),
          within,
        )
        .sort({ createdAt: 1, _id: 1 })
        .limit(tried)
        .toArray();
      // A running job whose lease ran out stands before its source's next one, which is kept out by its lane.
      const abandoned = running.filter(
        (doc) =>
          doc.leaseUntil <= now && !full.includes(doc.tenantId) && !dead.has(doc.tenantId) && isAmong(kinds, doc.kind),
      );
      for (const candidate of [...abandoned, ...queued].toSorted(byAge)) {
        const doc = await take(candidate, owner, now, leaseForMs);
        if (doc === null) continue;
        const leased: LeasedJob = { job: jobOf(doc), lease: { key: doc._id, owner, fence: doc.fence } };
        // Two who claim at once both saw room for one. Each looks again after its own claim, and the later of the two
        // sees the other; so a tenant's share is never passed, though both may stand back and try again.
        const others = await jobs.countDocuments(
          { state: 'running', tenantId: doc.tenantId, leaseUntil: { $gt: now }, _id: { $ne: doc._id } },
          within,
        );
        if (others < perTenant) return leased;
        await requeue(leased.lease, leased.job, -1);
      }
      return null;
    },
    heartbeat: async (lease, now, leaseForMs, progress) =>
      (
        await jobs.updateOne(held(lease), {
          $set: {
            leaseUntil: now + leaseForMs,
            ...(progress === undefined ? {} : { progress: progressOf(progress) }),
          },
        })
      ).matchedCount === 1,
    finish: async (lease, now, result) =>
      (
        await jobs.updateOne(held(lease), {
          $set: {
            state: result.state,
            owner: '',
            leaseUntil: 0,
            finishedAt: now,
            lane: lease.key,
            progress: progressOf(result),
          },
        })
      ).matchedCount === 1,
    release: async (lease) => {
      const doc = await jobs.findOne(held(lease), within);
      return doc === null ? false : requeue(lease, jobOf(doc), 0);
    },
    all: ({ state }, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          jobs
            .find(
              all<JobDoc>([state === undefined ? {} : { state }, ...beyond(after, ['createdAt', '_id'], '$lt')]),
              within,
            )
            .sort({ createdAt: -1, _id: -1 })
            .limit(limit)
            .toArray(),
        (doc) => [doc.createdAt, doc._id],
        heldJobOf,
      ),
    depth: async (now) => {
      const count = (state: Job['state']) => jobs.countDocuments({ state }, within);
      const [queued, running, failed, oldest] = await Promise.all([
        count('queued'),
        count('running'),
        count('failed'),
        jobs.find({ state: 'queued' }, within).sort({ createdAt: 1, _id: 1 }).limit(1).next(),
      ]);
      return { queued, running, failed, oldestMs: oldest === null ? 0 : Math.max(0, now - oldest.createdAt) };
    },
    cancel: async (tenantId, jobId, now, problem) => {
      // Its holder may store progress between the look and the change.
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const doc = await jobs.findOne({ _id: jobId, tenantId, state: { $in: ['queued', 'running'] } }, within);
        if (doc === null) return false;
        const { counts, errors } = parsed<Progress>(doc.progress);
        const { matchedCount } = await jobs.updateOne(
          { _id: jobId, tenantId, state: doc.state, fence: doc.fence, progress: doc.progress },
          {
            $set: {
              state: 'failed',
              owner: '',
              leaseUntil: 0,
              finishedAt: now,
              slot: jobId,
              lane: jobId,
              progress: progressOf({ counts, errors: [...errors, { problem }] }),
            },
          },
        );
        if (matchedCount === 1) return true;
      }
      throw new Error('the job changed five times while it was being ended');
    },
  };
};

const tenantsAtTheirShare = (alive: readonly JobDoc[], perTenant: number): string[] => {
  const counts = new Map<string, number>();
  for (const { tenantId } of alive) counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1);
  return [...counts].filter(([, count]) => count >= perTenant).map(([tenantId]) => tenantId);
};

const isAmong = (kinds: readonly string[] | undefined, kind: string): boolean =>
  kinds === undefined || kinds.includes(kind);

const byAge = (a: JobDoc, b: JobDoc): number => a.createdAt - b.createdAt || (a._id < b._id ? -1 : 1);
