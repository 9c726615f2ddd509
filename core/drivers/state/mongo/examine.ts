import type { MongoClient } from 'mongodb';
import type { Finding } from '../../../ports/finding.ts';
import type { Collections } from './collections.ts';
import { unavailableFrom } from './faults.ts';
import { twice, within } from './queries.ts';
import { missingIndexes, newestStep } from './schema.ts';
import type { ServerClock } from './server-clock.ts';

/** A larger difference between two clocks is a fault of one of them, though ours is corrected by it. */
const tellFromMs = 1_000;

/** What an operator should know of the server. Every failure is a finding. */
export const examineMongo = async ({
  client,
  collections,
  database,
  clock,
}: {
  readonly client: MongoClient;
  readonly collections: Collections;
  readonly database: string;
  readonly clock: ServerClock;
}): Promise<readonly Finding[]> => {
  const looks: readonly (readonly [string, () => Promise<Omit<Finding, 'item'>>])[] = [
    ['MongoDB', () => examineServer(client, database)],
    ['MongoDB writes', () => examineWrites(collections)],
    ['MongoDB indexes', () => examineIndexes(collections)],
    ['Clock', async () => examineClock(clock.offsetMs())],
  ];
  const findings: Finding[] = [];
  for (const [item, look] of looks) {
    try {
      findings.push({ item, ...(await look()) });
    } catch (error) {
      findings.push({ item, ok: false, says: unavailableFrom(error).message });
    }
  }
  return findings;
};

const examineServer = async (client: MongoClient, database: string): Promise<Omit<Finding, 'item'>> => {
  const db = client.db(database);
  const { version } = await db.command({ buildInfo: 1 });
  const hello = await db.command({ hello: 1 });
  const form =
    hello.setName !== undefined
      ? `replica set ${String(hello.setName)}`
      : hello.msg === 'isdbgrid'
        ? 'sharded'
        : 'standalone: a write whose connection breaks is not repeated by itself; make it a replica set, one member is enough';
  return {
    ok: true,
    ...(form.startsWith('standalone') ? { warns: true } : {}),
    says: `${String(version)}, database ${database}, ${form}`,
  };
};

/** A server that has become read-only, lost its majority or is full still answers reads. */
const examineWrites = async ({ meta }: Collections): Promise<Omit<Finding, 'item'>> => {
  await twice(() => meta.updateOne({ _id: 'health' }, { $inc: { checks: 1 } }, { upsert: true }));
  return { ok: true, says: 'confirmed by the majority' };
};

const examineIndexes = async (collections: Collections): Promise<Omit<Finding, 'item'>> => {
  const missing = await missingIndexes(collections);
  const schema = await collections.meta.findOne({ _id: 'schema' }, within);
  const step = schema?.step ?? 0;
  if (missing.length > 0)
    return { ok: false, says: `missing: ${missing.join(', ')}. Restart the service, which makes them.` };
  const newer = step > newestStep ? ', changed by a newer version; this one can still work with it' : '';
  return { ok: true, says: `all there; schema step ${step}${newer}` };
};

const examineClock = (offsetMs: number): Omit<Finding, 'item'> =>
  Math.abs(offsetMs) < tellFromMs
    ? { ok: true, says: 'agrees with the MongoDB server' }
    : {
        ok: true,
        warns: true,
        says: `this machine is ${(Math.abs(offsetMs) / 1_000).toFixed(1)} s ${offsetMs > 0 ? 'behind' : 'ahead of'} the MongoDB server. Footnote reckons with the server's time; set both by NTP.`,
      };
