/**
 * The nouns. All readonly, all plain data that survives JSON and structured clone.
 * Times are milliseconds since the epoch unless a name says otherwise; edges render ISO 8601 UTC.
 */

// ── tenants and keys ────────────────────────────────────────────────────────────────────────────────────────────────

/** Opaque and permanent, `t_` + 24 lower-case hex; never the slug. */
export type TenantId = string;

export type Tenant = {
  readonly id: TenantId;
  readonly slug: string;
  readonly name: string;
  readonly createdAt: number;
  readonly settings: TenantSettings;
  /** Generation of the chunk index that answers questions now. */
  readonly activeGeneration: number;
  /** Grows with every change of what can be retrieved; part of every answer-cache key. */
  readonly contentRevision: number;
  /** Optimistic lock. */
  readonly rev: number;
};

export type TenantSettings = {
  readonly instructions?: string;
  readonly language?: string;
  /** Store the text of questions and answers in receipts (default true). */
  readonly keepText?: boolean;
  /** Days that receipts and conversations are kept (default: for ever). */
  readonly retentionDays?: number;
  /** Prices per million tokens that replace the built-in table. */
  readonly prices?: readonly Price[];
  /** What every channel of the tenant inherits unless it says otherwise. */
  readonly channels?: ChannelRules;
  /** The bot's own sentences, by language (`en`, `de`); what is absent is said in our words. */
  readonly messages?: Readonly<Record<string, MessageTexts>>;
  /** One of the models that the deployment offers; absent, or not offered any more: its first. */
  readonly chatModel?: string;
  readonly retrieval?: RetrievalSettings;
  readonly masking?: Masking;
  readonly quotaWarnings?: QuotaWarnings;
};

/** Sentences that the bot says by itself and that a tenant may word. */
export type MessageName =
  | 'notFound'
  | 'quota'
  | 'failed'
  | 'greeting'
  | 'thinking'
  | 'noSources'
  | 'empty'
  | 'tooLong'
  | ButtonName;
/** What stands on its buttons. */
export type ButtonName = 'buttonStop' | 'buttonSolved' | 'buttonHuman' | 'buttonPublish';
export type MessageTexts = { readonly [K in MessageName]?: string };

/** How passages are found and chosen; absent values are ours. */
export type RetrievalSettings = {
  /** Handed on to the model, 3 to 20 (default 10). */
  readonly passages?: number;
  /** How near a passage must come before it is used at all (default `balanced`). */
  readonly floor?: 'open' | 'balanced' | 'strict';
  /** Weight of the search by meaning against the search by words, 0.1 to 0.9 (default 0.5). Without an embedder: unused. */
  readonly meaning?: number;
};

export type MaskedKind = 'email' | 'phone' | 'card' | 'iban';
/** Personal data that is made unreadable in whatever is kept of a question and its answer. */
export type Masking = {
  readonly kinds: readonly MaskedKind[];
  /** In the question before it is searched for and before the model reads it, too. */
  readonly beforeModel?: boolean;
};

/** Who is told by a chat message when so much of a limit is used. */
export type QuotaWarnings = {
  /** Whole percentages of the limit, ascending. */
  readonly at: readonly number[];
  readonly to: readonly Receiver[];
};
/** A channel or a person of a workspace; exactly one of the two ids. */
export type Receiver = {
  readonly platform: Connection['platform'];
  readonly workspaceId: string;
  readonly channelId?: string;
  readonly userId?: string;
};

export type KeyScope = 'ask' | 'ingest' | 'billing' | 'admin';

export type ApiKey = {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  readonly createdAt: number;
  readonly lastUsedAt?: number;
};

/** A person's right in a tenant's console; `operator` is kept without a tenant. */
export type Role = 'operator' | 'owner' | 'admin' | 'billing' | 'viewer';
export type Membership = {
  readonly userId: string;
  readonly tenantId: TenantId | null;
  readonly role: Role;
  readonly createdAt: number;
};

// ── sources, documents, chunks ──────────────────────────────────────────────────────────────────────────────────────

/**
 * Who may be shown a source's words: anybody who can write to the bot, guests and outsiders included; people of the
 * organisation (the default); or only the channels whose rules name it.
 */
export type Audience = 'everybody' | 'members' | 'named';

export type Source = {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly kind: string;
  readonly name: string;
  /** Absent: `members`. */
  readonly audience?: Audience;
  /** Shape given by the source driver's schema. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Cron expression in UTC; absent: on demand only. */
  readonly schedule?: string;
  readonly nextRunAt?: number;
  readonly cursor?: string;
  readonly createdAt: number;
  readonly lastSyncedAt?: number;
  readonly rev: number;
};

