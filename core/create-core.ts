import { type Answering, createAnswering } from './answer/answering.ts';
import { createAsk } from './ask.ts';
import { createChannelViews } from './channel-views.ts';
import { requestedSources } from './conversation/allowed-sources.ts';
import { type Conversations, createConversations } from './conversation/conversation.ts';
import { commentAsKept, feedbackHappening } from './conversation/receipts.ts';
import type { Core } from './core.ts';
import { createDeployment } from './deployment.ts';
import { AppError } from './errors.ts';
import { examineStores } from './examine.ts';
import { createIngest, type Ingest } from './ingest/ingest.ts';
import { createGaps } from './insight/gaps.ts';
import { createWhyNot } from './insight/why-not.ts';
import { createLead } from './lead.ts';
import { createMetering, type Metering } from './metering/metering.ts';
import { createDeliverer } from './notices/deliver.ts';
import { createNotices } from './notices/notices.ts';
import { createWarn } from './notices/warn.ts';
import { createWebhooks } from './notices/webhooks.ts';
import type { ChunkStore } from './ports/chunks.ts';
import type { ChatModel, Embedder } from './ports/model.ts';
import type { Platform } from './ports/platform.ts';
import type { Runtime } from './ports/runtime.ts';
import type { SourceDriver } from './ports/source.ts';
import type { StateStore } from './ports/state.ts';
import { type About, createPresence } from './presence.ts';
import type { GuardedFetch } from './security/guarded-fetch.ts';
import type { Sealer } from './security/seal.ts';
import { createChannels, effectiveRules } from './tenancy/channels.ts';
import { createConnections } from './tenancy/connections.ts';
import { createGreeting } from './tenancy/greeting.ts';
import { createHomes } from './tenancy/homes.ts';
import { createKeys } from './tenancy/keys.ts';
import { createMembers } from './tenancy/members.ts';
import { createPeople } from './tenancy/people.ts';
import { rememberChannels, rememberSources } from './tenancy/remember.ts';
import { createOwnerOf, createResolveTenant } from './tenancy/resolve-tenant.ts';
import { createTenants, requireSources, requireTenant } from './tenancy/tenants.ts';

export type CoreParts = {
  readonly state: StateStore;
  readonly chunks: ChunkStore;
  readonly chat: ChatModel | null;
  readonly embedder: Embedder | null;
  readonly sources: readonly SourceDriver[];
  readonly sealer: Sealer;
  /** For webhooks; absent: they wait. */
  readonly fetch?: GuardedFetch;
  readonly runtime: Runtime;
  /** FOOTNOTE_ADMIN_TOKEN; absent: the operator API is off. */
  readonly operatorToken?: string;
  /** Slug of the tenant that answers for workspaces without a connection of their own (single-workspace deployment). */
  readonly defaultTenant?: string;
  /** Discord servers and Teams tenants that are that tenant's, as `platform:workspaceId`. */
  readonly defaultWorkspaces?: readonly string[];
  /** Names this process in leases; unique per process. */
  readonly owner: string;
  /** What this process says of itself while it serves. */
  readonly about?: About;
};

const sweepEveryMs = 30_000;
/** How long another instance may go by a channel's rules of before. */
const channelRulesForMs = 3_000;
/** A list of sources goes with a revision; this only bounds what a crash between a change and its revision leaves. */
const sourcesForMs = 3_000;

