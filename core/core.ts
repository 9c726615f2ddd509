import type {
  ApiKey,
  Audience,
  AuditEntry,
  ChannelRules,
  Chunk,
  Citation,
  Connection,
  Document,
  GapMark,
  Home,
  InboundEvent,
  InboundKind,
  Job,
  JobState,
  KeyScope,
  LedgerEntry,
  Membership,
  Notice,
  Passage,
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
  TokenUsage,
  UsageGroup,
  UsageRow,
  Webhook,
  WebhookEvent,
} from './domain.ts';
import type { GenerationView } from './ingest/manage-reindex.ts';
import type { SettingsField } from './ingest/settings-fields.ts';
import type { IndexStats } from './ports/chunks.ts';
import type { Finding } from './ports/finding.ts';
import type { Lead } from './ports/leader.ts';
import type { Platform, Received, Workspaces } from './ports/platform.ts';
import type {
  HeldJob,
  JobDepth,
  OpenQuestion,
  Page,
  Paged,
  ReceiptFilter,
  Tally,
  TenantFigures,
} from './ports/state.ts';

/** What the doors (bots, console, API, command line) may do. Made by `createCore` in create-core.ts. */
export type Core = {
  receive(event: InboundEvent): Promise<Received>;

  /** Throws AppError `not-found` (unknown conversation), `model-failed`, `model-timeout`, `cancelled`. A refusal is a value. */
  ask(tenantId: TenantId, input: AskInput, hooks: AskHooks): Promise<Receipt>;
  search(
    tenantId: TenantId,
    input: { readonly query: string; readonly limit: number; readonly sources?: readonly string[] },
    signal: AbortSignal,
  ): Promise<{ readonly passages: readonly Passage[]; readonly timingsMs: Readonly<Record<string, number>> }>;
  summarize(tenantId: TenantId, input: SummarizeInput, signal: AbortSignal): Promise<Summary>;

  readonly tenants: {
    /** Throws `conflict` when the slug is or was taken. */
    create(input: { readonly slug: string; readonly name: string }): Promise<Tenant>;
    get(tenantId: TenantId): Promise<Tenant | null>;
    bySlug(slug: string): Promise<Tenant | null>;
    list(page: Page): Promise<Paged<Tenant>>;
    update(
      tenantId: TenantId,
      /** Settings are merged; null takes one away. */
      patch: { readonly name?: string; readonly settings?: TenantSettingsPatch },
      rev?: number,
    ): Promise<Tenant>;
    remove(tenantId: TenantId): Promise<void>;
  };

  readonly keys: {
    create(
      tenantId: TenantId,
      input: { readonly name: string; readonly scopes: readonly KeyScope[] },
    ): Promise<{ readonly id: string; readonly key: string }>;
    list(tenantId: TenantId): Promise<readonly ApiKey[]>;
    revoke(tenantId: TenantId, keyId: string): Promise<void>;
    /** Null for anything but a living key; constant time in the secret part. */
    authenticate(bearer: string): Promise<ApiKey | null>;
    /** Whether this is the operator's token; constant time. */
    isOperator(bearer: string): boolean;
  };

  readonly members: {
    ofUser(userId: string): Promise<readonly Membership[]>;
    ofTenant(tenantId: TenantId): Promise<readonly Membership[]>;
    /**
     * Another role in the tenant. Throws `not-found`, and `conflict` for the last owner, and when `expected` is given and
     * the role is another by now.
     */
    change(tenantId: TenantId, userId: string, role: Role, expected?: Role): Promise<void>;
    /** Ends the membership, at once. Throws like `change`. */
    remove(tenantId: TenantId, userId: string, expected?: Role): Promise<void>;
    /** Makes or overwrites a membership, whoever it is. */
    put(userId: string, tenantId: TenantId | null, role: Role): Promise<void>;
    operators(): Promise<number>;
    /** Takes the operator's rights, at once. Throws `not-found`, and `conflict` for the last operator. */
    removeOperator(userId: string): Promise<void>;
    forget(tenantId: TenantId, memberId: string): Promise<void>;
  };

  readonly sources: {
    create(tenantId: TenantId, input: SourceInput): Promise<Source>;
    get(tenantId: TenantId, sourceId: string): Promise<Source | null>;
    list(tenantId: TenantId): Promise<readonly Source[]>;
    update(
      tenantId: TenantId,
      sourceId: string,
      /** `paused`: the schedule is kept, but nothing runs by it. */
      patch: Partial<Omit<SourceInput, 'kind'>> & { readonly paused?: boolean },
      rev?: number,
    ): Promise<Source>;
    remove(tenantId: TenantId, sourceId: string): Promise<void>;
    /** Looks whether documents can be had from there, without keeping anything. Throws like `create`. */
    probe(tenantId: TenantId, input: Pick<SourceInput, 'kind' | 'settings'>, signal: AbortSignal): Promise<SourceProbe>;
    /** Throws `invalid` for kinds that have nothing to sync. */
    sync(tenantId: TenantId, sourceId: string): Promise<Job>;
    readonly kinds: readonly SourceKind[];
  };

  readonly jobs: {
    get(tenantId: TenantId, jobId: string): Promise<Job | null>;
    list(tenantId: TenantId, filter: { readonly sourceId?: string }, page: Page): Promise<Paged<Job>>;
    /** The job now and at each change, ending with its last state. */
    watch(tenantId: TenantId, jobId: string, signal: AbortSignal): AsyncIterable<Job>;
  };

  readonly documents: {
    /** Searchable when it resolves. Throws `unreadable-document`, `too-large`, `not-found` (source). */
    put(tenantId: TenantId, sourceId: string, document: DocumentInput, signal: AbortSignal): Promise<PutResult>;
    /** One bad line never stops the batch. */
    putBatch(
      tenantId: TenantId,
      sourceId: string,
      documents: readonly DocumentInput[],
      signal: AbortSignal,
    ): Promise<BatchResult>;
    /** By external id. False when there was none. Gone from every search when it resolves. */
    remove(tenantId: TenantId, sourceId: string, externalId: string, signal: AbortSignal): Promise<boolean>;
    get(tenantId: TenantId, documentId: string): Promise<Document | null>;
    /** Those of them that there are, by id. */
    getMany(tenantId: TenantId, documentIds: readonly string[]): Promise<readonly Document[]>;
    list(tenantId: TenantId, filter: { readonly sourceId?: string }, page: Page): Promise<Paged<Document>>;
    count(tenantId: TenantId, sourceId?: string): Promise<number>;
    chunks(tenantId: TenantId, documentId: string, signal: AbortSignal): Promise<readonly Chunk[]>;
  };

  readonly reindex: {
    /** A new generation of the tenant's index beside the live one. Throws `conflict` while another re-index is under way. */
    start(tenantId: TenantId): Promise<Job>;
    /** Back to another generation while it exists. Throws `not-found` for one that is gone, `conflict`. */
    activate(tenantId: TenantId, generation: number): Promise<Job>;
    generations(tenantId: TenantId): Promise<readonly GenerationView[]>;
    /**
     * Does the index hold what the documents' list says, by numbers? `lost`: there is none. After a restore, of the chunk
     * store or of the state beside it.
     */
    condition(tenantId: TenantId, signal: AbortSignal): Promise<'whole' | 'differs' | 'lost'>;
    /** Lets this process take jobs without serving: for a command line that may have no service beside it. */
    workHere(): void;
  };

  readonly answers: {
    get(tenantId: TenantId, answerId: string): Promise<Receipt | null>;
    /** Newest first. */
    list(tenantId: TenantId, filter: ReceiptFilter, page: Page): Promise<Paged<Receipt>>;
    /** How the answers of a time came out; `from` inclusive, `to` exclusive. */
    tally(tenantId: TenantId, range: { readonly from: number; readonly to: number }): Promise<Tally>;
    /** What was heard about a message of the tenant's own workspaces, oldest first; empty when nothing was. */
    whyNot(
      tenantId: TenantId,
      message: {
        readonly platform: Connection['platform'];
        readonly channelId: string;
        readonly messageId: string;
        readonly workspaceId?: string;
      },
    ): Promise<readonly WhyNot[]>;
    /** Throws `not-found`. */
    feedback(
      tenantId: TenantId,
      answerId: string,
      input: { readonly rating: 'up' | 'down'; readonly comment?: string; readonly user?: string },
    ): Promise<void>;
  };

  readonly gaps: {
    /**
     * Questions since a time that the documents leave open, alike ones together, largest group first. Not `complete`:
     * there were more than are looked at, and these are the newest.
     */
    list(tenantId: TenantId, since: number): Promise<{ readonly groups: readonly Gap[]; readonly complete: boolean }>;
    /** How many of them there are, counted up to `most`. */
    count(
      tenantId: TenantId,
      since: number,
      most: number,
    ): Promise<{ readonly count: number; readonly complete: boolean }>;
    /** False for an unknown answer, and for one that is marked so already. */
    mark(tenantId: TenantId, answerId: string, mark: GapMark['state']): Promise<boolean>;
  };

  readonly quotas: {
    get(tenantId: TenantId): Promise<readonly QuotaState[]>;
    /**
     * Replaces them. What was used before in the running day or month counts, also for limits that are new. Throws `conflict`
     * when `expected` is given and other limits stand by now.
     */
    put(
      tenantId: TenantId,
      limits: readonly QuotaLimit[],
      expected?: readonly QuotaLimit[],
    ): Promise<readonly QuotaState[]>;
  };
  readonly usage: {
    report(
      tenantId: TenantId,
      range: { readonly from: number; readonly to: number },
      group: UsageGroup,
    ): Promise<readonly UsageRow[]>;
    ledger(
      tenantId: TenantId,
      range: { readonly from: number; readonly to: number },
      page: Page,
    ): Promise<Paged<LedgerEntry>>;
  };

  readonly channels: {
    /** Each value with its origin. */
    rules(tenantId: TenantId, platform: PlatformName, channelId: string): Promise<EffectiveRules>;
    /** Replaces the channel's own. Throws `conflict` when `expected` is given and it has others by now. */
    put(
      tenantId: TenantId,
      platform: PlatformName,
      channelId: string,
      rules: ChannelRules,
      expected?: ChannelRules,
    ): Promise<EffectiveRules>;
    /** What a channel without rules of its own goes by; null: where the tenant has set nothing either. */
    inherited(tenantId: TenantId | null): Promise<EffectiveRules>;
    /** Those with rules of their own, and those of chat platforms in which was asked lately; newest question first. */
    list(tenantId: TenantId): Promise<readonly ChannelView[]>;
    /**
     * Whom the sources would be shown to, were these the channel's own rules; nothing is kept. Throws `not-found` for an
     * unknown source.
     */
    preview(tenantId: TenantId, rules: ChannelRules): Promise<AudiencePreview>;
  };
  readonly connections: Workspaces & {
    /** Throws `conflict` when the workspace belongs to a tenant already. */
    create(tenantId: TenantId, input: ConnectionInput): Promise<Connection>;
    /**
     * By a tenant with the one-time code that the bot shows inside the workspace; takes over what its installation brought.
     * Throws `not-found` for a bad code.
     */
    claim(
      tenantId: TenantId,
      input: { readonly platform: Connection['platform']; readonly code: string },
    ): Promise<Connection>;
    list(tenantId: TenantId): Promise<readonly Connection[]>;
    get(tenantId: TenantId, connectionId: string): Promise<Connection | null>;
    remove(tenantId: TenantId, connectionId: string): Promise<void>;
    /** A sign of life. */
    heard(connection: Connection): Promise<void>;
  };

  readonly webhooks: {
    list(tenantId: TenantId): Promise<readonly Webhook[]>;
    get(tenantId: TenantId, webhookId: string): Promise<Webhook | null>;
    /** The secret is given this once. Throws `invalid`, and `conflict` for a name that is taken or one too many. */
    create(tenantId: TenantId, input: WebhookInput): Promise<{ readonly webhook: Webhook; readonly secret: string }>;
    /** Throws `not-found`, `invalid`, `conflict`. */
    update(tenantId: TenantId, webhookId: string, input: Partial<WebhookInput>, rev?: number): Promise<Webhook>;
    pause(tenantId: TenantId, webhookId: string): Promise<Webhook>;
    resume(tenantId: TenantId, webhookId: string): Promise<Webhook>;
    /** The one before is good no longer. */
    newSecret(tenantId: TenantId, webhookId: string): Promise<string>;
    remove(tenantId: TenantId, webhookId: string): Promise<void>;
    /** Sent at once and once, also while it is paused; look for its outcome among the deliveries. */
    test(tenantId: TenantId, webhookId: string): Promise<Notice>;
    /** Newest first. Throws `not-found`. */
    deliveries(tenantId: TenantId, webhookId: string, page: Page): Promise<Paged<Notice>>;
    delivery(tenantId: TenantId, noticeId: string): Promise<Notice | null>;
  };
  /** Days on which the tenant's retention ran, and what went; newest first. */
  retentionRuns(tenantId: TenantId): Promise<readonly RetentionRun[]>;

  /** Counts one request against a shared window; `resetsAt` in milliseconds. */
  hit(key: string, limit: number, windowMs: number): Promise<{ readonly ok: boolean; readonly resetsAt: number }>;
  audit(tenantId: TenantId | null, actor: string, action: string, subject?: string): Promise<void>;
  /** What was changed and by whom, newest first; null: of the deployment. */
  auditTrail(tenantId: TenantId | null, filter: { readonly q?: string }, page: Page): Promise<Paged<AuditEntry>>;

  /** Over all tenants: what the operator of the deployment sees and does. */
  readonly deployment: {
    /** By slug, each with what it holds, and what it asked and spent in this calendar month (UTC). */
    tenants(filter: { readonly q?: string }, page: Page): Promise<Paged<TenantView>>;
    /** The same for one. */
    figures(tenantId: TenantId): Promise<TenantFigures>;
    /** The generations of a tenant's index with what is in them. Throws `not-found`. */
    index(tenantId: TenantId): Promise<readonly SizedGeneration[]>;
    /** The newest first. */
    jobs(filter: { readonly state?: JobState }, page: Page): Promise<Paged<HeldJob>>;
    queues(): Promise<Queues>;
    /** Asks for the work of a failed job again. Throws `not-found`, and `conflict` for one that has not failed. */
    retry(tenantId: TenantId, jobId: string): Promise<Job>;
    /** Ends a waiting or running job as failed. Throws `not-found`, and `conflict` for one that has ended. */
    cancel(tenantId: TenantId, jobId: string): Promise<void>;
    /** The processes that serve the deployment, and those that ended without a word in the last day. */
    instances(): Promise<readonly InstanceView[]>;
  };

  /** For what one instance of several may do at a time. */
  readonly lead: Lead;

  /** What `footnote doctor` looks at in the stores; failures are findings. */
  examine(signal: AbortSignal): Promise<readonly Finding[]>;

  /** Problems that keep this instance from serving, in words; empty when ready. */
  problems(signal: AbortSignal): Promise<readonly string[]>;
  /** Model setup in words, for pages and doctor. */
  readonly modes: {
    readonly chatModel: string | null;
    readonly embeddingModel: string | null;
    /** Chat models that a tenant may choose from, the deployment's own first; absent: no choice. */
    readonly chatModels?: readonly string[];
  };
  /** Begins claiming work and lets the platforms hear. */
  start(platforms: readonly Platform[]): Promise<void>;
  /** Not ready from now on; stops claiming, finishes what runs within the time, releases leases. Still accepts events. */
  drain(forMs: number): Promise<void>;
  /** Closes the stores, after the last event was accepted. */
  close(): Promise<void>;
  /** Consistent copy of every store into an empty folder, while others write. */
  backup(folder: string, signal: AbortSignal): Promise<void>;
};

