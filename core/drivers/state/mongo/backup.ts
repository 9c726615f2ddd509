import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BSON, type Collection, type Db, type Document } from 'mongodb';
import { AppError } from '../../../errors.ts';
import { collectionNames } from './collections.ts';

/** Users and sessions stand in the same database under names that begin so; the sign-in library's, copied as they are. */
const usersPrefix = 'auth_';

/** What `manifest.json` says; it is written last, so a folder without one is no backup. */
export type MongoBackupManifest = {
  readonly format: 'footnote-mongodb';
  readonly version: 1;
  readonly database: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Documents by file name without `.ndjson`. */
  readonly collections: Readonly<Record<string, number>>;
};

/**
 * One file a collection, a document a line in canonical extended JSON, which keeps 64-bit numbers and dates. It is not one
 * instant: collections are read one after the other, those that refer to others first. So whatever is in the copy finds
 * what it refers to, unless that was deleted meanwhile; what was added during the copy may be missing. A restored copy
 * has, at worst, events that are worked off again and sums that lack the last seconds. Who wants one instant takes a
 * snapshot with the server's own tools. Throws AppError `conflict` when the folder has a backup already.
 */
export const backupInto = async (database: Db, folder: string, now: () => number): Promise<void> => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const manifestFile = join(folder, 'manifest.json');
  if (existsSync(manifestFile))
    throw new AppError('conflict', 'The backup folder already holds a manifest.json; choose an empty one.');
  const startedAt = new Date(now()).toISOString();
  const counts: Record<string, number> = {};
  const present = await database.listCollections({}, { nameOnly: true }).toArray();
  const users = present.map(({ name }) => name).filter((name) => name.startsWith(usersPrefix));
  for (const name of [...users.sort(), ...Object.values(collectionNames)])
    counts[name] = await copy(database.collection(name), join(folder, `${name}.ndjson`));
  const manifest: MongoBackupManifest = {
    format: 'footnote-mongodb',
    version: 1,
    database: database.databaseName,
    startedAt,
    finishedAt: new Date(now()).toISOString(),
    collections: counts,
  };
  const draft = `${manifestFile}.part`;
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(manifest, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, manifestFile);
};

const copy = async (collection: Collection<Document>, file: string): Promise<number> => {
  let count = 0;
  const lines = async function* () {
    for await (const doc of collection.find({}, { batchSize: 500 }).sort({ _id: 1 })) {
      count += 1;
      yield `${BSON.EJSON.stringify(doc, { relaxed: false })}\n`;
    }
  };
  await pipeline(lines(), createWriteStream(file, { mode: 0o600, flush: true }));
  return count;
};
