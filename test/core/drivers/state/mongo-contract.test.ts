import { MongoClient } from 'mongodb';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { databaseOf } from '../../../../core/drivers/state/mongo/connect.ts';
import { openMongoState } from '../../../../core/drivers/state/mongo/state.ts';
import { describeStateStore } from '../../../contracts/state.ts';
import { createTestRuntime } from '../../../fakes/clock.ts';
import { misfitsIn } from './mongo/misfits.ts';
import { dropDatabase, freshDatabase, mongodbUri } from './mongo/server.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const server = mongodbUri;
if (server === undefined) {
  describe('state store mongodb', () => {
    test.skip('not run: MONGODB_URI is not set, so there is no server to run the contract against', () => undefined);
  });
} else {
  let client: MongoClient | undefined;
  // Also where the server itself knows no validators.
  afterEach(async () => {
    if (client !== undefined) expect(await misfitsIn(client.db())).toEqual([]);
  });
  describeStateStore('mongodb', async () => {
    const uri = freshDatabase(server);
    const { log, clock } = createTestRuntime();
    // The suite's clock is its own, and the server would take away what is long past by the real one.
    const state = await openMongoState({ uri, log, clock, ttlIndexes: false, serverTime: false });
    client = new MongoClient(uri);
    expect(client.db().databaseName).toBe(databaseOf(uri));
    return {
      state,
      later: (ms) => clock.advance(ms),
      close: async () => {
        await client?.close();
        client = undefined;
        await state.maintenance.close();
        await dropDatabase(uri);
      },
    };
  });
}
