import { DatabaseSync } from 'node:sqlite';
import type { BetterAuthOptions } from 'better-auth';
import { AppError } from '../../core/errors.ts';
import { type UserDatabase, userTables } from './users.ts';

/**
 * Users in the state file of the embedded default: the library keeps its own tables in it over its own connection. Throws
 * AppError `store-unavailable` when the file cannot be used.
 */
export const openSqliteUsers = (file: string): UserDatabase => {
  const database = openDatabase(file);
  return {
    options: async () => ({ database }),
    prepare: migrate,
    hasAnybodySignedIn: async () => {
      const isMigrated = database
        .prepare(`select 1 from sqlite_master where type = 'table' and name = ?`)
        .get(userTables.user);
      return (
        isMigrated !== undefined &&
        database.prepare(`select 1 from ${userTables.user} where signedInAt is not null limit 1`).get() !== undefined
      );
    },
    signedIn: async (userId, at) => {
      database.prepare(`update ${userTables.user} set signedInAt = ? where id = ?`).run(at.toISOString(), userId);
      database
        .prepare(`delete from ${userTables.session} where userId = ? and expiresAt < ?`)
        .run(userId, at.toISOString());
    },
    close: () => database.close(),
  };
};

const openDatabase = (file: string): DatabaseSync => {
  try {
    const database = new DatabaseSync(file);
    database.exec(
      'pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;',
    );
    return database;
  } catch (error) {
    throw new AppError('store-unavailable', 'The file with users and sessions cannot be opened.', { cause: error });
  }
};

/** Two processes may start on one file: the one that comes second finds the tables there and plans anew. */
const migrate = async (options: BetterAuthOptions): Promise<void> => {
  const { getMigrations } = await import('better-auth/db/migration');
  for (let attempt = 1; ; attempt++) {
    try {
      const plan = await getMigrations(options);
      return await plan.runMigrations();
    } catch (error) {
      if (attempt === 3)
        throw new AppError('store-unavailable', 'The tables of users and sessions cannot be created.', {
          cause: error,
        });
    }
  }
};
