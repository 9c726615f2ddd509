import type { Db } from 'mongodb';
import { AppError } from '../../core/errors.ts';
import type { Random } from '../../core/ports/runtime.ts';
import { type UserDatabase, userTables } from './users.ts';

/**
 * The library's adapter makes its indexes some time after the first call, and only logs when one cannot be made: two users
 * with one address would go unseen. So we make them first, under the names that it would give them.
 */
const indexes = [
  { collection: userTables.user, name: 'auth_user_email_uidx', key: { email: 1 }, unique: true },
  { collection: userTables.session, name: 'auth_session_token_uidx', key: { token: 1 }, unique: true },
  { collection: userTables.session, name: 'auth_session_userId_idx', key: { userId: 1 }, unique: false },
  { collection: userTables.account, name: 'auth_account_userId_idx', key: { userId: 1 }, unique: false },
  {
    collection: userTables.verification,
    name: 'auth_verification_identifier_idx',
    key: { identifier: 1 },
    unique: false,
  },
  { collection: userTables.twoFactor, name: 'auth_two_factor_userId_idx', key: { userId: 1 }, unique: false },
] as const;

/** What has expired is refused by the library and goes a day later; servers that know no such index keep it until the person comes again. */
const expiring = [userTables.session, userTables.verification] as const;
const ttlGraceSeconds = 24 * 3_600;

/**
 * Users beside the state in MongoDB, over the state store's own connections and with its limits. Throws AppError
 * `store-unavailable` when an index cannot be made.
 */
export const openMongoUsers = async (database: Db, random: Random): Promise<UserDatabase> => {
  for (const { collection, name, key, unique } of indexes) {
    try {
      await database.collection(collection).createIndex(key, { name, ...(unique ? { unique } : {}) });
    } catch (error) {
      throw new AppError(
        'store-unavailable',
        `The index ${collection}.${name} could not be made in MongoDB; without it two users could have the same address. Remove what stands in its way and start again.`,
        { cause: error },
      );
    }
  }
  for (const collection of expiring)
    await database
      .collection(collection)
      .createIndex({ expiresAt: 1 }, { name: `${collection}_ttl`, expireAfterSeconds: ttlGraceSeconds })
      .catch(() => undefined);
  // Text, as our own ids are, instead of ObjectIds: memberships name users by these, and nothing has to be converted.
  const ids = { database: { generateId: () => random.hex(16) } };
  const users = database.collection<{ _id: string; signedInAt?: Date | null }>(userTables.user);
  const sessions = database.collection<{ _id: string; userId: string; expiresAt: Date }>(userTables.session);
  return {
    options: async () => {
      const { mongodbAdapter } = await import('better-auth/adapters/mongodb');
      // Without a client it starts no transactions: a standalone server has none, and one step at a time is enough here.
      return { database: mongodbAdapter(database, { transaction: false }), advanced: ids };
    },
    prepare: async () => undefined,
    hasAnybodySignedIn: async () =>
      (await users.findOne({ signedInAt: { $ne: null } }, { projection: { _id: 1 }, maxTimeMS: 10_000 })) !== null,
    signedIn: async (userId, at) => {
      await users.updateOne({ _id: userId }, { $set: { signedInAt: at } });
      await sessions.deleteMany({ userId, expiresAt: { $lt: at } });
    },
    close: () => undefined,
  };
};
