import type { AskHooks, AskInput, Core, DocumentInput, EffectiveRules, TenantFigures } from '../../core/core.ts';
import type {
  ApiKey,
  ChannelRules,
  Connection,
  Document,
  Job,
  KeyScope,
  Membership,
  Notice,
  Passage,
  PlatformName,
  QuotaLimit,
  Receipt,
  Source,
  Tenant,
  UsageRow,
  Webhook,
} from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { documentIdOf, hashOf } from '../../core/ids.ts';
import type { Page, Paged } from '../../core/ports/state.ts';
import { problemOfSlug } from '../../core/text/slug.ts';
import { testStart } from './clock.ts';

/** A Core in memory: keeps tenants apart, finds a passage by a shared word, and can be told what an answer says. */
export type FakeCore = Core & {
  readonly audited: { tenantId: string | null; actor: string; action: string; subject: string | undefined }[];
  readonly rows: UsageRow[];
  readonly memberships: Membership[];
  /** How the next answers come out; the default answers from the documents. */
  script: (input: AskInput, receipt: Receipt, hooks: AskHooks) => Promise<Receipt> | Receipt;
  failing: string[];
  /** Requests that `hit` still allows per key. */
  allowed: number;
};

export const operatorToken = 'operator-token-of-the-tests';

export const createFakeCore = (): FakeCore => {
  const tenants = new Map<string, Tenant>();
  const gone = new Set<string>();
  const keys = new Map<string, ApiKey & { secret: string }>();
  const sources = new Map<string, Source>();
  const documents = new Map<string, Document & { text: string }>();
  const jobs = new Map<string, Job>();
  const receipts = new Map<string, Receipt>();
  const conversations = new Map<string, string>();
  const connections = new Map<string, Connection>();
  const channels = new Map<string, ChannelRules>();
  const quotas = new Map<string, readonly QuotaLimit[]>();
  const webhooks = new Map<string, Webhook>();
  const hits = new Map<string, number>();
  const memberships: Membership[] = [];
  let serial = 0;
  const next = (prefix: string): string => `${prefix}_${hashOf(prefix, String(++serial)).slice(0, 24)}`;
  const own = <T extends { readonly tenantId: string }>(
    map: ReadonlyMap<string, T>,
    tenantId: string,
    id: string,
  ): T | null => {
    const value = map.get(id);
    return value?.tenantId === tenantId ? value : null;
  };
  const of = <T extends { readonly tenantId: string }>(map: ReadonlyMap<string, T>, tenantId: string): T[] =>
    [...map.values()].filter((value) => value.tenantId === tenantId);
  const needMember = (tenantId: string, userId: string) =>
    need(memberships.find((membership) => membership.tenantId === tenantId && membership.userId === userId) ?? null);
  const need = <T>(value: T | null): T => {
    if (value === null) throw new AppError('not-found', 'There is nothing by this name.');
    return value;
  };

  const putDocument = (
    tenantId: string,
    sourceId: string,
    input: DocumentInput,
  ): 'created' | 'updated' | 'unchanged' => {
    const text = typeof input.content === 'string' ? input.content : new TextDecoder().decode(input.content);
    if (text.includes('UNREADABLE')) throw new AppError('unreadable-document', 'The document cannot be read.');
    const id = documentIdOf(sourceId, input.externalId);
    const before = documents.get(id);
    documents.set(id, {
      id,
      tenantId,
      sourceId,
      externalId: input.externalId,
      title: input.title ?? input.externalId,
      mediaType: input.mediaType ?? 'text/markdown',
      contentHash: hashOf(text),
      fingerprint: 'f',
      bytes: text.length,
      chunkCount: 1,
      updatedAt: testStart,
      text,
      ...(input.url === undefined ? {} : { url: input.url }),
      ...(input.metadata === undefined ? {} : { metadata: input.metadata }),
    });
    return before === undefined ? 'created' : before.text === text ? 'unchanged' : 'updated';
  };

  const passagesFor = (tenantId: string, query: string, sourceIds: readonly string[] | undefined): Passage[] => {
    const words = query
      .toLowerCase()
      .split(/\W+/)
      .filter((word) => word.length > 3);
    return of(documents, tenantId)
      .filter((document) => sourceIds === undefined || sourceIds.includes(document.sourceId))
      .map((document) => ({
        document,
        score: words.filter((word) => document.text.toLowerCase().includes(word)).length / (words.length || 1),
      }))
      .filter(({ score }) => score > 0)
      .sort((a, b) => b.score - a.score)
      .map(({ document, score }) => ({
        documentId: document.id,
        externalId: document.externalId,
        chunkId: `c_${document.id.slice(2, 14)}`,
        sourceId: document.sourceId,
        title: document.title,
        headingPath: ['Handbook', document.title],
        text: document.text,
        score,
        ...(document.url === undefined ? {} : { url: document.url }),
      }));
  };

  /** Ids that come inside a body are checked by the door, and not by those who knock. */
  const requireSources = (tenantId: string, ids: readonly string[] = []): void => {
    const own = of(sources, tenantId).map(({ id }) => id);
    if (!ids.every((id) => own.includes(id))) throw new AppError('not-found', 'One of the sources does not exist.');
  };

  const compose = (tenantId: string, input: AskInput): Receipt => {
    const retrieved = passagesFor(tenantId, input.question, input.sources);
    const used = retrieved.slice(0, 2);
    const isFound = used.length > 0;
    const answerId = next('a');
    return {
      answerId,
      tenantId,
      conversationId: input.conversationId ?? next('v'),
      question: input.question,
      at: testStart,
      platform: input.platform,
      answer: isFound
        ? used.map((passage, index) => `${passage.text.split('\n')[0]} [${index + 1}]`).join('\n\n')
        : 'This is not in your documents.',
      kind: isFound ? 'answered' : 'not-found',
      reasonCode: isFound ? 'answered' : 'not-found',
      citations: used.map(({ documentId, externalId, chunkId, title, url, text }, index) => ({
        n: index + 1,
        documentId,
        externalId,
        chunkId,
        title,
        quote: text.split('\n')[0] ?? '',
        ...(url === undefined ? {} : { url }),
      })),
      retrieved: isFound ? retrieved : [],
      usage: isFound
        ? {
            promptTokens: 1284,
            completionTokens: 96,
            embeddingTokens: 12,
            cost: { amount: '0.000412', currency: 'USD' },
          }
        : { promptTokens: 0, completionTokens: 0, embeddingTokens: 0, cost: { amount: '0', currency: 'USD' } },
      timingsMs: isFound
        ? { search_text: 2.4, embed_query: 38.2, search_vector: 11.8, compose: 812.5, check: 0.7, total: 866.2 }
        : { search_text: 1.8, total: 2.2 },
      inPrompt: retrieved.slice(0, 3).map(({ chunkId }) => chunkId),
      model: 'test-model-large',
      promptVersion: 'answer-1',
      generation: 1,
      contentRevision: 7,
      cached: false,
      quotaBuckets: ['tenant:*:tokens:2026-11'],
      traceId: input.traceId,
      feedback: [],
      ...(input.user === undefined ? {} : { memberId: `${input.platform}:${input.user}` }),
    };
  };

  const quotaStates = (tenantId: string) =>
    (quotas.get(tenantId) ?? []).map((limit) => ({ ...limit, used: 0, resetsAt: Date.UTC(2026, 11, 1) }));
  const effective = (tenantId: string, platform: string, channelId: string): EffectiveRules => {
    const rules = channels.get(`${tenantId}|${platform}|${channelId}`) ?? {};
    const names = [
      ...(['enabled', 'answerWhen', 'sources', 'instructions', 'language', 'replies', 'whoMayAsk'] as const),
      ...(['audience', 'guests', 'bots', 'humans'] as const),
    ];
    return Object.fromEntries(
      names.map((name) => [name, { value: rules[name], origin: rules[name] === undefined ? 'default' : 'channel' }]),
    ) as EffectiveRules;
  };

  const figuresOf = (tenantId: string): TenantFigures => {
    const held = of(documents, tenantId);
    return {
      tenantId,
      documents: held.length,
      chunks: held.length,
      bytes: held.reduce((sum, { bytes }) => sum + bytes, 0),
      questions: of(receipts, tenantId).length,
      costs: [{ currency: 'USD', nanos: 412_000 }],
      costUnknown: false,
    };
  };

  const core: FakeCore = {
    audited: [],
    rows: [],
    memberships,
    failing: [],
    allowed: Number.POSITIVE_INFINITY,
    script: async (_input, receipt, hooks) => {
      hooks.status?.('Searching 3 documents');
      for (const part of receipt.answer.split(/(?<=\s)/)) hooks.delta?.(part);
      return receipt;
    },
    receive: async () => ({ outcome: 'stored' }),
    async ask(tenantId, input, hooks) {
      requireSources(tenantId, input.sources);
      if (input.conversationId !== undefined && conversations.get(input.conversationId) !== tenantId)
        throw new AppError('not-found', 'There is no such conversation.');
      const receipt = await core.script(input, compose(tenantId, input), hooks);
      receipts.set(receipt.answerId, receipt);
      conversations.set(receipt.conversationId, tenantId);
      return receipt;
    },
    async search(tenantId, { query, limit, sources: ids }) {
      requireSources(tenantId, ids);
      return {
        passages: passagesFor(tenantId, query, ids).slice(0, limit),
        timingsMs: { search_text: 1.25, total: 1.5 },
      };
    },
    async summarize(tenantId, input) {
      requireSources(tenantId, input.sources);
      for (const id of input.documents ?? []) need(await core.documents.get(tenantId, id));
      return {
        summary: 'All of it, in short. [1]',
        citations: [],
        usage: { promptTokens: 10, completionTokens: 5, embeddingTokens: 0 },
      };
    },
    tenants: {
      async create({ slug, name }) {
        const problem = problemOfSlug(slug);
        if (problem !== null) throw new AppError('invalid', problem, { at: 'slug' });
        if (gone.has(slug) || [...tenants.values()].some((tenant) => tenant.slug === slug))
          throw new AppError('conflict', 'This slug is taken.');
        const tenant: Tenant = {
          id: next('t'),
          slug,
          name,
          createdAt: testStart,
          settings: {},
          activeGeneration: 1,
          contentRevision: 1,
          rev: 1,
        };
        tenants.set(tenant.id, tenant);
        return tenant;
      },
      get: async (tenantId) => tenants.get(tenantId) ?? null,
      bySlug: async (slug) => [...tenants.values()].find((tenant) => tenant.slug === slug) ?? null,
      list: async (page) => paged([...tenants.values()], page),
      async update(tenantId, patch) {
        const current = need(tenants.get(tenantId) ?? null);
        requireSources(tenantId, patch.settings?.channels?.sources);
        const settings = Object.entries({ ...current.settings, ...patch.settings }).filter(
          ([, value]) => value !== null,
        );
        const tenant: Tenant = {
          ...current,
          name: patch.name ?? current.name,
          settings: Object.fromEntries(settings),
          rev: current.rev + 1,
        };
        tenants.set(tenantId, tenant);
        return tenant;
      },
      async remove(tenantId) {
        gone.add(tenants.get(tenantId)?.slug ?? '');
        tenants.delete(tenantId);
        for (const key of of(keys, tenantId)) keys.delete(key.id);
      },
    },
    keys: {
      async create(tenantId, input) {
        const id = next('k');
        const secret = `fn_${hashOf('secret', id)}`;
        keys.set(id, { id, tenantId, ...input, createdAt: testStart, secret });
        return { id, key: secret };
      },
      list: async (tenantId) => of(keys, tenantId),
      revoke: async (tenantId, keyId) => void (own(keys, tenantId, keyId) && keys.delete(keyId)),
      authenticate: async (bearer) => [...keys.values()].find(({ secret }) => secret === bearer) ?? null,
      isOperator: (bearer) => bearer === operatorToken,
    },
    // In the fake, who belongs to a tenant stays in it: the suites visit every route several times.
    members: {
      ofUser: async (userId) => memberships.filter((membership) => membership.userId === userId),
      ofTenant: async (tenantId) => memberships.filter((membership) => membership.tenantId === tenantId),
      put: async (userId, tenantId, role) => void memberships.push({ userId, tenantId, role, createdAt: testStart }),
      change: async (tenantId, userId) => void needMember(tenantId, userId),
      remove: async (tenantId, userId) => void needMember(tenantId, userId),
      operators: async () => memberships.filter(({ role }) => role === 'operator').length,
      removeOperator: async (userId) => {
        need(memberships.find((membership) => membership.userId === userId && membership.role === 'operator') ?? null);
      },
      forget: async () => undefined,
    },
    sources: {
      async create(tenantId, { schedule, ...input }) {
        if (!core.sources.kinds.some(({ kind }) => kind === input.kind))
          throw new AppError('invalid', 'There is no such kind of source.', { at: 'kind' });
        const source: Source = {
          id: next('s'),
          tenantId,
          ...input,
          ...(schedule == null ? {} : { schedule }),
          createdAt: testStart,
          rev: 1,
        };
        sources.set(source.id, source);
        return source;
      },
      get: async (tenantId, id) => own(sources, tenantId, id),
      list: async (tenantId) => of(sources, tenantId),
      async update(tenantId, id, { schedule, ...patch }) {
        const source: Source = {
          ...need(own(sources, tenantId, id)),
          ...patch,
          ...(schedule == null ? {} : { schedule }),
        };
        sources.set(id, source);
        return source;
      },
      remove: async (tenantId, id) => void (own(sources, tenantId, id) && sources.delete(id)),
      async sync(tenantId, id) {
        const source = need(own(sources, tenantId, id));
        if (source.kind === 'push' || source.kind === 'upload')
          throw new AppError('invalid', 'There is nothing to sync in a source of this kind.');
        const job: Job = {
          id: next('j'),
          tenantId,
          kind: 'sync',
          sourceId: id,
          state: 'queued',
          counts: noCounts,
          errors: [],
          createdAt: testStart,
          attempts: 0,
        };
        jobs.set(job.id, job);
        return job;
      },
      probe: async () => ({ examples: ['guide.md'], problems: [], complete: true }),
      kinds: [
        { kind: 'push', label: 'Push', syncs: false, fields: [] },
        { kind: 'upload', label: 'Upload', syncs: false, fields: [] },
        {
          kind: 'folder',
          label: 'Folder',
          syncs: true,
          fields: [{ name: 'path', label: 'Path', kind: 'text', required: true }],
        },
      ],
    },
    jobs: {
      get: async (tenantId, id) => own(jobs, tenantId, id),
      list: async (tenantId, _filter, page) => paged(of(jobs, tenantId), page),
      async *watch(tenantId, id) {
        const job = need(own(jobs, tenantId, id));
        yield job;
        yield { ...job, state: 'running', counts: { ...noCounts, seen: 2 } };
        yield { ...job, state: 'done', counts: { ...noCounts, seen: 2, upserted: 2 } };
      },
    },
    documents: {
      async put(tenantId, sourceId, input) {
        need(own(sources, tenantId, sourceId));
        const outcome = putDocument(tenantId, sourceId, input);
        return { outcome, document: need(documents.get(documentIdOf(sourceId, input.externalId)) ?? null) };
      },
      async putBatch(tenantId, sourceId, inputs) {
        const failed: { id: string; problem: string }[] = [];
        let unchanged = 0;
        for (const input of inputs) {
          try {
            if (putDocument(tenantId, sourceId, input) === 'unchanged') unchanged++;
          } catch (error) {
            failed.push({ id: input.externalId, problem: (error as Error).message });
          }
        }
        return { upserted: inputs.length - failed.length - unchanged, unchanged, failed };
      },
      remove: async (tenantId, sourceId, externalId) =>
        own(documents, tenantId, documentIdOf(sourceId, externalId)) !== null &&
        documents.delete(documentIdOf(sourceId, externalId)),
      get: async (tenantId, id) => own(documents, tenantId, id),
      getMany: async (tenantId, ids) => ids.flatMap((id) => own(documents, tenantId, id) ?? []),
      list: async (tenantId, { sourceId }, page) =>
        paged(
          of(documents, tenantId).filter((document) => sourceId === undefined || document.sourceId === sourceId),
          page,
        ),
      count: async (tenantId, sourceId) =>
        of(documents, tenantId).filter((document) => sourceId === undefined || document.sourceId === sourceId).length,
      chunks: async () => [],
    },
    reindex: {
      async start(tenantId) {
        const tenant = need(tenants.get(tenantId) ?? null);
        const job: Job = {
          id: next('j'),
          tenantId: tenant.id,
          kind: 'reindex',
          state: 'queued',
          counts: noCounts,
          errors: [],
          createdAt: testStart,
          attempts: 0,
        };
        jobs.set(job.id, job);
        return job;
      },
      async activate(tenantId, generation) {
        if (generation !== 1) throw new AppError('not-found', 'There is no such generation to go back to.');
        return core.reindex.start(tenantId);
      },
      generations: async () => [
        {
          number: 2,
          state: 'live',
          profile: { analyser: 'a1', chunker: 'c1', embeddingModel: null },
          createdAt: testStart,
          fits: true,
          held: false,
        },
      ],
      condition: async () => 'whole' as const,
      workHere: () => undefined,
    },
    answers: {
      get: async (tenantId, id) => own(receipts, tenantId, id),
      list: async (tenantId, { outcome, q }, page) =>
        paged(
          of(receipts, tenantId)
            .reverse()
            .filter(
              (receipt) =>
                (outcome === undefined || receipt.kind === outcome) &&
                (q === undefined || receipt.question.includes(q)),
            ),
          page,
        ),
      whyNot: async () => [],
      async tally(tenantId) {
        const all = of(receipts, tenantId);
        const outcomes = (['answered', 'not-found', 'refused'] as const).flatMap((kind) => {
          const count = all.filter((receipt) => receipt.kind === kind).length;
          return count === 0 ? [] : [{ kind, reason: kind === 'refused' ? ('quota' as const) : kind, count }];
        });
        return all.length === 0 ? { outcomes } : { outcomes, p50Ms: 800, p95Ms: 1200 };
      },
      async feedback(tenantId, id, input) {
        const receipt = need(own(receipts, tenantId, id));
        receipts.set(id, { ...receipt, feedback: [...receipt.feedback, { ...input, at: testStart }] });
      },
    },
    gaps: {
      list: async (tenantId) => ({
        groups: of(receipts, tenantId).map(({ answerId, question, at }) => ({
          id: answerId,
          question,
          asked: [{ answerId, question, at, why: 'not-found' as const }],
          askers: 1,
          lastAt: at,
        })),
        complete: true,
      }),
      count: async (tenantId) => ({ count: of(receipts, tenantId).length, complete: true }),
      mark: async (tenantId, id) => own(receipts, tenantId, id) !== null,
    },
    quotas: {
      get: async (tenantId) => quotaStates(tenantId),
      async put(tenantId, limits) {
        quotas.set(tenantId, limits);
        return quotaStates(tenantId);
      },
    },
    usage: { report: async () => core.rows, ledger: async () => ({ items: [] }) },
    channels: {
      rules: async (tenantId, platform, channelId) => effective(tenantId, platform, channelId),
      async put(tenantId, platform, channelId, rules, expected) {
        requireSources(tenantId, rules.sources);
        const stands = channels.get(`${tenantId}|${platform}|${channelId}`) ?? {};
        if (expected !== undefined && JSON.stringify(stands) !== JSON.stringify(expected))
          throw new AppError('conflict', 'Somebody else changed the rules meanwhile.');
        channels.set(`${tenantId}|${platform}|${channelId}`, rules);
        return effective(tenantId, platform, channelId);
      },
      list: async (tenantId) =>
        [...channels.keys()].flatMap((key) => {
          const [owner, platform, channelId] = key.split('|') as [string, PlatformName, string];
          return owner === tenantId ? [{ platform, channelId, rules: effective(tenantId, platform, channelId) }] : [];
        }),
      inherited: async () => effective('', 'slack', ''),
      preview: async () => ({ readers: 'members', sources: [] }),
    },
    connections: {
      async create(tenantId, { platform, workspaceId, credentials }) {
        if (
          [...connections.values()].some(
            (connection) => connection.platform === platform && connection.workspaceId === workspaceId,
          )
        )
          throw new AppError('conflict', 'This workspace is connected already.');
        const connection: Connection = {
          id: next('w'),
          tenantId,
          platform,
          workspaceId,
          createdAt: testStart,
          ...(credentials === undefined ? {} : { sealedCredentials: 'sealed:SECRET' }),
        };
        connections.set(connection.id, connection);
        return connection;
      },
      async claim(tenantId, { platform, code }) {
        if (code !== 'GOOD-CODE') throw new AppError('not-found', 'This code is unknown or has expired.');
        return core.connections.create(tenantId, { platform, workspaceId: 'T-CLAIMED' });
      },
      list: async (tenantId) => of(connections, tenantId),
      get: async (tenantId, id) => own(connections, tenantId, id),
      remove: async (tenantId, id) => void (own(connections, tenantId, id) && connections.delete(id)),
      byId: async (id) => connections.get(id) ?? null,
      byWorkspace: async (platform, workspaceId) =>
        [...connections.values()].find(
          (connection) => connection.platform === platform && connection.workspaceId === workspaceId,
        ) ?? null,
      credentials: async () => null,
      heard: async () => undefined,
      pending: async () => null,
      install: async () => null,
      uninstall: async () => undefined,
      offerCode: async () => ({ code: 'GOOD-CODE', expiresAt: testStart + 900_000 }),
      failed: async () => undefined,
    },
    // In the fake a webhook stays: the suites visit every route several times.
    webhooks: {
      list: async (tenantId) => of(webhooks, tenantId),
      get: async (tenantId, id) => own(webhooks, tenantId, id),
      async create(tenantId, input) {
        const webhook: Webhook = {
          id: next('wh'),
          tenantId,
          ...input,
          sealedSecret: 'sealed:SECRET',
          createdAt: testStart,
          rev: 1,
        };
        webhooks.set(webhook.id, webhook);
        return { webhook, secret: 'whsec_c2VjcmV0' };
      },
      update: async (tenantId, id) => need(own(webhooks, tenantId, id)),
      pause: async (tenantId, id) => need(own(webhooks, tenantId, id)),
      resume: async (tenantId, id) => need(own(webhooks, tenantId, id)),
      newSecret: async (tenantId, id) => `whsec_${need(own(webhooks, tenantId, id)).id}`,
      remove: async (tenantId, id) => void need(own(webhooks, tenantId, id)),
      test: async (tenantId, id) => noticeOf(need(own(webhooks, tenantId, id))),
      deliveries: async (tenantId, id) => ({ items: [noticeOf(need(own(webhooks, tenantId, id)))] }),
      delivery: async () => null,
    },
    retentionRuns: async () => [{ day: '2026-11-21', at: testStart, receipts: 3, turns: 6 }],
    async hit(key, limit) {
      const count = (hits.get(key) ?? 0) + 1;
      hits.set(key, count);
      return { ok: count <= Math.min(limit, core.allowed), resetsAt: testStart + 30_000 };
    },
    auditTrail: async (tenantId) => ({
      items: core.audited
        .filter((entry) => entry.tenantId === tenantId)
        .map(({ subject, ...entry }, index) => ({
          ...entry,
          id: `u_${index}`,
          at: testStart,
          ...(subject === undefined ? {} : { subject }),
        })),
    }),
    audit: async (tenantId, actor, action, subject) => void core.audited.push({ tenantId, actor, action, subject }),
    problems: async () => core.failing,
    modes: { chatModel: 'test-model-large', embeddingModel: null },
    start: async () => undefined,
    drain: async () => undefined,
    close: async () => undefined,
    deployment: {
      async tenants({ q }, page) {
        const { items, nextCursor } = paged(
          [...tenants.values()].filter(({ slug, name }) => q === undefined || `${slug} ${name}`.includes(q)),
          page,
        );
        return {
          items: items.map((tenant) => ({ tenant, figures: figuresOf(tenant.id) })),
          ...(nextCursor === undefined ? {} : { nextCursor }),
        };
      },
      figures: async (tenantId) => figuresOf(tenantId),
      index: async (tenantId) =>
        (await core.reindex.generations(tenantId)).map((generation) => ({
          ...generation,
          size: { documents: 1, chunks: 1, bytes: 2048 },
        })),
      jobs: async ({ state }, page) =>
        paged(
          [...jobs.values()].filter((job) => state === undefined || job.state === state),
          page,
        ),
      queues: async () => ({
        inbox: { ready: 0, oldestMs: 0 },
        jobs: { queued: jobs.size, running: 0, failed: 0, oldestMs: 1000 },
      }),
      async retry(tenantId, jobId) {
        const job = need(own(jobs, tenantId, jobId));
        if (job.state !== 'failed') throw new AppError('conflict', 'Only a job that has failed can be tried again.');
        return job;
      },
      // Nothing is cancelled for good: the suites visit every route several times.
      cancel: async (tenantId, jobId) => void need(own(jobs, tenantId, jobId)),
      instances: async () => [
        {
          id: 'host:1:ab',
          version: '1.0.0',
          node: 'v24.0.0',
          host: 'host',
          pid: 1,
          startedAt: testStart,
          seenAt: testStart,
          isAlive: true,
          isThis: true,
          leads: ['sweep'],
        },
      ],
    },
    lead: async (_name, run, signal) => run({ held: signal, note: null, keep: async () => !signal.aborted }),
    examine: async () => [],
    backup: async () => undefined,
  };
  return core;
};

