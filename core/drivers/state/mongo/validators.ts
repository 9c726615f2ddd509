import type { Collection, Db, Document } from 'mongodb';
import { AppError } from '../../../errors.ts';
import type { Log } from '../../../ports/runtime.ts';
import { type Collections, collectionNames } from './collections.ts';
import { isNotImplemented, unavailableFrom } from './faults.ts';

/**
 * What the server itself refuses, behind the compiler and our own checks: a document that lacks a field which our filters rely
 * on, or holds something else in it. More fields are welcome, for a newer version may write them. A field that a release
 * adds is optional here for ever: during a deploy, and after going back, documents are written without it.
 */

type Kind = 'string' | 'number' | 'bool' | 'object' | 'array' | 'date' | 'binData';
type Required<Doc> = { [Key in keyof Doc]-?: undefined extends Doc[Key] ? never : Key }[keyof Doc];
type DocOf<Stored> = Stored extends Collection<infer Doc> ? Doc : never;
/** Of every required field; `?` is null as well. */
type Shape<Doc> = Readonly<Record<Exclude<Required<Doc>, '_id'>, Kind | `${Kind}?`>>;

const shapes: { readonly [Key in keyof Collections]: Shape<DocOf<Collections[Key]>> } = {
  tenants: {
    slug: 'string',
    name: 'string',
    createdAt: 'number',
    settings: 'string',
    keepText: 'bool',
    retentionDays: 'number',
    activeGeneration: 'number',
    contentRevision: 'number',
    rev: 'number',
    deletedAt: 'number?',
    erased: 'bool',
  },
  keys: { tenantId: 'string', hash: 'string', createdAt: 'number', lastUsedAt: 'number?', record: 'string' },
  members: { tenantId: 'string', userId: 'string', role: 'string', createdAt: 'number' },
  sources: {
    tenantId: 'string',
    kind: 'string',
    name: 'string',
    audience: 'string?',
    settings: 'string',
    schedule: 'string?',
    nextRunAt: 'number?',
    cursor: 'string?',
    createdAt: 'number',
    lastSyncedAt: 'number?',
    rev: 'number',
  },
  documents: { tenantId: 'string', id: 'string', sourceId: 'string', seenIn: 'string?', record: 'string' },
  contents: { tenantId: 'string', documentId: 'string', stamp: 'string', data: 'binData' },
  built: { tenantId: 'string', documentId: 'string', generation: 'number', stamp: 'string', chunks: 'number' },
  generations: {
    tenantId: 'string',
    number: 'number',
    profile: 'string',
    createdAt: 'number',
    jobId: 'string?',
    phase: 'string?',
    sweepAt: 'number?',
    base: 'number?',
    incomplete: 'bool?',
    held: 'bool?',
  },
  jobs: {
    tenantId: 'string',
    kind: 'string',
    sourceId: 'string',
    reindex: 'string?',
    state: 'string',
    createdAt: 'number',
    startedAt: 'number?',
    finishedAt: 'number?',
    attempts: 'number',
    owner: 'string',
    fence: 'number',
    leaseUntil: 'number',
    slot: 'string',
    lane: 'string',
    wants: 'string',
    progress: 'string',
  },
  inbox: {
    keys: 'array',
    threadKey: 'string',
    orderKey: 'string',
    state: 'string',
    attempts: 'number',
    fence: 'number',
    receivedAt: 'number',
    platform: 'string',
    workspaceId: 'string',
    channelId: 'string',
    aboutId: 'string',
    authorId: 'string',
    addressed: 'string',
    event: 'string',
    tenantId: 'string?',
    reason: 'string?',
    answerId: 'string?',
    settledAt: 'number?',
    stripped: 'bool',
    expireAt: 'date?',
  },
  threads: {
    waiting: 'bool',
    marks: 'number',
    owner: 'string',
    fence: 'number',
    leaseUntil: 'number',
    servedAt: 'number',
    notBefore: 'number',
  },
  outbox: {
    tenantId: 'string',
    id: 'string',
    answerId: 'string',
    state: 'string',
    attempts: 'number',
    openedAt: 'number',
    sentAt: 'number?',
    memberId: 'string?',
    final: 'string?',
    postedIds: 'array',
  },
  turns: {
    tenantId: 'string',
    conversationId: 'string',
    at: 'number',
    order: 'string',
    answerId: 'string?',
    record: 'string',
  },
  receipts: {
    tenantId: 'string',
    answerId: 'string',
    at: 'number',
    kind: 'string',
    reasonCode: 'string',
    memberId: 'string?',
    text: 'string',
    feedback: 'object',
    record: 'string',
  },
  answerCache: { tenantId: 'string', expiresAt: 'number', expireAt: 'date', memberId: 'string?', record: 'string' },
  counters: {
    tenantId: 'string',
    id: 'string',
    used: 'number',
    taken: 'number',
    holds: 'object',
    settled: 'object',
    expiresAt: 'number',
    busy: 'number',
    expireAt: 'date',
  },
  settlements: { tenantId: 'string', movedAt: 'number', expiresAt: 'number', expireAt: 'date' },
  limits: { tenantId: 'string', record: 'string' },
  windows: { hits: 'number', expiresAt: 'number', expireAt: 'date' },
  ledger: {
    tenantId: 'string',
    id: 'string',
    at: 'number',
    day: 'string',
    kind: 'string',
    platform: 'string',
    model: 'string',
    channelId: 'string',
    memberId: 'string',
    sourceId: 'string',
    currency: 'string',
    question: 'number',
    promptTokens: 'number',
    completionTokens: 'number',
    embeddingTokens: 'number',
    costNanos: 'number',
    unpriced: 'number',
    record: 'string',
  },
  ledgerSums: {
    tenantId: 'string',
    month: 'string',
    field: 'string',
    rev: 'number',
    through: 'number',
    notBefore: 'number',
    sums: 'string',
  },
  channels: { tenantId: 'string', platform: 'string', channelId: 'string', record: 'string' },
  connections: {
    tenantId: 'string',
    platform: 'string',
    workspaceId: 'string',
    workspace: 'string',
    createdAt: 'number',
    sealedCredentials: 'string?',
    lastEventAt: 'number?',
    lastError: 'string?',
    lastErrorAt: 'number?',
  },
  codes: { platform: 'string', workspaceId: 'string', expiresAt: 'number', expireAt: 'date' },
  installations: { record: 'string' },
  homes: { workspaceId: 'string' },
  people: { tenantId: 'string', memberId: 'string', personId: 'string' },
  personCodes: { tenantId: 'string', memberId: 'string', expiresAt: 'number', expireAt: 'date' },
  forgotten: { tenantId: 'string', pseudonym: 'string', at: 'number', expiresAt: 'number', expireAt: 'date' },
  webhooks: {
    tenantId: 'string',
    createdAt: 'number',
    rev: 'number',
    failingSince: 'number?',
    lastDeliveredAt: 'number?',
    record: 'string',
  },
  notices: {
    tenantId: 'string',
    id: 'string',
    receiver: 'string',
    lane: 'string',
    createdAt: 'number',
    state: 'string',
    attempts: 'number',
    nextAt: 'number',
    memberId: 'string?',
    body: 'string?',
    record: 'string',
  },
  runs: { tenantId: 'string', day: 'string', at: 'number', receipts: 'number', turns: 'number' },
  leases: { owner: 'string', fence: 'number', leaseUntil: 'number' },
  audit: { tenantId: 'string', at: 'number', record: 'string' },
  meta: {},
};

