import type { Source } from '../../../domain.ts';
import type { DocumentStore, ExpectedRows, SourceStore, Standing, StoredDocument } from '../../../ports/state.ts';
import { pageOf, rowLimit } from '../cursors.ts';
import { contentVerbs, putContents } from './contents.ts';
import { patched, type Recorded, readRecord, readRecords, type Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';
import { bumpContentRevision, readGenerations, readTenant } from './tenants.ts';

const readSource = (sql: Sql, tenantId: string, sourceId: string): Source | null =>
  readRecord<Source>(
    sql.one<Recorded>('SELECT record FROM sources WHERE tenant_id = ? AND id = ?', tenantId, sourceId),
  );

export const sourceVerbs = (sql: Sql): SyncGroup<SourceStore> => {
  const get = (tenantId: string, sourceId: string) => readSource(sql, tenantId, sourceId);
  const save = (source: Source) =>
    sql.run(
      'UPDATE sources SET rev = ?, next_run_at = ?, record = ? WHERE tenant_id = ? AND id = ?',
      source.rev,
      source.nextRunAt ?? null,
      JSON.stringify(source),
      source.tenantId,
      source.id,
    );
  /** The running of a source is no edit: its revision stays, or a person's form would go stale under their hands. */
  const note = (tenantId: string, sourceId: string, patch: object) => {
    const source = get(tenantId, sourceId);
    if (source !== null) save(patched(source, patch));
  };
  return {
    create: (source) => {
      sql.run(
        'INSERT INTO sources (id, tenant_id, rev, created_at, next_run_at, record) VALUES (?, ?, ?, ?, ?, ?)',
        source.id,
        source.tenantId,
        source.rev,
        source.createdAt,
        source.nextRunAt ?? null,
        JSON.stringify(source),
      );
    },
    get,
    list: (tenantId) =>
      readRecords<Source>(
        sql.all<Recorded>('SELECT record FROM sources WHERE tenant_id = ? ORDER BY created_at, id', tenantId),
      ),
    update: (tenantId, sourceId, rev, patch) => {
      const source = get(tenantId, sourceId);
      if (source === null) return null;
      if (source.rev !== rev) return 'stale';
      const next = { ...patched(source, patch), rev: rev + 1 };
      save(next);
      return next;
    },
    remove: (tenantId, sourceId) =>
      sql.run('DELETE FROM sources WHERE tenant_id = ? AND id = ?', tenantId, sourceId) === 1,
    due: (now, limit) =>
      readRecords<Source>(
        sql.all<Recorded>(
          `SELECT sources.record FROM sources LEFT JOIN tenants ON tenants.id = sources.tenant_id
           WHERE sources.next_run_at <= ? AND tenants.deleted_at IS NULL ORDER BY sources.next_run_at, sources.id LIMIT ?`,
          now,
          rowLimit(limit),
        ),
      ),
    reschedule: (tenantId, sourceId, from, to) => {
      const source = get(tenantId, sourceId);
      if (source === null || source.nextRunAt !== from) return false;
      save(patched(source, { nextRunAt: to }));
      return true;
    },
    saveCursor: (tenantId, sourceId, cursor) => note(tenantId, sourceId, { cursor }),
    markSynced: (tenantId, sourceId, now) => note(tenantId, sourceId, { lastSyncedAt: now }),
  };
};

type DocumentRow = Recorded & { readonly id: string; readonly seen_in: string | null };

const documentOf = (row: DocumentRow): StoredDocument => {
  const document = JSON.parse(row.record) as StoredDocument;
  return row.seen_in === null ? document : { ...document, seenIn: row.seen_in };
};

export const documentVerbs = (sql: Sql): SyncGroup<DocumentStore> => {
  const put = (tenantId: string, { seenIn, ...document }: StoredDocument) => {
    sql.run(
      `INSERT INTO documents (tenant_id, id, source_id, seen_in, record) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant_id, id) DO UPDATE SET source_id = excluded.source_id, seen_in = excluded.seen_in, record = excluded.record`,
      tenantId,
      document.id,
      document.sourceId,
      seenIn ?? null,
      JSON.stringify({ ...document, tenantId }),
    );
  };
  const standing = (tenantId: string, sourceId: string): Standing => ({
    tenant: readTenant(sql, tenantId),
    hasSource: readSource(sql, tenantId, sourceId) !== null,
    generations: readGenerations(sql, tenantId),
  });
  const isStale = (tenantId: string, id: string, expected: ExpectedRows | undefined): boolean => {
    const rev = expected?.get(id);
    if (rev === undefined) return false;
    const found = sql.one<{ readonly rev: string | null }>(
      "SELECT json_extract(record, '$.rev') AS rev FROM documents WHERE tenant_id = ? AND id = ?",
      tenantId,
      id,
    );
    return (found?.rev ?? null) !== rev;
  };
  return {
    standing,
    write: (tenantId, sourceId, { rows, contents, expected }) => {
      const stale = new Set(rows.map(({ id }) => id).filter((id) => isStale(tenantId, id, expected)));
      const kept = contents.filter(({ documentId }) => !stale.has(documentId));
      putContents(sql, tenantId, kept);
      if (kept.length > 0) bumpContentRevision(sql, tenantId);
      for (const row of rows) if (!stale.has(row.id)) put(tenantId, row);
      return { ...standing(tenantId, sourceId), stale: [...stale] };
    },
    get: (tenantId, documentId) => {
      const row = sql.one<DocumentRow>(
        'SELECT id, seen_in, record FROM documents WHERE tenant_id = ? AND id = ?',
        tenantId,
        documentId,
      );
      return row === undefined ? null : documentOf(row);
    },
    getMany: (tenantId, documentIds) =>
      sql
        .all<DocumentRow>(
          'SELECT id, seen_in, record FROM documents WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY id',
          tenantId,
          JSON.stringify(documentIds),
        )
        .map(documentOf),
    list: (tenantId, filter, page) =>
      pageOf(
        page,
        'name',
        (after, limit) =>
          filter.sourceId === undefined
            ? sql.all<DocumentRow>(
                'SELECT id, seen_in, record FROM documents WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?',
                tenantId,
                String(after?.[0] ?? ''),
                limit,
              )
            : sql.all<DocumentRow>(
                'SELECT id, seen_in, record FROM documents WHERE tenant_id = ? AND source_id = ? AND id > ? ORDER BY id LIMIT ?',
                tenantId,
                filter.sourceId,
                String(after?.[0] ?? ''),
                limit,
              ),
        (row) => [row.id],
        documentOf,
      ),
    remove: (tenantId, documentIds, expected) => {
      const ids = JSON.stringify(documentIds.filter((id) => !isStale(tenantId, id, expected)));
      sql.run(
        'DELETE FROM contents WHERE tenant_id = ? AND document_id IN (SELECT value FROM json_each(?))',
        tenantId,
        ids,
      );
      return sql.run(
        'DELETE FROM documents WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?))',
        tenantId,
        ids,
      );
    },
    markSeen: (tenantId, documentIds, runId) => {
      sql.run(
        'UPDATE documents SET seen_in = ? WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?))',
        runId,
        tenantId,
        JSON.stringify(documentIds),
      );
    },
    unseen: (tenantId, sourceId, runId, limit) =>
      sql
        .all<{ readonly id: string }>(
          'SELECT id FROM documents WHERE tenant_id = ? AND source_id = ? AND seen_in IS NOT ? ORDER BY id LIMIT ?',
          tenantId,
          sourceId,
          runId,
          rowLimit(limit),
        )
        .map((row) => row.id),
    count: (tenantId, sourceId) =>
      (sourceId === undefined
        ? sql.one<{ readonly n: number }>('SELECT count(*) AS n FROM documents WHERE tenant_id = ?', tenantId)
        : sql.one<{ readonly n: number }>(
            'SELECT count(*) AS n FROM documents WHERE tenant_id = ? AND source_id = ?',
            tenantId,
            sourceId,
          )
      )?.n ?? 0,
    ...contentVerbs(sql),
  };
};