export type { GenerationView, HeldJob, ReceiptFilter, SettingsField, Tally, TenantFigures };

export type TenantView = { readonly tenant: Tenant; readonly figures: TenantFigures };
/** `size`: null where the chunk store could not say. */
export type SizedGeneration = GenerationView & { readonly size: IndexStats | null };
export type Queues = {
  /** Messages that wait to be answered, and how long the oldest of them does. */
  readonly inbox: { readonly ready: number; readonly oldestMs: number };
  readonly jobs: JobDepth;
};
export type InstanceView = {
  readonly id: string;
  readonly version: string;
  readonly node: string;
  readonly host: string;
  readonly pid: number;
  readonly startedAt: number;
  /** When it last said that it lives. */
  readonly seenAt: number;
  readonly isAlive: boolean;
  /** The one that was asked. */
  readonly isThis: boolean;
  /** What only one instance does at a time and this one does now, for instance `discord-gateway`. */
  readonly leads: readonly string[];
};

/** Members (`platform:userId`) who are one person. Made in core/tenancy/people.ts. */
export type People = {
  /** Null: nobody else is this person. */
  personOf(tenantId: TenantId, memberId: string): Promise<Person | null>;
  /** Shown to the member; typed on another platform it links the two. */
  offerCode(tenantId: TenantId, memberId: string): Promise<{ readonly code: string; readonly expiresAt: number }>;
  redeem(tenantId: TenantId, code: string, memberId: string): Promise<'linked' | 'own' | 'unknown'>;
  /**
   * By an e-mail address that the member's platform vouches for: linked to the member of the tenant who was found to have
   * it before, else kept (as a hash, for a day) for the one who comes next.
   */
  linkByAddress(tenantId: TenantId, memberId: string, address: string): Promise<'linked' | 'noted'>;
  unlink(tenantId: TenantId, memberId: string): Promise<boolean>;
  /** All identities of the person: texts go, the ledger keeps an unlinkable id. */
  forget(tenantId: TenantId, memberId: string): Promise<void>;
};
export type Person = {
  readonly id: string;
  /** All of them, ordered. */
  readonly memberIds: readonly string[];
};

