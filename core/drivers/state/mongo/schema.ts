import type { Collection, CreateIndexesOptions, Db, Document, IndexSpecification } from 'mongodb';
import { AppError } from '../../../errors.ts';
import type { Clock, Log } from '../../../ports/runtime.ts';
import type { Lease, StoredDocument } from '../../../ports/state.ts';
import type { Collections, DocumentDoc } from './collections.ts';
import { leaseVerbs } from './connections.ts';
import { isNotImplemented, unavailableFrom } from './faults.ts';
import { change, parsed, twice, within } from './queries.ts';
import { ensureValidators } from './validators.ts';

type Index = { readonly name: string; readonly key: IndexSpecification; readonly unique?: true };

/** What a unique index promises is part of a verb's meaning; the others keep a verb's price independent of the data's size. */
const indexes = {
  tenants: [
    { name: 'slug', key: { slug: 1 }, unique: true },
    { name: 'deleted', key: { erased: 1, deletedAt: 1 } },
  ],
  keys: [
    { name: 'hash', key: { hash: 1 }, unique: true },
    { name: 'tenant', key: { tenantId: 1, createdAt: 1, _id: 1 } },
  ],
  members: [
    { name: 'user', key: { userId: 1, tenantId: 1 } },
    { name: 'tenant', key: { tenantId: 1, userId: 1 } },
  ],
  sources: [
    { name: 'tenant', key: { tenantId: 1, createdAt: 1, _id: 1 } },
    { name: 'due', key: { nextRunAt: 1, _id: 1 } },
  ],
  documents: [
    { name: 'tenant', key: { tenantId: 1, id: 1 } },
    { name: 'source', key: { tenantId: 1, sourceId: 1, id: 1 } },
    { name: 'size', key: { tenantId: 1, bytes: 1, chunks: 1 } },
  ],
  contents: [{ name: 'tenant', key: { tenantId: 1 } }],
  built: [{ name: 'generation', key: { tenantId: 1, generation: 1, documentId: 1 } }],
  generations: [
    { name: 'tenant', key: { tenantId: 1, number: 1 } },
    { name: 'due', key: { sweepAt: 1, _id: 1 } },
  ],
  jobs: [
    { name: 'slot', key: { slot: 1 }, unique: true },
    { name: 'lane', key: { lane: 1 }, unique: true },
    { name: 'open', key: { state: 1, createdAt: 1, _id: 1 } },
    { name: 'running', key: { state: 1, tenantId: 1, leaseUntil: 1 } },
    { name: 'tenant', key: { tenantId: 1, createdAt: 1, _id: 1 } },
    { name: 'finished', key: { state: 1, finishedAt: 1 } },
    { name: 'newest', key: { createdAt: 1, _id: 1 } },
  ],
  inbox: [
    { name: 'keys', key: { keys: 1 }, unique: true },
    { name: 'ready', key: { threadKey: 1, state: 1, orderKey: 1, _id: 1 } },
    { name: 'waiting', key: { state: 1, receivedAt: 1, _id: 1 } },
    { name: 'about', key: { aboutId: 1, channelId: 1 } },
    { name: 'settled', key: { state: 1, settledAt: 1 } },
    { name: 'text', key: { state: 1, stripped: 1, settledAt: 1 } },
    { name: 'author', key: { tenantId: 1, authorId: 1 } },
  ],
  threads: [{ name: 'waiting', key: { waiting: 1, servedAt: 1, _id: 1 } }],
  outbox: [
    { name: 'posted', key: { tenantId: 1, postedIds: 1 } },
    { name: 'member', key: { tenantId: 1, memberId: 1 } },
    { name: 'opened', key: { openedAt: 1 } },
    { name: 'text', key: { state: 1, sentAt: 1 } },
  ],
  turns: [
    { name: 'newest', key: { tenantId: 1, conversationId: 1, at: 1, order: 1 } },
    { name: 'answer', key: { tenantId: 1, answerId: 1 } },
    { name: 'old', key: { tenantId: 1, at: 1 } },
  ],
  receipts: [
    { name: 'newest', key: { tenantId: 1, at: 1, answerId: 1 } },
    { name: 'member', key: { tenantId: 1, memberId: 1, answerId: 1 } },
    { name: 'tally', key: { tenantId: 1, at: 1, kind: 1, reasonCode: 1, totalMs: 1 } },
    { name: 'channel', key: { tenantId: 1, channelId: 1, at: 1, answerId: 1 } },
    { name: 'platform', key: { tenantId: 1, platform: 1, at: 1, answerId: 1, channelId: 1 } },
    { name: 'open', key: { tenantId: 1, isOpen: 1, at: 1, answerId: 1 } },
    { name: 'downs', key: { tenantId: 1, downs: 1 } },
  ],
  answerCache: [
    { name: 'expiry', key: { expiresAt: 1 } },
    { name: 'tenant', key: { tenantId: 1 } },
  ],
  counters: [
    { name: 'busy', key: { busy: 1, _id: 1 } },
    { name: 'tenant', key: { tenantId: 1 } },
    { name: 'expiry', key: { expiresAt: 1 } },
  ],
  settlements: [
    { name: 'tenant', key: { tenantId: 1 } },
    { name: 'expiry', key: { expiresAt: 1 } },
  ],
  limits: [],
  windows: [{ name: 'expiry', key: { expiresAt: 1 } }],
  ledger: [
    { name: 'time', key: { tenantId: 1, at: 1, id: 1 } },
    { name: 'member', key: { tenantId: 1, memberId: 1 } },
    { name: 'sums', key: { tenantId: 1, at: 1, currency: 1, question: 1, costNanos: 1, unpriced: 1 } },
  ],
  ledgerSums: [{ name: 'tenant', key: { tenantId: 1, field: 1 } }],
  channels: [{ name: 'tenant', key: { tenantId: 1, platform: 1, channelId: 1 } }],
  connections: [
    { name: 'workspace', key: { workspace: 1 }, unique: true },
    { name: 'tenant', key: { tenantId: 1, createdAt: 1, _id: 1 } },
  ],
  codes: [{ name: 'expiry', key: { expiresAt: 1 } }],
  installations: [],
  homes: [],
  people: [{ name: 'person', key: { tenantId: 1, personId: 1, memberId: 1 } }],
  personCodes: [
    { name: 'tenant', key: { tenantId: 1 } },
    { name: 'expiry', key: { expiresAt: 1 } },
  ],
  forgotten: [
    { name: 'tenant', key: { tenantId: 1 } },
    { name: 'expiry', key: { expiresAt: 1 } },
  ],
  leases: [],
  audit: [{ name: 'newest', key: { tenantId: 1, at: 1, _id: 1 } }],
  webhooks: [{ name: 'tenant', key: { tenantId: 1, createdAt: 1, _id: 1 } }],
  notices: [
    { name: 'due', key: { state: 1, nextAt: 1, _id: 1 } },
    { name: 'receiver', key: { tenantId: 1, receiver: 1, createdAt: 1, id: 1 } },
    { name: 'member', key: { tenantId: 1, memberId: 1 } },
    { name: 'old', key: { createdAt: 1 } },
  ],
  runs: [{ name: 'tenant', key: { tenantId: 1, day: 1 } }],
  meta: [],
} as const satisfies Readonly<Record<keyof Collections, readonly Index[]>>;

