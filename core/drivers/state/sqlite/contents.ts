import type { BuiltDocument, DocumentContents, DocumentStore } from '../../../ports/state.ts';
import { pageOf } from '../cursors.ts';
import type { Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type BuiltRow = {
  readonly document_id: string;
  readonly generation: number;
  readonly stamp: string;
  readonly chunks: number;
};

const builtFrom = (row: BuiltRow): BuiltDocument => ({
  documentId: row.document_id,
  generation: row.generation,
  stamp: row.stamp,
  chunks: row.chunks,
});

type ContentVerbs = 'contents' | 'markBuilt' | 'builtOf' | 'built' | 'removeBuilt';

export const putContents = (sql: Sql, tenantId: string, contents: readonly DocumentContents[]): void => {
  for (const { documentId, stamp, data } of contents) {
    sql.run(
      `INSERT INTO contents (tenant_id, document_id, stamp, data) VALUES (?, ?, ?, ?)
       ON CONFLICT (tenant_id, document_id) DO UPDATE SET stamp = excluded.stamp, data = excluded.data`,
      tenantId,
      documentId,
      stamp,
      data,
    );
  }
};

/** The documents' texts, and what a re-index has made of them. */
export const contentVerbs = (sql: Sql): Pick<SyncGroup<DocumentStore>, ContentVerbs> => ({
  contents: (tenantId, documentIds) =>
    sql
      .all<{ readonly document_id: string; readonly stamp: string; readonly data: Uint8Array }>(
        'SELECT * FROM contents WHERE tenant_id = ? AND document_id IN (SELECT value FROM json_each(?))',
        tenantId,
        JSON.stringify(documentIds),
      )
      .map((row): DocumentContents => ({ documentId: row.document_id, stamp: row.stamp, data: row.data })),
  markBuilt: (tenantId, built) => {
    for (const { documentId, generation, stamp, chunks } of built) {
      sql.run(
        `INSERT INTO built (tenant_id, document_id, generation, stamp, chunks) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET generation = excluded.generation, stamp = excluded.stamp, chunks = excluded.chunks`,
        tenantId,
        documentId,
        generation,
        stamp,
        chunks,
      );
    }
  },
  builtOf: (tenantId, documentIds) =>
    sql
      .all<BuiltRow>(
        'SELECT * FROM built WHERE tenant_id = ? AND document_id IN (SELECT value FROM json_each(?))',
        tenantId,
        JSON.stringify(documentIds),
      )
      .map(builtFrom),
  built: (tenantId, generation, page) =>
    pageOf(
      page,
      'name',
      (after, limit) =>
        sql.all<BuiltRow>(
          'SELECT * FROM built WHERE tenant_id = ? AND generation = ? AND document_id > ? ORDER BY document_id LIMIT ?',
          tenantId,
          generation,
          String(after?.[0] ?? ''),
          limit,
        ),
      (row) => [row.document_id],
      builtFrom,
    ),
  removeBuilt: (tenantId, documentIds) => {
    sql.run(
      'DELETE FROM built WHERE tenant_id = ? AND document_id IN (SELECT value FROM json_each(?))',
      tenantId,
      JSON.stringify(documentIds),
    );
  },
});
