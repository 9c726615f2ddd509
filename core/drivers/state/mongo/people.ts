import type { PeopleStore } from '../../../ports/state.ts';
import { type Collections, keyOf } from './collections.ts';
import { twice, within } from './queries.ts';

export const peopleVerbs = ({ people, personCodes }: Collections): PeopleStore => ({
  personOf: async (tenantId, memberId) =>
    (await people.findOne({ _id: keyOf(tenantId, memberId) }, within))?.personId ?? null,
  link: async (tenantId, memberId, personId) => {
    const replacement = { tenantId, memberId, personId };
    await twice(() => people.replaceOne({ _id: keyOf(tenantId, memberId) }, replacement, { upsert: true }));
  },
  unlink: async (tenantId, memberId) => (await people.deleteOne({ _id: keyOf(tenantId, memberId) })).deletedCount === 1,
  identitiesOf: async (tenantId, personId) =>
    (await people.find({ tenantId, personId }, within).sort({ memberId: 1 }).toArray()).map(({ memberId }) => memberId),
  offerCode: async (tenantId, hash, memberId, expiresAt) => {
    await twice(() =>
      personCodes.updateOne(
        { _id: hash },
        { $set: { expiresAt, expireAt: new Date(expiresAt) }, $setOnInsert: { tenantId, memberId } },
        { upsert: true },
      ),
    );
  },
  takeCode: async (tenantId, hash, now) =>
    (await personCodes.findOneAndDelete({ _id: hash, tenantId, expiresAt: { $gt: now } }))?.memberId ?? null,
});
