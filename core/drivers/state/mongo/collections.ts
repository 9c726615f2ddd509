import type { Binary, Collection, Db, Long } from 'mongodb';
import type { Addressed, Audience, GapMark, LedgerEntry, Notice, PlatformName } from '../../../domain.ts';
import type { Generation, InboxRow, OutboxRecord } from '../../../ports/state.ts';

/**
 * The documents as MongoDB keeps them. What a filter or a conditional update needs is a field; the rest is one JSON text
 * called `record`, so that keys with dots or dollars, absent values and very deep objects come back as they went in.
 * Absence is null, never a missing field. Times are milliseconds; `expireAt` alone is a date, for TTL.
 */

export type TenantDoc = {
  _id: string;
  slug: string;
  name: string;
  createdAt: number;
  settings: string;
  /** From the settings, for the sweep. */
  keepText: boolean;
  retentionDays: number;
  activeGeneration: number;
  contentRevision: number;
  rev: number;
  deletedAt: number | null;
  erased: boolean;
};
export type KeyDoc = {
  _id: string;
  tenantId: string;
  hash: string;
  createdAt: number;
  lastUsedAt: number | null;
  record: string;
};
export type MemberDoc = { _id: string; tenantId: string; userId: string; role: string; createdAt: number };
export type SourceDoc = {
  _id: string;
  tenantId: string;
  kind: string;
  name: string;
  audience: Audience | null;
  settings: string;
  schedule: string | null;
  nextRunAt: number | null;
  cursor: string | null;
  createdAt: number;
  lastSyncedAt: number | null;
  rev: number;
};
export type DocumentDoc = {
  _id: string;
  tenantId: string;
  id: string;
  sourceId: string;
  seenIn: string | null;
  /** From the record, for summing. */
  bytes?: number;
  chunks?: number;
  /** From the record, for comparing. */
  rev?: string;
  record: string;
};
export type ContentsDoc = {
  _id: string;
  tenantId: string;
  documentId: string;
  stamp: string;
  data: Binary | Uint8Array;
};
export type BuiltDoc = {
  _id: string;
  tenantId: string;
  documentId: string;
  generation: number;
  stamp: string;
  chunks: number;
};
export type GenerationDoc = {
  _id: string;
  tenantId: string;
  number: number;
  profile: string;
  createdAt: number;
  jobId: string | null;
  phase: NonNullable<Generation['phase']> | null;
  sweepAt: number | null;
  base: number | null;
  incomplete: boolean | null;
  held: boolean | null;
};
export type JobDoc = {
  _id: string;
  tenantId: string;
  kind: string;
  sourceId: string;
  reindex: string | null;
  state: string;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  attempts: number;
  owner: string;
  fence: number;
  leaseUntil: number;
  /** Unique. Queued: its (tenant, kind, source); else its own id. So at most one equal job is queued. */
  slot: string;
  /** Unique. Running with a source: its (tenant, source); else its own id. So a source never runs twice at once. */
  lane: string;
  /** What `lane` becomes when it runs. */
  wants: string;
  progress: string;
};
export type InboxDoc = {
  _id: string;
  /** Unique over all documents, each by itself. */
  keys: string[];
  threadKey: string;
  orderKey: string;
  state: InboxRow['state'];
  attempts: number;
  /** The highest fence that took it up; a holder with a lower one can no longer settle it. */
  fence: number;
  receivedAt: number;
  platform: PlatformName;
  workspaceId: string;
  channelId: string;
  aboutId: string;
  authorId: string;
  /** Stands for the one in `event`, because a twin may raise it. */
  addressed: Addressed;
  event: string;
  tenantId: string | null;
  reason: string | null;
  answerId: string | null;
  settledAt: number | null;
  stripped: boolean;
  expireAt: Date | null;
};
export type ThreadDoc = {
  _id: string;
  /** A hint that it has ready rows; the rows themselves are the truth. */
  waiting: boolean;
  /** Grows with every row, so that nobody clears a hint that came after they looked. */
  marks: number;
  owner: string;
  fence: number;
  leaseUntil: number;
  servedAt: number;
  notBefore: number;
};
export type OutboxDoc = {
  _id: string;
  tenantId: string;
  id: string;
  answerId: string;
  state: OutboxRecord['state'];
  attempts: number;
  openedAt: number;
  sentAt: number | null;
  memberId: string | null;
  final: string | null;
  stopped?: boolean;
  postedIds: string[];
};
export type TurnDoc = {
  _id: string;
  tenantId: string;
  conversationId: string;
  at: number;
  /** Tells pairs of the same millisecond apart, by the time of writing. */
  order: string;
  answerId: string | null;
  record: string;
};
export type FeedbackDoc = {
  rating: 'up' | 'down';
  mark?: 'solved' | 'human';
  comment?: string;
  user?: string;
  at: number;
};
export type ReceiptDoc = {
  _id: string;
  tenantId: string;
  answerId: string;
  at: number;
  kind: string;
  reasonCode: string;
  memberId: string | null;
  /** Folded question and answer, for searching. */
  text: string;
  /** By a digest of the person, so that a verdict replaces the same person's in one step. */
  feedback: Record<string, FeedbackDoc>;
  /** Whose verdict is which, by the same digests. */
  ups?: string[];
  downs?: string[];
  platform?: string;
  channelId?: string | null;
  totalMs?: number | null;
  /** Not found, or answered without a footnote. */
  isOpen?: boolean;
  gap?: GapMark | null;
  record: string;
};
export type CachedDoc = {
  _id: string;
  tenantId: string;
  expiresAt: number;
  expireAt: Date;
  memberId: null;
  record: string;
};
export type HoldDoc = { a: number; u: number };
export type CounterDoc = {
  _id: string;
  tenantId: string;
  id: string;
  used: number;
  /** used + every hold in `holds`, also those that ran out and were not taken out yet. */
  taken: number;
  /** By a digest of the reservation: amount and end. */
  holds: Record<string, HoldDoc>;
  /** By the same digest: when it was settled. Moved to `settlements` after a while, so that the document stays small. */
  settled: Record<string, number>;
  expiresAt: number;
  /** 0: holds and marks are none; the sweep looks at the others. */
  busy: number;
  expireAt: Date;
};
export type SettlementDoc = { _id: string; tenantId: string; movedAt: number; expiresAt: number; expireAt: Date };
export type LimitsDoc = { _id: string; tenantId: string; record: string };
export type WindowDoc = { _id: string; hits: number; expiresAt: number; expireAt: Date };
export type LedgerDoc = {
  _id: string;
  tenantId: string;
  id: string;
  at: number;
  day: string;
  kind: LedgerEntry['kind'];
  platform: string;
  model: string;
  channelId: string;
  /** Stands for the one in the record; empty for none. */
  memberId: string;
  sourceId: string;
  currency: string;
  question: number;
  promptTokens: number;
  completionTokens: number;
  embeddingTokens: number;
  /** 64 bit on the server, so that sums are exact. */
  costNanos: Long | number;
  unpriced: number;
  record: string;
};
/** One for each tenant, month and field; see ledger-sums.ts. */
export type LedgerSumDoc = {
  _id: string;
  tenantId: string;
  month: string;
  field: string;
  rev: number;
  /** The end of what is summed up, from the month's beginning on; 0: nothing. */
  through: number;
  /** Before this nothing is taken in. */
  notBefore: number;
  sums: string;
};
export type ChannelDoc = { _id: string; tenantId: string; platform: PlatformName; channelId: string; record: string };
export type ConnectionDoc = {
  _id: string;
  tenantId: string;
  platform: string;
  workspaceId: string;
  /** Unique: a workspace belongs to one tenant. */
  workspace: string;
  createdAt: number;
  sealedCredentials: string | null;
  /** Absent rather than null, so that single names of it can be set. */
  info?: Readonly<Record<string, string>>;
  lastEventAt: number | null;
  lastError: string | null;
  lastErrorAt: number | null;
};
export type InstallationDoc = { _id: string; record: string };
export type HomeDoc = { _id: string; workspaceId: string };
export type PersonDoc = { _id: string; tenantId: string; memberId: string; personId: string };
export type PersonCodeDoc = { _id: string; tenantId: string; memberId: string; expiresAt: number; expireAt: Date };
export type ForgottenDoc = {
  _id: string;
  tenantId: string;
  pseudonym: string;
  at: number;
  expiresAt: number;
  expireAt: Date;
};
export type CodeDoc = { _id: string; platform: string; workspaceId: string; expiresAt: number; expireAt: Date };
export type LeaseDoc = { _id: string; owner: string; fence: number; leaseUntil: number; note?: string };
export type AuditDoc = { _id: string; tenantId: string; at: number; record: string };
export type WebhookDoc = {
  _id: string;
  tenantId: string;
  createdAt: number;
  rev: number;
  failingSince: number | null;
  lastDeliveredAt: number | null;
  record: string;
};
export type NoticeDoc = {
  _id: string;
  tenantId: string;
  id: string;
  receiver: string;
  /** Tenant and receiver, for passing over those that are busy. */
  lane: string;
  createdAt: number;
  state: Notice['state'];
  attempts: number;
  nextAt: number;
  memberId: string | null;
  body: string | null;
  record: string;
};
/** One for each tenant and day. */
export type RunDoc = { _id: string; tenantId: string; day: string; at: number; receipts: number; turns: number };
export type MetaDoc = { _id: string; checks?: number; step?: number; oldest?: number };

