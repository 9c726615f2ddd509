import { CronExpressionParser } from 'cron-parser';
import type { SourceInput, SourceProbe } from '../core.ts';
import type { Job, Source, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { SourceDriver } from '../ports/source.ts';
import type { StateStore } from '../ports/state.ts';
import type { Indexer } from './index-documents.ts';

type Parts = {
  readonly state: StateStore;
  readonly indexer: Indexer;
  readonly runtime: Runtime;
  readonly drivers: ReadonlyMap<string, SourceDriver>;
};

/** `paused`: the schedule is kept, but nothing runs by it. */
export type SourcePatch = Partial<Omit<SourceInput, 'kind'>> & { readonly paused?: boolean };

export type SourceManager = {
  create(tenant: Tenant, input: SourceInput): Promise<Source>;
  update(tenant: Tenant, sourceId: string, patch: SourcePatch, rev?: number): Promise<Source>;
  remove(tenant: Tenant, sourceId: string, signal: AbortSignal): Promise<void>;
  /** Opens the place and looks at the first things it reports, without keeping anything. */
  probe(input: Pick<SourceInput, 'kind' | 'settings'>, signal: AbortSignal): Promise<SourceProbe>;
  /** The driver of a source that can be synced; throws `invalid` for the others. */
  syncing(source: Source): SourceDriver & { readonly open: NonNullable<SourceDriver['open']> };
  enqueueSync(source: Source): Promise<Job>;
  /** Starts what is due. Safe in several processes at once. */
  startDue(): Promise<number>;
};

/** A process that dies between taking a due source and queueing its run costs a delay of this, not a missed run. */
const takenForMs = 60_000;
/** How long a probe looks, and how many things it names. */
const probeWithinMs = 10_000;
const probedAtMost = 5;

export const createSourceManager = ({ state, indexer, runtime, drivers }: Parts): SourceManager => {
  const { clock, random } = runtime;

  const driverOf = (kind: string): SourceDriver => {
    const driver = drivers.get(kind);
    if (driver === undefined)
      throw new AppError('invalid', `There is no kind of source called "${kind}".`, { at: 'kind' });
    return driver;
  };

  const checkSettings = async (driver: SourceDriver, given: unknown): Promise<Source['settings']> => {
    const parsed = driver.settings.safeParse(given);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new AppError('invalid', issue?.message ?? 'The settings do not fit.', {
        at: ['settings', ...(issue?.path ?? [])].map(String).join('.'),
      });
    }
    // Opening tells what no schema can: whether the place exists and may be read.
    await driver.open?.(parsed.data);
    return parsed.data;
  };

  const checkSchedule = (driver: SourceDriver, schedule: string): number => {
    if (driver.open === undefined)
      throw new AppError('invalid', 'This kind of source is filled from outside and has no schedule.', {
        at: 'schedule',
      });
    return nextRunAfter(schedule, clock.now());
  };

  const checkName = (name: string): string => {
    const trimmed = name.trim();
    if (trimmed === '' || trimmed.length > 200)
      throw new AppError('invalid', 'The name must have 1 to 200 characters.', { at: 'name' });
    return trimmed;
  };

  const get = async (tenant: Tenant, sourceId: string): Promise<Source> => {
    const source = await state.sources.get(tenant.id, sourceId);
    if (source === null) throw new AppError('not-found', 'There is no such source.');
    return source;
  };

  const removeDocuments = async (tenant: Tenant, sourceId: string, signal: AbortSignal): Promise<void> => {
    for (;;) {
      signal.throwIfAborted();
      const page = await state.documents.list(tenant.id, { sourceId }, { limit: 500 });
      if (page.items.length === 0) return;
      await indexer.remove(
        tenant,
        page.items.map((row) => row.id),
      );
    }
  };

  /** After the change, so that whoever has seen the new revision sees the change: lists of sources are remembered by it. */
  const changed = async (tenant: Tenant): Promise<void> => void (await state.tenants.bumpContentRevision(tenant.id));

  const enqueueSync = (source: Source): Promise<Job> =>
    state.jobs.enqueue({
      id: `j_${random.hex(12)}`,
      tenantId: source.tenantId,
      kind: 'sync',
      sourceId: source.id,
      state: 'queued',
      counts: { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 },
      errors: [],
      createdAt: clock.now(),
      attempts: 0,
    });

  return {
    async create(tenant, input) {
      const driver = driverOf(input.kind);
      const name = checkName(input.name);
      const schedule = input.schedule ?? undefined;
      const nextRunAt = schedule === undefined ? undefined : checkSchedule(driver, schedule);
      const source: Source = {
        id: `s_${random.hex(12)}`,
        tenantId: tenant.id,
        kind: input.kind,
        name,
        settings: await checkSettings(driver, input.settings),
        createdAt: clock.now(),
        rev: 1,
        ...(schedule === undefined || nextRunAt === undefined ? {} : { schedule, nextRunAt }),
        ...(input.audience === undefined ? {} : { audience: input.audience }),
      };
      await state.sources.create(source);
      await changed(tenant);
      return source;
    },

    async update(tenant, sourceId, patch, rev) {
      const source = await get(tenant, sourceId);
      const driver = driverOf(source.kind);
      const changes: Record<string, unknown> = {};
      if (patch.name !== undefined) changes.name = checkName(patch.name);
      if (patch.settings !== undefined) changes.settings = await checkSettings(driver, patch.settings);
      if (patch.audience !== undefined) changes.audience = patch.audience;
      if (patch.schedule === null) Object.assign(changes, { schedule: null, nextRunAt: null });
      else if (patch.schedule !== undefined)
        Object.assign(changes, { schedule: patch.schedule, nextRunAt: checkSchedule(driver, patch.schedule) });
      const schedule = patch.schedule === undefined ? source.schedule : (patch.schedule ?? undefined);
      if (patch.paused === true && schedule !== undefined) changes.nextRunAt = null;
      else if (patch.paused === false && schedule !== undefined) changes.nextRunAt = checkSchedule(driver, schedule);
      // The store takes a null away; the port's type has no word for that.
      const updated = await state.sources.update(
        tenant.id,
        sourceId,
        rev ?? source.rev,
        changes as Parameters<typeof state.sources.update>[3],
      );
      if (updated === null) throw new AppError('not-found', 'There is no such source.');
      if (updated === 'stale')
        throw new AppError(
          'conflict',
          'Somebody else changed the source meanwhile. Read it again and repeat the change.',
        );
      if (patch.audience !== undefined) await changed(tenant);
      // Another place has another beginning.
      if (patch.settings !== undefined && source.cursor !== undefined)
        await state.sources.saveCursor(tenant.id, sourceId, null);
      return updated;
    },

    async remove(tenant, sourceId, signal) {
      await get(tenant, sourceId);
      await removeDocuments(tenant, sourceId, signal);
      await state.sources.remove(tenant.id, sourceId);
      await changed(tenant);
      // A put or a sync that was under way may have written until the source was gone.
      await removeDocuments(tenant, sourceId, signal);
    },

    async probe({ kind, settings }, signal) {
      const driver = driverOf(kind);
      const checked = await checkSettings(driver, settings);
      const connector = await driver.open?.(checked);
      const examples: string[] = [];
      const problems: string[] = [];
      if (connector === undefined) return { examples, problems, complete: true };
      const enough = new AbortController();
      const within = AbortSignal.any([signal, enough.signal, AbortSignal.timeout(probeWithinMs)]);
      try {
        for await (const change of connector.changes({ signal: within })) {
          if (change.type === 'upsert') examples.push(change.title ?? change.externalId);
          if (change.type === 'problem') problems.push(change.problem);
          if (change.type === 'complete') return { examples, problems, complete: true };
          if (examples.length >= probedAtMost || problems.length >= probedAtMost) break;
        }
      } catch (error) {
        if (!within.aborted || signal.aborted) throw error;
      } finally {
        enough.abort();
      }
      return { examples, problems, complete: false };
    },

    syncing(source) {
      const driver = driverOf(source.kind);
      const { open } = driver;
      if (open === undefined)
        throw new AppError('invalid', 'This source is filled from outside; there is nothing to sync.', { at: 'kind' });
      return { ...driver, open };
    },

    enqueueSync,

    async startDue() {
      let started = 0;
      for (const source of await state.sources.due(clock.now(), 50)) {
        if (source.nextRunAt === undefined) continue;
        const taken = clock.now() + takenForMs;
        if (!(await state.sources.reschedule(source.tenantId, source.id, source.nextRunAt, taken))) continue;
        await enqueueSync(source);
        started++;
        const next = source.schedule === undefined ? null : nextRunAfter(source.schedule, clock.now());
        await state.sources.reschedule(source.tenantId, source.id, taken, next);
      }
      return started;
    },
  };
};

/** Five fields, UTC. Throws AppError `invalid` at `schedule`. */
export const nextRunAfter = (schedule: string, after: number): number => {
  const invalid = (cause?: unknown): AppError =>
    new AppError(
      'invalid',
      'The schedule must be a cron expression of five fields (minute hour day month weekday), in UTC.',
      { at: 'schedule', cause },
    );
  if (schedule.trim().split(/\s+/).length !== 5) throw invalid();
  try {
    return CronExpressionParser.parse(schedule.trim(), { tz: 'UTC', currentDate: new Date(after) })
      .next()
      .getTime();
  } catch (error) {
    throw invalid(error);
  }
};
