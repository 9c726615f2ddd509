import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tenant } from '../../../core/domain.ts';
import { openSqliteChunks } from '../../../core/drivers/chunks/sqlite/chunks.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { createIngest, type Ingest, type IngestParts } from '../../../core/ingest/ingest.ts';
import type { MeteredCall, Metering } from '../../../core/metering/metering.ts';
import type { ChunkStore } from '../../../core/ports/chunks.ts';
import type { Embedder } from '../../../core/ports/model.ts';
import type { SourceDriver } from '../../../core/ports/source.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';

/** The document path over the real embedded stores in a folder of its own. */
export type Bench = {
  readonly folder: string;
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly runtime: TestRuntime;
  readonly tenant: Tenant;
  readonly ingest: Ingest;
  readonly metered: readonly MeteredCall[];
  /** Another process's ingest over the same stores. */
  another(overrides?: Partial<IngestParts>): Ingest;
  /** One more, that can die: from then on nothing it asks for is answered, and nothing it does arrives. */
  mortal(overrides?: Partial<IngestParts>): { readonly ingest: Ingest; die(): void };
  /** The texts of the hits for a query, best first. */
  find(query: string): Promise<readonly string[]>;
  close(): Promise<void>;
};

export const tenantOf = (id: string): Tenant => ({
  id,
  slug: `slug-${id}`,
  name: id,
  createdAt: 0,
  settings: {},
  activeGeneration: 1,
  contentRevision: 0,
  rev: 1,
});

export const openBench = async (options: {
  readonly sources: readonly SourceDriver[];
  readonly embedder?: Embedder;
  readonly limits?: IngestParts['limits'];
  readonly wrapChunks?: (chunks: ChunkStore) => ChunkStore;
  readonly wrapState?: (state: StateStore) => StateStore;
}): Promise<Bench> => {
  const folder = await mkdtemp(join(tmpdir(), 'footnote-ingest-'));
  const runtime = createTestRuntime();
  const [plainState, plainChunks] = await Promise.all([
    openSqliteState({ dataDir: folder, log: runtime.log }),
    openSqliteChunks({ dataDir: folder, log: runtime.log }),
  ]);
  const state = options.wrapState?.(plainState) ?? plainState;
  const chunks = options.wrapChunks?.(plainChunks) ?? plainChunks;
  const tenant = tenantOf('t_000000000000000000000001');
  await state.tenants.create(tenant);
  const metered: MeteredCall[] = [];
  const metering = {
    record: async (_tenantId: string, calls: readonly MeteredCall[]) => {
      metered.push(...calls);
      return [];
    },
  } as unknown as Metering;
  const parts: IngestParts = {
    state,
    chunks,
    embedder: options.embedder ?? null,
    metering,
    sources: options.sources,
    runtime,
    limits: {
      parseWorkers: 1,
      ...options.limits,
      jobs: { leaseForMs: 1_500, pollEveryMs: 50, ...options.limits?.jobs },
    },
  };
  const all: Ingest[] = [];
  const another = (overrides: Partial<IngestParts> = {}): Ingest => {
    // A process of its own draws its own names.
    const made = createIngest({
      ...parts,
      runtime: { ...runtime, random: createTestRuntime({ seed: all.length + 7 }).random },
      ...overrides,
    });
    all.push(made);
    return made;
  };
  const mortal: Bench['mortal'] = (overrides = {}) => {
    let isDead = false;
    const made = createIngest({
      ...parts,
      runtime: { ...runtime, random: createTestRuntime({ seed: 99 }).random },
      ...overrides,
      state: endingWith(() => isDead, parts.state),
      chunks: unansweredWhen(() => isDead, overrides.chunks ?? parts.chunks),
    });
    return {
      ingest: made,
      die: () => {
        isDead = true;
      },
    };
  };
  const ingest = another();
  const signal = new AbortController().signal;
  return {
    folder,
    state,
    chunks,
    runtime,
    tenant,
    ingest,
    metered,
    another,
    mortal,
    find: async (query) =>
      (await chunks.searchText({ tenantId: tenant.id, generation: 1 }, query, { limit: 20, signal })).hits.map(
        (hit) => hit.chunk.text,
      ),
    close: async () => {
      for (const one of all) await one.stop(1);
      await Promise.all([plainState.maintenance.close(), plainChunks.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
};

const unansweredWhen = <T extends object>(isDead: () => boolean, group: T): T =>
  Object.fromEntries(
    Object.entries(group).map(([name, verb]) => [
      name,
      typeof verb === 'function'
        ? (...args: readonly unknown[]) => (isDead() ? new Promise(() => undefined) : verb(...args))
        : verb,
    ]),
  ) as T;

const endingWith = (isDead: () => boolean, state: StateStore): StateStore =>
  Object.fromEntries(
    Object.entries(state).map(([name, group]) => [
      name,
      typeof group === 'object' ? unansweredWhen(isDead, group) : group,
    ]),
  ) as unknown as StateStore;

/** Until the promise is settled the test's clock keeps pace with the work, which is real: threads and files. */
export const whileTimePasses = async <T>(runtime: TestRuntime, work: Promise<T>, pace = 1): Promise<T> => {
  let settled = false;
  const done = work.finally(() => {
    settled = true;
  });
  done.catch(() => undefined);
  let last = Date.now();
  while (!settled) {
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
    const now = Date.now();
    await runtime.clock.advance((now - last) * pace);
    last = now;
  }
  return done;
};
