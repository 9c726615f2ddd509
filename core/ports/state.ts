import type {
  AnswerKind,
  ApiKey,
  AuditEntry,
  ChannelRules,
  Connection,
  Document,
  Feedback,
  GapMark,
  InboundEvent,
  Installation,
  Job,
  JobCounts,
  JobError,
  JobState,
  LedgerEntry,
  Membership,
  Nanos,
  Notice,
  PlatformName,
  QuotaLimit,
  ReasonCode,
  Receipt,
  RetentionRun,
  Role,
  Source,
  Tenant,
  TenantId,
  TenantSettings,
  Turn,
  UsageGroup,
  UsageRow,
  Webhook,
} from '../domain.ts';
import type { Finding } from './finding.ts';

/**
 * State: verbs of our domain, grouped by aggregate. The truth; everything else can be derived from it.
 *
 * Rules every driver keeps (and the contract suite checks):
 * - A write has reached stable storage when its promise resolves. Leases, holds, counts of attempts and
 *   what can be made anew (`outbox.finalize`, `answerCache.put`) only have to outlive the process: a power cut ends all who
 *   held them.
 * - Each verb is one conditional change of one record (MongoDB: one document), or repeats safely; no verb needs a
 *   transaction over several. What a verb may leave behind after a crash, `maintenance.sweep` repairs.
 * - Time is handed in (`now`, milliseconds), and every read of something that expires repeats the expiry in its filter.
 * - Absence, refusal and staleness are values; a driver throws only AppError `store-unavailable`.
 * - Verbs of a tenant take the tenant first; another tenant's id is answered like an unknown one.
 */
export type StateStore = {
  readonly name: string;
  readonly tenants: TenantStore;
  readonly keys: KeyStore;
  readonly members: MemberStore;
  readonly sources: SourceStore;
  readonly documents: DocumentStore;
  readonly jobs: JobStore;
  readonly inbox: InboxStore;
  readonly outbox: OutboxStore;
  readonly conversations: ConversationStore;
  readonly receipts: ReceiptStore;
  readonly answerCache: AnswerCacheStore;
  readonly metering: MeteringStore;
  readonly ledger: LedgerStore;
  readonly channels: ChannelStore;
  readonly connections: ConnectionStore;
  readonly people: PeopleStore;
  readonly leases: LeaseStore;
  readonly audit: AuditStore;
  readonly webhooks: WebhookStore;
  readonly notices: NoticeStore;
  readonly maintenance: MaintenanceStore;
  /** What `footnote doctor` tells of the server. Failures are findings. */
  examine?(signal: AbortSignal): Promise<readonly Finding[]>;
};

export type Page = { readonly cursor?: string; readonly limit: number };
export type Paged<T> = { readonly items: readonly T[]; readonly nextCursor?: string };

export type TenantStore = {
  /** A slug is never given twice, not even after its tenant was deleted. */
  create(tenant: Tenant): Promise<'created' | 'slug-taken'>;
  /** Deleted tenants are absent from every read. */
  get(tenantId: TenantId): Promise<Tenant | null>;
  bySlug(slug: string): Promise<Tenant | null>;
  /** By slug. `q` is looked for in slug and name, whatever its case. */
  list(page: Page, filter?: { readonly q?: string }): Promise<Paged<Tenant>>;
  /**
   * What each of these tenants holds, and what it asked and spent in a time (`from` inclusive, `to` exclusive); in their
   * order, and nothing but noughts for one that has nothing. Opens no document and no line of the ledger.
   */
  figures(
    tenantIds: readonly TenantId[],
    range: { readonly from: number; readonly to: number },
  ): Promise<readonly TenantFigures[]>;
  update(
    tenantId: TenantId,
    rev: number,
    patch: { readonly name?: string; readonly settings?: TenantSettings },
  ): Promise<Tenant | 'stale' | null>;
  /** Atomic increment; returns the new revision, or null for an unknown tenant. */
  bumpContentRevision(tenantId: TenantId): Promise<number | null>;
  /** Compare-and-set of the pointer; also bumps the content revision. */
  switchGeneration(tenantId: TenantId, from: number, to: number): Promise<boolean>;
  /** At once invisible, keys and connections dead; `erase` then removes what belongs to it. */
  markDeleted(tenantId: TenantId, now: number): Promise<boolean>;
  /** Removes all rows of a deleted tenant but the ledger and the slug. Idempotent. */
  erase(tenantId: TenantId): Promise<void>;
  /** Deleted tenants whose chunks or rows may still stand. */
  deleted(limit: number): Promise<readonly TenantId[]>;
  /** What is known of the tenant's index generations, by number; gone with the tenant. */
  generations(tenantId: TenantId): Promise<readonly Generation[]>;
  /** Inserts unless there is one of this number. Returns the one that stands; null for an unknown or deleted tenant. */
  addGeneration(tenantId: TenantId, generation: Generation): Promise<Generation | null>;
  /** Merges; null takes a field away. False when there is none of this number. */
  updateGeneration(tenantId: TenantId, number: number, patch: GenerationPatch): Promise<boolean>;
  removeGeneration(tenantId: TenantId, number: number): Promise<void>;
  /** Of living tenants: those whose `sweepAt` has come and that are not the active one. */
  generationsDue(
    now: number,
    limit: number,
  ): Promise<readonly { readonly tenantId: TenantId; readonly number: number }[]>;
};