/** Direct messages that come from no workspace: whose they are. Made in core/tenancy/homes.ts. */
export type Homes = {
  /** Those among which the author has to choose; none where all of them are one tenant's. */
  choices(event: InboundEvent): Promise<readonly Home[]>;
  /** Null: nobody's, or several tenants' and the author has not said which. */
  tenantOf(event: InboundEvent): Promise<Tenant | null>;
  /** Remembers what the author said. Null: that is none of the event's homes, or nobody's. */
  choose(event: InboundEvent, workspaceId: string): Promise<(Home & { readonly tenant: Tenant }) | null>;
};

/** Questions that are one question, asked in several ways. */
export type Gap = {
  /** The answer id of the first of them. */
  readonly id: string;
  /** As it was first asked. */
  readonly question: string;
  /** Newest first. */
  readonly asked: readonly GapQuestion[];
  /** How many different people. */
  readonly askers: number;
  readonly lastAt: number;
};
export type GapQuestion = OpenQuestion;

/** One thing that was heard about a message, and what became of it. */
export type WhyNot = {
  readonly kind: InboundKind;
  /** False: it waits, or is being answered now. */
  readonly settled: boolean;
  readonly reason?: ReasonCode;
  readonly receivedAt: number;
  readonly receipt: Receipt | null;
};

