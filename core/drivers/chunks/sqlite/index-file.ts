import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import type { IndexProfile, IndexRef } from '../../../ports/chunks.ts';
import { absentIndex, damagedIndex, newerIndex, toStoreError } from './failures.ts';
import { indexFile } from './files.ts';

/** Rows per block: the unit in which postings are stored, and swept when most of their chunks are gone. */
export const blockBits = 12;
export const blockRows = 1 << blockBits;

/** The layout that a new file has. A newer one is refused. */
const format = 3;
/**
 * The oldest layout that is left as it is, and written as it is: beside this version the one before may be at work, for the
 * length of a deploy, and it can read no other. A re-index brings the newest.
 */
const oldestFormat = 2;
/** Formats from here on keep the postings of a document in one row of `recent`, those before a row a chunk. */
const documentRowsSince = 3;

/*
 * Rows are numbered upwards and never used twice, so a reader that kept something in memory finds what is new above
 * its highest row and what is gone in `blocks`. No table of changes is needed between processes.
 *
 * blocks.rows    two u16 per row: the number of its source (0: no chunk), its length in quarter terms
 * postings.data  two u16 per chunk that holds the term: offset of its row in the block, weight in quarter terms; ascending
 * recent.terms   the postings of the last documents, not yet in `postings` (see recent.ts)
 * quantised.data f32 scale, then one i8 per dimension; apart from `vectors` so that loading reads a quarter
 */
const schema = `
  CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, profile TEXT NOT NULL, revision INTEGER NOT NULL,
    next_row INTEGER NOT NULL, chunks INTEGER NOT NULL, documents INTEGER NOT NULL, length INTEGER NOT NULL,
    languages TEXT NOT NULL
  );
  CREATE TABLE sources (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
  CREATE TABLE chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL, document TEXT NOT NULL, ordinal INTEGER NOT NULL,
    length INTEGER NOT NULL, language TEXT NOT NULL, data TEXT NOT NULL
  );
  CREATE INDEX chunks_by_document ON chunks (document, ordinal);
  CREATE TABLE blocks (block INTEGER PRIMARY KEY, live INTEGER NOT NULL, rows BLOB NOT NULL);
  CREATE TABLE postings (
    block INTEGER NOT NULL, term TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (block, term)
  ) WITHOUT ROWID;
  CREATE TABLE recent (row INTEGER PRIMARY KEY, terms TEXT NOT NULL);
  CREATE TABLE vectors (row INTEGER PRIMARY KEY, data BLOB NOT NULL);
  CREATE TABLE quantised (row INTEGER PRIMARY KEY, data BLOB NOT NULL);
`;

/** What brings a file of a format below the oldest to the next one. */
const migrations: Readonly<Record<number, string>> = {
  1: 'CREATE TABLE recent (row INTEGER PRIMARY KEY, terms TEXT NOT NULL); UPDATE meta SET format = 2;',
};

export type Meta = {
  readonly format: number;
  readonly profile: string;
  readonly revision: number;
  readonly next_row: number;
  readonly chunks: number;
  readonly documents: number;
  readonly length: number;
  readonly languages: string;
};

/** An open file. `blocks` is a memory of the reader, valid for `blocksRevision`. */
export type IndexFile = {
  readonly ref: IndexRef;
  readonly path: string;
  readonly inode: number;
  readonly db: DatabaseSync;
  readonly statements: Map<string, StatementSync>;
  blocks: ReadonlyMap<number, Uint16Array>;
  blocksRevision: number;
};

/** Rows come back as arrays, which is twice as fast as objects; the caller names the tuple. */
export const statement = (index: IndexFile, sql: string): StatementSync => {
  const known = index.statements.get(sql);
  if (known) return known;
  const made = index.db.prepare(sql);
  index.statements.set(sql, made);
  return made;
};

export const allRows = (index: IndexFile, sql: string, ...values: SQLInputValue[]) =>
  statement(index, sql).all(...values);
export const oneRow = (index: IndexFile, sql: string, ...values: SQLInputValue[]) =>
  statement(index, sql).get(...values);
export const run = (index: IndexFile, sql: string, ...values: SQLInputValue[]) => statement(index, sql).run(...values);

/** A BLOB as pairs of u16; copied only when it does not lie on an even address. */
export const asPairs = (blob: unknown, ref: IndexRef): Uint16Array => {
  if (!(blob instanceof Uint8Array) || blob.byteLength % 4 !== 0) throw damagedIndex(ref);
  const whole = blob.byteOffset % 2 === 0 ? blob : blob.slice();
  return new Uint16Array(whole.buffer, whole.byteOffset, whole.byteLength / 2);
};

export const asBytes = (pairs: Uint16Array): Uint8Array =>
  new Uint8Array(pairs.buffer, pairs.byteOffset, pairs.byteLength);

const isMeta = (row: unknown): row is Meta =>
  typeof row === 'object' && row !== null && 'profile' in row && 'revision' in row && 'format' in row;

export const metaOf = (index: IndexFile): Meta => {
  const row: unknown = oneRow(index, 'SELECT * FROM meta');
  if (!isMeta(row) || row.format < oldestFormat) throw damagedIndex(index.ref);
  if (row.format > format) throw newerIndex(index.ref);
  return row;
};

export const hasDocumentRows = (meta: Meta): boolean => meta.format >= documentRowsSince;

export const profileOf = (meta: Meta): IndexProfile => JSON.parse(meta.profile) as IndexProfile;

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

/*
 * synchronous = FULL: the state store takes a document for indexed once `replaceDocuments` resolves, so a power cut must
 * not undo a commit. It costs one fsync per call (about 0.2 ms on an SSD), which a batch of documents shares.
 */