/** A tenant in numbers. */
export type TenantFigures = {
  readonly tenantId: TenantId;
  readonly documents: number;
  /** Passages, as the documents' rows say. */
  readonly chunks: number;
  /** Of the documents as they were read. */
  readonly bytes: number;
  readonly questions: number;
  /** By currency, ordered. */
  readonly costs: readonly { readonly currency: string; readonly nanos: Nanos }[];
  /** Some line of the ledger has no known price. */
  readonly costUnknown: boolean;
};

/** What filled a generation of the chunk index. */
export type GenerationProfile = {
  readonly analyser: string;
  readonly chunker: string;
  readonly embeddingModel: string | null;
};

/** One generation of a tenant's chunk index. Which one answers is the tenant's `activeGeneration` alone. */
export type Generation = {
  readonly number: number;
  readonly profile: GenerationProfile;
  readonly createdAt: number;
  /** The job that builds it, or switched to it. */
  readonly jobId?: string;
  /** `switching` from just before the pointer moves until nothing is left to replay: writers wait for its end. */
  readonly phase?: 'building' | 'switching' | 'dropped';
  /** After this it goes, unless it is the active one. */
  readonly sweepAt?: number;
  /** Marks (`BuiltDocument`) of this generation tell what it held when the pointer moved: what a roll-back starts from. */
  readonly base?: number;
  /** Something was written into it without its vectors: it does not fit any more, whatever is configured. */
  readonly incomplete?: boolean;
  /** People went back to it: it is not re-indexed unasked. */
  readonly held?: boolean;
};
export type GenerationPatch = {
  readonly [K in Exclude<keyof Generation, 'number'>]?: Generation[K] | null;
};

export type KeyStore = {
  create(key: ApiKey, hash: string): Promise<void>;
  /** Null for unknown, revoked, and keys of deleted tenants. */
  byHash(hash: string): Promise<ApiKey | null>;
  list(tenantId: TenantId): Promise<readonly ApiKey[]>;
  revoke(tenantId: TenantId, keyId: string): Promise<boolean>;
  touch(tenantId: TenantId, keyId: string, now: number): Promise<void>;
};

export type MemberStore = {
  /** False when `expected` is given and the person has another role, or none, by now; then nothing is changed. */
  put(membership: Membership, expected?: Role): Promise<boolean>;
  ofUser(userId: string): Promise<readonly Membership[]>;
  ofTenant(tenantId: TenantId): Promise<readonly Membership[]>;
  /** False when there is none, or `expected` is given and the role is another by now. */
  remove(tenantId: TenantId | null, userId: string, expected?: Role): Promise<boolean>;
  /** How many operators there are; 0 means the first owner has yet to sign in. */
  operators(): Promise<number>;
};

export type SourceStore = {
  create(source: Source): Promise<void>;
  get(tenantId: TenantId, sourceId: string): Promise<Source | null>;
  list(tenantId: TenantId): Promise<readonly Source[]>;
  update(
    tenantId: TenantId,
    sourceId: string,
    rev: number,
    /** Null takes the schedule (and its next run) away. */
    patch: Partial<Pick<Source, 'name' | 'settings' | 'audience'>> & {
      readonly schedule?: string | null;
      readonly nextRunAt?: number | null;
    },
  ): Promise<Source | 'stale' | null>;
  remove(tenantId: TenantId, sourceId: string): Promise<boolean>;
  /** Sources of living tenants whose nextRunAt has come. */
  due(now: number, limit: number): Promise<readonly Source[]>;
  /** Compare-and-set of nextRunAt, so that one instance of several starts the run. */
  reschedule(tenantId: TenantId, sourceId: string, from: number, to: number | null): Promise<boolean>;
  saveCursor(tenantId: TenantId, sourceId: string, cursor: string | null): Promise<void>;
  markSynced(tenantId: TenantId, sourceId: string, now: number): Promise<void>;
};

