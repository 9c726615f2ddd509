import type { Generation, GenerationPatch, GenerationProfile, TenantStore } from '../../../ports/state.ts';
import { type Collections, type GenerationDoc, keyOf } from './collections.ts';
import { all, beyond, inserted, parsed, present, rowLimit, within } from './queries.ts';

type GenerationVerbs = 'generations' | 'addGeneration' | 'updateGeneration' | 'removeGeneration' | 'generationsDue';

const generationOf = ({ _id, tenantId, profile, ...doc }: GenerationDoc): Generation =>
  present<Generation>({ ...doc, profile: parsed<GenerationProfile>(profile) } as Generation);

const patchOf = ({ profile, ...patch }: GenerationPatch): Partial<GenerationDoc> =>
  ({
    ...patch,
    // Absent and null both leave it: a generation is nothing without what filled it.
    ...(profile === undefined || profile === null ? {} : { profile: JSON.stringify(profile) }),
  }) as Partial<GenerationDoc>;

const idOf = (tenantId: string, number: number): string => keyOf(tenantId, String(number));

/** Pages of due generations that one call looks through. */
const maxPages = 20;

/** What is known of a tenant's index generations; which one answers is the tenant's own field. */
export const generationVerbs = ({ tenants, generations }: Collections): Pick<TenantStore, GenerationVerbs> => ({
  generations: async (tenantId) =>
    (await generations.find({ tenantId }, within).sort({ number: 1 }).toArray()).map(generationOf),
  addGeneration: async (tenantId, generation) => {
    if ((await tenants.findOne({ _id: tenantId, deletedAt: null }, within)) === null) return null;
    const _id = idOf(tenantId, generation.number);
    await inserted(() =>
      generations.insertOne({
        _id,
        tenantId,
        number: generation.number,
        profile: JSON.stringify(generation.profile),
        createdAt: generation.createdAt,
        jobId: generation.jobId ?? null,
        phase: generation.phase ?? null,
        sweepAt: generation.sweepAt ?? null,
        base: generation.base ?? null,
        incomplete: generation.incomplete ?? null,
        held: generation.held ?? null,
      }),
    );
    const doc = await generations.findOne({ _id }, within);
    return doc === null ? null : generationOf(doc);
  },
  updateGeneration: async (tenantId, number, patch) => {
    const set = patchOf(patch);
    const _id = idOf(tenantId, number);
    if (Object.values(set).every((value) => value === undefined))
      return (await generations.findOne({ _id }, within)) !== null;
    return (await generations.updateOne({ _id }, { $set: set })).matchedCount === 1;
  },
  removeGeneration: async (tenantId, number) => {
    await generations.deleteOne({ _id: idOf(tenantId, number) });
  },
  generationsDue: async (now, limit) => {
    const due: { tenantId: string; number: number }[] = [];
    let after: readonly (string | number)[] | null = null;
    for (let pages = 0; pages < maxPages; pages += 1) {
      const page: readonly GenerationDoc[] = await generations
        .find(all<GenerationDoc>([{ sweepAt: { $lte: now } }, ...beyond(after, ['sweepAt', '_id'], '$gt')]), within)
        .sort({ sweepAt: 1, _id: 1 })
        .limit(rowLimit(limit))
        .toArray();
      const owners = await tenants
        .find({ _id: { $in: [...new Set(page.map((doc) => doc.tenantId))] }, deletedAt: null }, within)
        .toArray();
      const active = new Map(owners.map((tenant) => [tenant._id, tenant.activeGeneration]));
      for (const { tenantId, number } of page)
        if (active.has(tenantId) && active.get(tenantId) !== number) due.push({ tenantId, number });
      const last = page.at(-1);
      if (due.length >= limit || last === undefined || page.length < rowLimit(limit)) break;
      after = [last.sweepAt ?? 0, last._id];
    }
    return due.slice(0, rowLimit(limit));
  },
});