export type Collections = {
  readonly tenants: Collection<TenantDoc>;
  readonly keys: Collection<KeyDoc>;
  readonly members: Collection<MemberDoc>;
  readonly sources: Collection<SourceDoc>;
  readonly documents: Collection<DocumentDoc>;
  readonly contents: Collection<ContentsDoc>;
  readonly built: Collection<BuiltDoc>;
  readonly generations: Collection<GenerationDoc>;
  readonly jobs: Collection<JobDoc>;
  readonly inbox: Collection<InboxDoc>;
  readonly threads: Collection<ThreadDoc>;
  readonly outbox: Collection<OutboxDoc>;
  readonly turns: Collection<TurnDoc>;
  readonly receipts: Collection<ReceiptDoc>;
  readonly answerCache: Collection<CachedDoc>;
  readonly counters: Collection<CounterDoc>;
  readonly settlements: Collection<SettlementDoc>;
  readonly limits: Collection<LimitsDoc>;
  readonly windows: Collection<WindowDoc>;
  readonly ledger: Collection<LedgerDoc>;
  readonly ledgerSums: Collection<LedgerSumDoc>;
  readonly channels: Collection<ChannelDoc>;
  readonly connections: Collection<ConnectionDoc>;
  readonly codes: Collection<CodeDoc>;
  readonly installations: Collection<InstallationDoc>;
  readonly homes: Collection<HomeDoc>;
  readonly people: Collection<PersonDoc>;
  readonly personCodes: Collection<PersonCodeDoc>;
  readonly forgotten: Collection<ForgottenDoc>;
  readonly leases: Collection<LeaseDoc>;
  readonly audit: Collection<AuditDoc>;
  readonly webhooks: Collection<WebhookDoc>;
  readonly notices: Collection<NoticeDoc>;
  readonly runs: Collection<RunDoc>;
  readonly meta: Collection<MetaDoc>;
};

