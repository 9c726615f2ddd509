import { type Answering, createAnswering } from './answer/answering.ts';
import { createAsk } from './ask.ts';
import { type Conversations, createConversations } from './conversation/conversation.ts';
import type {
  ApiKey,
  ChannelRules,
  Chunk,
  Citation,
  Connection,
  Document,
  InboundEvent,
  Job,
  KeyScope,
  LedgerEntry,
  Membership,
  Passage,
  PlatformName,
  QuotaLimit,
  Receipt,
  Role,
  Source,
  Tenant,
  TenantId,
  TenantSettings,
  TokenUsage,
  UsageGroup,
  UsageRow,
} from './domain.ts';
import { AppError } from './errors.ts';
import { createIngest, type Ingest } from './ingest/ingest.ts';
import type { GenerationView } from './ingest/manage-reindex.ts';
import { createMetering, type Metering } from './metering/metering.ts';
import type { ChunkStore } from './ports/chunks.ts';
import type { ChatModel, Embedder } from './ports/model.ts';
import type { Platform, Received } from './ports/platform.ts';
import type { Runtime } from './ports/runtime.ts';
import type { SourceDriver } from './ports/source.ts';
import type { Page, Paged, StateStore } from './ports/state.ts';
import type { Sealer } from './security/seal.ts';
import { createChannels, effectiveRules, requireSources } from './tenancy/channels.ts';
import { createConnections } from './tenancy/connections.ts';
import { createKeys } from './tenancy/keys.ts';
import { createTenants, requireTenant } from './tenancy/tenants.ts';

/** What the doors (bots, console, API, command line) may do. Created by `createCore`. */
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
      patch: { readonly name?: string; readonly settings?: TenantSettings },
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
    put(userId: string, tenantId: TenantId | null, role: Role): Promise<void>;
    operators(): Promise<number>;
    forget(tenantId: TenantId, memberId: string): Promise<void>;
  };

  readonly sources: {
    create(tenantId: TenantId, input: SourceInput): Promise<Source>;
    get(tenantId: TenantId, sourceId: string): Promise<Source | null>;
    list(tenantId: TenantId): Promise<readonly Source[]>;
    update(
      tenantId: TenantId,
      sourceId: string,
      patch: Partial<Omit<SourceInput, 'kind'>>,
      rev?: number,
    ): Promise<Source>;
    remove(tenantId: TenantId, sourceId: string): Promise<void>;
    /** Throws `invalid` for kinds that have nothing to sync. */
    sync(tenantId: TenantId, sourceId: string): Promise<Job>;
    readonly kinds: readonly { readonly kind: string; readonly label: string; readonly syncs: boolean }[];
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
    list(tenantId: TenantId, filter: { readonly sourceId?: string }, page: Page): Promise<Paged<Document>>;
    chunks(tenantId: TenantId, documentId: string, signal: AbortSignal): Promise<readonly Chunk[]>;
  };

  readonly reindex: {
    /** A new generation of the tenant's index beside the live one. Throws `conflict` while another re-index is under way. */
    start(tenantId: TenantId): Promise<Job>;
    /** Back to another generation while it exists. Throws `not-found` for one that is gone, `conflict`. */
    activate(tenantId: TenantId, generation: number): Promise<Job>;
    generations(tenantId: TenantId): Promise<readonly GenerationView[]>;
    /** Lets this process take jobs without serving: for a command line that may have no service beside it. */
    workHere(): void;
  };

  readonly answers: {
    get(tenantId: TenantId, answerId: string): Promise<Receipt | null>;
    list(
      tenantId: TenantId,
      filter: { readonly outcome?: string; readonly q?: string },
      page: Page,
    ): Promise<Paged<Receipt>>;
    /** Throws `not-found`. */
    feedback(
      tenantId: TenantId,
      answerId: string,
      input: { readonly rating: 'up' | 'down'; readonly comment?: string; readonly user?: string },
    ): Promise<void>;
  };

  readonly quotas: {
    get(tenantId: TenantId): Promise<readonly QuotaState[]>;
    put(tenantId: TenantId, limits: readonly QuotaLimit[]): Promise<readonly QuotaState[]>;
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
    put(tenantId: TenantId, platform: PlatformName, channelId: string, rules: ChannelRules): Promise<EffectiveRules>;
  };
  readonly connections: {
    /** Throws `conflict` when the workspace belongs to a tenant already. */
    create(tenantId: TenantId, input: ConnectionInput): Promise<Connection>;
    /** By a tenant with the one-time code that the bot shows inside the workspace; throws `not-found` for a bad code. */
    claim(
      tenantId: TenantId,
      input: { readonly platform: Connection['platform']; readonly code: string },
    ): Promise<Connection>;
    list(tenantId: TenantId): Promise<readonly Connection[]>;
    get(tenantId: TenantId, connectionId: string): Promise<Connection | null>;
    remove(tenantId: TenantId, connectionId: string): Promise<void>;
    byId(connectionId: string): Promise<Connection | null>;
    byWorkspace(platform: Connection['platform'], workspaceId: string): Promise<Connection | null>;
    /** The opened credentials, for platform drivers only. */
    credentials(connection: Connection): Promise<Readonly<Record<string, string>> | null>;
    heard(connection: Connection, patch: { readonly lastError?: string }): Promise<void>;
  };

  /** Counts one request against a shared window; `resetsAt` in milliseconds. */
  hit(key: string, limit: number, windowMs: number): Promise<{ readonly ok: boolean; readonly resetsAt: number }>;
  audit(tenantId: TenantId | null, actor: string, action: string, subject?: string): Promise<void>;

  /** Problems that keep this instance from serving, in words; empty when ready. */
  problems(signal: AbortSignal): Promise<readonly string[]>;
  /** Model setup in words, for pages and doctor. */
  readonly modes: { readonly chatModel: string | null; readonly embeddingModel: string | null };
  /** Begins claiming work and lets the platforms hear. */
  start(platforms: readonly Platform[]): Promise<void>;
  /** Not ready from now on; stops claiming, finishes what runs within the time, releases leases. Still accepts events. */
  drain(forMs: number): Promise<void>;
  /** Closes the stores, after the last event was accepted. */
  close(): Promise<void>;
  /** Consistent copy of every store into an empty folder, while others write. */
  backup(folder: string, signal: AbortSignal): Promise<void>;
};

