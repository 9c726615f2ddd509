import type { Job, JobCounts, JobError, Source, Tenant } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import { documentIdOf } from '../ids.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { Change, KnownDocument, SourceConnector } from '../ports/source.ts';
import type { StateStore } from '../ports/state.ts';
import type { Indexer } from './index-documents.ts';
import { createPipeline } from './pipeline.ts';
import type { Prepared } from './prepare-documents.ts';

export type Progress = { counts: JobCounts; errors: readonly JobError[] };

type Upsert = Extract<Change, { type: 'upsert' }>;

export type SyncRun = {
  readonly job: Job;
  readonly tenant: Tenant;
  readonly source: Source;
  readonly connector: SourceConnector;
  readonly state: StateStore;
  readonly indexer: Indexer;
  readonly runtime: Runtime;
  /** Fires when the lease is lost or the process must end now. */
  readonly signal: AbortSignal;
  /** Fires when the process wants to end: stop after the documents at hand. */
  readonly drain: AbortSignal;
  /** Throws when this worker may not write any more. */
  mayWrite(): void;
  /** Called after each change of the figures. */
  report(progress: Progress): void;
};

/** Documents whose stored state is looked up in one go. */
const lookedUpAtOnce = 16;
const rememberedUnderWay = 4_096;
const keptErrors = 200;
/** A source that says nothing for so long is given up. */
const silenceMs = 300_000;
const readWithinMs = 120_000;

/**
 * One run over a source: what it reports is compared, read, parsed and written while the next documents are already
 * being read. A crash repeats at most the documents in the indexer's lanes. Throws AppError when the run as a whole cannot go on; a single document never does that.
 */
export const runSync = async (run: SyncRun): Promise<Progress> => {
  const { state, tenant, source, indexer, runtime, job } = run;
  const counts = { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 };
  const errors: JobError[] = [];
  /** What was listed with a problem, and everything below it, stays. */
  const kept = new Set<string>();
  let listedAll = true;
  let waiting: Upsert[] = [];
  /** Told about since everything was last written: of one document, two versions must not be under way at once. */
  const underWay = new Set<string>();

  const report = (): void => run.report({ counts: { ...counts }, errors: errors.slice(-keptErrors) });
  const problem = (externalId: string | undefined, sentence: string): void => {
    errors.push(
      externalId === undefined
        ? { problem: sentence }
        : {
            documentId: documentIdOf(source.id, externalId),
            problem: sentence.includes(externalId) ? sentence : `${externalId}: ${sentence}`,
          },
    );
    if (errors.length > keptErrors * 2) errors.splice(0, keptErrors);
  };

  const store = async (prepared: readonly Prepared[]): Promise<void> => {
    run.mayWrite();
    await indexer.commit(tenant, source.id, prepared, run.signal);
    const seen = prepared.filter((one) => one.outcome === 'unchanged' && !one.write).map((one) => one.row.id);
    if (seen.length > 0) await state.documents.markSeen(tenant.id, seen, job.id);
    for (const one of prepared) {
      if (one.outcome === 'unchanged') counts.unchanged++;
      else if (one.outcome === 'failed') {
        counts.failed++;
        problem(one.row.externalId, one.problem);
      } else counts.upserted++;
    }
    report();
  };

  const pipeline = createPipeline(indexer.lanes, store);

  const flush = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return;
    const incoming = batch.map((change) => ({
      ...change,
      seenIn: job.id,
      read: (signal: AbortSignal) => readBounded(change, signal),
    }));
    for (const prepare of await indexer.look(tenant, source.id, incoming, run.signal)) await pipeline.enter(prepare);
  };
  const settle = async (): Promise<void> => {
    await flush();
    await pipeline.settle();
    underWay.clear();
  };

  const apply = async (change: Change): Promise<void> => {
    switch (change.type) {
      case 'upsert':
        if (underWay.has(change.externalId) || underWay.size >= rememberedUnderWay) await settle();
        underWay.add(change.externalId);
        counts.seen++;
        waiting.push(change);
        if (waiting.length >= lookedUpAtOnce) await flush();
        return;
      case 'problem':
        problem(change.externalId, change.problem);
        if (change.isNote === true) return report();
        if (change.externalId === undefined) listedAll = false;
        else {
          counts.failed++;
          kept.add(change.externalId);
        }
        return report();
      case 'remove':
        await settle();
        run.mayWrite();
        counts.removed += await indexer.remove(tenant, [documentIdOf(source.id, change.externalId)]);
        return report();
      case 'cursor':
        await settle();
        run.mayWrite();
        return state.sources.saveCursor(tenant.id, source.id, change.cursor);
      case 'complete':
        await settle();
        if (listedAll) counts.removed += await sweep(run, kept);
        return report();
    }
  };

  try {
    for await (const change of bounded(
      run.connector.changes({
        ...(source.cursor === undefined ? {} : { cursor: source.cursor }),
        signal: run.signal,
        known: () => knownOf(run),
      }),
      runtime,
      run.signal,
    )) {
      await apply(change);
      if (run.drain.aborted) throw new AppError('cancelled', 'The sync was paused.');
    }
    await settle();
    run.mayWrite();
    await state.sources.markSynced(tenant.id, source.id, runtime.clock.now());
  } catch (error) {
    // What is being written is finished before the lease goes to somebody else.
    await pipeline.end();
    throw error;
  }
  report();
  return { counts: { ...counts }, errors: errors.slice(-keptErrors) };
};