/** In the order in which a backup reads them: what refers to others before what it refers to. */
export const collectionNames = {
  outbox: 'outbox',
  inbox: 'inbox',
  threads: 'threads',
  settlements: 'settlements',
  counters: 'counters',
  windows: 'windows',
  answerCache: 'answer_cache',
  turns: 'turns',
  receipts: 'receipts',
  ledger: 'ledger',
  // After the ledger: a line that comes in between has reset its sum, and is missing in both.
  ledgerSums: 'ledger_sums',
  jobs: 'jobs',
  contents: 'contents',
  built: 'built',
  generations: 'generations',
  documents: 'documents',
  sources: 'sources',
  channels: 'channels',
  codes: 'connection_codes',
  installations: 'installations',
  homes: 'homes',
  personCodes: 'person_codes',
  forgotten: 'forgotten',
  people: 'people',
  connections: 'connections',
  keys: 'api_keys',
  members: 'memberships',
  limits: 'quota_limits',
  audit: 'audit',
  notices: 'notices',
  webhooks: 'webhooks',
  runs: 'retention_runs',
  leases: 'leases',
  tenants: 'tenants',
  meta: 'meta',
} as const satisfies Readonly<Record<keyof Collections, string>>;

export const collectionsIn = (database: Db): Collections =>
  Object.fromEntries(
    Object.entries(collectionNames).map(([key, name]) => [key, database.collection(name)]),
    // One collection a name, and the names are the type's keys.
  ) as unknown as Collections;

/** One text of several parts; no two lists of parts have the same one. */
export const keyOf = (...parts: readonly string[]): string =>
  parts.map((part) => part.replace(/[%|]/g, (sign) => (sign === '%' ? '%25' : '%7C'))).join('|');
