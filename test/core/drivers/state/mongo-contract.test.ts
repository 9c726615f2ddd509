import { describe, test, vi } from 'vitest';
import { openMongoState } from '../../../../core/drivers/state/mongo/state.ts';
import { describeStateStore } from '../../../contracts/state.ts';
import { createTestRuntime } from '../../../fakes/clock.ts';
import { dropDatabase, freshDatabase, mongodbUri } from './mongo/server.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const server = mongodbUri;
if (server === undefined) {
  describe('state store mongodb', () => {
    test.skip('not run: MONGODB_URI is not set, so there is no server to run the contract against', () => undefined);
  });
} else {
  describeStateStore('mongodb', async () => {
    const uri = freshDatabase(server);
    const { log, clock } = createTestRuntime();
    // The suite's clock is its own, and the server would take away what is long past by the real one.
    const state = await openMongoState({ uri, log, clock, ttlIndexes: false, serverTime: false });
    return {
      state,
      close: async () => {
        await state.maintenance.close();
        await dropDatabase(uri);
      },
    };
  });
}