export type Document = {
  /** `d_` + hex, derived from source id and external id: the same document always has the same id. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly sourceId: string;
  /** The id that the pusher gave, or the path inside the source. */
  readonly externalId: string;
  readonly title: string;
  readonly url?: string;
  readonly mediaType: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** SHA-256 of the bytes; equal hash and equal settings mean nothing to do. */
  readonly contentHash: string;
  /**
   * What the text was made with (parser, given title and address); another fingerprint means work to do. What the index
   * was made with (chunker, analyser, embedding model) is the generation's.
   */
  readonly fingerprint: string;
  readonly bytes: number;
  readonly chunkCount: number;
  readonly updatedAt: number;
  /** Why the newest version could not be read; the last good version stays searchable. */
  readonly problem?: string;
};

/** A passage of one document: the unit of retrieval and of citation. */
export type Chunk = {
  /** `c_` + hex, derived from document id, heading path and text: unchanged text keeps its id. */
  readonly id: string;
  readonly documentId: string;
  readonly sourceId: string;
  readonly externalId: string;
  /** Position within the document, from 0. */
  readonly ordinal: number;
  readonly title: string;
  readonly headingPath: readonly string[];
  /** A contiguous slice of the document's canonical Markdown. */
  readonly text: string;
  /** Offsets of `text` in the canonical Markdown, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Page of a paged document, from 1. */
  readonly page?: number;
  readonly tokens: number;
  readonly url?: string;
};

export type EmbeddedChunk = Chunk & { readonly vector?: Float32Array };

/** A chunk with its rank score; higher is better, comparable only within one result list. */
export type Hit = { readonly chunk: Chunk; readonly score: number };

export type JobState = 'queued' | 'running' | 'done' | 'failed';
export type JobCounts = {
  readonly seen: number;
  readonly upserted: number;
  readonly unchanged: number;
  readonly removed: number;
  readonly failed: number;
};
export type JobError = { readonly documentId?: string; readonly problem: string };
export type Job = {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly kind: 'sync' | 'reindex';
  readonly sourceId?: string;
  /**
   * Re-index only: into a new generation, or back to the one that is named. Automatic: not when the live index fits by
   * then. `profile` says in words what is to fill it; a process that is configured otherwise does not do it.
   */
  readonly reindex?: { readonly activate?: number; readonly automatic?: boolean; readonly profile?: string };
  readonly state: JobState;
  readonly counts: JobCounts;
  /** The newest 200. */
  readonly errors: readonly JobError[];
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly attempts: number;
};

// ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** `api` and `console` are the doors that are no chat platform. */
export type PlatformName = 'slack' | 'discord' | 'teams' | 'api' | 'console';
export type Scope = 'dm' | 'group' | 'channel';
export type Addressed = 'mention' | 'dm' | 'command' | 'subscribed' | 'none';
export type InboundKind = 'message' | 'edit' | 'delete' | 'command' | 'action' | 'feedback' | 'install' | 'uninstall';

export type Attachment = {
  readonly name: string;
  readonly mediaType?: string;
  readonly bytes?: number;
  readonly url?: string;
};

export type Mention = { readonly kind: 'person' | 'channel'; readonly id: string; readonly name?: string };

/** What people can tell the bot to do. `ask` asks; the others are about the bot itself. */
export type CommandName = 'ask' | 'help' | 'settings' | 'connect' | 'check-up' | 'link' | 'switch' | 'forget-me';

/** Buttons under an answer, or while it is being written; `choose` stands under the question which workspace is meant. */
export type ActionName = 'stop' | 'publish' | 'solved' | 'human' | 'choose';

/** A workspace that a direct message may be meant for, and what people call it. */
export type Home = { readonly workspaceId: string; readonly name?: string };

/** How a person belongs to the organisation; absent where the platform does not say. */
export type Standing = 'member' | 'guest' | 'outsider';