export type AskInput = {
  readonly question: string;
  readonly conversationId?: string;
  readonly user?: string;
  readonly sources?: readonly string[];
  /** Asked as a person of the organisation would in that channel: by its sources, readers, instructions and language. */
  readonly channel?: { readonly platform: PlatformName; readonly channelId: string };
  readonly platform: PlatformName;
  readonly traceId: string;
};

export type AskHooks = {
  readonly signal: AbortSignal;
  status?(text: string): void;
  /** The text added since the last call; already contained. */
  delta?(text: string): void;
};

export type SummarizeInput = {
  readonly documents?: readonly string[];
  readonly sources?: readonly string[];
  readonly texts?: readonly string[];
  readonly instruction?: string;
};
export type Summary = { readonly summary: string; readonly citations: readonly Citation[]; readonly usage: TokenUsage };

export type TenantSettingsPatch = { readonly [K in keyof TenantSettings]?: TenantSettings[K] | null };

export type SourceInput = {
  readonly kind: string;
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly schedule?: string | null;
  /** Default: `members`. */
  readonly audience?: Audience;
};

export type SourceKind = {
  readonly kind: string;
  readonly label: string;
  /** False: it is filled from outside (push, upload). */
  readonly syncs: boolean;
  readonly fields: readonly SettingsField[];
};

