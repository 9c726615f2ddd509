import type { Core, TenantSettingsPatch } from '../core.ts';
import type { Tenant, TenantId, TenantSettings } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Ingest } from '../ingest/ingest.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import { problemOfSlug } from '../text/slug.ts';
import { checkSettings } from './check-settings.ts';

const attempts = 5;

export const createTenants = (parts: {
  readonly state: StateStore;
  readonly ingest: Ingest;
  readonly runtime: Runtime;
  /** What a tenant may choose from. */
  readonly chatModels?: readonly string[];
}): Core['tenants'] => {
  const { state, ingest, runtime } = parts;
  return {
    create: async ({ slug, name }) => {
      const problem = problemOfSlug(slug);
      if (problem !== null) throw new AppError('invalid', problem, { at: 'slug' });
      if (name.trim() === '') throw new AppError('invalid', 'A tenant needs a name.', { at: 'name' });
      const tenant: Tenant = {
        id: `t_${runtime.random.hex(12)}`,
        slug,
        name: name.trim(),
        createdAt: runtime.clock.now(),
        settings: {},
        activeGeneration: 1,
        contentRevision: 0,
        rev: 0,
      };
      if ((await state.tenants.create(tenant)) === 'slug-taken') {
        throw new AppError(
          'conflict',
          `The slug "${slug}" is taken. A slug is never given twice, not even after its tenant was deleted.`,
          { at: 'slug' },
        );
      }
      return tenant;
    },
    get: (tenantId) => state.tenants.get(tenantId),
    bySlug: (slug) => state.tenants.bySlug(slug),
    list: (page) => state.tenants.list(page),
    update: async (tenantId, patch, rev) => {
      const sources = patch.settings?.channels?.sources;
      if (sources !== undefined) await requireSources(state, tenantId, sources);
      if (patch.settings !== undefined) checkSettings(patch.settings, parts.chatModels ?? []);
      // Without a rev the caller means "whatever stands now": read and try again until nobody came between.
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const current = await requireTenant(state, tenantId);
        const updated = await state.tenants.update(tenantId, rev ?? current.rev, {
          ...(patch.name === undefined ? {} : { name: patch.name }),
          ...(patch.settings === undefined ? {} : { settings: merged(current.settings, patch.settings) }),
        });
        if (updated !== null && updated !== 'stale') return updated;
        if (updated === 'stale' && rev !== undefined) break;
      }
      throw new AppError(
        'conflict',
        'Somebody else changed this tenant meanwhile. Read it again and repeat the change.',
      );
    },
    remove: async (tenantId) => {
      await requireTenant(state, tenantId);
      await state.tenants.markDeleted(tenantId, runtime.clock.now());
      await ingest.dropTenant(tenantId);
    },
  };
};

const merged = (settings: TenantSettings, patch: TenantSettingsPatch): TenantSettings =>
  Object.fromEntries(Object.entries({ ...settings, ...patch }).filter(([, value]) => value !== null));

/** Throws AppError `not-found` for a tenant that is unknown or deleted. */
export const requireTenant = async (state: StateStore, tenantId: TenantId): Promise<Tenant> => {
  const tenant = await state.tenants.get(tenantId);
  if (tenant === null) throw new AppError('not-found', 'There is no such tenant.');
  return tenant;
};

/** Throws AppError `not-found` when one of the ids is not a source of this tenant. */
export const requireSources = async (
  state: StateStore,
  tenantId: string,
  sourceIds: readonly string[],
): Promise<void> => {
  const known = new Set((await state.sources.list(tenantId)).map(({ id }) => id));
  if (!sourceIds.every((id) => known.has(id)))
    throw new AppError('not-found', 'One of the sources does not exist.', { at: 'sources' });
};