/**
 * What the server may take away by itself, a while after our own sweep should have: a second net, for a deployment whose
 * sweep stands still. Reads never rely on either.
 */
const expiring = [
  'answerCache',
  'codes',
  'personCodes',
  'forgotten',
  'windows',
  'counters',
  'settlements',
  'inbox',
] as const;
const ttlGraceSeconds = 24 * 3_600;

/** Ordered steps beyond indexes and validators; a step is never changed after a release, only followed by another. */
export type Migration = {
  readonly step: number;
  readonly name: string;
  /** The oldest step whose programs can still work with the data; they may run side by side during a deploy. */
  readonly oldest: number;
  /** Safe to run again after it broke off. */
  run(collections: Collections): Promise<void>;
};

/** Documents of before this have their size in the record alone. */
const giveSizes = async ({ documents }: Collections): Promise<void> => {
  const sizeOf = ({ record }: DocumentDoc) => {
    const { bytes = 0, chunkCount = 0 } = parsed<Partial<StoredDocument>>(record);
    return { $set: { bytes, chunks: chunkCount } };
  };
  while (await change<DocumentDoc>(documents, { bytes: { $exists: false } }, sizeOf));
};

export const migrations: readonly Migration[] = [
  { step: 1, name: 'first light', oldest: 1, run: async () => undefined },
  { step: 2, name: 'sizes of documents beside their records', oldest: 1, run: giveSizes },
];

/** What this program knows of. */
export const newestStep = Math.max(...migrations.map(({ step }) => step));

const leaseKey = 'schema';
const leaseForMs = 60_000;
const waitMs = 500;
/** An index over a large collection takes its time, and another instance may be building it. */
const patienceMs = 15 * 60_000;

export type SchemaParts = {
  readonly database: Db;
  readonly collections: Collections;
  readonly clock: Clock;
  readonly log: Log;
  /** Names the one who migrates. */
  readonly owner: string;
  readonly ttl: boolean;
  readonly steps?: readonly Migration[];
};

