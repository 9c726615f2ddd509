import type { BatchResult, DocumentInput, PutResult, SourceInput, SourceKind } from '../core.ts';
import type { Job, Passage, Source, Tenant, TenantId } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import { attachedSourceId, documentIdOf } from '../ids.ts';
import type { Metering } from '../metering/metering.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { Embedder } from '../ports/model.ts';
import type { Tell } from '../ports/notices.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { SourceDriver } from '../ports/source.ts';
import type { StateStore } from '../ports/state.ts';
import { createEmbedChunks } from './embed-chunks.ts';
import { createGenerations } from './generations.ts';
import { createIndexer } from './index-documents.ts';
import { createJobWorker, defaultJobLimits, type JobContext, type JobLimits } from './jobs.ts';
import { createReindexManager, type GenerationView } from './manage-reindex.ts';
import { createSourceManager, type SourceManager, type SourcePatch } from './manage-sources.ts';
import { defaultParseLimits, type ParseLimits } from './parse/outline.ts';
import { createParsePool } from './parse-pool.ts';
import { createDocumentDoor } from './put-documents.ts';
import { defaultReindexLimits, type ReindexLimits, type ReindexStep, runReindex } from './reindex.ts';
import { settingsFields } from './settings-fields.ts';
import { type Progress, runSync } from './sync.ts';
import { createVectorGate } from './vector-gate.ts';

