import type { Core, GenerationView } from '../../core/core.ts';
import type { Job, Tenant } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { createProgress } from '../progress.ts';
import { type Call, renderJson, tenantOf, tenantOption, UsageError, type Verb } from '../verb.ts';

/** How long running jobs of this process may go on after the last one asked for has ended. */
const drainForMs = 5_000;

export const reindex: Verb = {
  name: 'reindex',
  about: 'Build the search index anew from the kept texts, while it goes on answering; or go back to the one before.',
  options: {
    ...tenantOption,
    all: { type: 'boolean', about: 'every tenant, one after the other' },
    lost: { type: 'boolean', about: 'of these, only those whose index is gone or does not match the documents' },
    rollback: { type: 'boolean', about: 'go back to the generation before, while it is kept' },
  },
  async run(call) {
    if (call.args.length > 0) throw new UsageError('This verb takes no arguments; name a tenant with --tenant.');
    const { core } = await call.open();
    const named = call.flag('all') ? await everyTenant(core) : [await tenantOf(call, core)];
    const tenants = call.flag('lost') ? await withoutIndex(core, named, call.terminal.signal) : named;
    const outcomes = await reindexEach(call, core, tenants);
    const failed = outcomes.some(({ problem }) => problem !== null);
    if (call.json) call.terminal.out(renderJson({ tenants: outcomes }));
    return failed ? 1 : 0;
  },
};

/** Those whose index is gone, or does not match the list of their documents. */
export const withoutIndex = async (
  core: Core,
  tenants: readonly Tenant[],
  signal: AbortSignal,
): Promise<readonly Tenant[]> => {
  const found: Tenant[] = [];
  for (const tenant of tenants) if ((await core.reindex.condition(tenant.id, signal)) !== 'whole') found.push(tenant);
  return found;
};

export type Outcome = {
  readonly tenant: string;
  readonly generation: number | null;
  readonly documents: number;
  readonly problem: string | null;
  readonly errors: Job['errors'];
};

export const everyTenant = async (core: Core): Promise<readonly Tenant[]> => {
  const tenants: Tenant[] = [];
  let cursor: string | undefined;
  do {
    const page = await core.tenants.list({ limit: 500, ...(cursor === undefined ? {} : { cursor }) });
    tenants.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tenants;
};

/** One after the other, in this process; after that the core is drained. */
export const reindexEach = async (call: Call, core: Core, tenants: readonly Tenant[]): Promise<readonly Outcome[]> => {
  core.reindex.workHere();
  const outcomes: Outcome[] = [];
  try {
    for (const tenant of tenants) outcomes.push(await reindexOne(call, core, tenant));
  } finally {
    await core.drain(drainForMs);
  }
  return outcomes;
};

/** One tenant's trouble is told and does not keep the next one waiting. */
const reindexOne = async (call: Call, core: Core, tenant: Tenant): Promise<Outcome> => {
  const progress = createProgress(call.terminal);
  const { signal } = call.terminal;
  try {
    const job = call.flag('rollback')
      ? await core.reindex.activate(tenant.id, previousOf(await core.reindex.generations(tenant.id)))
      : await core.reindex.start(tenant.id);
    let last = job;
    for await (const state of core.jobs.watch(tenant.id, job.id, signal)) {
      last = state;
      progress.show(`${tenant.slug}: ${state.counts.seen} seen, ${state.counts.upserted} built`);
    }
    progress.clear();
    signal.throwIfAborted();
    if (last.state !== 'done') throw new AppError('internal', last.errors.at(-1)?.problem ?? 'The re-index failed.');
    const live = (await core.reindex.generations(tenant.id)).find(({ state }) => state === 'live');
    const { seen } = last.counts;
    if (!call.json) {
      call.terminal.out(`${tenant.slug}: generation ${live?.number ?? '?'} answers now, with ${seen} documents\n`);
      for (const { problem } of last.errors) call.terminal.err(`${tenant.slug}: ${problem}\n`);
    }
    return {
      tenant: tenant.slug,
      generation: live?.number ?? null,
      documents: seen,
      problem: null,
      errors: last.errors,
    };
  } catch (error) {
    progress.clear();
    if (signal.aborted || !(error instanceof AppError) || error.code === 'store-unavailable') throw error;
    if (!call.json) call.terminal.err(`${tenant.slug}: ${error.message}\n`);
    return { tenant: tenant.slug, generation: null, documents: 0, problem: error.message, errors: [] };
  }
};

const previousOf = (generations: readonly GenerationView[]): number => {
  const previous = generations.findLast(({ state }) => state === 'previous');
  if (previous === undefined) throw new AppError('not-found', 'There is no earlier generation to go back to any more.');
  return previous.number;
};
