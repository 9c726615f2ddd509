import type { Collection } from 'mongodb';
import type { Collections } from './collections.ts';
import { trim, within } from './queries.ts';

/** Collections whose documents go with their tenant. The ledger and the tenant's own document (its slug) stay. */
const ofTenant = [
  'keys',
  'connections',
  'members',
  'sources',
  'jobs',
  'contents',
  'built',
  'generations',
  'documents',
  'inbox',
  'outbox',
  'turns',
  'receipts',
  'answerCache',
  'counters',
  'settlements',
  'limits',
  'channels',
  'people',
  'personCodes',
  'forgotten',
  'audit',
  'webhooks',
  'notices',
  'runs',
] as const satisfies readonly (keyof Collections)[];

/** All that these collections have in common. */
type OfTenant = { _id: string; tenantId: string };

/**
 * Removes a deleted tenant's documents in bounded steps, its own mark last: broken off anywhere, it is still listed among
 * the deleted, and the next call goes on where this one ended. A living tenant is left alone.
 */
export const eraseTenant = async (collections: Collections, tenantId: string): Promise<void> => {
  const marked = await collections.tenants.findOne({ _id: tenantId, deletedAt: { $gt: 0 }, erased: false }, within);
  if (marked === null) return;
  for (const name of ofTenant) {
    const collection = collections[name] as unknown as Collection<OfTenant>;
    while (await trim(collection, { tenantId }));
  }
  await collections.tenants.updateOne(
    { _id: tenantId, deletedAt: { $gt: 0 } },
    { $set: { erased: true, name: '', settings: '{}', keepText: true, retentionDays: 0 } },
  );
};
