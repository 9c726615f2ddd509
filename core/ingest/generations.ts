import type { TenantId } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { IndexRef } from '../ports/chunks.ts';
import type { Embedder } from '../ports/model.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { Generation, GenerationProfile, Standing, StateStore } from '../ports/state.ts';
import { analyserVersion } from '../text/analyse.ts';
import { chunkerVersion } from './chunk.ts';

/** The index that answers now, as this process sees it. */
export type LiveIndex = {
  readonly ref: IndexRef;
  readonly record: Generation;
  /** Whole, and filled as this process is configured. */
  readonly fits: boolean;
  /** Its vectors are of the model that is configured here, so that new ones may stand beside them. */
  readonly takesVectors: boolean;
  /** The pointer is about to move, or has moved and replaying is not over. */
  readonly switching: boolean;
};

export type Generations = {
  /** What this process fills indexes with. */
  readonly configured: GenerationProfile;
  isFit(record: Generation): boolean;
  /** Throws AppError `not-found` when the tenant is gone. */
  live(tenantId: TenantId): Promise<LiveIndex>;
  /** The same of what was read already. */
  liveIn(tenantId: TenantId, standing: Omit<Standing, 'hasSource'>): Promise<LiveIndex>;
  /**
   * After a write: the index that answers now, once no switch is under way. `moved`: the write may not have reached it
   * and has to be done again there. A write that returns without this could be lost by a switch that overlaps it.
   * `standing`: how things stood right after the write, if that is known.
   */
  settled(
    tenantId: TenantId,
    written: LiveIndex,
    standing?: Standing,
  ): Promise<LiveIndex & { readonly moved: boolean }>;
  /** Something went into the index without its vectors. */
  markIncomplete(index: LiveIndex): Promise<void>;
  /** The model of the vectors in an index; null: it has none. */
  modelOf(ref: IndexRef): Promise<string | null>;
};

/** A switch takes seconds. A process that died in the middle of one must not hold writers for longer than this. */
const switchWithinMs = 15_000;
const lookEveryMs = 50;
const remembered = 5_000;

export const createGenerations = (parts: {
  readonly state: StateStore;
  readonly embedder: Embedder | null;
  readonly runtime: Runtime;
}): Generations => {
  const { state, embedder, runtime } = parts;
  const configured: GenerationProfile = {
    analyser: analyserVersion,
    chunker: chunkerVersion,
    embeddingModel: embedder?.name ?? null,
  };
  const models = new Map<string, string | null>();
  const switchingSince = new Map<TenantId, number>();

  const isFit = (record: Generation): boolean =>
    record.incomplete !== true && wordsOf(record.profile) === wordsOf(configured);

  /** An index from before generations were recorded tells by its documents what filled it; an empty one is ours to fill. */
  const adopt = async (tenantId: TenantId, number: number): Promise<Generation | null> => {
    const { items } = await state.documents.list(tenantId, {}, { limit: 50 });
    const filled = items.map((row) => (row.chunkCount > 0 ? profileFrom(row.fingerprint) : null)).find(Boolean);
    const createdAt = filled ? 0 : runtime.clock.now();
    return state.tenants.addGeneration(tenantId, { number, profile: filled ?? configured, createdAt });
  };

  const liveIn: Generations['liveIn'] = async (tenantId, { tenant, generations: records }) => {
    const record =
      tenant === null
        ? null
        : (records.find(({ number }) => number === tenant.activeGeneration) ??
          (await adopt(tenantId, tenant.activeGeneration)));
    if (tenant === null || record === null) throw new AppError('not-found', 'There is no such tenant.');
    return {
      ref: { tenantId, generation: tenant.activeGeneration },
      record,
      fits: isFit(record),
      takesVectors: embedder !== null && record.profile.embeddingModel === embedder.name,
      switching: records.some(({ phase }) => phase === 'switching'),
    };
  };

  const live = async (tenantId: TenantId): Promise<LiveIndex> => {
    const [tenant, generations] = await Promise.all([state.tenants.get(tenantId), state.tenants.generations(tenantId)]);
    return liveIn(tenantId, { tenant, generations });
  };

  return {
    configured,
    isFit,
    live,
    liveIn,
    async settled(tenantId, written, standing) {
      let overlapped = false;
      for (let seen = standing; ; seen = undefined) {
        const now = await (seen === undefined ? live(tenantId) : liveIn(tenantId, seen));
        const differs = now.ref.generation !== written.ref.generation;
        if (!now.switching) {
          switchingSince.delete(tenantId);
          return { ...now, moved: overlapped || differs };
        }
        overlapped = true;
        const since = switchingSince.get(tenantId) ?? runtime.clock.now();
        switchingSince.set(tenantId, since);
        if (runtime.clock.now() - since >= switchWithinMs) return { ...now, moved: differs };
        await runtime.clock.sleep(lookEveryMs);
      }
    },
    async markIncomplete({ ref, record }) {
      if (record.incomplete !== true)
        await state.tenants.updateGeneration(ref.tenantId, ref.generation, { incomplete: true });
    },
    async modelOf(ref) {
      const key = `${ref.tenantId}/${ref.generation}`;
      const known = models.get(key);
      if (known !== undefined) return known;
      const now = await live(ref.tenantId);
      const record =
        now.ref.generation === ref.generation
          ? now.record
          : (await state.tenants.generations(ref.tenantId)).find(({ number }) => number === ref.generation);
      const model = record?.profile.embeddingModel ?? null;
      // A generation's profile never changes, and no number is given twice.
      if (models.size > remembered) models.clear();
      models.set(key, model);
      return model;
    },
  };
};

/** A profile as one reads it, and as two are compared. */
export const wordsOf = ({ analyser, chunker, embeddingModel }: GenerationProfile): string =>
  `${analyser}, ${chunker}, ${embeddingModel ?? 'no embedding model'}`;

/** `parser/chunker/analyser/model/hash`, as fingerprints were before; a model's name may hold slashes. */
const profileFrom = (fingerprint: string): GenerationProfile | null => {
  const [, chunker, analyser, ...rest] = fingerprint.split('/');
  const model = rest.slice(0, -1).join('/');
  if (chunker === undefined || analyser === undefined || model === '') return null;
  return { chunker, analyser, embeddingModel: model === 'no-embedding' ? null : model };
};
