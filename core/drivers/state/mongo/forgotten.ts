import type { Receipt } from '../../../domain.ts';
import { type ForgottenMark, isOfBefore, markKeptFor, personDigest } from '../forgotten.ts';
import { type Collections, keyOf } from './collections.ts';
import { twice, within } from './queries.ts';

/**
 * Marks of people who were forgotten while something of theirs was under way; see `ForgottenMark`. Whoever forgets marks
 * first and looks for rows then; whoever writes writes first and looks for a mark then: one of the two sees the other.
 */

export const markForgotten = async (
  { forgotten }: Pick<Collections, 'forgotten'>,
  tenantId: string,
  memberId: string,
  { pseudonym, at }: ForgottenMark,
): Promise<void> => {
  const expiresAt = at + markKeptFor;
  await twice(() =>
    forgotten.updateOne(
      { _id: keyOf(tenantId, personDigest(tenantId, memberId)) },
      { $set: { tenantId, pseudonym, at, expiresAt, expireAt: new Date(expiresAt) } },
      { upsert: true },
    ),
  );
};

export const markOf = (
  { forgotten }: Pick<Collections, 'forgotten'>,
  tenantId: string,
  memberId: string,
): Promise<ForgottenMark | null> =>
  forgotten.findOne({ _id: keyOf(tenantId, personDigest(tenantId, memberId)) }, within);

/** The mark that this receipt has to heed, if there is one. */
export const markOver = async (
  collections: Pick<Collections, 'forgotten'>,
  receipt: Pick<Receipt, 'tenantId' | 'memberId' | 'at' | 'timingsMs'>,
): Promise<ForgottenMark | null> => {
  if (receipt.memberId === undefined) return null;
  const mark = await markOf(collections, receipt.tenantId, receipt.memberId);
  return mark !== null && isOfBefore(mark, receipt) ? mark : null;
};