const settings = `
  PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL; PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY;
  PRAGMA journal_size_limit = 33554432; PRAGMA wal_autocheckpoint = 4000; PRAGMA trusted_schema = OFF;
`;

const open = (ref: IndexRef, path: string, inode: number): IndexFile => {
  // mode=rw never creates: a file that was dropped in this very moment must not come back empty.
  const address = pathToFileURL(path);
  address.searchParams.set('mode', 'rw');
  const db = new DatabaseSync(address);
  try {
    db.exec(settings);
    const index = { ref, path, inode, db, statements: new Map(), blocks: new Map(), blocksRevision: -1 };
    migrate(index);
    metaOf(index);
    return index;
  } catch (error) {
    db.close();
    // A file without our tables opens well and then lacks `meta`.
    if (error instanceof Error && /no such table/.test(error.message)) throw damagedIndex(ref, error);
    throw error;
  }
};

const migrate = (index: IndexFile): void => {
  const current = (): number => Number(oneRow(index, 'SELECT format FROM meta')?.format);
  while (migrations[current()] !== undefined) {
    // Asked again under the lock: another thread or process may have done it meanwhile.
    writing(index, () => index.db.exec(migrations[current()] ?? ''));
  }
};

/** Creates the file beside its place and links it in whole: a crash leaves no half-made index, and two makers no mixture. */
export const createIndexFile = (path: string, profile: IndexProfile): void => {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}.draft`;
  const db = new DatabaseSync(draft);
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    db.exec(`BEGIN; ${schema} COMMIT;`);
    db.prepare("INSERT INTO meta VALUES (1, ?, ?, 0, 1, 0, 0, 0, '{}')").run(format, JSON.stringify(profile));
  } finally {
    db.close();
  }
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    for (const end of ['', '-wal', '-shm']) rmSync(draft + end, { force: true });
  }
};

export type Shelf = {
  /** The open file of an index, or nothing when there is none. */
  find(ref: IndexRef): IndexFile | undefined;
  get(ref: IndexRef): IndexFile;
  /** Closes what is open of a tenant, so that its files can be removed. */
  forget(tenantId: string, generation?: number): void;
  close(): void;
};

/**
 * Open files, the least recently used closed past `maxOpen`: a thousand idle tenants cost nothing. A file that another
 * process dropped or replaced is noticed by its inode at the next use.
 */
export const createShelf = (
  dataDir: string,
  maxOpen: number,
  onClose: (index: IndexFile) => void = () => {},
): Shelf => {
  const shelf = new Map<string, IndexFile>();
  const putAway = (index: IndexFile): void => {
    shelf.delete(index.path);
    onClose(index);
    index.statements.clear();
    index.db.close();
  };
  const find = (ref: IndexRef): IndexFile | undefined => {
    const path = indexFile(dataDir, ref);
    const known = shelf.get(path);
    const inode = inodeOf(path);
    if (known && known.inode === inode) {
      shelf.delete(path);
      shelf.set(path, known);
      return known;
    }
    if (known) putAway(known);
    if (inode === undefined) return undefined;
    try {
      const index = open(ref, path, inode);
      shelf.set(path, index);
      for (const oldest of shelf.values()) {
        if (shelf.size <= maxOpen) break;
        putAway(oldest);
      }
      return index;
    } catch (error) {
      throw toStoreError(error, ref);
    }
  };
  return {
    find,
    get: (ref) => {
      const index = find(ref);
      if (!index) throw absentIndex(ref);
      return index;
    },
    forget: (tenantId, generation) => {
      for (const index of [...shelf.values()]) {
        if (index.ref.tenantId === tenantId && (generation === undefined || index.ref.generation === generation)) {
          putAway(index);
        }
      }
    },
    close: () => {
      for (const index of [...shelf.values()]) putAway(index);
    },
  };
};

/** Runs `work` on one snapshot of the file. */
export const reading = <T>(index: IndexFile, work: () => T): T => within(index, 'BEGIN', work);

/** Runs `work` in one transaction: all of it happens, or nothing. */
export const writing = <T>(index: IndexFile, work: () => T): T => within(index, 'BEGIN IMMEDIATE', work);

const within = <T>(index: IndexFile, begin: string, work: () => T): T => {
  try {
    index.db.exec(begin);
    const result = work();
    index.db.exec('COMMIT');
    return result;
  } catch (error) {
    if (index.db.isTransaction) {
      try {
        index.db.exec('ROLLBACK');
      } catch {
        // The first error is the one to tell; SQLite rolls back by itself when the file is opened again.
      }
    }
    throw toStoreError(error, index.ref);
  }
};

/** Which rows hold a chunk, of which source and how long; remembered until the index changes. Call inside `reading`. */
export const blocksOf = (index: IndexFile, meta: Meta): ReadonlyMap<number, Uint16Array> => {
  if (index.blocksRevision === meta.revision) return index.blocks;
  const blocks = new Map<number, Uint16Array>();
  for (const row of allRows(index, 'SELECT block, rows FROM blocks ORDER BY block')) {
    blocks.set(Number(row.block), asPairs(row.rows, index.ref));
  }
  index.blocks = blocks;
  index.blocksRevision = meta.revision;
  return blocks;
};

/** The numbers of the listed sources within this index; nothing for "all". */
export const sourceNumbers = (
  index: IndexFile,
  sourceIds: readonly string[] | undefined,
): ReadonlySet<number> | undefined => {
  if (sourceIds === undefined) return undefined;
  const numbers = new Set<number>();
  for (const id of new Set(sourceIds)) {
    const row = oneRow(index, 'SELECT n FROM sources WHERE id = ?', id);
    if (row) numbers.add(Number(row.n));
  }
  return numbers;
};