/** One thing that happened on a platform, in our words. Stored whole before the platform is told "ok". */
export type InboundEvent = {
  readonly platform: PlatformName;
  /** Slack team, Discord guild (or `dm`), Teams tenant. */
  readonly workspaceId: string;
  /**
   * A direct message that comes from no workspace: those that its author shares with the bot, as the platform says now.
   * Whose documents answer is then for the author to choose, never for us to guess.
   */
  readonly homes?: readonly Home[];
  /** The channel, for rules and allowances; `workspace` where a whole workspace was joined or left. */
  readonly channelId: string;
  /** The thread; events of one thread are worked off in order. */
  readonly threadId: string;
  readonly messageId: string;
  /** Any one of them seen before makes this event a duplicate. Prefixed with platform and workspace. */
  readonly dedupeKeys: readonly string[];
  /** Sorts the events of a thread as the platform means them (Slack ts, Discord snowflake). */
  readonly orderKey: string;
  readonly kind: InboundKind;
  readonly scope: Scope;
  readonly addressed: Addressed;
  readonly author: {
    readonly id: string;
    readonly isBot: boolean;
    readonly isSelf: boolean;
    readonly name?: string;
    readonly standing?: Standing;
    /**
     * May change the rules of this channel, or for the command `connect` decide for the workspace, where the event itself
     * says so; else `Platform.mayManage` is asked.
     */
    readonly mayManage?: boolean;
  };
  /** People of other organisations read this channel too (Slack Connect, a Teams shared channel). */
  readonly shared?: boolean;
  /** Goes on in a thread, or answers a message, that another person began: a talk between people unless we are called. */
  readonly repliesToPerson?: boolean;
  /**
   * The message that it answers or from which its thread hangs, where the platform does not tell whose that is: the inbox
   * knows who wrote it, and a talk of whose beginning nobody heard is other people's.
   */
  readonly rootMessageId?: string;
  /** Markdown, own mention removed. */
  readonly text: string;
  readonly attachments: readonly Attachment[];
  /** People and channels that the text names, in its order, without ourselves; for commands that are about them. */
  readonly mentions?: readonly Mention[];
  readonly receivedAt: number;
  /** After this the platform no longer takes an answer by the handle. */
  readonly deadline?: number;
  /** Edit, delete, feedback, action: the message that it is about. */
  readonly targetMessageId?: string;
  /** Kind `edit`: no edit but a deletion that was taken back; the words are there again. */
  readonly restored?: boolean;
  readonly feedback?: { readonly rating: 'up' | 'down'; readonly comment?: string; readonly answerId?: string };
  /** Kind `command`; `text` is what follows the command's name. `private`: the person wants the answer for themselves. */
  readonly command?: { readonly name: CommandName; readonly private?: boolean };
  /**
   * Kind `action`. `stop` names the delivery that is being written, `choose` the workspace and the message that waits for
   * the choice, the others the answer they stand under.
   */
  readonly action?: {
    readonly name: ActionName;
    readonly deliveryId?: string;
    readonly answerId?: string;
    readonly workspaceId?: string;
    readonly messageId?: string;
  };
  /** What the platform driver needs to answer; serialisable, opaque to the core. */
  readonly handle: Readonly<Record<string, unknown>>;
};

/** Why an event ended as it did. Kept for every event: "why did it not answer?" has an answer. */
export type ReasonCode =
  | 'answered'
  | 'answered-from-cache'
  | 'not-found' // nothing relevant in the documents
  | 'not-addressed'
  | 'bot-author'
  | 'own-message'
  | 'channel-off'
  | 'not-allowed' // the person may not ask here
  | 'no-sources' // the rules leave no source to answer from
  | 'quota'
  | 'duplicate'
  | 'empty' // nothing that could be a question
  | 'too-long'
  | 'unknown-workspace'
  | 'which-workspace' // its author is in several, and was asked which one is meant
  | 'superseded' // edited or deleted before it was answered
  | 'question-deleted'
  | 'feedback-stored'
  | 'action-done' // stop, publish, solved, human
  | 'command-done' // help, settings, connect, check-up, link, forget-me
  | 'installed'
  | 'uninstalled'
  | 'unsupported'
  | 'cancelled'
  | 'model-failed'
  | 'failed';

export type Turn = {
  readonly role: 'user' | 'assistant';
  readonly text: string;
  readonly at: number;
  readonly answerId?: string;
  /** Asked by another bot. */
  readonly bot?: boolean;
};

/** Rules of a channel; every value may be inherited from the tenant. */
export type ChannelRules = {
  readonly enabled?: boolean;
  readonly answerWhen?: 'mention' | 'question' | 'every';
  /** Source ids; absent: all of the tenant's. */
  readonly sources?: readonly string[];
  readonly instructions?: string;
  readonly language?: string;
  readonly replies?: 'public' | 'private';
  /** Platform user ids; absent: everybody. */
  readonly whoMayAsk?: readonly string[];
  /** Who can read the channel: public replies use only sources meant for all of them. Absent: `members`. */
  readonly audience?: 'everybody' | 'members';
  /** Guests and outsiders: not answered, or answered from sources meant for everybody (default). */
  readonly guests?: 'refuse' | 'limit';
  /** Bot users that may ask although they are bots. */
  readonly bots?: readonly string[];
  /** Whom "I need a human" calls: platform user ids, or one channel written `#id`. */
  readonly humans?: readonly string[];
};

