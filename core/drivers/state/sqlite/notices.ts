import type { Notice, Webhook } from '../../../domain.ts';
import type { NoticeStore, WebhookStore } from '../../../ports/state.ts';
import { pageOf } from '../cursors.ts';
import { patched, type Recorded, readRecord, readRecords, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

export const webhookVerbs = (sql: Sql): SyncGroup<WebhookStore> => {
  const get = (tenantId: string, webhookId: string) =>
    readRecord<Webhook>(
      sql.one<Recorded>('SELECT record FROM webhooks WHERE tenant_id = ? AND id = ?', tenantId, webhookId),
    );
  const save = (webhook: Webhook): Webhook => {
    sql.run('UPDATE webhooks SET rev = ?, record = ? WHERE id = ?', webhook.rev, JSON.stringify(webhook), webhook.id);
    return webhook;
  };
  return {
    create: (webhook) => {
      sql.run(
        'INSERT INTO webhooks (id, tenant_id, rev, created_at, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        webhook.id,
        webhook.tenantId,
        webhook.rev,
        webhook.createdAt,
        JSON.stringify(webhook),
      );
    },
    get,
    list: (tenantId) =>
      readRecords<Webhook>(
        sql.all<Recorded>('SELECT record FROM webhooks WHERE tenant_id = ? ORDER BY created_at, id', tenantId),
      ),
    update: (tenantId, webhookId, rev, patch) => {
      const webhook = get(tenantId, webhookId);
      if (webhook === null) return null;
      if (webhook.rev !== rev) return 'stale';
      return save(
        patched(webhook, { ...patch, ...(patch.paused === null ? { failingSince: null } : {}), rev: rev + 1 }),
      );
    },
    note: (tenantId, webhookId, at, ok) => {
      const webhook = get(tenantId, webhookId);
      if (webhook === null) return null;
      return save(
        patched(
          webhook,
          ok ? { lastDeliveredAt: at, failingSince: null } : { failingSince: webhook.failingSince ?? at },
        ),
      );
    },
    remove: (tenantId, webhookId) => {
      sql.run('DELETE FROM notices WHERE tenant_id = ? AND receiver = ?', tenantId, webhookId);
      return sql.run('DELETE FROM webhooks WHERE tenant_id = ? AND id = ?', tenantId, webhookId) === 1;
    },
  };
};

type NoticeRow = Recorded & { readonly id: string; readonly created_at: number };

export const noticeVerbs = (sql: Sql): SyncGroup<NoticeStore> => {
  const get = (tenantId: string, noticeId: string) =>
    readRecord<Notice>(
      sql.one<Recorded>('SELECT record FROM notices WHERE tenant_id = ? AND id = ?', tenantId, noticeId),
    );
  const save = (notice: Notice): Notice => {
    sql.run(
      'UPDATE notices SET state = ?, attempts = ?, next_at = ?, record = ? WHERE tenant_id = ? AND id = ?',
      notice.state,
      notice.attempts,
      notice.nextAt,
      JSON.stringify(notice),
      notice.tenantId,
      notice.id,
    );
    return notice;
  };
  return {
    add: (tenantId, notices) =>
      notices.reduce(
        (added, notice) =>
          added +
          sql.run(
            `INSERT INTO notices (tenant_id, id, receiver, state, attempts, created_at, next_at, member_id, record)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
            tenantId,
            notice.id,
            notice.receiver,
            notice.state,
            notice.attempts,
            notice.createdAt,
            notice.nextAt,
            notice.memberId ?? null,
            JSON.stringify({ ...notice, tenantId }),
          ),
        0,
      ),
    claim: ({ now, leaseForMs, except }) => {
      const due = readRecord<Notice>(
        sql.one<Recorded>(
          `SELECT record FROM notices
           WHERE state = 'waiting' AND next_at <= ?1 AND tenant_id || ' ' || receiver NOT IN (SELECT value FROM json_each(?2))
             AND NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = notices.tenant_id AND tenants.deleted_at IS NOT NULL)
           ORDER BY next_at, seq LIMIT 1`,
          now,
          JSON.stringify(except),
        ),
      );
      return due === null ? null : save({ ...due, attempts: due.attempts + 1, nextAt: now + leaseForMs });
    },
    settle: (tenantId, noticeId, attempt, { uncounted, ...outcome }) => {
      const notice = get(tenantId, noticeId);
      if (notice === null || notice.state !== 'waiting' || notice.attempts !== attempt) return false;
      save(
        patched(notice, {
          ...outcome,
          attempts: uncounted ? attempt - 1 : attempt,
          ...(outcome.state === 'waiting' ? {} : { body: null }),
        }),
      );
      return true;
    },
    get,
    list: (tenantId, receiver, page) =>
      pageOf(
        page,
        'time',
        (after, limit) =>
          sql.all<NoticeRow>(
            `SELECT id, created_at, record FROM notices
             WHERE tenant_id = ?1 AND receiver = ?2 AND (?3 IS NULL OR (created_at, id) < (?3, ?4))
             ORDER BY created_at DESC, id DESC LIMIT ?5`,
            tenantId,
            receiver,
            after?.[0] ?? null,
            after?.[1] ?? null,
            limit,
          ),
        (row) => [row.created_at, row.id],
        (row) => JSON.parse(row.record) as Notice,
      ),
  };
};
