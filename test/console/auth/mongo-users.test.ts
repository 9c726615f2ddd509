import { type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Auth, createAuth } from '../../../console/auth/auth.ts';
import { openMongoUsers } from '../../../console/auth/mongo-users.ts';
import { userTables } from '../../../console/auth/users.ts';
import { databaseOf } from '../../../core/drivers/state/mongo/connect.ts';
import { dropDatabase, freshDatabase, mongodbUri } from '../../core/drivers/state/mongo/server.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

if (mongodbUri === undefined) {
  describe('users in MongoDB', () => {
    it('was not run: MONGODB_URI is not set', (context) => {
      console.warn('NOT RUN: sign-in on MongoDB. Set MONGODB_URI to a server on which tests may make databases.');
      context.skip('MONGODB_URI is not set');
    });
  });
} else {
  describe('users in MongoDB', { timeout: 60_000 }, () => {
    const runtime = createTestRuntime({ seed: 11 });
    const opened: string[] = [];
    let client: MongoClient;
    let database: Db;
    const open = async (): Promise<Auth> =>
      createAuth({
        users: await openMongoUsers(database, runtime.random),
        publicUrl: 'http://localhost:3000',
        secret: 'a secret of the tests, long enough to sign',
        runtime,
      });
    const tokenOf = (url: string): string => url.split('/').at(-1) ?? '';
    const cookiesFrom = (values: readonly string[] | null): Headers =>
      new Headers({ cookie: (values ?? []).map((value) => value.split(';')[0]).join('; ') });
    const nobody = { put: async () => undefined };

    beforeAll(async () => {
      client = await MongoClient.connect(mongodbUri ?? '');
    });
    beforeEach(() => {
      const uri = freshDatabase(mongodbUri ?? '');
      opened.push(uri);
      database = client.db(databaseOf(uri));
    });
    afterAll(async () => {
      await client.close();
      // Some MongoDB-compatible servers stumble over dropping an empty collection with indexes.
      for (const uri of opened) await dropDatabase(uri).catch(() => undefined);
    });

    it('a link signs in once, the session is seen by another instance and ends for all when it is revoked', async () => {
      const [one, two] = [await open(), await open()];
      const link = await one.issueSignInLink('Ada@Example.com');
      const cookies = await two.redeem(tokenOf(link.url), new Headers());
      expect(cookies).not.toBeNull();
      expect(await one.redeem(tokenOf(link.url), new Headers())).toBeNull();
      expect(await one.person(cookiesFrom(cookies))).toMatchObject({ userId: link.userId, email: 'ada@example.com' });
      await two.revokeSessions(link.userId);
      expect(await one.person(cookiesFrom(cookies))).toBeNull();
    });

    it('signing out ends the session', async () => {
      const auth = await open();
      const cookies = await auth.redeem(tokenOf((await auth.issueSignInLink('a@example.com')).url), new Headers());
      await auth.signOut(cookiesFrom(cookies));
      expect(await auth.person(cookiesFrom(cookies))).toBeNull();
    });

    it('sessions that have ended go when the person comes again, and by the server’s own clock', async () => {
      const auth = await open();
      const signIn = async () =>
        auth.redeem(tokenOf((await auth.issueSignInLink('back@example.com')).url), new Headers());
      await signIn();
      await signIn();
      const sessions = database.collection<{ _id: string; expiresAt: Date }>(userTables.session);
      const [ended] = await sessions.find({}).toArray();
      await sessions.updateOne({ _id: ended?._id ?? '' }, { $set: { expiresAt: new Date(Date.now() - 1000) } });
      await signIn();
      expect(await sessions.countDocuments({})).toBe(2);
      expect(await sessions.findOne({ _id: ended?._id ?? '' })).toBeNull();
      const indexes = await sessions.indexes();
      expect(indexes.find(({ key }) => 'expiresAt' in key)).toMatchObject({ expireAfterSeconds: 24 * 3_600 });
    });

    it('the same address is the same person', async () => {
      const [one, two] = [await open(), await open()];
      const first = await one.issueSignInLink('same@example.com');
      expect((await two.issueSignInLink('SAME@example.com')).userId).toBe(first.userId);
    });

    it('a link opened twenty times at once signs in once', async () => {
      const auth = await open();
      const link = await auth.issueSignInLink('race@example.com');
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => auth.redeem(tokenOf(link.url), new Headers()).catch(() => null)),
      );
      expect(answers.filter((cookies) => cookies !== null)).toHaveLength(1);
    });

    it('a link expires after 24 hours', async () => {
      const auth = await open();
      const link = await auth.issueSignInLink('late@example.com');
      vi.useFakeTimers({ now: Date.now() + 24 * 60 * 60 * 1000 + 1000, toFake: ['Date'] });
      try {
        expect(await auth.redeem(tokenOf(link.url), new Headers())).toBeNull();
      } finally {
        vi.useRealTimers();
      }
    });

    it('there is a first link at each start until somebody has signed in', async () => {
      const auth = await open();
      const link = await auth.firstOwnerLink(nobody);
      expect(await (await open()).firstOwnerLink(nobody)).not.toBeNull();
      expect(await auth.redeem(tokenOf(link?.url ?? ''), new Headers())).not.toBeNull();
      expect(await (await open()).firstOwnerLink(nobody)).toBeNull();
    });

    it('no token is kept in readable form', async () => {
      const auth = await open();
      const token = tokenOf((await auth.issueSignInLink('hashed@example.com')).url);
      const kept = await database.collection(userTables.verification).find({}).toArray();
      expect(kept).not.toHaveLength(0);
      expect(JSON.stringify(kept)).not.toContain(token);
    });

    it('a unique index that cannot be made stops the start, instead of letting two have one address', async () => {
      const users = database.collection(userTables.user);
      await users.insertMany([{ email: 'twin@example.com' }, { email: 'twin@example.com' }]);
      await expect(open()).rejects.toMatchObject({
        code: 'store-unavailable',
        message: expect.stringContaining('two users could have the same address') as string,
      });
    });

    it('the library finds the indexes that it wants, and complains of none', async () => {
      const auth = await open();
      await auth.redeem(tokenOf((await auth.issueSignInLink('index@example.com')).url), new Headers());
      const unique = await database.collection(userTables.user).indexes();
      expect(unique.filter(({ key }) => 'email' in key)).toMatchObject([{ unique: true }]);
      expect(runtime.logged.filter(({ level }) => level === 'error')).toEqual([]);
    });
  });
}
