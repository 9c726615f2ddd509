import type { ApiKey, Membership, Role, Tenant, TenantSettings } from '../../../domain.ts';
import type { Generation, KeyStore, MemberStore, TenantFigures, TenantStore } from '../../../ports/state.ts';
import { pageOf, rowLimit } from '../cursors.ts';
import { day } from '../retention.ts';
import { eraseTenant } from './maintenance.ts';
import { isOfWholeDays } from './metering.ts';
import { patched, type Recorded, readRecord, readRecords, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type TenantRow = {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly created_at: number;
  readonly settings: string;
  readonly active_generation: number;
  readonly content_revision: number;
  readonly rev: number;
};

const tenantOf = (row: TenantRow): Tenant => ({
  id: row.id,
  slug: row.slug,
  name: row.name,
  createdAt: row.created_at,
  settings: JSON.parse(row.settings) as TenantSettings,
  activeGeneration: row.active_generation,
  contentRevision: row.content_revision,
  rev: row.rev,
});

const orNull = (row: TenantRow | undefined): Tenant | null => (row === undefined ? null : tenantOf(row));

export const readTenant = (sql: Sql, tenantId: string): Tenant | null =>
  orNull(sql.one<TenantRow>('SELECT * FROM tenants WHERE id = ? AND deleted_at IS NULL', tenantId));

export const readGenerations = (sql: Sql, tenantId: string): readonly Generation[] =>
  readRecords<Generation>(
    sql.all<Recorded>('SELECT record FROM generations WHERE tenant_id = ? ORDER BY number', tenantId),
  );

export const bumpContentRevision = (sql: Sql, tenantId: string): number | null =>
  sql.one<{ readonly revision: number }>(
    `UPDATE tenants SET content_revision = content_revision + 1 WHERE id = ? AND deleted_at IS NULL
     RETURNING content_revision AS revision`,
    tenantId,
  )?.revision ?? null;

export const tenantVerbs = (sql: Sql): SyncGroup<TenantStore> => {
  const get = (tenantId: string) => readTenant(sql, tenantId);
  return {
    // A deleted tenant's row stays for ever, and with it its slug.
    create: (tenant) =>
      sql.run(
        `INSERT INTO tenants (id, slug, name, created_at, settings, active_generation, content_revision, rev)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        tenant.id,
        tenant.slug,
        tenant.name,
        tenant.createdAt,
        JSON.stringify(tenant.settings),
        tenant.activeGeneration,
        tenant.contentRevision,
        tenant.rev,
      ) === 1
        ? 'created'
        : 'slug-taken',
    get,
    bySlug: (slug) => orNull(sql.one<TenantRow>('SELECT * FROM tenants WHERE slug = ? AND deleted_at IS NULL', slug)),
    list: (page, { q } = {}) =>
      pageOf(
        page,
        'name',
        (after, limit) =>
          sql.all<TenantRow>(
            `SELECT * FROM tenants WHERE deleted_at IS NULL AND slug > ?1
               AND (?3 IS NULL OR instr(slug, ?3) > 0 OR instr(lower(name), ?3) > 0) ORDER BY slug LIMIT ?2`,
            String(after?.[0] ?? ''),
            limit,
            q?.toLowerCase() ?? null,
          ),
        (row) => [row.slug],
        tenantOf,
      ),
    figures: (tenantIds, range) => tenantIds.map((tenantId) => figuresOf(sql, tenantId, range)),
    update: (tenantId, rev, patch) => {
      const tenant = get(tenantId);
      if (tenant === null) return null;
      if (tenant.rev !== rev) return 'stale';
      const next = { ...patched(tenant, patch), rev: rev + 1 };
      const settings = JSON.stringify(next.settings);
      sql.run(
        'UPDATE tenants SET name = ?, settings = ?, rev = ? WHERE id = ?',
        next.name,
        settings,
        next.rev,
        tenantId,
      );
      return next;
    },
    bumpContentRevision: (tenantId) => bumpContentRevision(sql, tenantId),
    switchGeneration: (tenantId, from, to) =>
      sql.run(
        `UPDATE tenants SET active_generation = ?, content_revision = content_revision + 1
         WHERE id = ? AND active_generation = ? AND deleted_at IS NULL`,
        to,
        tenantId,
        from,
      ) === 1,
    markDeleted: (tenantId, now) =>
      sql.run('UPDATE tenants SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL', now, tenantId) === 1,
    erase: (tenantId) => eraseTenant(sql, tenantId),
    deleted: (limit) =>
      sql
        .all<{ readonly id: string }>(
          'SELECT id FROM tenants WHERE deleted_at IS NOT NULL AND erased = 0 ORDER BY deleted_at LIMIT ?',
          rowLimit(limit),
        )
        .map((row) => row.id),
    ...generationVerbs(sql),
  };
};

/** No row of a document or of the ledger is opened for a time of whole days. */
const figuresOf = (
  sql: Sql,
  tenantId: string,
  range: { readonly from: number; readonly to: number },
): TenantFigures => {
  const held = sql.one<{ readonly documents: number; readonly chunks: number; readonly bytes: number }>(
    `SELECT count(*) AS documents, coalesce(sum(chunks), 0) AS chunks, coalesce(sum(bytes), 0) AS bytes
     FROM documents WHERE tenant_id = ?`,
    tenantId,
  );
  type Spent = {
    readonly currency: string;
    readonly questions: number;
    readonly nanos: number;
    readonly unpriced: number;
  };
  const spent = isOfWholeDays(range)
    ? sql.all<Spent>(
        `SELECT currency, sum(questions) AS questions, sum(cost) AS nanos, max(unpriced) AS unpriced
         FROM ledger_days WHERE tenant_id = ? AND day >= ? AND day < ? GROUP BY currency ORDER BY currency`,
        tenantId,
        range.from / day,
        range.to / day,
      )
    : sql.all<Spent>(
        `SELECT coalesce(currency, '') AS currency, sum(kind = 'question') AS questions,
           coalesce(sum(cost_nanos), 0) AS nanos, max(unpriced) AS unpriced
         FROM ledger WHERE tenant_id = ? AND at >= ? AND at < ? GROUP BY 1 ORDER BY 1`,
        tenantId,
        range.from,
        range.to,
      );
  return {
    tenantId,
    ...(held ?? { documents: 0, chunks: 0, bytes: 0 }),
    questions: spent.reduce((sum, { questions }) => sum + questions, 0),
    costs: spent.flatMap(({ currency, nanos }) => (currency === '' ? [] : [{ currency, nanos }])),
    costUnknown: spent.some(({ unpriced }) => unpriced === 1),
  };
};

type GenerationVerbs = 'generations' | 'addGeneration' | 'updateGeneration' | 'removeGeneration' | 'generationsDue';

const generationVerbs = (sql: Sql): Pick<SyncGroup<TenantStore>, GenerationVerbs> => {
  const get = (tenantId: string, number: number) =>
    readRecord<Generation>(
      sql.one<Recorded>('SELECT record FROM generations WHERE tenant_id = ? AND number = ?', tenantId, number),
    );
  return {
    generations: (tenantId) => readGenerations(sql, tenantId),
    addGeneration: (tenantId, generation) => {
      sql.run(
        `INSERT INTO generations (tenant_id, number, sweep_at, record)
         SELECT id, ?, ?, ? FROM tenants WHERE id = ? AND deleted_at IS NULL ON CONFLICT DO NOTHING`,
        generation.number,
        generation.sweepAt ?? null,
        JSON.stringify(generation),
        tenantId,
      );
      return get(tenantId, generation.number);
    },
    updateGeneration: (tenantId, number, patch) => {
      const before = get(tenantId, number);
      if (before === null) return false;
      const after = patched(before, patch);
      sql.run(
        'UPDATE generations SET sweep_at = ?, record = ? WHERE tenant_id = ? AND number = ?',
        after.sweepAt ?? null,
        JSON.stringify(after),
        tenantId,
        number,
      );
      return true;
    },
    removeGeneration: (tenantId, number) => {
      sql.run('DELETE FROM generations WHERE tenant_id = ? AND number = ?', tenantId, number);
    },
    generationsDue: (now, limit) =>
      sql
        .all<{ readonly tenant_id: string; readonly number: number }>(
          `SELECT tenant_id, number FROM generations JOIN tenants ON tenants.id = tenant_id
           WHERE sweep_at <= ? AND deleted_at IS NULL AND number <> active_generation ORDER BY sweep_at LIMIT ?`,
          now,
          rowLimit(limit),
        )
        .map((row) => ({ tenantId: row.tenant_id, number: row.number })),
  };
};

export const keyVerbs = (sql: Sql): SyncGroup<KeyStore> => ({
  create: (key, hash) => {
    sql.run(
      'INSERT INTO api_keys (id, tenant_id, hash, created_at, record) VALUES (?, ?, ?, ?, ?)',
      key.id,
      key.tenantId,
      hash,
      key.createdAt,
      JSON.stringify(key),
    );
  },
  byHash: (hash) =>
    readRecord<ApiKey>(
      sql.one<Recorded>(
        `SELECT api_keys.record FROM api_keys JOIN tenants ON tenants.id = api_keys.tenant_id
         WHERE api_keys.hash = ? AND tenants.deleted_at IS NULL`,
        hash,
      ),
    ),
  list: (tenantId) =>
    readRecords<ApiKey>(
      sql.all<Recorded>('SELECT record FROM api_keys WHERE tenant_id = ? ORDER BY created_at, id', tenantId),
    ),
  revoke: (tenantId, keyId) => sql.run('DELETE FROM api_keys WHERE tenant_id = ? AND id = ?', tenantId, keyId) === 1,
  touch: (tenantId, keyId, now) => {
    sql.run(
      `UPDATE api_keys SET record = json_set(record, '$.lastUsedAt', ?) WHERE tenant_id = ? AND id = ?`,
      now,
      tenantId,
      keyId,
    );
  },
});

type MembershipRow = {
  readonly user_id: string;
  readonly tenant_id: string;
  readonly role: string;
  readonly created_at: number;
};

/** Operators have no tenant; a primary key cannot hold a NULL, so theirs is the empty text. */
const noTenant = '';

const membershipOf = (row: MembershipRow): Membership => ({
  userId: row.user_id,
  tenantId: row.tenant_id === noTenant ? null : row.tenant_id,
  role: row.role as Role,
  createdAt: row.created_at,
});

export const memberVerbs = (sql: Sql): SyncGroup<MemberStore> => ({
  put: ({ userId, tenantId, role, createdAt }, expected) => {
    if (expected !== undefined)
      return (
        sql.run(
          'UPDATE memberships SET role = ? WHERE user_id = ? AND tenant_id = ? AND role = ?',
          role,
          userId,
          tenantId ?? noTenant,
          expected,
        ) === 1
      );
    sql.run(
      `INSERT INTO memberships (user_id, tenant_id, role, created_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET role = excluded.role`,
      userId,
      tenantId ?? noTenant,
      role,
      createdAt,
    );
    return true;
  },
  ofUser: (userId) =>
    sql
      .all<MembershipRow>(
        `SELECT memberships.* FROM memberships LEFT JOIN tenants ON tenants.id = memberships.tenant_id
         WHERE memberships.user_id = ? AND tenants.deleted_at IS NULL ORDER BY memberships.tenant_id`,
        userId,
      )
      .map(membershipOf),
  ofTenant: (tenantId) =>
    sql
      .all<MembershipRow>('SELECT * FROM memberships WHERE tenant_id = ? ORDER BY user_id', tenantId)
      .map(membershipOf),
  remove: (tenantId, userId, expected) =>
    sql.run(
      'DELETE FROM memberships WHERE tenant_id = ?1 AND user_id = ?2 AND (?3 IS NULL OR role = ?3)',
      tenantId ?? noTenant,
      userId,
      expected ?? null,
    ) === 1,
  operators: () =>
    sql.one<{ readonly n: number }>(`SELECT count(*) AS n FROM memberships WHERE tenant_id = '' AND role = 'operator'`)
      ?.n ?? 0,
});