/** A document's row plus what only the sync needs. */
export type StoredDocument = Document & {
  /** Cheap sign of change that the source gave. */
  readonly version?: string;
  /** The sync run that saw it last. */
  readonly seenIn?: string;
  /** Made up anew by whoever writes the row: tells whether it still is the one that was read. */
  readonly rev?: string;
};

/** By document id the `rev` that its row must have; null: there must be no row, or one without. */
export type ExpectedRows = ReadonlyMap<string, string | null>;

export type DocumentWrite = {
  readonly rows: readonly StoredDocument[];
  readonly contents: readonly DocumentContents[];
  /** A row that is not as expected stays as it is; one that is not named here is replaced whatever it is. */
  readonly expected?: ExpectedRows;
};

/** What a writer has to know: whether its documents are still wanted, and which index answers. */
export type Standing = {
  /** Null: unknown or deleted. */
  readonly tenant: Tenant | null;
  readonly hasSource: boolean;
  readonly generations: readonly Generation[];
};

/** How things stand after a write, and of which documents the row was another than expected. */
export type Written = Standing & { readonly stale: readonly string[] };

export type DocumentStore = {
  /** Read in one go, which is one way to a remote store and back. */
  standing(tenantId: TenantId, sourceId: string): Promise<Standing>;
  /**
   * Documents of one source, replaced by id: contents, then the tenant's content revision if there are any, then rows.
   * In one step, or in this order: a write that was cut short leaves rows that are not up to date, and is repeated.
   * Tells how things stand after it. Each row is compared and replaced in one step; contents of a stale one may have been replaced.
   */
  write(tenantId: TenantId, sourceId: string, documents: DocumentWrite): Promise<Written>;
  get(tenantId: TenantId, documentId: string): Promise<StoredDocument | null>;
  getMany(tenantId: TenantId, documentIds: readonly string[]): Promise<readonly StoredDocument[]>;
  list(tenantId: TenantId, filter: { readonly sourceId?: string }, page: Page): Promise<Paged<StoredDocument>>;
  /**
   * Their contents go with them (first, where that is two steps). Returns how many rows went; one that is not as expected
   * stays.
   */
  remove(tenantId: TenantId, documentIds: readonly string[], expected?: ExpectedRows): Promise<number>;
  markSeen(tenantId: TenantId, documentIds: readonly string[], runId: string): Promise<void>;
  /** Documents of the source that the run has not seen, by id. */
  unseen(tenantId: TenantId, sourceId: string, runId: string, limit: number): Promise<readonly string[]>;
  count(tenantId: TenantId, sourceId?: string): Promise<number>;
  /** In no order; without those that there are none of. */
  contents(tenantId: TenantId, documentIds: readonly string[]): Promise<readonly DocumentContents[]>;
  /** Replaces by document id. Marks outlive their documents, so that a build finds what was removed. */
  markBuilt(tenantId: TenantId, built: readonly BuiltDocument[]): Promise<void>;
  builtOf(tenantId: TenantId, documentIds: readonly string[]): Promise<readonly BuiltDocument[]>;
  /** The marks of one generation. */
  built(tenantId: TenantId, generation: number, page: Page): Promise<Paged<BuiltDocument>>;
  removeBuilt(tenantId: TenantId, documentIds: readonly string[]): Promise<void>;
};

/** A document's text as chunks are cut from it. Opaque to the store, compressed, at most 12 MiB. */
export type DocumentContents = {
  readonly documentId: string;
  /** Says which version of the document it is; equal to its row's once that is written. */
  readonly stamp: string;
  /** Empty: too large to be kept. */
  readonly data: Uint8Array;
};

/** What a re-index has put into a generation. */
export type BuiltDocument = {
  readonly documentId: string;
  readonly generation: number;
  readonly stamp: string;
  readonly chunks: number;
};

/** Proof of holding a lease. Every later write repeats owner and fence; a false answer means the lease is lost. */
export type Lease = {
  readonly key: string;
  readonly owner: string;
  readonly fence: number;
  /** Of named leases: what the holder before left, for whoever comes next. */
  readonly note?: string;
};
export type LeasedJob = { readonly job: Job; readonly lease: Lease };

/** A job with whoever works on it: the holder of its lease, and how long that lasts unless it is renewed. */
export type HeldJob = Job & { readonly heldBy?: string; readonly leaseUntil?: number };
/** How many jobs of a deployment stand how, and for how long the oldest queued one waits. */
export type JobDepth = Readonly<Record<'queued' | 'running' | 'failed', number>> & { readonly oldestMs: number };

