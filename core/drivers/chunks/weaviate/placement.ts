import type { TenantId } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import type { IndexProfile, IndexRef } from '../../../ports/chunks.ts';
import type { Clock } from '../../../ports/runtime.ts';
import type { Connection } from './connection.ts';
import { faultError, faultOfText } from './faults.ts';
import type { Names } from './names.ts';
import {
  classNames,
  classOf,
  type IndexSettings,
  namesIn,
  otherProfile,
  profileOf,
  quantised,
  sameProfile,
} from './schema.ts';

/** Where one index lives: a collection of its own, or a tenant inside a shared one. */
export type Place = {
  readonly ref: IndexRef;
  readonly collection: string;
  readonly tenant: string | undefined;
  readonly profile: IndexProfile;
};

/** The one part that knows how tenants are laid out in Weaviate. */
export type Placement = {
  /** What the server has, always asked anew. */
  find(ref: IndexRef, signal?: AbortSignal): Promise<Place | undefined>;
  create(ref: IndexRef, profile: IndexProfile): Promise<Place>;
  drop(ref: IndexRef): Promise<void>;
  /** Every index of this deployment. Asks for the whole schema: for rare occasions only. */
  list(): Promise<readonly IndexRef[]>;
  /** Collections of this deployment that the other tenancy laid out: nothing is read from them, and nobody sweeps them. */
  leftovers(signal: AbortSignal): Promise<readonly string[]>;
  /** Quantises the vectors of a large index, if they are not yet; shared collections are left as they were made. */
  quantize(ref: IndexRef, signal: AbortSignal): Promise<void>;
  /** Points people's alias at this generation; does nothing where there are no aliases. */
  pointAlias(ref: IndexRef, signal: AbortSignal): Promise<void>;
};

export type PlacementParts = {
  readonly connection: Connection;
  readonly names: Names;
  readonly settings: IndexSettings;
  readonly maxTenants: number;
  readonly clock: Clock;
};

export const labelOf = ({ tenantId, generation }: IndexRef): string => `tenant ${tenantId}, generation ${generation}`;

const query = (signal?: AbortSignal) => ({ kind: 'query', signal }) as const;
const write = (signal?: AbortSignal) => ({ kind: 'write', signal }) as const;

/** All collections of the server, ours and others'. */
const collectionsOf = async ({ rest }: Connection, signal?: AbortSignal): Promise<string[]> => {
  await rest(query(signal), 'GET', '/.well-known/ready');
  const { body } = await rest(query(signal), 'GET', '/schema');
  return classNames(body);
};

/**
 * Memory and files grow with every collection, empty or not, so there is a limit, and it says so before the server breaks. The
 * whole schema is asked for at most once a minute, or when the limit seems to be reached: with hundreds of collections it is megabytes.
 */
const tenantLimit = ({ maxTenants, clock }: PlacementParts, list: () => Promise<readonly IndexRef[]>) => {
  let held = new Set<TenantId>();
  let until = Number.NEGATIVE_INFINITY;
  const isFull = (tenantId: TenantId): boolean => !held.has(tenantId) && held.size >= maxTenants;
  return async (tenantId: TenantId): Promise<void> => {
    if (clock.now() > until || isFull(tenantId)) {
      held = new Set((await list()).map((ref) => ref.tenantId));
      until = clock.now() + listedForMs;
    }
    if (isFull(tenantId))
      throw new AppError(
        'conflict',
        `This Weaviate already holds ${held.size} tenants, which is the limit. Raise WEAVIATE_MAX_TENANTS if its memory allows it, or remove tenants.`,
      );
    held.add(tenantId);
  };
};
const listedForMs = 60_000;

/** 422 "already exists" means that another instance was faster; what counts is what is there then. */
const createUnlessThere = async ({ rest, at }: Connection, path: string, body: unknown): Promise<void> => {
  const answer = await rest(write(), 'POST', path, body, [422]);
  if (answer.status === 422 && !/already exists/.test(String(answer.body)))
    throw faultError(faultOfText(String(answer.body)) ?? 'refused', at, new Error(String(answer.body)));
};

// ── a collection per tenant and generation ──────────────────────────────────────────────────────────────────────────