/** A workspace of a platform, mapped to exactly one tenant. */
export type Connection = {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly platform: 'slack' | 'discord' | 'teams';
  readonly workspaceId: string;
  /** Sealed by core/security/seal.ts; absent: the deployment's own credentials. */
  readonly sealedCredentials?: string;
  readonly createdAt: number;
  /** What its platform driver wants to know again after a restart; no secrets. */
  readonly info?: Readonly<Record<string, string>>;
  readonly lastEventAt?: number;
  /** The newest failure in words for people; kept, with its time, until another one. */
  readonly lastError?: string;
  readonly lastErrorAt?: number;
};

/** A workspace that has the app, and belongs to no tenant until somebody claims it. */
export type Installation = {
  readonly platform: Connection['platform'];
  readonly workspaceId: string;
  /** Sealed by core/security/seal.ts; absent: the deployment's own credentials. */
  readonly sealedCredentials?: string;
  /** What its platform driver wants to know again (`name`: the workspace's); no secrets. */
  readonly info?: Readonly<Record<string, string>>;
  readonly installedAt: number;
};

// ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Passage = {
  readonly documentId: string;
  readonly externalId: string;
  readonly chunkId: string;
  readonly sourceId: string;
  readonly title: string;
  readonly headingPath: readonly string[];
  readonly url?: string;
  readonly page?: number;
  readonly text: string;
  readonly score: number;
};

export type Citation = {
  /** The footnote's number, from 1, as it stands in the answer: `[1]`. */
  readonly n: number;
  readonly documentId: string;
  readonly externalId: string;
  readonly chunkId: string;
  readonly title: string;
  readonly url?: string;
  readonly page?: number;
  /** Contiguous in the passage after white space is collapsed. */
  readonly quote: string;
};

export type AnswerKind = 'answered' | 'not-found' | 'refused';

export type TokenUsage = {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly embeddingTokens: number;
  /** Absent: some price is unknown. */
  readonly cost?: Money;
};

/** What a person gets, on every door. */
export type Answer = {
  readonly answerId: string;
  readonly conversationId: string;
  readonly answer: string;
  readonly kind: AnswerKind;
  readonly reason?: ReasonCode;
  /** When a quota refuses: the time from which it is worth trying again. */
  readonly retryAt?: number;
  readonly citations: readonly Citation[];
  readonly retrieved: readonly Passage[];
  readonly usage: TokenUsage;
  readonly timingsMs: Readonly<Record<string, number>>;
};

/** Everything that is known about one answer; kept. Text fields go when a person is forgotten. */
export type Receipt = Answer & {
  readonly tenantId: TenantId;
  readonly at: number;
  readonly question: string;
  readonly condensedQuestion?: string;
  readonly platform: PlatformName;
  readonly workspaceId?: string;
  readonly channelId?: string;
  readonly threadId?: string;
  readonly messageId?: string;
  readonly memberId?: string;
  readonly reasonCode: ReasonCode;
  /** Chunk ids that stood in the prompt. */
  readonly inPrompt: readonly string[];
  /** `extractive` when no chat model is configured. */
  readonly model: string;
  readonly promptVersion: string;
  readonly generation: number;
  readonly contentRevision: number;
  readonly cached: boolean;
  /** The allowance that was charged or that refused, as `scope:id:unit:window`. */
  readonly quotaBuckets: readonly string[];
  readonly traceId: string;
  readonly feedback: readonly Feedback[];
  /** What became of a question that the documents left open. */
  readonly gap?: GapMark;
};

/** `dismissed`: needs no answer; `written`: somebody wrote one; `told`: and its asker was told. */
export type GapMark = { readonly state: 'dismissed' | 'written' | 'told'; readonly at: number };

export type Feedback = {
  readonly rating: 'up' | 'down';
  /** `solved` comes with up, `human` (a person was called) with down. */
  readonly mark?: 'solved' | 'human';
  readonly comment?: string;
  readonly user?: string;
  readonly at: number;
};

// ── metering ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Integer billionths of the currency's unit, so that a ledger adds up to the unit. Edges render a decimal string. */
export type Nanos = number;
export type Money = { readonly amount: string; readonly currency: string };

/** Dated price per million tokens, decimal strings; unknown is absent, never 0. */
export type Price = {
  readonly model: string;
  readonly currency: string;
  readonly inputPerMillion: string;
  readonly outputPerMillion: string;
  /** From this day on, `yyyy-mm-dd`. */
  readonly from: string;
  readonly origin: 'tenant' | 'built-in';
};