/** The path of a document: sync, parse, chunk, embed, replace. */
export type Ingest = {
  /** Validates settings by the driver's schema and the cron expression; throws `invalid` with the field in `at`. */
  createSource(tenant: Tenant, input: SourceInput): Promise<Source>;
  updateSource(tenant: Tenant, sourceId: string, patch: SourcePatch, rev?: number): Promise<Source>;
  /** The source, its documents and their chunks; search forgets them before it resolves. */
  removeSource(tenant: Tenant, sourceId: string, signal: AbortSignal): Promise<void>;
  sync(tenant: Tenant, sourceId: string): Promise<Job>;
  watch(tenantId: TenantId, jobId: string, signal: AbortSignal): AsyncIterable<Job>;
  put(tenant: Tenant, sourceId: string, document: DocumentInput, signal: AbortSignal): Promise<PutResult>;
  putBatch(
    tenant: Tenant,
    sourceId: string,
    documents: readonly DocumentInput[],
    signal: AbortSignal,
  ): Promise<BatchResult>;
  remove(tenant: Tenant, sourceId: string, externalId: string, signal: AbortSignal): Promise<boolean>;
  /** Builds the next generation of the tenant's index beside the live one. Throws `conflict` while another is under way. */
  reindex(tenant: Tenant): Promise<Job>;
  /** Back to another generation while it exists, brought up to date first. Throws `not-found`, `conflict`. */
  activate(tenant: Tenant, generation: number): Promise<Job>;
  generations(tenant: Tenant): Promise<readonly GenerationView[]>;
  condition(tenant: Tenant, signal: AbortSignal): Promise<'whole' | 'differs' | 'lost'>;
  /** The chunk store and the embedder as questions may use them: vectors of two models are never compared. */
  readonly forQuestions: { readonly chunks: ChunkStore; readonly embedder: Embedder | null };
  /** A file for one question: cut into passages, and kept nowhere. Throws `unreadable-document` with a sentence, `cancelled`. */
  readFile(
    file: { readonly name: string; readonly mediaType?: string; readonly bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<readonly Passage[]>;
  /** Everything of a deleted tenant, repeated until it is gone. */
  dropTenant(tenantId: TenantId): Promise<void>;
  probe: SourceManager['probe'];
  readonly kinds: readonly SourceKind[];
  /** Begins claiming jobs and watching schedules. */
  start(): void;
  /** Stops claiming, releases running jobs' leases after the document at hand, ends the parse workers. */
  stop(forMs: number): Promise<void>;
};

export type IngestParts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly embedder: Embedder | null;
  readonly metering: Metering;
  readonly sources: readonly SourceDriver[];
  readonly runtime: Runtime;
  readonly limits?: {
    readonly parse?: Partial<ParseLimits>;
    readonly jobs?: Partial<JobLimits>;
    readonly reindex?: Partial<ReindexLimits>;
    /** Threads that read documents. Default: one a core, at most four. */
    readonly parseWorkers?: number;
  };
  /** For whoever wants to be told elsewhere that a sync ended. */
  readonly happened?: Tell;
  /** For tests: told before a re-index goes on past a named point. */
  reached?(step: ReindexStep): void | Promise<void>;
};

const choresEveryMs = 10_000;
const watchEveryMs = 500;

export const createIngest = (parts: IngestParts): Ingest => {
  const { state, chunks, runtime } = parts;
  const { clock, log } = runtime;
  const drivers = new Map(parts.sources.map((driver) => [driver.kind, driver]));
  const pool = createParsePool({ ...defaultParseLimits, ...parts.limits?.parse }, parts.limits?.parseWorkers);
  const generations = createGenerations(parts);
  const embed = createEmbedChunks(parts);
  const indexer = createIndexer({
    ...parts,
    generations,
    embed,
    pool,
    onMisfit: (tenant) => reindexes.misfit(tenant.id),
  });
  const sources = createSourceManager({ state, indexer, runtime, drivers });
  const door = createDocumentDoor({ state, indexer, drivers });

  const work = async (job: Job, context: JobContext): Promise<Progress> => {
    if (job.kind === 'reindex') {
      const limits = { ...defaultReindexLimits, ...parts.limits?.reindex };
      return runReindex({ ...parts, generations, embed, pool, limits }, job, context);
    }
    const tenant = await state.tenants.get(job.tenantId);
    const source =
      tenant === null || job.sourceId === undefined ? null : await state.sources.get(job.tenantId, job.sourceId);
    if (tenant === null || source === null)
      throw new AppError('not-found', 'The source was removed before it could be synced.');
    const connector = await sources.syncing(source).open(source.settings);
    return runSync({ job, tenant, source, connector, state, indexer, runtime, ...context });
  };
  const jobs = createJobWorker(
    { state, runtime },
    { ...defaultJobLimits, ...parts.limits?.jobs },
    work,
    (job, result, progress) => tellOf(parts.happened, clock, job, result, progress),
  );

  const reindexes = createReindexManager({ state, chunks, generations, runtime, wake: jobs.wake });

  const dropTenant = async (tenantId: TenantId): Promise<void> => {
    await jobs.cancelTenant(tenantId);
    await chunks.dropTenant(tenantId);
    await state.tenants.erase(tenantId);
  };

  /** On its own, so that what fails for one tenant keeps nothing from the others. */
  const chore = async (name: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      log.warn('ingest.chore-failed', { chore: name, code: toAppError(error).code });
      return false;
    }
  };

  /** Due sources are started, indexes that need it are filled anew, and what a crash left of deleted tenants is removed. */
  const chores = async (stop: AbortSignal): Promise<void> => {
    let hasLooked = false;
    while (!stop.aborted) {
      if (!hasLooked) hasLooked = await chore('look', () => reindexes.look(stop));
      await chore('reindex', () => reindexes.tick());
      await chore('schedule', async () => {
        if ((await sources.startDue()) > 0) jobs.wake();
      });
      await chore('erase', async () => {
        for (const tenantId of await state.tenants.deleted(10)) await chore('erase', () => dropTenant(tenantId));
      });
      await clock.sleep(choresEveryMs, stop).catch(() => undefined);
    }
  };

  let stopChores = new AbortController();
  let choring: Promise<void> | null = null;

  return {
    readFile: async ({ name, mediaType, bytes }, signal) => {
      const documentId = documentIdOf(attachedSourceId, name);
      const parsed = await pool.parse(
        {
          documentId,
          sourceId: attachedSourceId,
          externalId: name,
          title: name,
          content: bytes,
          ...(mediaType === undefined ? {} : { mediaType }),
        },
        signal,
      );
      return parsed.chunks.map((chunk) => ({
        documentId,
        externalId: name,
        chunkId: chunk.id,
        sourceId: attachedSourceId,
        title: name,
        headingPath: chunk.headingPath,
        text: chunk.text,
        score: 0,
        ...(chunk.page === undefined ? {} : { page: chunk.page }),
      }));
    },
    createSource: sources.create,
    updateSource: sources.update,
    removeSource: sources.remove,
    async sync(tenant, sourceId) {
      const source = await state.sources.get(tenant.id, sourceId);
      if (source === null) throw new AppError('not-found', 'There is no such source.');
      sources.syncing(source);
      const job = await sources.enqueueSync(source);
      jobs.wake();
      return job;
    },
    async *watch(tenantId, jobId, signal) {
      let last = '';
      while (!signal.aborted) {
        const job = await state.jobs.get(tenantId, jobId);
        if (job === null) throw new AppError('not-found', 'There is no such job.');
        const now = JSON.stringify(job);
        if (now !== last) yield job;
        if (job.state === 'done' || job.state === 'failed') return;
        last = now;
        await jobs.changed(watchEveryMs, signal);
      }
    },
    put: door.put,
    putBatch: door.putBatch,
    remove: door.remove,
    reindex: reindexes.start,
    activate: reindexes.activate,
    generations: reindexes.list,
    condition: reindexes.condition,
    forQuestions: createVectorGate({ ...parts, generations, onMisfit: (tenantId) => reindexes.misfit(tenantId) }),
    dropTenant,
    probe: sources.probe,
    kinds: parts.sources.map(({ kind, label, open, settings }) => ({
      kind,
      label,
      syncs: open !== undefined,
      fields: settingsFields(settings),
    })),
    start() {
      if (choring !== null) return;
      stopChores = new AbortController();
      jobs.start();
      choring = chores(stopChores.signal);
    },
    async stop(forMs) {
      stopChores.abort();
      await jobs.stop(forMs);
      await choring;
      choring = null;
      await pool.end();
    },
  };
};

/** The end of a sync, for webhooks; the same end is told once. */
const tellOf = async (
  happened: Tell | undefined,
  clock: Runtime['clock'],
  { id, kind, tenantId, sourceId, attempts }: Job,
  result: 'done' | 'failed',
  { counts, errors }: Progress,
): Promise<void> => {
  if (kind !== 'sync' || happened === undefined) return;
  await happened({
    id: `${id}:${result}`,
    tenantId,
    event: result === 'done' ? 'sync.finished' : 'sync.failed',
    at: clock.now(),
    data: {
      jobId: id,
      sourceId,
      attempts,
      counts,
      problem: result === 'failed' ? (errors.at(-1)?.problem ?? '') : null,
    },
  });
};
