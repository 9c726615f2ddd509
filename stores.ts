import { existsSync, mkdirSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { openSqliteUsers } from './console/auth/sqlite-users.ts';
import type { UserDatabase } from './console/auth/users.ts';
import type { Config } from './core/config.ts';
import { openSqliteChunks } from './core/drivers/chunks/sqlite/chunks.ts';
import { openSqliteState, stateFileIn } from './core/drivers/state/sqlite/state.ts';
import { AppError } from './core/errors.ts';
import type { ChunkStore } from './core/ports/chunks.ts';
import type { Clock, Log, Random } from './core/ports/runtime.ts';
import type { StateStore } from './core/ports/state.ts';
import { loadSecretKey } from './core/security/secret-key.ts';

/** The stores that the environment asks for: files in DATA_DIR, or servers, in any mix. */
export type Stores = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  /** The time of the state store: leases and quota windows of several machines are compared in it. */
  readonly clock: Clock;
  /** Seals credentials and signs sessions. */
  readonly secretKey: Uint8Array;
  /** Null when both stores are servers: then nothing is kept on this machine. */
  readonly dataDir: string | null;
  openUsers(): Promise<UserDatabase>;
  /** The generated key, into a backup's folder; nothing when FOOTNOTE_SECRET_KEY holds it. */
  copyKey(folder: string): Promise<void>;
};

export type StoreParts = { readonly clock: Clock; readonly random: Random; readonly log: Log };

/**
 * Opens both, or neither: what was opened before the other failed is closed again. A server that is configured and cannot
 * be used stops the start; nothing else takes its place. Throws AppError `config` or `store-unavailable` with a sentence.
 */
export const openStores = async (config: Config, parts: StoreParts): Promise<Stores> => {
  const dataDir = dataDirOf(config);
  if (dataDir !== null) prepareFolder(dataDir);
  const secretKey = loadSecretKey(config.FOOTNOTE_SECRET_KEY, dataDir);
  const [state, chunks] = await Promise.allSettled([openState(config, parts), openChunks(config, parts)]);
  if (state.status === 'rejected' || chunks.status === 'rejected') {
    if (state.status === 'fulfilled') await state.value.state.maintenance.close().catch(() => undefined);
    if (chunks.status === 'fulfilled') await chunks.value.close().catch(() => undefined);
    throw state.status === 'rejected' ? state.reason : (chunks as PromiseRejectedResult).reason;
  }
  if (config.MONGODB_URI !== undefined && config.WEAVIATE_URL === undefined)
    parts.log.warn('stores.one-machine', {
      sentence:
        'State is in MongoDB, but passages are in SQLite under DATA_DIR: every instance must run on this machine. Set WEAVIATE_URL to run several machines.',
    });
  return {
    ...state.value,
    chunks: chunks.value,
    secretKey,
    dataDir,
    copyKey: async (folder) => {
      if (config.FOOTNOTE_SECRET_KEY === undefined && dataDir !== null)
        await copyFile(join(dataDir, 'secret.key'), join(folder, 'secret.key'));
    },
  };
};

/**
 * Puts the state of a backup back where the configuration says that state lives, if that is a server; false where it is
 * a file, which the caller copies. Throws AppError `conflict` for a database that holds data, `invalid` for a damaged backup.
 */
export const restoreServerState = async (
  config: Config,
  options: {
    readonly folder: string;
    readonly log: Log;
    readonly signal: AbortSignal;
    progress?(collection: string, documents: number): void;
  },
): Promise<boolean> => {
  if (config.MONGODB_URI === undefined) return false;
  const { restoreMongoState } = await import('./core/drivers/state/mongo/restore.ts');
  await restoreMongoState({ ...options, uri: config.MONGODB_URI });
  return true;
};

/** The folder of the embedded default; null when nothing of it is used. */
export const dataDirOf = (config: Config): string | null =>
  config.MONGODB_URI !== undefined && config.WEAVIATE_URL !== undefined ? null : resolve(config.DATA_DIR);

// Drivers of servers are loaded when they are configured: their clients cost a plain start time and memory.

const openState = async (
  config: Config,
  { clock, random, log }: StoreParts,
): Promise<Pick<Stores, 'state' | 'clock' | 'openUsers'>> => {
  if (config.MONGODB_URI === undefined) {
    const dataDir = resolve(config.DATA_DIR);
    const state = await openSqliteState({ dataDir, log });
    return { state, clock, openUsers: async () => openSqliteUsers(stateFileIn(dataDir)) };
  }
  const [{ openMongoState }, { openMongoUsers }] = await Promise.all([
    import('./core/drivers/state/mongo/state.ts'),
    import('./console/auth/mongo-users.ts'),
  ]);
  const state = await openMongoState({ uri: config.MONGODB_URI, clock, log });
  return { state, clock: state.serverClock, openUsers: () => openMongoUsers(state.database, random) };
};

const openChunks = async (config: Config, { clock, log }: StoreParts): Promise<ChunkStore> => {
  if (config.WEAVIATE_URL === undefined) return openSqliteChunks({ dataDir: resolve(config.DATA_DIR), log });
  const { openWeaviateChunks } = await import('./core/drivers/chunks/weaviate/chunks.ts');
  return openWeaviateChunks({
    url: config.WEAVIATE_URL,
    grpcUrl: config.WEAVIATE_GRPC_URL,
    apiKey: config.WEAVIATE_API_KEY,
    deploymentId: config.FOOTNOTE_DEPLOYMENT,
    tenancy: config.WEAVIATE_TENANCY,
    replicas: config.WEAVIATE_REPLICAS,
    consistency: config.WEAVIATE_CONSISTENCY,
    maxTenants: config.WEAVIATE_MAX_TENANTS,
    clock,
    log,
  });
};

const prepareFolder = (dataDir: string): void => {
  try {
    makeFolder(dataDir);
  } catch (cause) {
    throw new AppError('config', `DATA_DIR ${dataDir} cannot be created. Name a folder that this user may write.`, {
      cause,
    });
  }
};

/** Step by step: where the system denies a folder with ENOENT (such as in /proc), Node's own recursion never ends. */
const makeFolder = (path: string): void => {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may have been first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
};