export type JobStore = {
  /** At most one queued job per (tenant, kind, source): an equal queued one is returned instead. */
  enqueue(job: Job): Promise<Job>;
  get(tenantId: TenantId, jobId: string): Promise<Job | null>;
  list(tenantId: TenantId, filter: { readonly sourceId?: string }, page: Page): Promise<Paged<Job>>;
  /**
   * The oldest queued job, or a running one whose lease has run out; never two running jobs of one source, never more
   * than `perTenant` running jobs of one tenant. Increments fence and attempts. Given `kinds`, none of another: during a deploy
   * a newer version's jobs wait for an instance that knows them.
   */
  claim(options: {
    readonly owner: string;
    readonly now: number;
    readonly leaseForMs: number;
    readonly perTenant: number;
    readonly kinds?: readonly Job['kind'][];
  }): Promise<LeasedJob | null>;
  /** Extends the lease and stores progress. */
  heartbeat(
    lease: Lease,
    now: number,
    leaseForMs: number,
    progress?: { readonly counts: JobCounts; readonly errors: readonly JobError[] },
  ): Promise<boolean>;
  finish(
    lease: Lease,
    now: number,
    result: { readonly state: 'done' | 'failed'; readonly counts: JobCounts; readonly errors: readonly JobError[] },
  ): Promise<boolean>;
  /** Back to the queue (drain, crash of the worker); the next claim continues. */
  release(lease: Lease): Promise<boolean>;
  /** Of all tenants, the newest first. */
  all(filter: { readonly state?: JobState }, page: Page): Promise<Paged<HeldJob>>;
  depth(now: number): Promise<JobDepth>;
  /**
   * Ends a queued or running job as failed, with this problem after those that it has; whoever holds it is told at the
   * next heartbeat. False for one that has ended, and for an unknown one.
   */
  cancel(tenantId: TenantId, jobId: string, now: number, problem: string): Promise<boolean>;
};

export type InboxRow = {
  /** `m_` + hex of the first dedupe key: the same event always has the same id. */
  readonly id: string;
  readonly threadKey: string;
  readonly event: InboundEvent;
  readonly state: 'ready' | 'settled';
  readonly attempts: number;
  readonly receivedAt: number;
  readonly tenantId?: TenantId;
  readonly reason?: ReasonCode;
  readonly answerId?: string;
  readonly settledAt?: number;
};

/** What became of a row. */
export type Outcome = { readonly reason: ReasonCode; readonly tenantId?: TenantId; readonly answerId?: string };

export type InboxStore = {
  /**
   * One atomic insert: dedupe record and queue entry. Any dedupe key seen before: `duplicate`, except that an addressed
   * event whose unaddressed twin is still `ready` raises that twin's `addressed` (Slack sends a mention twice).
   * Nothing slower stands between a platform and its acknowledgement.
   */
  receive(row: InboxRow): Promise<'stored' | 'duplicate'>;
  /**
   * `receive`, and in the same write the lease of the thread for whoever heard it: when nobody holds the thread, this row is
   * all that is ready in it, and no other row is about its message. Its attempts are then 1. A driver to which that would
   * be another round trip gives no lease; without one the row waits for `claimThread`.
   */
  receiveAndClaim(
    row: InboxRow,
    claim: { readonly owner: string; readonly now: number; readonly leaseForMs: number },
  ): Promise<{ readonly outcome: 'stored' | 'duplicate'; readonly lease: Lease | null }>;
  /**
   * A thread with ready rows that nobody holds, least recently served first; or one whose lease ran out. With `except` none
   * whose key begins so (a workspace's, with its colon): that may look at all of those on the way.
   */
  claimThread(options: {
    readonly owner: string;
    readonly now: number;
    readonly leaseForMs: number;
    readonly except?: string;
  }): Promise<Lease | null>;
  heartbeatThread(lease: Lease, now: number, leaseForMs: number): Promise<boolean>;
  /**
   * Ready rows of the leased thread by orderKey; empty when the lease is lost. Increments their attempts, for good before
   * it hands them out, as whatever else hands out a row.
   */
  pending(lease: Lease, limit: number): Promise<readonly InboxRow[]>;
  settle(lease: Lease, rowId: string, now: number, outcome: Outcome): Promise<boolean>;
  /**
   * Settles the row, then hands out the thread's next one as `pending` does or, when there is none, frees the thread.
   * `closing` is what `outbox.sent` does, done before the row is settled, whoever holds the thread by now: it was said.
   */
  settleAndNext(
    lease: Lease,
    rowId: string,
    now: number,
    outcome: Outcome,
    closing?: Closing,
  ): Promise<InboxRow | 'freed' | 'lost'>;
  /** Frees the thread; rows that came meanwhile keep it claimable. `notBefore` delays the next claim (back-off). */
  releaseThread(lease: Lease, notBefore?: number): Promise<boolean>;
  /** The rows about one message (question, its edits and deletes), oldest first. */
  byMessage(
    platform: PlatformName,
    workspaceId: string,
    channelId: string,
    messageId: string,
  ): Promise<readonly InboxRow[]>;
  get(rowId: string): Promise<InboxRow | null>;
  /** Rows ready, and the age of the oldest in milliseconds. */
  depth(now: number): Promise<{ readonly ready: number; readonly oldestMs: number }>;
};

