import { MongoClient, type MongoClientOptions } from 'mongodb';
import { AppError } from '../../../errors.ts';
import type { Log } from '../../../ports/runtime.ts';
import { unavailableFrom } from './faults.ts';

/** How long each stage may take, in milliseconds. */
export type MongoLimits = {
  /** Until some server that takes writes is known. */
  readonly selectionMs: number;
  readonly connectMs: number;
  /** Silence on a connection in the middle of a command. */
  readonly socketMs: number;
  /** Until one of the pool's connections is free. */
  readonly queueMs: number;
  /** How long the server may work on one read. */
  readonly serverMs: number;
  /** One verb, all its steps together. Sweeping, erasing, forgetting and backing up have `longVerbMs`. */
  readonly verbMs: number;
  readonly longVerbMs: number;
  readonly heartbeatMs: number;
  readonly poolSize: number;
};

export const defaultLimits: MongoLimits = {
  selectionMs: 5_000,
  connectMs: 5_000,
  socketMs: 30_000,
  queueMs: 2_000,
  serverMs: 10_000,
  verbMs: 15_000,
  longVerbMs: 10 * 60_000,
  heartbeatMs: 10_000,
  poolSize: 30,
};

/** The database when the URI names none. */
const defaultDatabase = 'footnote';

const badUri =
  'MONGODB_URI cannot be read; it looks like mongodb://user:password@host:27017/footnote or mongodb+srv://… , with special characters in the password percent-encoded.';

/** A name, an address or the encoded path of a socket, and a port. */
const oneHost = /^(?:[^:[\]\s]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** `mongodb+srv://u:p@host/name?a=b` into name and options; nothing of it is ever logged. */
const partsOf = (uri: string): { readonly database: string; readonly parameters: readonly string[] } => {
  const match = /^mongodb(?:\+srv)?:\/\/(?:[^/?]*@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(uri);
  const hosts = (match?.[1] ?? '').split(',');
  // A slash in a password ends the host too early; the parser would then quote half of the password.
  if (match === null || !hosts.every((host) => oneHost.test(host))) throw new AppError('config', badUri);
  const database = decoded(match[2] ?? '');
  return {
    database: database === '' ? defaultDatabase : database,
    parameters: (match[3] ?? '').split('&').map((pair) => decoded(pair.split('=')[0] ?? '').toLowerCase()),
  };
};

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AppError('config', badUri);
  }
};

export const databaseOf = (uri: string): string => partsOf(uri).database;

/**
 * A client with every stage bounded and every write waiting for the majority's journal. Throws AppError `config` for a
 * URI that cannot be read or that asks for `timeoutMS`.
 */
export const createClient = (uri: string, appName: string, limits: MongoLimits): MongoClient => {
  // In several versions of the driver a connection on which this limit had struck could hand one caller another's reply
  // (CVE-2026-119179). Ours ignores it; a colleague with another version, on the same URI, would not.
  if (partsOf(uri).parameters.some((name) => name === 'timeoutms' || name === 'timeoutmode')) {
    throw new AppError(
      'config',
      'MONGODB_URI sets timeoutMS, which has led drivers to mix up replies. Take it out; Footnote sets its own limits.',
    );
  }
  const options: MongoClientOptions = {
    appName,
    maxPoolSize: limits.poolSize,
    serverSelectionTimeoutMS: limits.selectionMs,
    connectTimeoutMS: limits.connectMs,
    socketTimeoutMS: limits.socketMs,
    waitQueueTimeoutMS: limits.queueMs,
    heartbeatFrequencyMS: limits.heartbeatMs,
    retryWrites: true,
    retryReads: true,
    readPreference: 'primary',
    readConcern: { level: 'majority' },
    writeConcern: { w: 'majority', journal: true, wtimeoutMS: Math.min(5_000, limits.verbMs) },
    ignoreUndefined: true,
  };
  try {
    return new MongoClient(uri, options);
  } catch {
    // The cause stays behind: a parser quotes what it could not read, and that may be a password.
    throw new AppError('config', badUri);
  }
};

type Hello = {
  readonly localTime?: Date;
  readonly setName?: string;
  readonly msg?: string;
};

/** Connects, and says what an operator should know of the server. Throws AppError `config` or `store-unavailable`. */
export const connect = async (client: MongoClient, database: string, log: Log): Promise<void> => {
  try {
    await client.connect();
    refuseLookalike(await client.db(database).command({ buildInfo: 1 }), log);
    const hello: Hello = await client.db(database).command({ hello: 1 });
    if (hello.setName === undefined && hello.msg !== 'isdbgrid') {
      log.warn('state.standalone', {
        sentence:
          'The MongoDB server is no replica set: a write whose connection breaks is not repeated by itself, and a lost disk is lost. A replica set of one member is enough for the first.',
      });
    }
  } catch (error) {
    throw unavailableFrom(error);
  }
};

type Build = { readonly ferretdbVersion?: string; readonly ferretdb?: { readonly version?: string } };

/**
 * FerretDB 1 reads a document, changes it and writes it back, so that of two updates at once one is lost; it drops nulls and empty
 * lists of a first write, and its sums over fields are 0. Leases, allowances and bills rest on all three.
 */
const refuseLookalike = ({ ferretdbVersion, ferretdb }: Build, log: Log): void => {
  const version = ferretdbVersion ?? ferretdb?.version;
  if (version === undefined) return;
  if (/^v?[01]\./.test(version))
    throw new AppError(
      'config',
      `The server that MONGODB_URI names is FerretDB ${version}, which loses one of two changes made at once and adds up wrongly. Use MongoDB 4.4 to 9.0.`,
    );
  log.warn('state.lookalike', { sentence: `The server is FerretDB ${version}, with which Footnote was never tried.` });
};

/** Server minus ours, taken at the middle of the exchange; 0 when the server does not tell. */
export const clockOffset = (hello: { readonly localTime?: Date }, sentAt: number, receivedAt: number): number =>
  hello.localTime instanceof Date ? Math.round(hello.localTime.getTime() - (sentAt + receivedAt) / 2) : 0;
