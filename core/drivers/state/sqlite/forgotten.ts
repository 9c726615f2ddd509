import type { Receipt } from '../../../domain.ts';
import { type ForgottenMark, isOfBefore, markKeptFor, personDigest } from '../forgotten.ts';
import type { Sql } from './sql.ts';

/** Marks of people who were forgotten while something of theirs was under way; see `ForgottenMark`. */

export const markForgotten = (sql: Sql, tenantId: string, memberId: string, { pseudonym, at }: ForgottenMark): void => {
  sql.run(
    `INSERT INTO forgotten (tenant_id, person, pseudonym, at, expires_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET pseudonym = excluded.pseudonym, at = excluded.at, expires_at = excluded.expires_at`,
    tenantId,
    personDigest(tenantId, memberId),
    pseudonym,
    at,
    at + markKeptFor,
  );
};

/** The mark that this receipt has to heed, if there is one. */
export const markOver = (
  sql: Sql,
  receipt: Pick<Receipt, 'tenantId' | 'memberId' | 'at' | 'timingsMs'>,
): ForgottenMark | undefined => {
  const { tenantId, memberId } = receipt;
  if (memberId === undefined) return undefined;
  const mark = sql.one<ForgottenMark>(
    'SELECT pseudonym, at FROM forgotten WHERE tenant_id = ? AND person = ?',
    tenantId,
    personDigest(tenantId, memberId),
  );
  return mark !== undefined && isOfBefore(mark, receipt) ? mark : undefined;
};