/** What is known of one delivery. `final` is stored before it is sent; `sent` after the platform took it. */
export type OutboxRecord = {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly state: 'open' | 'final' | 'sent';
  readonly attempts: number;
  readonly postedIds: readonly string[];
  readonly answerId: string;
  /** Somebody pressed stop while it was being written. */
  readonly stopped?: boolean;
  readonly final?: { readonly markdown: string; readonly receipt: Receipt; readonly reason: ReasonCode };
};

/** What a delivery leaves behind: as `posted`, `receipts.put` and `conversations.append` would write it. */
export type Books = {
  readonly posted: readonly string[];
  /** Absent: the one that `finalize` was given. */
  readonly receipt?: Receipt;
  readonly turns?: { readonly conversationId: string; readonly id: string; readonly pair: readonly Turn[] };
};

/** A delivery that the platform has taken. */
export type Closing = { readonly tenantId: TenantId; readonly id: string; readonly books: Books };

export type OutboxStore = {
  /**
   * Creates the record or, after a crash, returns the earlier one with attempts + 1. A power cut may take a new record away
   * that nothing was written to yet; the attempts of the inbox row still tell that there was one.
   */
  open(tenantId: TenantId, id: string, answerId: string, now: number): Promise<OutboxRecord>;
  posted(tenantId: TenantId, id: string, messageId: string): Promise<void>;
  /**
   * The words that are said from now on, also by whoever takes over after a crash. A power cut may take them away, as long
   * as the delivery is not `sent`: then the record is open again, and the answer is written anew over what stands.
   */
  finalize(tenantId: TenantId, id: string, final: NonNullable<OutboxRecord['final']>): Promise<void>;
  /**
   * The platform took it all. The books are written before or with it, never after; repeats safely. Nothing is written of a
   * delivery that is `sent` already: somebody who was forgotten meanwhile stays so.
   */
  sent(tenantId: TenantId, id: string, now: number, books?: Books): Promise<void>;
  /** Marks an open delivery as stopped; false when there is none, or it is written already. */
  stop(tenantId: TenantId, id: string): Promise<boolean>;
  get(tenantId: TenantId, id: string): Promise<OutboxRecord | null>;
  /** The delivery that put this message on the platform (feedback on a message, reply to it). */
  byPostedId(tenantId: TenantId, messageId: string): Promise<OutboxRecord | null>;
};

export type ConversationStore = {
  /** Idempotent by `id`: the same pair of turns twice is one pair. */
  append(tenantId: TenantId, conversationId: string, id: string, turns: readonly Turn[]): Promise<void>;
  /** The newest turns, oldest first; empty for an unknown conversation. */
  turns(tenantId: TenantId, conversationId: string, limit: number): Promise<readonly Turn[]>;
  exists(tenantId: TenantId, conversationId: string): Promise<boolean>;
  /** Removes the pair with this id (its question was deleted or edited). */
  removePair(tenantId: TenantId, conversationId: string, id: string): Promise<void>;
};