/** What a look at a place showed: names of the first documents, what could not be listed, whether that was everything. */
export type SourceProbe = {
  readonly examples: readonly string[];
  readonly problems: readonly string[];
  readonly complete: boolean;
};

export type DocumentInput = {
  readonly externalId: string;
  readonly title?: string;
  /** Text for pushes, bytes for uploads. */
  readonly content: string | Uint8Array;
  /** A hint; the type is decided by content. */
  readonly mediaType?: string;
  readonly url?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
};
export type PutResult = { readonly outcome: 'created' | 'updated' | 'unchanged'; readonly document: Document };
export type BatchResult = {
  readonly upserted: number;
  readonly unchanged: number;
  readonly failed: readonly { readonly id: string; readonly problem: string }[];
};

export type WebhookInput = {
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly text: boolean;
};
export type QuotaState = QuotaLimit & { readonly used: number; readonly resetsAt: number };
export type EffectiveRules = {
  readonly [K in keyof Required<ChannelRules>]: {
    readonly value: ChannelRules[K] | undefined;
    readonly origin: 'channel' | 'tenant' | 'default';
  };
};
export type ChannelView = {
  readonly platform: PlatformName;
  readonly channelId: string;
  readonly rules: EffectiveRules;
  /** Of the newest question among the platform's newest few hundred. */
  readonly lastAskedAt?: number;
};
export type AudiencePreview = {
  /** Who can read what is said in the channel, by its audience rule. */
  readonly readers: 'everybody' | 'members';
  readonly sources: readonly {
    readonly id: string;
    readonly name: string;
    readonly audience: Audience;
    /** Its words may stand in an answer that the whole channel reads. */
    readonly publicly: boolean;
    /** Its words may stand in an answer that only the asker reads, for a person of the organisation. */
    readonly privately: boolean;
    /** The channel's own rules name it although it is not meant for everybody who reads the channel. */
    readonly beyond: boolean;
  }[];
};
export type ConnectionInput = {
  readonly platform: Connection['platform'];
  readonly workspaceId: string;
  readonly credentials?: Readonly<Record<string, string>>;
};
