import type { PeopleStore } from '../../../ports/state.ts';
import type { Sql } from './sql.ts';
import type { SyncGroup } from './sync.ts';

type Row = { readonly member_id: string; readonly person_id: string };

export const peopleVerbs = (sql: Sql): SyncGroup<PeopleStore> => ({
  personOf: (tenantId, memberId) =>
    sql.one<Row>('SELECT person_id FROM people WHERE tenant_id = ? AND member_id = ?', tenantId, memberId)?.person_id ??
    null,
  link: (tenantId, memberId, personId) => {
    sql.run(
      'INSERT INTO people (tenant_id, member_id, person_id) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET person_id = excluded.person_id',
      tenantId,
      memberId,
      personId,
    );
  },
  unlink: (tenantId, memberId) =>
    sql.run('DELETE FROM people WHERE tenant_id = ? AND member_id = ?', tenantId, memberId) === 1,
  identitiesOf: (tenantId, personId) =>
    sql
      .all<Row>(
        'SELECT member_id FROM people WHERE tenant_id = ? AND person_id = ? ORDER BY member_id',
        tenantId,
        personId,
      )
      .map((row) => row.member_id),
  offerCode: (tenantId, hash, memberId, expiresAt) => {
    sql.run(
      'INSERT INTO person_codes (hash, tenant_id, member_id, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at',
      hash,
      tenantId,
      memberId,
      expiresAt,
    );
  },
  takeCode: (tenantId, hash, now) =>
    sql.one<Row>(
      'DELETE FROM person_codes WHERE hash = ? AND tenant_id = ? AND expires_at > ? RETURNING member_id',
      hash,
      tenantId,
      now,
    )?.member_id ?? null,
});
