import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { CounterDoc } from '../../core/drivers/state/mongo/collections.ts';
import type { World } from './world.ts';

/** Reservations that stand in the state store, run out or not. Reads the store itself: no door of the product tells them. */
export const countHolds = async ({ dataDir, environment }: World): Promise<number> => {
  const uri = environment.MONGODB_URI;
  if (uri !== undefined) {
    const { MongoClient } = await import('mongodb');
    const client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: 5_000 });
    try {
      const name = new URL(uri).pathname.slice(1) || 'footnote';
      const counters = await client.db(name).collection<CounterDoc>('counters').find().toArray();
      return counters.reduce((sum, { holds }) => sum + Object.keys(holds).length, 0);
    } finally {
      await client.close();
    }
  }
  const file = join(dataDir, 'state.sqlite');
  if (!existsSync(file)) throw new Error('There is no state file to look into.');
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return Number(database.prepare('SELECT count(*) AS open FROM holds WHERE settled = 0').get()?.open);
  } finally {
    database.close();
  }
};