export type ReceiptStore = {
  /**
   * Idempotent by answer id. False: the person was forgotten since they asked, so it was written without their words, and
   * nothing else of the question may stay.
   */
  put(receipt: Receipt): Promise<boolean>;
  get(tenantId: TenantId, answerId: string): Promise<Receipt | null>;
  /** Newest first. */
  list(tenantId: TenantId, filter: ReceiptFilter, page: Page): Promise<Paged<Receipt>>;
  /** Questions since a time that the documents leave open (`ReceiptFilter.gap`), newest first, without their receipts; none whose words are gone. */
  open(tenantId: TenantId, range: { readonly from: number }, page: Page): Promise<Paged<OpenQuestion>>;
  /** Where the newest `limit` answers of a platform were asked; each channel once, newest first. Opens no receipt. */
  channels(
    tenantId: TenantId,
    platform: PlatformName,
    limit: number,
  ): Promise<readonly { readonly channelId: string; readonly lastAt: number }[]>;
  /** `from` inclusive, `to` exclusive. Reads no receipt's text, so that a busy day costs little. */
  tally(tenantId: TenantId, range: { readonly from: number; readonly to: number }): Promise<Tally>;
  /** One verdict per user (a second replaces the first); false for an unknown answer. */
  addFeedback(tenantId: TenantId, answerId: string, feedback: Feedback): Promise<boolean>;
  /** False for an unknown answer, and for one that bears this mark already: of two who mark at once, one did it. */
  markGap(tenantId: TenantId, answerId: string, mark: GapMark): Promise<boolean>;
};

export type OpenQuestion = {
  readonly answerId: string;
  /** As it was condensed, if it was. */
  readonly question: string;
  readonly at: number;
  /** `uncertain`: answered, but with no footnote. */
  readonly why: 'not-found' | 'uncertain' | 'down-voted';
  readonly memberId?: string;
};

/** Every field that is given narrows the list. */
export type ReceiptFilter = {
  /** A kind of answer, or a reason code. */
  readonly outcome?: string;
  /** Words in question or answer. */
  readonly q?: string;
  /** Inclusive. */
  readonly from?: number;
  /** Exclusive. */
  readonly to?: number;
  readonly platform?: string;
  readonly channelId?: string;
  readonly memberId?: string;
  /** Somebody judged so. */
  readonly rating?: Feedback['rating'];
  /** Not found, answered without a footnote, or voted down; and nobody has seen to it since. */
  readonly gap?: true;
};

/** How many answers came out how, and how long they took. */
export type Tally = {
  readonly outcomes: readonly { readonly kind: AnswerKind; readonly reason: ReasonCode; readonly count: number }[];
  /** Of answered and not found; absent when there were none. */
  readonly p50Ms?: number;
  readonly p95Ms?: number;
};

/** Answers without a word of who asked, so that forgetting somebody has nothing to look for here. */
export type AnswerCacheStore = {
  get(tenantId: TenantId, key: string, now: number): Promise<Receipt | null>;
  put(tenantId: TenantId, key: string, receipt: Receipt, expiresAt: number): Promise<void>;
};

/** One allowance in one window: `id` is `scope:scopeId:unit:window`, e.g. `member:slack:U1:tokens:2026-11-22`. */
export type Counter = { readonly id: string; readonly limit: number; readonly expiresAt: number };
export type CounterState = { readonly id: string; readonly used: number; readonly held: number };

export type MeteringStore = {
  /**
   * Holds `amount` if used + held + amount ≤ limit, in one conditional step that carries the reservation id: the same
   * reservation twice holds once. `held` also when this reservation was settled before.
   */
  reserve(
    tenantId: TenantId,
    counter: Counter,
    reservationId: string,
    amount: number,
    now: number,
    holdUntil: number,
  ): Promise<{ readonly outcome: 'held' } | { readonly outcome: 'refused'; readonly state: CounterState }>;
  /** False when any of the holds is gone, settled, or ran out before `now`: what is gone is not brought back unasked. */
  extend(
    tenantId: TenantId,
    counterIds: readonly string[],
    reservationId: string,
    holdUntil: number,
    now: number,
  ): Promise<boolean>;
  /** Replaces the hold by what was really used. The same reservation settles once. Returns whether it did now. */
  settle(tenantId: TenantId, counterId: string, reservationId: string, actual: number): Promise<boolean>;
  release(tenantId: TenantId, counterIds: readonly string[], reservationId: string): Promise<void>;
  counters(tenantId: TenantId, ids: readonly string[], now: number): Promise<readonly CounterState[]>;
  limits(tenantId: TenantId): Promise<readonly QuotaLimit[]>;
  /** False when `expected` is given and other limits stand by now; then nothing is changed. */
  putLimits(tenantId: TenantId, limits: readonly QuotaLimit[], expected?: readonly QuotaLimit[]): Promise<boolean>;
  /** At least so much is used on this counter from now on: what the ledger knew of before there was a limit. */
  raise(tenantId: TenantId, counter: Pick<Counter, 'id' | 'expiresAt'>, atLeast: number): Promise<void>;
  /**
   * Counts one and tells whether it was within the limit of its window, which begins with a caller's first hit: windows cut
   * by the clock would let twice the limit through around each cut. Shared by all instances.
   */
  hit(
    key: string,
    limit: number,
    windowMs: number,
    now: number,
  ): Promise<{ readonly ok: boolean; readonly resetsAt: number }>;
};