const kindsOf = (kind: string): string | readonly string[] => (kind.endsWith('?') ? [kind.slice(0, -1), 'null'] : kind);

/** `_id` is always a text of ours. */
const validatorOf = (shape: Readonly<Record<string, string>>): Document => ({
  $jsonSchema: {
    bsonType: 'object',
    required: ['_id', ...Object.keys(shape)],
    properties: {
      _id: { bsonType: 'string' },
      ...Object.fromEntries(Object.entries(shape).map(([field, kind]) => [field, { bsonType: kindsOf(kind) }])),
    },
  },
});

/** By the collection's name in the database. */
export const validators: ReadonlyMap<string, Document> = new Map(
  (Object.entries(shapes) as [keyof Collections, Readonly<Record<string, string>>][]).map(([key, shape]) => [
    collectionNames[key],
    validatorOf(shape),
  ]),
);

/**
 * Gives every collection its validator, where it has another or none; what stands in it already is left alone. Throws AppError
 * `store-unavailable`; a server that knows no validators is only warned about.
 */
export const ensureValidators = async (database: Db, log: Log): Promise<void> => {
  try {
    const there = new Map(
      (await database.listCollections({}, { nameOnly: false }).toArray()).map(({ name, options }) => [
        name,
        JSON.stringify(options?.validator),
      ]),
    );
    for (const [name, validator] of validators) {
      if (there.get(name) === JSON.stringify(validator)) continue;
      const how = { validator, validationLevel: 'moderate', validationAction: 'error' } as const;
      if (there.has(name)) await database.command({ collMod: name, ...how });
      else await database.createCollection(name, how);
    }
  } catch (error) {
    if (!isNotImplemented(error)) {
      const fault = unavailableFrom(error);
      throw new AppError(
        'store-unavailable',
        `The validators of the collections could not be set in MongoDB. ${fault.message}`,
        { retryable: fault.retryable, cause: error },
      );
    }
    log.warn('state.no_validators', { sentence: 'The MongoDB server knows no validators; Footnote checks by itself.' });
  }
};