const noCounts = { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 };

const noticeOf = ({ id, tenantId }: Webhook): Notice => ({
  id: 'msg_1',
  tenantId,
  receiver: id,
  event: 'webhook.test',
  state: 'delivered',
  attempts: 1,
  createdAt: testStart,
  nextAt: testStart,
  lastAt: testStart,
  status: 204,
  tookMs: 12,
});

const paged = <T>(all: readonly T[], page: Page): Paged<T> => {
  const start = page.cursor === undefined ? 0 : Math.max(0, Math.trunc(Number(page.cursor)) || 0);
  const end = start + page.limit;
  return { items: all.slice(start, end), ...(end < all.length ? { nextCursor: String(end) } : {}) };
};

/** A tenant with a source, a document, an answer, a job, a connection and keys of each scope. */
export const furnish = async (core: Core, slug: string, folderPath = '/srv/docs') => {
  const tenant = await core.tenants.create({ slug, name: slug === 'demo' ? 'Demo' : `Tenant ${slug}` });
  const key = async (scopes: readonly KeyScope[]) =>
    (await core.keys.create(tenant.id, { name: scopes.join('+'), scopes })).key;
  const push = await core.sources.create(tenant.id, { kind: 'push', name: 'Handbook', settings: {} });
  const upload = await core.sources.create(tenant.id, { kind: 'upload', name: 'Files', settings: {} });
  const folder = await core.sources.create(tenant.id, {
    kind: 'folder',
    name: 'Folder',
    settings: { path: folderPath },
  });
  const signal = new AbortController().signal;
  const { document } = await core.documents.put(
    tenant.id,
    push.id,
    {
      externalId: 'travel.md',
      title: 'Travel policy',
      content: `Rail journeys under four hours go by train, second class, booked through the ${slug} travel desk.\nAbove four hours a flight may be booked.`,
      url: 'https://handbook.example/travel',
    },
    signal,
  );
  const job = await core.sources.sync(tenant.id, folder.id);
  const receipt = await core.ask(
    tenant.id,
    { question: 'Which class do we book for train journeys?', platform: 'api', traceId: 'trace-1' },
    { signal },
  );
  const connection = await core.connections.create(tenant.id, {
    platform: 'slack',
    workspaceId: `T-${slug}`,
    credentials: { botToken: 'xoxb-secret' },
  });
  const userId = `u_${slug}`;
  await core.members.put(userId, tenant.id, 'viewer');
  const { webhook } = await core.webhooks.create(tenant.id, {
    name: 'Tickets',
    url: 'https://hooks.example/footnote',
    events: ['question.not_found'],
    text: false,
  });
  const keyId = (await core.keys.create(tenant.id, { name: 'spare', scopes: ['ask'] })).id;
  return {
    tenant,
    push,
    upload,
    folder,
    document,
    job,
    receipt,
    connection,
    webhook,
    keyId,
    userId,
    keys: {
      ask: await key(['ask']),
      ingest: await key(['ingest']),
      billing: await key(['billing']),
      admin: await key(['admin']),
    },
  };
};
export type Furnished = Awaited<ReturnType<typeof furnish>>;
