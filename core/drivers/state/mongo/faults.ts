import {
  MongoBulkWriteError,
  MongoCompatibilityError,
  MongoMissingCredentialsError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
} from 'mongodb';
import { AppError, isAppError } from '../../../errors.ts';

/** What a driver's error means for the person who reads the sentence. Codes: mongo/src/mongo/base/error_codes.yml */

type Fault = { readonly problem: string; readonly retryable: boolean; readonly config?: boolean };

const unreachable: Fault = {
  problem: 'The MongoDB server cannot be reached: check MONGODB_URI, that the server runs, and the way to it.',
  retryable: true,
};
const silent: Fault = { problem: 'The MongoDB server broke off or did not answer in time.', retryable: true };
const busy: Fault = { problem: 'The MongoDB server is busy with other work. Try again in a moment.', retryable: true };
const credentials: Fault = {
  problem: 'The MongoDB server refused the credentials: check user, password and authSource in MONGODB_URI.',
  retryable: false,
};
const noRights: Fault = {
  problem: 'The MongoDB user may not do this: give it the role readWrite on the database that MONGODB_URI names.',
  retryable: false,
};
const readOnly: Fault = {
  problem: 'The MongoDB server takes no writes at the moment: it is read-only, or a new primary is being elected.',
  retryable: true,
};
const full: Fault = {
  problem: 'The disk or the quota of the MongoDB server is full. Make room and try again.',
  retryable: true,
};
const notMajority: Fault = {
  problem: 'Too few members of the MongoDB replica set confirmed the write: check that the majority of them runs.',
  retryable: true,
};
const tooLarge: Fault = {
  problem: 'The record is larger than MongoDB takes (16 MB).',
  retryable: false,
};
const wrongVersion: Fault = {
  problem: 'The MongoDB server has a version that this Footnote cannot use; it takes 4.4 to 9.0.',
  retryable: false,
  config: true,
};
const unknown: Fault = { problem: 'The state store could not carry out what was asked.', retryable: false };

const byCode: Readonly<Record<number, Fault>> = {
  13: noRights,
  18: credentials,
  50: busy,
  64: notMajority,
  79: notMajority,
  91: readOnly,
  100: notMajority,
  112: busy,
  189: readOnly,
  202: busy,
  262: busy,
  462: busy,
  8000: credentials,
  10058: readOnly,
  10107: readOnly,
  10334: tooLarge,
  11600: readOnly,
  11602: readOnly,
  12501: full,
  13388: readOnly,
  13435: readOnly,
  13436: readOnly,
  14031: full,
  17280: tooLarge,
  17419: tooLarge,
  17420: tooLarge,
};

const faultOf = (error: unknown): Fault => {
  if (error instanceof MongoServerError) return serverFault(error);
  if (error instanceof MongoServerSelectionError) return selectionFault(error);
  if (error instanceof MongoCompatibilityError) return wrongVersion;
  if (error instanceof MongoMissingCredentialsError) return credentials;
  if (error instanceof MongoNetworkError) return silent;
  if (isLookup(error)) return unreachable;
  const name = error instanceof Error ? error.name : '';
  if (/^MongoPool(Cleared|Closed)/.test(name)) return silent;
  if (name === 'MongoWaitQueueTimeoutError' || name === 'WaitQueueTimeoutError') return busy;
  if (name === 'MongoTopologyClosedError' || name === 'MongoNotConnectedError' || name === 'MongoClientClosedError')
    return { problem: 'The state store is closed.', retryable: false };
  if (error instanceof RangeError || /BSON|ERR_OUT_OF_RANGE/.test(name)) return tooLarge;
  return unknown;
};

const serverFault = (error: MongoServerError): Fault => {
  const code = Number(error.code);
  const known = byCode[code];
  if (known !== undefined && code !== 8000) return known;
  // Atlas says 8000 of nearly everything; its words tell which.
  if (/quota|over your space|disk space|disk use threshold/i.test(error.message)) return full;
  if (code === 8000) return /auth/i.test(error.message) ? credentials : unknown;
  if (error.hasErrorLabel('RetryableWriteError') || error.hasErrorLabel('RetryableError')) return busy;
  return unknown;
};

/** No server was found that would do; what each of them said last tells why. */
const selectionFault = (error: MongoServerSelectionError): Fault => {
  const reasons = [error.cause, ...[...(error.reason?.servers?.values() ?? [])].map((server) => server.error)];
  if (reasons.some((reason) => reason instanceof MongoCompatibilityError)) return wrongVersion;
  const refusal = reasons.find((reason) => reason instanceof MongoServerError);
  return refusal === undefined ? unreachable : serverFault(refusal);
};

/** The name of a `mongodb+srv` address is looked up by Node, whose errors pass the driver as they are. */
const isLookup = (error: unknown): boolean =>
  error instanceof Error && String((error as NodeJS.ErrnoException).syscall ?? '').startsWith('query');

/** Whatever the driver threw as the one error that a caller knows. */
export const unavailableFrom = (error: unknown): AppError => {
  if (isAppError(error)) return error;
  const { problem, retryable, config } = faultOf(error);
  return new AppError(config ? 'config' : 'store-unavailable', problem, { retryable, cause: error });
};

const duplicateKey = 11_000;

/** Some unique key is taken: for us a value, never a failure. */
export const isDuplicate = (error: unknown): boolean =>
  error instanceof MongoServerError && error.code === duplicateKey && !(error instanceof MongoBulkWriteError);

/** Of an unordered bulk, nothing went wrong but that some rows were there before, and the majority has the rest. */
export const isOnlyDuplicates = (error: unknown): boolean => {
  if (!(error instanceof MongoBulkWriteError)) return false;
  const writeErrors = [error.writeErrors].flat();
  return (
    writeErrors.length > 0 &&
    writeErrors.every((one) => one.code === duplicateKey) &&
    error.result.getWriteConcernError() === undefined
  );
};

/** A server that speaks the protocol but lacks this feature or command. */
export const isNotImplemented = (error: unknown): boolean =>
  error instanceof MongoServerError &&
  (error.code === 238 ||
    error.code === 59 ||
    error.codeName === 'NotImplemented' ||
    error.codeName === 'CommandNotFound');