/** What a reservation has come to, a counter each. */
export type Settling = {
  readonly reservationId: string;
  readonly amounts: readonly { readonly counterId: string; readonly actual: number }[];
};

export type LedgerStore = {
  /**
   * Idempotent by entry id; no other verb changes a line. `settling` does what `metering.settle` does for each counter, in
   * the same write where the driver has such, after the lines in any case.
   */
  append(tenantId: TenantId, entries: readonly LedgerEntry[], settling?: Settling): Promise<void>;
  /** `from` inclusive, `to` exclusive. Ordered by time, then id. */
  list(
    tenantId: TenantId,
    range: { readonly from: number; readonly to: number },
    page: Page,
  ): Promise<Paged<LedgerEntry>>;
  /** Ordered by key. Days are UTC. */
  usage(
    tenantId: TenantId,
    range: { readonly from: number; readonly to: number },
    group: UsageGroup,
  ): Promise<readonly UsageRow[]>;
};

export type ChannelStore = {
  get(tenantId: TenantId, platform: PlatformName, channelId: string): Promise<ChannelRules | null>;
  /** False when `expected` is given (as `get` gave it; empty: none) and other rules stand by now; then nothing is changed. */
  put(
    tenantId: TenantId,
    platform: PlatformName,
    channelId: string,
    rules: ChannelRules,
    expected?: ChannelRules,
  ): Promise<boolean>;
  list(
    tenantId: TenantId,
  ): Promise<readonly { readonly platform: PlatformName; readonly channelId: string; readonly rules: ChannelRules }[]>;
};

export type ConnectionStore = {
  /** A workspace belongs to one tenant. */
  create(connection: Connection): Promise<'created' | 'taken'>;
  get(tenantId: TenantId, connectionId: string): Promise<Connection | null>;
  /** For webhooks that name a connection before anything is proven. */
  byId(connectionId: string): Promise<Connection | null>;
  byWorkspace(platform: Connection['platform'], workspaceId: string): Promise<Connection | null>;
  list(tenantId: TenantId): Promise<readonly Connection[]>;
  /** Of all living tenants, at most 5,000. */
  ofPlatform(platform: Connection['platform']): Promise<readonly Connection[]>;
  setCredentials(tenantId: TenantId, connectionId: string, sealed: string | null): Promise<boolean>;
  remove(tenantId: TenantId, connectionId: string): Promise<boolean>;
  /** `info` is merged, by names of letters; the others replace. */
  touch(tenantId: TenantId, connectionId: string, patch: ConnectionTouch): Promise<void>;
  /** A one-time code shown inside a workspace; stored hashed. */
  offerCode(hash: string, platform: Connection['platform'], workspaceId: string, expiresAt: number): Promise<void>;
  /** Takes the code: the second taker gets null. One that was shown on another platform than the one given stays good. */
  takeCode(
    hash: string,
    now: number,
    platform?: Connection['platform'],
  ): Promise<{ readonly platform: Connection['platform']; readonly workspaceId: string } | null>;
  /** One for each workspace of a platform; a second replaces the first. No tenant's: it waits to be claimed. */
  putInstallation(installation: Installation): Promise<void>;
  getInstallation(platform: Connection['platform'], workspaceId: string): Promise<Installation | null>;
  removeInstallation(platform: Connection['platform'], workspaceId: string): Promise<boolean>;
  /** Which of several workspaces a person means in direct messages, by their own choice; null forgets it. No tenant's. */
  chooseHome(platform: Connection['platform'], userId: string, workspaceId: string | null): Promise<void>;
  chosenHome(platform: Connection['platform'], userId: string): Promise<string | null>;
};

export type ConnectionTouch = Pick<Connection, 'lastEventAt' | 'lastError' | 'lastErrorAt' | 'info'>;

/** Which members (`platform:userId`) of a tenant are one person. A member without a row is a person by itself. */
export type PeopleStore = {
  personOf(tenantId: TenantId, memberId: string): Promise<string | null>;
  /** A member is one person's; a second link replaces the first. */
  link(tenantId: TenantId, memberId: string, personId: string): Promise<void>;
  unlink(tenantId: TenantId, memberId: string): Promise<boolean>;
  /** Ordered. */
  identitiesOf(tenantId: TenantId, personId: string): Promise<readonly string[]>;
  /** A one-time code that a member was shown; stored hashed. */
  offerCode(tenantId: TenantId, hash: string, memberId: string, expiresAt: number): Promise<void>;
  /** The member who was shown it. The second taker gets null, and so does another tenant. */
  takeCode(tenantId: TenantId, hash: string, now: number): Promise<string | null>;
};

