import type { AuditEntry, ChannelRules, Connection, Installation, PlatformName } from '../../../domain.ts';
import type { AuditStore, ChannelStore, ConnectionStore, LeaseStore } from '../../../ports/state.ts';
import { pageOf } from '../cursors.ts';
import { patched, type Recorded, readRecord, readRecords, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type ChannelRow = Recorded & { readonly platform: string; readonly channel_id: string };

export const channelVerbs = (sql: Sql): SyncGroup<ChannelStore> => ({
  get: (tenantId, platform, channelId) =>
    readRecord<ChannelRules>(
      sql.one<Recorded>(
        'SELECT record FROM channels WHERE tenant_id = ? AND platform = ? AND channel_id = ?',
        tenantId,
        platform,
        channelId,
      ),
    ),
  put: (tenantId, platform, channelId, rules, expected) => {
    if (expected !== undefined) {
      const before = sql.one<Recorded>(
        'SELECT record FROM channels WHERE tenant_id = ? AND platform = ? AND channel_id = ?',
        tenantId,
        platform,
        channelId,
      );
      if ((before?.record ?? '{}') !== JSON.stringify(expected)) return false;
    }
    sql.run(
      'INSERT INTO channels (tenant_id, platform, channel_id, record) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET record = excluded.record',
      tenantId,
      platform,
      channelId,
      JSON.stringify(rules),
    );
    return true;
  },
  list: (tenantId) =>
    sql
      .all<ChannelRow>('SELECT * FROM channels WHERE tenant_id = ? ORDER BY platform, channel_id', tenantId)
      .map((row) => ({
        platform: row.platform as PlatformName,
        channelId: row.channel_id,
        rules: JSON.parse(row.record) as ChannelRules,
      })),
});

/** Connections of deleted tenants are dead: every read passes here. */
const living = `FROM connections LEFT JOIN tenants ON tenants.id = connections.tenant_id WHERE tenants.deleted_at IS NULL`;

export const connectionVerbs = (sql: Sql): SyncGroup<ConnectionStore> => {
  const get = (tenantId: string, connectionId: string) =>
    readRecord<Connection>(
      sql.one<Recorded>('SELECT record FROM connections WHERE tenant_id = ? AND id = ?', tenantId, connectionId),
    );
  const change = (tenantId: string, connectionId: string, patch: object): boolean => {
    const connection = get(tenantId, connectionId);
    if (connection === null) return false;
    sql.run('UPDATE connections SET record = ? WHERE id = ?', JSON.stringify(patched(connection, patch)), connectionId);
    return true;
  };
  return {
    create: (connection) => {
      sql.run(
        `DELETE FROM connections WHERE platform = ? AND workspace_id = ?
           AND tenant_id IN (SELECT id FROM tenants WHERE deleted_at IS NOT NULL)`,
        connection.platform,
        connection.workspaceId,
      );
      const created = sql.run(
        'INSERT INTO connections (id, tenant_id, platform, workspace_id, created_at, record) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        connection.id,
        connection.tenantId,
        connection.platform,
        connection.workspaceId,
        connection.createdAt,
        JSON.stringify(connection),
      );
      return created === 1 ? 'created' : 'taken';
    },
    get,
    byId: (connectionId) =>
      readRecord<Connection>(sql.one<Recorded>(`SELECT record ${living} AND connections.id = ?`, connectionId)),
    byWorkspace: (platform, workspaceId) =>
      readRecord<Connection>(
        sql.one<Recorded>(
          `SELECT record ${living} AND connections.platform = ? AND connections.workspace_id = ?`,
          platform,
          workspaceId,
        ),
      ),
    list: (tenantId) =>
      readRecords<Connection>(
        sql.all<Recorded>('SELECT record FROM connections WHERE tenant_id = ? ORDER BY created_at, id', tenantId),
      ),
    ofPlatform: (platform) =>
      readRecords<Connection>(
        sql.all<Recorded>(
          `SELECT record ${living} AND connections.platform = ? ORDER BY connections.id LIMIT 5000`,
          platform,
        ),
      ),
    setCredentials: (tenantId, connectionId, sealed) => change(tenantId, connectionId, { sealedCredentials: sealed }),
    remove: (tenantId, connectionId) =>
      sql.run('DELETE FROM connections WHERE tenant_id = ? AND id = ?', tenantId, connectionId) === 1,
    touch: (tenantId, connectionId, { info, ...patch }) => {
      const merged = info === undefined ? {} : { info: { ...get(tenantId, connectionId)?.info, ...info } };
      change(tenantId, connectionId, { ...patch, ...merged });
    },
    offerCode: (hash, platform, workspaceId, expiresAt) => {
      sql.run(
        'INSERT INTO connection_codes (hash, platform, workspace_id, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at',
        hash,
        platform,
        workspaceId,
        expiresAt,
      );
    },
    takeCode: (hash, now, platform) => {
      const row = sql.one<{ readonly platform: string; readonly workspace_id: string }>(
        'DELETE FROM connection_codes WHERE hash = ?1 AND expires_at > ?2 AND (?3 IS NULL OR platform = ?3) RETURNING platform, workspace_id',
        hash,
        now,
        platform ?? null,
      );
      return row === undefined
        ? null
        : { platform: row.platform as Connection['platform'], workspaceId: row.workspace_id };
    },
    putInstallation: (installation) => {
      sql.run(
        'INSERT INTO installations (platform, workspace_id, record) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET record = excluded.record',
        installation.platform,
        installation.workspaceId,
        JSON.stringify(installation),
      );
    },
    getInstallation: (platform, workspaceId) =>
      readRecord<Installation>(
        sql.one<Recorded>(
          'SELECT record FROM installations WHERE platform = ? AND workspace_id = ?',
          platform,
          workspaceId,
        ),
      ),
    removeInstallation: (platform, workspaceId) =>
      sql.run('DELETE FROM installations WHERE platform = ? AND workspace_id = ?', platform, workspaceId) === 1,
    chooseHome: (platform, userId, workspaceId) => {
      if (workspaceId === null) sql.run('DELETE FROM homes WHERE platform = ? AND user_id = ?', platform, userId);
      else
        sql.run(
          'INSERT INTO homes (platform, user_id, workspace_id) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET workspace_id = excluded.workspace_id',
          platform,
          userId,
          workspaceId,
        );
    },
    chosenHome: (platform, userId) =>
      sql.one<{ readonly workspace_id: string }>(
        'SELECT workspace_id FROM homes WHERE platform = ? AND user_id = ?',
        platform,
        userId,
      )?.workspace_id ?? null,
  };
};

export const leaseVerbs = (sql: Sql): SyncGroup<LeaseStore> => ({
  acquire: (key, owner, now, forMs) => {
    // The row outlives its lease, so that the fence only ever grows.
    const row = sql.one<{ readonly fence: number; readonly note: string | null }>(
      `INSERT INTO leases (key, owner, fence, lease_until) VALUES (?1, ?2, 1, ?3)
       ON CONFLICT DO UPDATE SET owner = ?2, fence = fence + 1, lease_until = ?3 WHERE lease_until <= ?4 OR owner = ?2
       RETURNING fence, note`,
      key,
      owner,
      now + forMs,
      now,
    );
    if (row === undefined) return null;
    return { key, owner, fence: row.fence, ...(row.note === null ? {} : { note: row.note }) };
  },
  renew: (lease, now, forMs, note) =>
    sql.run(
      'UPDATE leases SET lease_until = ?, note = coalesce(?, note) WHERE key = ? AND owner = ? AND fence = ?',
      now + forMs,
      note ?? null,
      lease.key,
      lease.owner,
      lease.fence,
    ) === 1,
  release: (lease) => {
    sql.run(
      `UPDATE leases SET owner = '', lease_until = 0 WHERE key = ? AND owner = ? AND fence = ?`,
      lease.key,
      lease.owner,
      lease.fence,
    );
  },
  seen: (prefix) =>
    sql
      .all<{
        readonly key: string;
        readonly owner: string;
        readonly note: string | null;
        readonly lease_until: number;
      }>(
        `SELECT key, owner, note, lease_until FROM leases
         WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 AND lease_until > 0 ORDER BY key LIMIT 1000`,
        prefix,
      )
      .map((row) => ({
        key: row.key,
        owner: row.owner,
        leaseUntil: row.lease_until,
        ...(row.note === null ? {} : { note: row.note }),
      })),
});

type AuditRow = Recorded & { readonly at: number; readonly id: string };

export const auditVerbs = (sql: Sql): SyncGroup<AuditStore> => ({
  append: (entry) => {
    sql.run(
      'INSERT INTO audit (id, tenant_id, at, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
      entry.id,
      entry.tenantId ?? '',
      entry.at,
      JSON.stringify(entry),
    );
  },
  list: (tenantId, { q }, page) =>
    pageOf(
      page,
      'time',
      (after, limit) =>
        sql.all<AuditRow>(
          `SELECT at, id, record FROM audit WHERE tenant_id = ?1 AND (?2 IS NULL OR (at, id) < (?2, ?3))
             AND (?5 IS NULL OR instr(lower(concat_ws(char(10), record ->> 'actor', record ->> 'action', record ->> 'subject')), ?5) > 0)
           ORDER BY at DESC, id DESC LIMIT ?4`,
          tenantId ?? '',
          after?.[0] ?? null,
          after?.[1] ?? null,
          limit,
          q?.toLowerCase() ?? null,
        ),
      (row) => [row.at, row.id],
      (row) => JSON.parse(row.record) as AuditEntry,
    ),
});