export type QuotaScope = 'tenant' | 'channel' | 'member';
export type QuotaUnit = 'tokens' | 'questions' | 'money';
export type QuotaLimit = {
  readonly scope: QuotaScope;
  /** Channel as `platform:channelId`, member as `platform:userId`; absent: each channel or member by itself. */
  readonly id?: string;
  readonly unit: QuotaUnit;
  readonly per: 'day' | 'month';
  /** Tokens, questions, or nanos of the tenant's currency. */
  readonly limit: number;
  readonly grace?: Grace;
};

/**
 * What may be used beyond a limit before anybody is refused. `percent` alone: so much more, always. `until` alone: nothing
 * is refused before that moment. Both: so much more before that moment, nothing more after it. Warnings, the ledger and
 * what is shown as used know no grace.
 */
export type Grace = {
  /** Of the limit, 1 to 100. */
  readonly percent?: number;
  readonly until?: number;
};

export type LedgerKind = 'question' | 'chat' | 'condense' | 'embedding' | 'summarize';

/** One line of the append-only ledger; never changed, except that a forgotten person's ids become unlinkable. */
export type LedgerEntry = {
  /** Deterministic (answer id + call number), so that a repeated write is one line. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly at: number;
  readonly kind: LedgerKind;
  readonly model?: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly embeddingTokens: number;
  readonly price?: Price;
  /** Absent: the price is unknown. */
  readonly costNanos?: Nanos;
  readonly currency?: string;
  readonly platform: PlatformName;
  readonly channelId?: string;
  readonly memberId?: string;
  readonly sourceId?: string;
  readonly answerId?: string;
};

export type UsageGroup = 'day' | 'member' | 'channel' | 'platform' | 'model' | 'source';
export type UsageRow = {
  readonly key: string;
  readonly questions: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly embeddingTokens: number;
  readonly costNanos: Nanos;
  /** Absent: nothing was priced. A key that was paid in two currencies has one row for each. */
  readonly currency?: string;
  /** Some line of the group has no known price. */
  readonly costUnknown: boolean;
};

export type AuditEntry = {
  readonly id: string;
  readonly tenantId: TenantId | null;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly subject?: string;
};

// ── telling others ──────────────────────────────────────────────────────────────────────────────────────────────────

/** What a tenant can be told of at an address of its own. `webhook.test` is sent on demand, whatever is chosen. */
export type WebhookEvent =
  | 'question.answered'
  | 'question.not_found'
  | 'question.refused'
  | 'question.failed'
  | 'feedback.given'
  | 'sync.finished'
  | 'sync.failed'
  | 'quota.warning'
  | 'connection.lost'
  | 'webhook.test';

export type Webhook = {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly url: string;
  /** What it is for, in the words of whoever made it. */
  readonly name: string;
  readonly events: readonly WebhookEvent[];
  /** Questions, answers and comments go along; otherwise ids and figures only. */
  readonly text: boolean;
  /** Sealed by core/security/seal.ts. */
  readonly sealedSecret: string;
  readonly createdAt: number;
  /** Nothing is sent, and nothing is kept to be sent later. */
  readonly paused?: { readonly at: number; readonly by: 'people' | 'failures'; readonly why?: string };
  /** Of the first failure since the last success. */
  readonly failingSince?: number;
  readonly lastDeliveredAt?: number;
  /** Optimistic lock of what people change. */
  readonly rev: number;
};

/** One thing to be told to one receiver: a webhook's id, or `chat`. Kept until it was taken, then as a line of the log. */
export type Notice = {
  /** Deterministic: the same happening is one notice to each receiver. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly receiver: string;
  readonly event: WebhookEvent;
  /** What is sent, as JSON; gone once it was taken or given up. */
  readonly body?: string;
  /** Whose words are in it. */
  readonly memberId?: string;
  readonly state: 'waiting' | 'delivered' | 'failed';
  readonly attempts: number;
  readonly createdAt: number;
  /** Waiting: when it is tried again. */
  readonly nextAt: number;
  readonly lastAt?: number;
  /** What the receiver answered by HTTP. */
  readonly status?: number;
  /** Why it was not taken, for people. */
  readonly problem?: string;
  readonly tookMs?: number;
};

/** What a tenant's retention removed on one day. */
export type RetentionRun = {
  /** `yyyy-mm-dd`, UTC. */
  readonly day: string;
  /** When it last ran on that day. */
  readonly at: number;
  readonly receipts: number;
  readonly turns: number;
};
