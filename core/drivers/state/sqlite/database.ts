import { chmodSync, closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AppError, isAppError } from '../../../errors.ts';
import { describeFault } from './faults.ts';
import { type Migration, migrations } from './migrations.ts';

/** "Footn" does not fit into 32 bits; "FNot" does. Tells our file from anybody else's. */
const applicationId = 0x464e6f74;

/** How long a writer waits for another process's commit. */
const busyForMs = 5_000;

/**
 * Pages in the log before they go into the file, 16 MB of them: a page of an index is written many times in a second, and
 * goes there once.
 */
const checkpointAfter = 4_000;

/** Up to here the whole file is checked at start; a larger one would hold the start up for seconds. */
const checkedBytes = 256 * 1024 * 1024;

/**
 * Opens the state file, bringing it into being or up to date first. Throws AppError `config` for a file of a newer version
 * or of another program, `store-unavailable` for a damaged or unreachable one; never replaces what is there.
 */
export const openDatabase = (
  file: string,
  readOnly: boolean,
  steps: readonly Migration[] = migrations,
): DatabaseSync => {
  try {
    if (!readOnly) createIfMissing(file, steps);
    refuseEmpty(file);
    const database = new DatabaseSync(file, { readOnly, timeout: busyForMs });
    try {
      prepare(database, readOnly);
      if (!readOnly) {
        verify(database, file);
        migrate(database, steps);
      }
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    if (isAppError(error)) throw error;
    const fault = describeFault(error);
    throw new AppError('store-unavailable', fault.problem, { retryable: fault.retryable, cause: error });
  }
};

const prepare = (database: DatabaseSync, readOnly: boolean): void => {
  if (!readOnly) database.exec('PRAGMA journal_mode = WAL');
  database.exec(
    'PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384' +
      `; PRAGMA wal_autocheckpoint = ${checkpointAfter}`,
  );
};

/**
 * A new file is made complete under another name and then linked into place: nobody ever sees half of one, two processes
 * that start together end up with the same, and an empty state.sqlite can only be a damaged one.
 */
const createIfMissing = (file: string, steps: readonly Migration[]): void => {
  if (existsSync(file)) return;
  if (existsSync(`${file}-wal`) && statSync(`${file}-wal`).size > 0) {
    throw new AppError(
      'store-unavailable',
      'The file state.sqlite is missing, but its log state.sqlite-wal is there. Put the file back or restore a backup; nothing was changed.',
    );
  }
  const draft = `${file}.new-${process.pid}-${Date.now()}`;
  try {
    closeSync(openSync(draft, 'wx', 0o600));
    const database = new DatabaseSync(draft);
    prepare(database, false);
    database.exec(`PRAGMA application_id = ${applicationId}`);
    migrate(database, steps);
    database.close();
    sync(draft);
    linkSync(draft, file);
    sync(dirname(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !existsSync(file)) throw error;
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(draft + suffix, { force: true });
  }
};

const sync = (path: string): void => {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
};

const refuseEmpty = (file: string): void => {
  if (statSync(file).size > 0) return;
  throw new AppError(
    'store-unavailable',
    'The state file state.sqlite is empty, so it is damaged. Restore the newest backup, or move the file away to begin anew.',
  );
};

const verify = (database: DatabaseSync, file: string): void => {
  chmodSync(file, 0o600);
  const id = database.prepare('PRAGMA application_id').get()?.application_id;
  if (id !== applicationId) {
    throw new AppError('config', 'The file state.sqlite in DATA_DIR is no Footnote state file; it was left as it is.');
  }
  if (statSync(file).size > checkedBytes) return;
  const finding = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (finding !== 'ok') {
    throw new AppError(
      'store-unavailable',
      'The state file state.sqlite is damaged. Stop Footnote and restore the newest backup; the damaged file was left as it is.',
      { cause: new Error(String(finding)) },
    );
  }
};

/** The oldest step whose programs can still work with the file stands in its header; 0: no newer version has said so. */
const oldestOf = (database: DatabaseSync): number =>
  Number(database.prepare('PRAGMA user_version').get()?.user_version);

/** Brings the file to the newest step, one transaction for all; a second process finds the work done. */
const migrate = (database: DatabaseSync, steps: readonly Migration[]): void => {
  const newest = Math.max(...steps.map((migration) => migration.step));
  const stepOf = () => {
    database.exec(
      'CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL) STRICT',
    );
    return Number(database.prepare('SELECT coalesce(max(step), 0) AS step FROM migrations').get()?.step);
  };
  database.exec('BEGIN IMMEDIATE');
  try {
    const current = stepOf();
    // What a newer version has only added to, this one reads and writes as ever.
    if (current > newest && oldestOf(database) > newest) {
      throw new AppError(
        'config',
        `The state file state.sqlite was written by a newer version of Footnote (step ${current}; this one knows ${newest}). Start the newer version, or restore a backup made by this one.`,
      );
    }
    for (const migration of steps.filter(({ step }) => step > current)) {
      database.exec(migration.sql);
      database
        .prepare('INSERT INTO migrations (step, name, at) VALUES (?, ?, ?)')
        .run(migration.step, migration.name, Date.now());
      const oldest = Math.max(migration.oldest ?? 1, oldestOf(database));
      database.exec(`PRAGMA user_version = ${oldest}`);
    }
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
};
