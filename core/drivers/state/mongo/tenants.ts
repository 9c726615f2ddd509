import type { ApiKey, Membership, Role, Tenant, TenantSettings } from '../../../domain.ts';
import type { KeyStore, MemberStore, TenantStore } from '../../../ports/state.ts';
import { type Collections, type KeyDoc, keyOf, type MemberDoc, type TenantDoc } from './collections.ts';
import { eraseTenant } from './erase.ts';
import { figuresOf } from './figures.ts';
import { generationVerbs } from './generations.ts';
import { all, containing, inserted, pageOf, parsed, rowLimit, twice, within } from './queries.ts';

const tenantOf = (doc: TenantDoc): Tenant => ({
  id: doc._id,
  slug: doc.slug,
  name: doc.name,
  createdAt: doc.createdAt,
  settings: parsed<TenantSettings>(doc.settings),
  activeGeneration: doc.activeGeneration,
  contentRevision: doc.contentRevision,
  rev: doc.rev,
});

const settingsFields = (settings: TenantSettings) => ({
  settings: JSON.stringify(settings),
  // What is masked is masked in receipts and turns; the events themselves are kept as long as tenants without text keep them.
  keepText: settings.keepText !== false && (settings.masking?.kinds.length ?? 0) === 0,
  retentionDays: settings.retentionDays ?? 0,
});

export const tenantVerbs = (collections: Collections): TenantStore => {
  const { tenants } = collections;
  const get = async (tenantId: string): Promise<Tenant | null> => {
    const doc = await tenants.findOne({ _id: tenantId, deletedAt: null }, within);
    return doc === null ? null : tenantOf(doc);
  };
  return {
    // A deleted tenant's document stays for ever, and with it its slug.
    create: async (tenant) =>
      (await inserted(() =>
        tenants.insertOne({
          _id: tenant.id,
          slug: tenant.slug,
          name: tenant.name,
          createdAt: tenant.createdAt,
          ...settingsFields(tenant.settings),
          activeGeneration: tenant.activeGeneration,
          contentRevision: tenant.contentRevision,
          rev: tenant.rev,
          deletedAt: null,
          erased: false,
        }),
      ))
        ? 'created'
        : 'slug-taken',
    get,
    bySlug: async (slug) => {
      const doc = await tenants.findOne({ slug, deletedAt: null }, within);
      return doc === null ? null : tenantOf(doc);
    },
    list: (page, { q } = {}) =>
      pageOf(
        page,
        'name',
        (after, limit) =>
          tenants
            .find(
              all<TenantDoc>([
                { deletedAt: null, slug: { $gt: String(after?.[0] ?? '') } },
                ...(q === undefined ? [] : [{ $or: [{ slug: containing(q) }, { name: containing(q) }] }]),
              ]),
              within,
            )
            .sort({ slug: 1 })
            .limit(limit)
            .toArray(),
        (doc) => [doc.slug],
        tenantOf,
      ),
    figures: (tenantIds, range) => figuresOf(collections, tenantIds, range),
    update: async (tenantId, rev, patch) => {
      const doc = await tenants.findOneAndUpdate(
        { _id: tenantId, rev, deletedAt: null },
        {
          $set: {
            ...(patch.name === undefined ? {} : { name: patch.name }),
            ...(patch.settings === undefined ? {} : settingsFields(patch.settings)),
            rev: rev + 1,
          },
        },
        { returnDocument: 'after' },
      );
      if (doc !== null) return tenantOf(doc);
      return (await get(tenantId)) === null ? null : 'stale';
    },
    bumpContentRevision: async (tenantId) => {
      const doc = await tenants.findOneAndUpdate(
        { _id: tenantId, deletedAt: null },
        { $inc: { contentRevision: 1 } },
        { returnDocument: 'after' },
      );
      return doc?.contentRevision ?? null;
    },
    switchGeneration: async (tenantId, from, to) => {
      const { matchedCount } = await tenants.updateOne(
        { _id: tenantId, activeGeneration: from, deletedAt: null },
        { $set: { activeGeneration: to }, $inc: { contentRevision: 1 } },
      );
      return matchedCount === 1;
    },
    markDeleted: async (tenantId, now) => {
      const { matchedCount } = await tenants.updateOne(
        { _id: tenantId, deletedAt: null },
        { $set: { deletedAt: now } },
      );
      return matchedCount === 1;
    },
    erase: (tenantId) => eraseTenant(collections, tenantId),
    deleted: async (limit) =>
      (
        await tenants
          .find({ erased: false, deletedAt: { $gt: 0 } }, within)
          .sort({ deletedAt: 1 })
          .limit(rowLimit(limit))
          .toArray()
      ).map((doc) => doc._id),
    ...generationVerbs(collections),
  };
};

