import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BSON, type Db, type Document } from 'mongodb';
import { AppError } from '../../../errors.ts';
import type { Log } from '../../../ports/runtime.ts';
import type { MongoBackupManifest } from './backup.ts';
import { collectionNames } from './collections.ts';
import { connect, createClient, databaseOf, defaultLimits } from './connect.ts';
import { unavailableFrom } from './faults.ts';

/** Stands in `meta` while documents are being put back, so that half a restore is never served from. */
const marker = { _id: 'restoring' } as const;

/** Documents and bytes of one insert; a command takes 48 MB. */
const documentsAtOnce = 1_000;
const bytesAtOnce = 8 * 1024 * 1024;

export type MongoRestoreOptions = {
  readonly uri: string;
  readonly folder: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  progress?(collection: string, documents: number): void;
};

/**
 * Puts a backup of `backup` into the database of the URI, which must be empty but for what an earlier restore left that was
 * cut short. What is referred to comes before what refers to it. Throws AppError `conflict` (the database holds data),
 * `invalid` (no backup, or a damaged one), `store-unavailable`. Returns how many documents were put back.
 */
export const restoreMongoState = async (options: MongoRestoreOptions): Promise<number> => {
  const { uri, folder, signal } = options;
  const manifest = await readManifest(folder);
  const client = createClient(uri, 'footnote-restore', defaultLimits);
  try {
    await connect(client, databaseOf(uri), options.log);
    const database = client.db(databaseOf(uri));
    await refuseUnlessFree(database);
    await metaOf(database).updateOne(marker, { $set: { startedAt: manifest.startedAt } }, { upsert: true });
    let restored = 0;
    for (const [name, expected] of Object.entries(manifest.collections).reverse()) {
      const put = await restoreCollection(database, name, join(folder, `${name}.ndjson`), signal);
      if (put !== expected)
        throw new AppError(
          'invalid',
          `The backup is damaged: ${name}.ndjson holds ${put} documents instead of ${expected}.`,
        );
      restored += put;
      options.progress?.(name, put);
    }
    await metaOf(database).deleteOne(marker);
    return restored;
  } catch (error) {
    throw unavailableFrom(error);
  } finally {
    await client.close().catch(() => undefined);
  }
};

/** Throws AppError `config` for a database into which a restore was begun and not ended. */
export const refuseHalfRestored = async (database: Db): Promise<void> => {
  if ((await metaOf(database).findOne(marker, { maxTimeMS: 10_000 })) === null) return;
  throw new AppError(
    'config',
    'A restore into this MongoDB database was cut short. Run footnote restore again with the same backup; it begins anew.',
  );
};

const metaOf = (database: Db) => database.collection<{ _id: string; startedAt?: string }>(collectionNames.meta);

/** What a start of the service leaves behind by itself is no data. */
const refuseUnlessFree = async (database: Db): Promise<void> => {
  if ((await metaOf(database).findOne(marker)) !== null) return empty(database);
  const tenants = database.collection(collectionNames.tenants);
  const ledger = database.collection(collectionNames.ledger);
  if ((await tenants.findOne({})) !== null || (await ledger.findOne({})) !== null)
    throw new AppError(
      'conflict',
      `The MongoDB database ${database.databaseName} holds data. Stop the service and name an empty database in MONGODB_URI, or drop this one; nothing is overwritten.`,
    );
  return empty(database);
};

/** The marker stays to the last: a cut in here is found as well. Indexes stay, and are checked at the next start. */
const empty = async (database: Db): Promise<void> => {
  for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray())
    if (name !== collectionNames.meta && !name.startsWith('system.')) await database.collection(name).deleteMany({});
  await metaOf(database).deleteMany({ _id: { $ne: marker._id } });
};

const restoreCollection = async (database: Db, name: string, file: string, signal: AbortSignal): Promise<number> => {
  const collection = database.collection(name);
  let batch: Document[] = [];
  let bytes = 0;
  let count = 0;
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await collection.insertMany(batch, { ordered: false });
    batch = [];
    bytes = 0;
  };
  for await (const line of createInterface({
    input: createReadStream(file, 'utf8'),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    signal.throwIfAborted();
    if (line === '') continue;
    batch.push(documentOf(line, name));
    bytes += line.length;
    count += 1;
    if (batch.length >= documentsAtOnce || bytes >= bytesAtOnce) await flush();
  }
  await flush();
  return count;
};

const documentOf = (line: string, name: string): Document => {
  try {
    return BSON.EJSON.parse(line, { relaxed: false }) as Document;
  } catch {
    throw new AppError('invalid', `The backup is damaged: a line of ${name}.ndjson cannot be read.`);
  }
};

const readManifest = async (folder: string): Promise<MongoBackupManifest> => {
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(() => {
    throw new AppError('invalid', 'The folder holds no backup of a MongoDB state: manifest.json is missing.');
  });
  const unreadable = (): AppError =>
    new AppError('invalid', 'manifest.json cannot be read. Was it cut short, or made by a newer version?');
  let manifest: Partial<MongoBackupManifest> | null;
  try {
    manifest = JSON.parse(text) as typeof manifest;
  } catch {
    throw unreadable();
  }
  if (manifest?.format !== 'footnote-mongodb' || manifest.version !== 1 || manifest.collections === undefined)
    throw unreadable();
  return manifest as MongoBackupManifest;
};