/**
 * Brings the database up to date, one instance at a time: the others wait. Throws AppError `config` for a database of a
 * newer version that this one cannot share, `store-unavailable` when an index, a validator or a step cannot be made.
 */
export const prepareSchema = async ({
  database,
  collections,
  clock,
  log,
  owner,
  ttl,
  steps = migrations,
}: SchemaParts): Promise<void> => {
  const leases = leaseVerbs(collections);
  const lease = await waitForLease(leases, owner, clock);
  let lost = false;
  const beat = setInterval(() => {
    leases.renew(lease, clock.now(), leaseForMs).then(
      (kept) => {
        lost ||= !kept;
      },
      () => undefined,
    );
  }, leaseForMs / 3);
  try {
    const newest = Math.max(...steps.map(({ step }) => step));
    const current = await collections.meta.findOne({ _id: 'schema' }, within);
    if ((current?.oldest ?? 0) > newest) {
      throw new AppError(
        'config',
        `The MongoDB database was changed by a newer version of Footnote (step ${current?.step}; this one knows ${newest}). Start the newer version, or restore a backup made by this one.`,
      );
    }
    await createIndexes(collections, log, ttl);
    await ensureValidators(database, log);
    for (const migration of steps.filter(({ step }) => step > (current?.step ?? 0))) {
      if (lost)
        throw new AppError('store-unavailable', 'Another instance took over the migration.', { retryable: true });
      await migration.run(collections);
      const { step, oldest } = migration;
      await twice(() => collections.meta.updateOne({ _id: 'schema' }, { $max: { step, oldest } }, { upsert: true }));
    }
  } finally {
    clearInterval(beat);
    await leases.release(lease).catch(() => undefined);
  }
};

const waitForLease = async (leases: ReturnType<typeof leaseVerbs>, owner: string, clock: Clock): Promise<Lease> => {
  const startedAt = performance.now();
  for (;;) {
    const lease = await leases.acquire(leaseKey, owner, clock.now(), leaseForMs);
    if (lease !== null) return lease;
    if (performance.now() - startedAt > patienceMs) {
      throw new AppError(
        'store-unavailable',
        'Another instance has been preparing the MongoDB database for too long.',
        {
          retryable: true,
        },
      );
    }
    await clock.sleep(waitMs);
  }
};

/** `collection.index` of those that a verb needs and that are not there. */
export const missingIndexes = async (collections: Collections): Promise<readonly string[]> => {
  const missing: string[] = [];
  for (const [key, list] of Object.entries(indexes) as [keyof Collections, readonly Index[]][]) {
    if (list.length === 0) continue;
    const collection = collections[key] as unknown as Collection<Document>;
    const there = new Set((await collection.indexes()).map(({ name }) => name));
    missing.push(
      ...list.filter(({ name }) => !there.has(name)).map(({ name }) => `${collection.collectionName}.${name}`),
    );
  }
  return missing;
};

const createIndexes = async (collections: Collections, log: Log, ttl: boolean): Promise<void> => {
  for (const [key, list] of Object.entries(indexes) as [keyof Collections, readonly Index[]][]) {
    const collection = collections[key] as unknown as Collection<Document>;
    for (const { name, key: fields, unique } of list)
      await createIndex(collection, fields, { name, ...(unique ? { unique } : {}) });
  }
  if (!ttl) return;
  for (const key of expiring) {
    const collection = collections[key] as unknown as Collection<Document>;
    try {
      await createIndex(collection, { expireAt: 1 }, { name: 'ttl', expireAfterSeconds: ttlGraceSeconds });
    } catch (error) {
      if (!isNotImplemented((error as AppError).cause)) throw error;
      log.warn('state.no_ttl', { sentence: 'The MongoDB server knows no TTL indexes; Footnote sweeps by itself.' });
      return;
    }
  }
};

/** Making an index that is there already is nothing; making it anew with other options is refused by the server. */
const createIndex = async (
  collection: Collection<Document>,
  fields: IndexSpecification,
  options: CreateIndexesOptions,
): Promise<void> => {
  const startedAt = performance.now();
  for (;;) {
    try {
      await collection.createIndex(fields, options);
      return;
    } catch (error) {
      const fault = unavailableFrom(error);
      // A build longer than a socket's patience goes on at the server; asking again waits for the same one.
      if (fault.retryable && performance.now() - startedAt < patienceMs && startedAt + 5_000 < performance.now())
        continue;
      throw new AppError(
        'store-unavailable',
        `The index ${collection.collectionName}.${options.name} could not be made in MongoDB. ${fault.message}`,
        { retryable: fault.retryable, cause: error },
      );
    }
  }
};