/** A named lease as others see it. */
export type LeaseSeen = Pick<Lease, 'key' | 'owner' | 'note'> & { readonly leaseUntil: number };

export type LeaseStore = {
  /** Null while somebody else holds it. */
  acquire(key: string, owner: string, now: number, forMs: number): Promise<Lease | null>;
  /** A note, if given, replaces the one before; it outlives the lease. */
  renew(lease: Lease, now: number, forMs: number, note?: string): Promise<boolean>;
  release(lease: Lease): Promise<void>;
  /** Of the names that begin so: those that are held, or ran out unreleased; by name, at most 1,000. */
  seen(prefix: string): Promise<readonly LeaseSeen[]>;
};

export type AuditStore = {
  append(entry: AuditEntry): Promise<void>;
  /** Newest first. `q` is looked for in actor, action and subject, whatever its case. */
  list(tenantId: TenantId | null, filter: { readonly q?: string }, page: Page): Promise<Paged<AuditEntry>>;
};

export type WebhookStore = {
  create(webhook: Webhook): Promise<void>;
  get(tenantId: TenantId, webhookId: string): Promise<Webhook | null>;
  /** Oldest first. */
  list(tenantId: TenantId): Promise<readonly Webhook[]>;
  update(tenantId: TenantId, webhookId: string, rev: number, patch: WebhookPatch): Promise<Webhook | 'stale' | null>;
  /** How it fares, whatever its revision: a success ends the time of failing, the first failure begins it. */
  note(tenantId: TenantId, webhookId: string, at: number, ok: boolean): Promise<Webhook | null>;
  /** Its notices go with it. */
  remove(tenantId: TenantId, webhookId: string): Promise<boolean>;
};
export type WebhookPatch = Partial<Pick<Webhook, 'name' | 'url' | 'events' | 'text' | 'sealedSecret'>> & {
  /** Null: goes on, and is not failing. */
  readonly paused?: NonNullable<Webhook['paused']> | null;
};

export type NoticeStore = {
  /** Inserts those that there are none of by their id. Returns how many those were. */
  add(tenantId: TenantId, notices: readonly Notice[]): Promise<number>;
  /**
   * The notice of a living tenant that is due for longest, one attempt further; nobody else gets it for `leaseForMs`.
   * Receivers in `except` (`tenantId receiver`) are passed over, so that a slow one holds up nobody.
   */
  claim(options: {
    readonly now: number;
    readonly leaseForMs: number;
    readonly except: readonly string[];
  }): Promise<Notice | null>;
  /** What came of this attempt; false when somebody is at a later one. The body goes with the end of waiting. */
  settle(tenantId: TenantId, noticeId: string, attempt: number, outcome: NoticeOutcome): Promise<boolean>;
  get(tenantId: TenantId, noticeId: string): Promise<Notice | null>;
  /** Newest first. */
  list(tenantId: TenantId, receiver: string, page: Page): Promise<Paged<Notice>>;
};
export type NoticeOutcome = Pick<Notice, 'state' | 'lastAt' | 'status' | 'problem' | 'tookMs'> & {
  /** Waiting: the next try. */
  readonly nextAt?: number;
  /** It was no try: the count goes back by one. */
  readonly uncounted?: true;
};

export type MaintenanceStore = {
  /**
   * Expired holds, cache rows, codes, windows; settled inbox rows and outbox records past their days; tenants' retention;
   * what processes left that ended long ago (leases named `instance:…`).
   */
  sweep(now: number): Promise<void>;
  /** Days on which the tenant's retention ran, newest first, the last 60. */
  retentionRuns(tenantId: TenantId): Promise<readonly RetentionRun[]>;
  /**
   * Receipts', turns', inbox rows' and waiting notices' text go; ledger lines get an id that cannot be linked. Idempotent.
   * With `now`, what is written later of a question that was asked before it is forgotten as it is written, for an hour.
   */
  forgetMember(tenantId: TenantId, memberId: string, pseudonym: string, now?: number): Promise<void>;
  /** Consistent copy of everything into a folder. */
  backup(folder: string): Promise<void>;
  /** Throws AppError `store-unavailable` with a sentence. */
  check(): Promise<void>;
  close(): Promise<void>;
};