export const collectionPlacement = (parts: PlacementParts): Placement => {
  const { connection, names, settings } = parts;
  const { rest } = connection;

  const find: Placement['find'] = async (ref, signal) => {
    const collection = names.collection(ref);
    // Not the client's exists() or listAll(): both download the whole schema, and exists() is blind to aliases and case.
    const found = await connection.look(`/schema/${collection}`, signal);
    if (found === undefined) return undefined;
    return { ref, collection, tenant: undefined, profile: profileOf(collection, found.body, false) };
  };

  const list = async (): Promise<IndexRef[]> =>
    (await collectionsOf(connection)).flatMap((name) => names.refOf(name) ?? []);
  const refuseAboveLimit = tenantLimit(parts, list);

  return {
    find,
    list,
    leftovers: async (signal) => (await collectionsOf(connection, signal)).filter(names.isShared),
    create: async (ref, profile) => {
      await refuseAboveLimit(ref.tenantId);
      const collection = names.collection(ref);
      await createUnlessThere(connection, '/schema', classOf(collection, profile, settings, false));
      const place = await find(ref);
      if (place === undefined)
        throw new AppError(
          'store-unavailable',
          `Weaviate did not create the search index of ${labelOf(ref)}. Its log says why.`,
        );
      // A tenant's first index: people find it by the alias. Later ones get it when they become the live one.
      const alias = { alias: names.alias(ref.tenantId), class: collection };
      await rest(write(), 'POST', '/aliases', alias, [404, 409, 422]).catch(() => undefined);
      return place;
    },
    drop: async (ref) => {
      const collection = names.collection(ref);
      // Deleting a collection does not resolve aliases and leaves them dangling, so they go first.
      const { body } = await rest(query(), 'GET', `/aliases?class=${collection}`, undefined, [404]);
      const aliases = namesIn(
        body !== null && typeof body === 'object' && 'aliases' in body ? body.aliases : [],
        'alias',
      );
      for (const alias of aliases)
        await rest(write(), 'DELETE', `/aliases/${encodeURIComponent(alias)}`, undefined, [404]);
      await rest(write(), 'DELETE', `/schema/${collection}`, undefined, [404]);
    },
    quantize: async (ref, signal) => {
      const path = `/schema/${names.collection(ref)}`;
      const { body } = await rest(query(signal), 'GET', path);
      const changed = quantised(body);
      if (changed !== undefined) await rest(write(signal), 'PUT', path, changed);
    },
    pointAlias: async (ref, signal) => {
      const alias = names.alias(ref.tenantId);
      const target = names.collection(ref);
      const moved = await rest(write(signal), 'PUT', `/aliases/${alias}`, { class: target }, [404, 422]);
      if (moved.status < 400) return;
      await rest(write(signal), 'POST', '/aliases', { alias, class: target });
    },
  };
};

// ── native multi-tenancy: one collection per profile, a tenant per tenant and generation ────────────────────────────

export const nativePlacement = (parts: PlacementParts): Placement => {
  const { connection, names, settings } = parts;
  const { rest } = connection;

  const sharedCollections = async (signal?: AbortSignal): Promise<string[]> =>
    (await collectionsOf(connection, signal)).filter(names.isShared);
  const profiles = new Map<string, IndexProfile>();
  const profileIn = async (collection: string, signal?: AbortSignal): Promise<IndexProfile | undefined> => {
    const known = profiles.get(collection);
    if (known) return known;
    const found = await connection.look(`/schema/${collection}`, signal);
    if (found === undefined) return undefined;
    const profile = profileOf(collection, found.body, true);
    profiles.set(collection, profile);
    return profile;
  };
  const holds = async (collection: string, tenant: string, signal?: AbortSignal): Promise<boolean> =>
    (await connection.look(`/schema/${collection}/tenants/${tenant}`, signal)) !== undefined;

  const find: Placement['find'] = async (ref, signal) => {
    const tenant = names.nativeTenant(ref);
    // The known ones first; the whole schema only when the tenant is in none of them.
    for (const candidates of [[...profiles.keys()], undefined]) {
      for (const collection of candidates ?? (await sharedCollections(signal))) {
        if (!(await holds(collection, tenant, signal))) continue;
        const profile = await profileIn(collection, signal);
        if (profile) return { ref, collection, tenant, profile };
      }
    }
    return undefined;
  };

  const list = async (): Promise<IndexRef[]> => {
    const refs: IndexRef[] = [];
    for (const collection of await sharedCollections()) {
      const { body } = await rest(query(), 'GET', `/schema/${collection}/tenants`, undefined, [404]);
      refs.push(...namesIn(body).flatMap((name) => names.refOfNativeTenant(name) ?? []));
    }
    return refs;
  };
  const refuseAboveLimit = tenantLimit(parts, list);

  return {
    find,
    list,
    leftovers: async (signal) =>
      (await collectionsOf(connection, signal)).filter((name) => names.refOf(name) !== undefined),
    create: async (ref, profile) => {
      await refuseAboveLimit(ref.tenantId);
      const collection = names.shared(profile);
      if ((await profileIn(collection)) === undefined) {
        await createUnlessThere(connection, '/schema', classOf(collection, profile, settings, true));
        const made = await profileIn(collection);
        if (made === undefined || !sameProfile(made, profile)) throw otherProfile(labelOf(ref));
      }
      const tenant = names.nativeTenant(ref);
      await createUnlessThere(connection, `/schema/${collection}/tenants`, [{ name: tenant }]);
      const place = await find(ref);
      if (place === undefined)
        throw new AppError(
          'store-unavailable',
          `Weaviate did not create the search index of ${labelOf(ref)}. Its log says why.`,
        );
      return place;
    },
    drop: async (ref) => {
      const tenant = names.nativeTenant(ref);
      for (const collection of await sharedCollections()) {
        if (await holds(collection, tenant))
          await rest(write(), 'DELETE', `/schema/${collection}/tenants`, [tenant], [404, 422]);
      }
    },
    quantize: async () => undefined,
    pointAlias: async () => undefined,
  };
};
