import type { Job } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import { createBuilder, livingTenant } from './build-generation.ts';
import type { EmbedChunks } from './embed-chunks.ts';
import { type Generations, wordsOf } from './generations.ts';
import type { JobContext } from './jobs.ts';
import type { ParsePool } from './parse-pool.ts';
import { underReindexLease } from './reindex-lease.ts';
import { createTargets, type Target } from './reindex-target.ts';
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

const aliasWithinMs = 10_000;
/** Passes over all documents before the rest is left to the last one, under which writers wait. */
const maxPasses = 20;
const finishAttempts = 5;
const finishAgainMs = 1_000;

/**
 * Builds the tenant's next generation beside the live one (or brings an earlier one up to date), moves the pointer and
 * leaves the other to be swept. Everything before the pointer moves leaves the live index as it is. Repeats safely:
 * what was built is marked in the state store, document by document, with the version it had.
 */
export const runReindex = (parts: ReindexParts, job: Job, context: JobContext): Promise<Progress> =>
  underReindexLease(parts, job, context, (held) => createRun(parts, job, held)());

const createRun = (parts: ReindexParts, job: Job, context: JobContext): (() => Promise<Progress>) => {
  const { state, chunks: index, generations, runtime, limits } = parts;
  const { clock, log } = runtime;
  const { tenantId } = job;
  const targets = createTargets(parts, job);
  const reached = async (step: ReindexStep): Promise<void> => parts.reached?.(step);

  /** After the pointer has moved the rest is short, and writers wait for it: then not even a drain interrupts. */
  let isFinishing = false;
  const goOn = (): void => {
    if (context.drain.aborted && !isFinishing) throw new AppError('cancelled', 'The re-index was paused.');
    context.mayWrite();
  };
  const { pass, progress } = createBuilder(parts, job, context, goOn);

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
    log.info('reindex.done', { tenantId, jobId: job.id, from, to: record.number, documents: progress().counts.seen });
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
    else if (code === 'conflict' || code === 'internal') await targets.drop(number);
    else
      await state.tenants.updateGeneration(tenantId, number, {
        phase: 'building',
        sweepAt: clock.now() + limits.keepUnfinishedMs,
      });
  };

  return async () => {
    const tenant = await livingTenant(state, tenantId);
    const before = await targets.switchedBefore(tenant);
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
    const target = activate === undefined ? await targets.begin(tenant) : await targets.goBack(tenant, activate);
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