export type { GenerationView };

export type AskInput = {
  readonly question: string;
  readonly conversationId?: string;
  readonly user?: string;
  readonly sources?: readonly string[];
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

export type SourceInput = {
  readonly kind: string;
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly schedule?: string | null;
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

export type QuotaState = QuotaLimit & { readonly used: number; readonly resetsAt: number };
export type EffectiveRules = {
  readonly [K in keyof Required<ChannelRules>]: {
    readonly value: ChannelRules[K] | undefined;
    readonly origin: 'channel' | 'tenant' | 'default';
  };
};
export type ConnectionInput = {
  readonly platform: Connection['platform'];
  readonly workspaceId: string;
  readonly credentials?: Readonly<Record<string, string>>;
};

export type CoreParts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly chat: ChatModel | null;
  readonly embedder: Embedder | null;
  readonly sources: readonly SourceDriver[];
  readonly sealer: Sealer;
  readonly runtime: Runtime;
  /** FOOTNOTE_ADMIN_TOKEN; absent: the operator API is off. */
  readonly operatorToken?: string;
  /** Slug of the tenant that answers for workspaces without a connection of their own (single-workspace deployment). */
  readonly defaultTenant?: string;
  /** Names this process in leases; unique per process. */
  readonly owner: string;
};

const sweepEveryMs = 30_000;

export const createCore = (parts: CoreParts): Core => {
  const { state, chunks, chat, embedder, sources, sealer, runtime, owner } = parts;
  const metering: Metering = createMetering({ state, runtime });
  const ingest: Ingest = createIngest({ state, chunks, embedder, metering, sources, runtime });
  const answering: Answering = createAnswering({ state, ...ingest.forQuestions, chat, metering, runtime });
  const connections = createConnections({ state, sealer, runtime });
  const conversations: Conversations = createConversations({
    state,
    answering,
    runtime,
    owner,
    resolveTenant: async (event) => {
      if (event.platform === 'api' || event.platform === 'console') return null;
      const connection = await state.connections.byWorkspace(event.platform, event.workspaceId);
      if (connection !== null) {
        // A sign of life for the check-up, once a minute: no answer waits for it.
        if (runtime.clock.now() - (connection.lastEventAt ?? 0) > 60_000) {
          connections
            .heard(connection, {})
            .catch((error: unknown) => runtime.log.warn('connection-touch-failed', { error: String(error) }));
        }
        return state.tenants.get(connection.tenantId);
      }
      return parts.defaultTenant === undefined ? null : state.tenants.bySlug(parts.defaultTenant);
    },
    rules: async (tenant, platform, channelId) =>
      effectiveRules(tenant, await state.channels.get(tenant.id, platform, channelId)),
  });
  const tenants = createTenants({ state, ingest, runtime });
  const stopping = new AbortController();
  let hearing: readonly Platform[] = [];
  let sweeping: Promise<void> = Promise.resolve();

  /** One instance of several sweeps, often enough that no hold of a dead process outlives a minute. */
  const sweep = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const now = runtime.clock.now();
        const lease = await state.leases.acquire('sweep', owner, now, sweepEveryMs);
        if (lease !== null) {
          await state.maintenance.sweep(now);
          for (const tenantId of await state.tenants.deleted(10)) await ingest.dropTenant(tenantId);
        }
        await runtime.clock.sleep(sweepEveryMs, stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        runtime.log.warn('sweep-failed', { error: String(error) });
        await runtime.clock.sleep(sweepEveryMs, stopping.signal).catch(() => undefined);
      }
    }
  };

  return {
    receive: conversations.receive,
    ask: createAsk({ state, answering, runtime }),
    search: async (tenantId, { query, limit, sources: sourceIds }, signal) => {
      const tenant = await requireTenant(state, tenantId);
      if (sourceIds !== undefined) await requireSources(state, tenantId, sourceIds);
      return answering.search(tenant, { query, limit, ...(sourceIds === undefined ? {} : { sourceIds }) }, signal);
    },
    summarize: async (tenantId, input, signal) => {
      const tenant = await requireTenant(state, tenantId);
      if (input.sources !== undefined) await requireSources(state, tenantId, input.sources);
      return answering.summarize(tenant, input, signal);
    },
    tenants,
    keys: createKeys({ state, runtime, operatorToken: parts.operatorToken }),
    members: {
      ofUser: (userId) => state.members.ofUser(userId),
      put: (userId, tenantId, role) => state.members.put({ userId, tenantId, role, createdAt: runtime.clock.now() }),
      operators: () => state.members.operators(),
      forget: async (tenantId, memberId) => {
        await requireTenant(state, tenantId);
        await state.maintenance.forgetMember(tenantId, memberId, `forgotten:${runtime.random.hex(12)}`);
      },
    },
    sources: {
      create: async (tenantId, input) => ingest.createSource(await requireTenant(state, tenantId), input),
      get: (tenantId, sourceId) => state.sources.get(tenantId, sourceId),
      list: (tenantId) => state.sources.list(tenantId),
      update: async (tenantId, sourceId, patch, rev) =>
        ingest.updateSource(await requireTenant(state, tenantId), sourceId, patch, rev),
      remove: async (tenantId, sourceId) =>
        ingest.removeSource(await requireTenant(state, tenantId), sourceId, stopping.signal),
      sync: async (tenantId, sourceId) => ingest.sync(await requireTenant(state, tenantId), sourceId),
      kinds: ingest.kinds,
    },
    jobs: {
      get: (tenantId, jobId) => state.jobs.get(tenantId, jobId),
      list: (tenantId, filter, page) => state.jobs.list(tenantId, filter, page),
      watch: (tenantId, jobId, signal) => ingest.watch(tenantId, jobId, signal),
    },
    documents: {
      put: async (tenantId, sourceId, document, signal) =>
        ingest.put(await requireTenant(state, tenantId), sourceId, document, signal),
      putBatch: async (tenantId, sourceId, documents, signal) =>
        ingest.putBatch(await requireTenant(state, tenantId), sourceId, documents, signal),
      remove: async (tenantId, sourceId, externalId, signal) =>
        ingest.remove(await requireTenant(state, tenantId), sourceId, externalId, signal),
      get: (tenantId, documentId) => state.documents.get(tenantId, documentId),
      list: (tenantId, filter, page) => state.documents.list(tenantId, filter, page),
      chunks: async (tenantId, documentId, signal) => {
        const tenant = await requireTenant(state, tenantId);
        return chunks.documentChunks({ tenantId, generation: tenant.activeGeneration }, documentId, signal);
      },
    },
    reindex: {
      start: async (tenantId) => ingest.reindex(await requireTenant(state, tenantId)),
      activate: async (tenantId, generation) => ingest.activate(await requireTenant(state, tenantId), generation),
      generations: async (tenantId) => ingest.generations(await requireTenant(state, tenantId)),
      workHere: () => ingest.start(),
    },
    answers: {
      get: (tenantId, answerId) => state.receipts.get(tenantId, answerId),
      list: (tenantId, filter, page) => state.receipts.list(tenantId, filter, page),
      feedback: async (tenantId, answerId, { rating, comment, user }) => {
        const feedback = {
          rating,
          at: runtime.clock.now(),
          ...(comment === undefined ? {} : { comment }),
          ...(user === undefined ? {} : { user }),
        };
        if (!(await state.receipts.addFeedback(tenantId, answerId, feedback)))
          throw new AppError('not-found', 'There is no such answer.');
        runtime.metrics.count('feedback_total', { rating });
      },
    },
    quotas: {
      get: (tenantId) => metering.limits(tenantId),
      put: async (tenantId, limits) => {
        await requireTenant(state, tenantId);
        await metering.putLimits(tenantId, limits);
        return metering.limits(tenantId);
      },
    },
    usage: {
      report: (tenantId, range, group) => state.ledger.usage(tenantId, range, group),
      ledger: (tenantId, range, page) => state.ledger.list(tenantId, range, page),
    },
    channels: createChannels(state),
    connections,
    hit: (key, limit, windowMs) => state.metering.hit(key, limit, windowMs, runtime.clock.now()),
    audit: (tenantId, actor, action, subject) =>
      state.audit.append({
        id: `u_${runtime.random.hex(12)}`,
        tenantId,
        at: runtime.clock.now(),
        actor,
        action,
        ...(subject === undefined ? {} : { subject }),
      }),
    problems: async (signal) => {
      if (stopping.signal.aborted) return ['This instance is draining.'];
      const checks = await Promise.allSettled([state.maintenance.check(), chunks.check(signal)]);
      return checks.flatMap((check) =>
        check.status === 'rejected'
          ? [check.reason instanceof AppError ? check.reason.message : 'A store did not answer its check.']
          : [],
      );
    },
    modes: { chatModel: chat?.name ?? null, embeddingModel: embedder?.name ?? null },
    start: async (platforms) => {
      ingest.start();
      conversations.start(platforms);
      sweeping = sweep();
      hearing = platforms;
      await Promise.all(platforms.map((platform) => platform.start(conversations.receive)));
      runtime.metrics.set('up', 1);
    },
    drain: async (forMs) => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      runtime.metrics.set('up', 0);
      await Promise.allSettled([conversations.stop(forMs), ingest.stop(forMs), sweeping]);
      await Promise.allSettled(hearing.map((platform) => platform.stop()));
    },
    backup: async (folder, signal) => {
      // State first: a document that comes in between is then an extra in the index, never a row without its chunks.
      await state.maintenance.backup(folder);
      await chunks.backup(folder, signal);
    },
    close: async () => {
      await Promise.allSettled([chunks.close(), state.maintenance.close()]);
    },
  };
};