/** Which of these tenants are deleted. One that has no document counts as alive, as in the embedded store. */
export const deadAmong = async (
  { tenants }: Collections,
  tenantIds: readonly string[],
): Promise<ReadonlySet<string>> => {
  if (tenantIds.length === 0) return new Set();
  const docs = await tenants
    .find({ _id: { $in: [...new Set(tenantIds)] }, deletedAt: { $gt: 0 } }, within)
    .project<{ _id: string }>({ _id: 1 })
    .toArray();
  return new Set(docs.map((doc) => doc._id));
};

/** Deleted tenants whose rows may still stand: the others have none that could be found. */
export const deadTenants = async ({ tenants }: Collections): Promise<string[]> =>
  (
    await tenants
      .find({ erased: false, deletedAt: { $gt: 0 } }, within)
      .project<{ _id: string }>({ _id: 1 })
      .limit(1_000)
      .toArray()
  ).map((doc) => doc._id);

const apiKeyOf = (doc: KeyDoc): ApiKey => ({
  ...parsed<ApiKey>(doc.record),
  ...(doc.lastUsedAt === null ? {} : { lastUsedAt: doc.lastUsedAt }),
});

export const keyVerbs = (collections: Collections): KeyStore => {
  const { keys } = collections;
  return {
    create: async (key, hash) => {
      const { lastUsedAt, ...record } = key;
      await keys.insertOne({
        _id: key.id,
        tenantId: key.tenantId,
        hash,
        createdAt: key.createdAt,
        lastUsedAt: lastUsedAt ?? null,
        record: JSON.stringify(record),
      });
    },
    byHash: async (hash) => {
      const doc = await keys.findOne({ hash }, within);
      if (doc === null || (await deadAmong(collections, [doc.tenantId])).size > 0) return null;
      return apiKeyOf(doc);
    },
    list: async (tenantId) =>
      (await keys.find({ tenantId }, within).sort({ createdAt: 1, _id: 1 }).toArray()).map(apiKeyOf),
    revoke: async (tenantId, keyId) => (await keys.deleteOne({ _id: keyId, tenantId })).deletedCount === 1,
    touch: async (tenantId, keyId, now) => {
      await keys.updateOne({ _id: keyId, tenantId }, { $set: { lastUsedAt: now } });
    },
  };
};

/** Operators have no tenant; an empty text keeps their key one of two parts. */
const noTenant = '';

const membershipOf = (doc: MemberDoc): Membership => ({
  userId: doc.userId,
  tenantId: doc.tenantId === noTenant ? null : doc.tenantId,
  role: doc.role as Role,
  createdAt: doc.createdAt,
});

export const memberVerbs = (collections: Collections): MemberStore => {
  const { members } = collections;
  return {
    put: async ({ userId, tenantId, role, createdAt }, expected) => {
      const _id = keyOf(tenantId ?? noTenant, userId);
      if (expected !== undefined)
        return (await members.updateOne({ _id, role: expected }, { $set: { role } })).matchedCount === 1;
      await twice(() =>
        members.updateOne(
          { _id },
          { $set: { role }, $setOnInsert: { userId, tenantId: tenantId ?? noTenant, createdAt } },
          { upsert: true },
        ),
      );
      return true;
    },
    ofUser: async (userId) => {
      const docs = await members.find({ userId }, within).sort({ tenantId: 1 }).toArray();
      const dead = await deadAmong(
        collections,
        docs.map((doc) => doc.tenantId),
      );
      return docs.filter((doc) => !dead.has(doc.tenantId)).map(membershipOf);
    },
    ofTenant: async (tenantId) =>
      (await members.find({ tenantId }, within).sort({ userId: 1 }).toArray()).map(membershipOf),
    remove: async (tenantId, userId, expected) =>
      (
        await members.deleteOne({
          _id: keyOf(tenantId ?? noTenant, userId),
          ...(expected === undefined ? {} : { role: expected }),
        })
      ).deletedCount === 1,
    operators: () => members.countDocuments({ tenantId: noTenant, role: 'operator' }, within),
  };
};