export const createCore = (parts: CoreParts): Core => {
  const { state, chunks, chat, embedder, sources, sealer, runtime, owner } = parts;
  const notices = createNotices({ state, runtime });
  const { tell: happened } = notices;
  const deliverer = createDeliverer({ state, runtime, sealer, notices, fetch: parts.fetch });
  const metering: Metering = createMetering({ state, runtime, warn: createWarn(notices, runtime.clock) });
  const ingest: Ingest = createIngest({ state, chunks, embedder, metering, sources, runtime, happened });
  const answering: Answering = createAnswering({ state, ...ingest.forQuestions, chat, metering, runtime });
  const connections: Core['connections'] = {
    ...createConnections({ state, sealer, runtime, happened }),
    greeting: createGreeting({ state, defaultTenant: parts.defaultTenant }),
  };
  const people = createPeople({ state, runtime });
  const ownerOf = createOwnerOf({
    state,
    connections,
    runtime,
    defaultTenant: parts.defaultTenant,
    defaultWorkspaces: parts.defaultWorkspaces,
  });
  const homes = createHomes({ state, ownerOf });
  const channels = rememberChannels(state.channels, runtime.clock, channelRulesForMs);
  const conversations: Conversations = createConversations({
    state: { ...state, channels },
    answering,
    runtime,
    owner,
    happened,
    workspaces: connections,
    people,
    readFile: ingest.readFile,
    homes,
    resolveTenant: createResolveTenant({ ownerOf, homes }),
    rules: async (tenant, platform, channelId) =>
      effectiveRules(tenant, await channels.get(tenant.id, platform, channelId)),
    sources: rememberSources(state.sources, runtime.clock, sourcesForMs),
  });
  const tenants = createTenants({
    state,
    ingest,
    runtime,
    chatModels: chat === null ? [] : [chat.name, ...(chat.others ?? [])],
  });
  const presence = createPresence({ leases: state.leases, runtime, owner, about: parts.about });
  const stopping = new AbortController();
  let hearing: readonly Platform[] = [];
  let sweeping: Promise<void> = Promise.resolve();
  let living: Promise<void> = Promise.resolve();

  /** One instance of several sweeps, often enough that no hold of a dead process outlives a minute. */
  const sweep = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const now = runtime.clock.now();
        const lease = await state.leases.acquire('sweep', owner, now, sweepEveryMs);
        if (lease !== null) await state.maintenance.sweep(now);
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
    ask: createAsk({ state, answering, runtime, happened }),
    search: async (tenantId, { query, limit, sources: requested }, signal) => {
      const tenant = await requireTenant(state, tenantId);
      if (requested !== undefined) await requireSources(state, tenantId, requested);
      const sourceIds = requestedSources(await state.sources.list(tenantId), requested);
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
      ...createMembers(state, runtime.clock),
      forget: async (tenantId, memberId) => {
        await requireTenant(state, tenantId);
        await people.forget(tenantId, memberId);
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
      probe: async (tenantId, input, signal) => {
        await requireTenant(state, tenantId);
        return ingest.probe(input, AbortSignal.any([signal, stopping.signal]));
      },
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
      getMany: (tenantId, documentIds) => state.documents.getMany(tenantId, documentIds),
      list: (tenantId, filter, page) => state.documents.list(tenantId, filter, page),
      count: (tenantId, sourceId) => state.documents.count(tenantId, sourceId),
      chunks: async (tenantId, documentId, signal) => {
        const tenant = await requireTenant(state, tenantId);
        return chunks.documentChunks({ tenantId, generation: tenant.activeGeneration }, documentId, signal);
      },
    },
    reindex: {
      start: async (tenantId) => ingest.reindex(await requireTenant(state, tenantId)),
      activate: async (tenantId, generation) => ingest.activate(await requireTenant(state, tenantId), generation),
      generations: async (tenantId) => ingest.generations(await requireTenant(state, tenantId)),
      condition: async (tenantId, signal) => {
        const tenant = await requireTenant(state, tenantId);
        return ingest.condition(tenant, signal);
      },
      workHere: () => ingest.start(),
    },
    answers: {
      get: (tenantId, answerId) => state.receipts.get(tenantId, answerId),
      list: (tenantId, filter, page) => state.receipts.list(tenantId, filter, page),
      whyNot: createWhyNot({ state }),
      tally: (tenantId, range) => state.receipts.tally(tenantId, range),
      feedback: async (tenantId, answerId, { rating, comment, user }) => {
        const tenant = await requireTenant(state, tenantId);
        const feedback = {
          rating,
          at: runtime.clock.now(),
          ...(comment === undefined ? {} : { comment: commentAsKept(tenant, comment) }),
          ...(user === undefined ? {} : { user }),
        };
        if (!(await state.receipts.addFeedback(tenantId, answerId, feedback)))
          throw new AppError('not-found', 'There is no such answer.');
        runtime.metrics.count('feedback_total', { rating });
        await happened(feedbackHappening(tenant, answerId, feedback));
      },
    },
    gaps: createGaps({ state, runtime }),
    quotas: {
      get: (tenantId) => metering.limits(tenantId),
      put: async (tenantId, limits, expected) => {
        await requireTenant(state, tenantId);
        await metering.putLimits(tenantId, limits, expected);
        return metering.limits(tenantId);
      },
    },
    usage: {
      report: (tenantId, range, group) => state.ledger.usage(tenantId, range, group),
      ledger: (tenantId, range, page) => state.ledger.list(tenantId, range, page),
    },
    // Who asks for them here is told what stands; who changes them here is obeyed here at once.
    channels: {
      ...createChannels({ ...state, channels: { ...state.channels, put: channels.put } }),
      ...createChannelViews(state),
    },
    connections,
    webhooks: createWebhooks({ state, runtime, sealer, notices }),
    retentionRuns: (tenantId) => state.maintenance.retentionRuns(tenantId),
    hit: (key, limit, windowMs) => state.metering.hit(key, limit, windowMs, runtime.clock.now()),
    auditTrail: (tenantId, filter, page) => state.audit.list(tenantId, filter, page),
    audit: (tenantId, actor, action, subject) =>
      state.audit.append({
        id: `u_${runtime.random.hex(12)}`,
        tenantId,
        at: runtime.clock.now(),
        actor,
        action,
        ...(subject === undefined ? {} : { subject }),
      }),
    deployment: createDeployment({ state, chunks, ingest, presence, clock: runtime.clock }),
    lead: createLead({ leases: state.leases, runtime, owner }),
    examine: (signal) => examineStores({ state, chunks, embedder }, signal),
    problems: async (signal) => {
      if (stopping.signal.aborted) return ['This instance is draining.'];
      const checks = await Promise.allSettled([state.maintenance.check(), chunks.check(signal)]);
      return checks.flatMap((check) =>
        check.status === 'rejected'
          ? [check.reason instanceof AppError ? check.reason.message : 'A store did not answer its check.']
          : [],
      );
    },
    modes: {
      chatModel: chat?.name ?? null,
      embeddingModel: embedder?.name ?? null,
      ...(chat?.others === undefined ? {} : { chatModels: [chat.name, ...chat.others] }),
    },
    start: async (platforms) => {
      ingest.start();
      conversations.start(platforms);
      deliverer.start(platforms);
      sweeping = sweep();
      living = presence.live(stopping.signal);
      hearing = platforms;
      await Promise.all(platforms.map((platform) => platform.start(conversations.receive)));
      runtime.metrics.set('up', 1);
    },
    drain: async (forMs) => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      runtime.metrics.set('up', 0);
      await Promise.allSettled([
        conversations.stop(forMs),
        ingest.stop(forMs),
        deliverer.stop(forMs),
        sweeping,
        living,
      ]);
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