/** Removes what the run has not seen, but for what could not be looked at. */
const sweep = async (
  { state, tenant, source, indexer, job, ...run }: SyncRun,
  kept: ReadonlySet<string>,
): Promise<number> => {
  const isKept = (externalId: string): boolean => {
    if (kept.has(externalId)) return true;
    for (let at = externalId.indexOf('/'); at >= 0; at = externalId.indexOf('/', at + 1))
      if (kept.has(externalId.slice(0, at))) return true;
    return false;
  };
  let removed = 0;
  for (;;) {
    run.mayWrite();
    const ids = await state.documents.unseen(tenant.id, source.id, job.id, 200);
    if (ids.length === 0) return removed;
    const rows = await state.documents.getMany(tenant.id, ids);
    const stay = rows.filter((row) => isKept(row.externalId)).map((row) => row.id);
    if (stay.length > 0) await state.documents.markSeen(tenant.id, stay, job.id);
    const staying = new Set(stay);
    removed += await indexer.remove(
      tenant,
      ids.filter((id) => !staying.has(id)),
    );
  }
};

async function* knownOf({ state, tenant, source, signal }: SyncRun): AsyncGenerator<KnownDocument> {
  for (let cursor: string | undefined; ; ) {
    signal.throwIfAborted();
    const page = await state.documents.list(
      tenant.id,
      { sourceId: source.id },
      { limit: 500, ...(cursor === undefined ? {} : { cursor }) },
    );
    for (const { externalId, version } of page.items)
      yield version === undefined ? { externalId } : { externalId, version };
    if (page.nextCursor === undefined) return;
    cursor = page.nextCursor;
  }
}

const readBounded = async (change: Upsert, signal: AbortSignal): Promise<Uint8Array> => {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(readWithinMs)]);
  try {
    return await change.read(limit);
  } catch (error) {
    if (limit.aborted && !signal.aborted)
      throw new AppError('unreadable-document', 'The document took too long to arrive.');
    const known = toAppError(error);
    throw known.code === 'internal'
      ? new AppError('unreadable-document', 'The document could not be read from its source.', { cause: error })
      : known;
  }
};

/** The source's changes, each awaited for a bounded time; a source that ignores the signal is left alone, not waited for. */
async function* bounded(
  changes: AsyncIterable<Change>,
  { clock }: Runtime,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const iterator = changes[Symbol.asyncIterator]();
  const over = new AbortController();
  let waitingSince: number | null = null;
  let giveUp: (reason: AppError) => void = () => undefined;
  const next = (): Promise<IteratorResult<Change>> =>
    new Promise((resolve, reject) => {
      giveUp = reject;
      waitingSince = clock.now();
      iterator.next().then(resolve, reject);
    });
  const stop = (): void =>
    giveUp(signal.reason instanceof AppError ? signal.reason : new AppError('cancelled', 'The sync was stopped.'));
  /** One timer for the whole run: one a change would cost more than many a change. */
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const leftMs = waitingSince === null ? silenceMs : waitingSince + silenceMs - clock.now();
      if (leftMs <= 0) return giveUp(new AppError('unreadable-document', 'The source stopped answering.'));
      await clock.sleep(leftMs, over.signal).catch(() => undefined);
    }
  };
  signal.addEventListener('abort', stop);
  void watch();
  try {
    for (;;) {
      const step = next();
      if (signal.aborted) stop();
      const { done, value } = await step;
      waitingSince = null;
      if (done === true) return;
      yield value;
    }
  } finally {
    over.abort();
    signal.removeEventListener('abort', stop);
    // Not awaited: a source that hangs in `next` would hang here as well.
    void iterator.return?.(undefined)?.catch(() => undefined);
  }
}
