import { z } from '@hono/zod-openapi';
import { webhookEvents } from '../../core/ports/notices.ts';
import { maskedKinds } from '../../core/text/mask.ts';
import { longestMessage } from '../../core/text/messages.ts';
import { slugSentence } from '../../core/text/slug.ts';

/** What goes in and out of the API. Unknown fields of a request are ignored, never applied. */

const id = z.string().min(1).max(1024);
const some = (what: z.ZodString) => z.array(what).max(100);
const name = z.string().trim().min(1).max(200);
const time = z.iso.datetime().openapi({ description: 'ISO 8601, UTC' });
const webUrl = z.url({ protocol: /^https?$/, message: 'must be an http or https address' }).max(4096);
export const money = z
  .object({ amount: z.string().openapi({ example: '0.0125' }), currency: z.string().openapi({ example: 'USD' }) })
  .openapi('Money');
const cursor = z.string().min(1).max(2048).optional();
const limit = z.coerce.number().int().min(1).max(200).default(50);
const nextCursor = z.string().nullable().openapi({ description: 'null on the last page' });

/** The rule itself is the core's, which every door shares; here only what the OpenAPI document says of it. */
export const slug = z.string().openapi({ description: slugSentence, example: 'acme-europe' });

// ── paths and queries ───────────────────────────────────────────────────────────────────────────────────────────────

/** Any text may stand in a path; what is not ours is "not found", not "does not fit". */
export const tenantPath = z.object({ slug: z.string() });
export const keyPath = tenantPath.extend({ key: id });
export const sourcePath = tenantPath.extend({ source: id });
export const documentPath = tenantPath.extend({ document: id });
export const sourceDocumentPath = sourcePath.extend({ id });
export const jobPath = tenantPath.extend({ job: id });
export const generationPath = tenantPath.extend({ generation: z.coerce.number().int().min(0).max(1e9) });
export const answerPath = tenantPath.extend({ answer: id });
export const connectionPath = tenantPath.extend({ connection: id });
export const webhookPath = tenantPath.extend({ webhook: id });
export const channelPath = tenantPath.extend({
  platform: z.enum(['slack', 'discord', 'teams', 'api', 'console']),
  channel: id,
});
export const memberPath = tenantPath.extend({ member: id });
export const pageQuery = z.object({ cursor, limit });
export const documentsQuery = pageQuery.extend({ source: id.optional() });
export const answersQuery = pageQuery.extend({
  outcome: z.string().max(64).optional(),
  q: z.string().max(1000).optional(),
});

const day = z.union([z.iso.date(), z.iso.datetime({ offset: true })]);
export const usageQuery = z.object({
  from: day.optional().openapi({ description: 'First moment; default: the first of this month, UTC' }),
  to: day.optional().openapi({ description: 'First moment that no longer counts; default: now' }),
  group: z.enum(['day', 'member', 'channel', 'platform', 'model', 'source']).default('day'),
  format: z.enum(['json', 'csv']).default('json'),
});
export const ledgerQuery = usageQuery.omit({ group: true });

// ── tenants and keys ────────────────────────────────────────────────────────────────────────────────────────────────

const price = z.object({
  model: name,
  currency: z.string().regex(/^[A-Z]{3}$/),
  inputPerMillion: z.string().regex(/^\d{1,9}(\.\d{1,9})?$/),
  outputPerMillion: z.string().regex(/^\d{1,9}(\.\d{1,9})?$/),
  from: z.iso.date(),
  origin: z.literal('tenant').default('tenant'),
});
const people = z.array(z.string().min(1).max(200)).max(1000);
/** The rules of a channel; for a tenant, what its channels inherit. */
export const rulesInput = z.object({
  enabled: z.boolean().optional(),
  answerWhen: z.enum(['mention', 'question', 'every']).optional(),
  sources: some(id).optional(),
  instructions: z.string().max(4000).optional(),
  language: z.string().max(35).optional(),
  replies: z.enum(['public', 'private']).optional(),
  whoMayAsk: people.optional(),
  audience: z.enum(['everybody', 'members']).optional().openapi({
    description: 'Who can read the channel; where everybody can, public answers use only sources meant for everybody',
  }),
  guests: z.enum(['refuse', 'limit']).optional().openapi({
    description: 'Guests and outsiders: not answered, or answered from sources meant for everybody',
  }),
  bots: people.optional().openapi({ description: 'Bot users that may ask' }),
  humans: people.optional().openapi({
    description: 'Whom “I need a human” calls: user ids, or one channel as `#id`',
  }),
});

const tenantSettings = z.object({
  instructions: z.string().max(4000).optional(),
  language: z.string().max(35).optional(),
  keepText: z.boolean().optional(),
  retentionDays: z.int().min(1).max(36_500).optional(),
  prices: z.array(price).max(200).optional(),
  channels: rulesInput.optional().openapi({ description: 'What every channel inherits unless it says otherwise' }),
  messages: z
    .record(z.string().regex(/^[a-z]{2,3}$/), z.record(z.string().max(40), z.string().max(longestMessage)))
    .nullish()
    .openapi({ description: 'The bot’s own sentences, by language and name; null: all in our words again' }),
  chatModel: z.string().max(200).nullish().openapi({ description: 'One of CHAT_MODELS; null: the deployment’s own' }),
  retrieval: z
    .object({
      passages: z.int().min(3).max(20).optional(),
      floor: z.enum(['open', 'balanced', 'strict']).optional(),
      meaning: z.number().min(0.1).max(0.9).optional(),
    })
    .nullish(),
  masking: z
    .object({ kinds: z.array(z.enum(maskedKinds)).max(10), beforeModel: z.boolean().optional() })
    .nullish()
    .openapi({ description: 'Personal data that is masked in what is kept, and before the model if so chosen' }),
  quotaWarnings: z
    .object({
      at: z.array(z.int().min(1).max(100)).min(1).max(5),
      to: z
        .array(
          z.object({
            platform: z.enum(['slack', 'discord', 'teams']),
            workspaceId: z.string().min(1).max(200),
            channelId: z.string().min(1).max(200).optional(),
            userId: z.string().min(1).max(200).optional(),
          }),
        )
        .max(20),
    })
    .nullish()
    .openapi({ description: 'Percentages of a limit, and who is told by a chat message when they are reached' }),
});
export const tenantInput = z.object({ slug, name });
export const tenantPatch = z.object({ name: name.optional(), settings: tenantSettings.optional() });
export const tenant = z
  .object({ id: z.string(), slug: z.string(), name: z.string(), createdAt: time, settings: z.looseObject({}) })
  .openapi('Tenant');
export const tenants = z.object({ tenants: z.array(tenant), nextCursor });

const scope = z.enum(['ask', 'ingest', 'billing', 'admin']);
export const keyInput = z.object({ name, scopes: z.array(scope).min(1).max(4) });
export const newKey = z.object({ id: z.string(), key: z.string().openapi({ description: 'Shown this once.' }) });
export const keys = z.object({
  keys: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      scopes: z.array(scope),
      createdAt: time,
      lastUsedAt: time.optional(),
    }),
  ),
  nextCursor,
});

// ── sources, jobs, documents ────────────────────────────────────────────────────────────────────────────────────────

const settings = z.record(z.string().max(100), z.unknown());
const audience = z.enum(['everybody', 'members', 'named']).openapi({
  description:
    'Who may be shown its words: guests and outsiders too; people of the organisation (default); only channels whose rules name it',
});
export const sourceInput = z.object({
  kind: z.string().min(1).max(50),
  name,
  settings: settings.default({}),
  schedule: z.string().min(1).max(100).nullish(),
  audience: audience.optional(),
});
export const sourcePatch = z.object({
  name: name.optional(),
  settings: settings.optional(),
  schedule: z.string().min(1).max(100).nullish(),
  audience: audience.optional(),
});
export const source = z
  .object({
    id: z.string(),
    kind: z.string(),
    name: z.string(),
    settings: z.looseObject({}),
    schedule: z.string().nullable(),
    audience: z.string(),
    createdAt: time,
    lastSyncedAt: time.nullable(),
    nextRunAt: time.nullable(),
  })
  .openapi('Source');
export const sources = z.object({ sources: z.array(source), nextCursor });
const counts = z.object({ seen: z.int(), upserted: z.int(), unchanged: z.int(), removed: z.int(), failed: z.int() });
export const job = z
  .object({
    id: z.string(),
    kind: z.string(),
    sourceId: z.string().optional(),
    state: z.enum(['queued', 'running', 'done', 'failed']),
    counts,
    errors: z.array(z.object({ documentId: z.string().optional(), problem: z.string() })),
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    attempts: z.int(),
  })
  .openapi('Job');
export const jobStarted = z.object({ job: z.object({ id: z.string() }) });
export const jobs = z.object({ jobs: z.array(job), nextCursor });
const generation = z
  .object({
    number: z.int(),
    state: z.enum(['live', 'building', 'previous']),
    analyser: z.string(),
    chunker: z.string(),
    embeddingModel: z.string().nullable(),
    createdAt: z.string(),
    fits: z.boolean(),
    held: z.boolean(),
    jobId: z.string().nullable(),
    goneAt: z.string().nullable(),
  })
  .openapi('Generation');
export const generations = z.object({ generations: z.array(generation), nextCursor });

const metadata = z.record(z.string().max(200), z.unknown()).optional();
export const documentInput = z.object({
  title: z.string().max(1000).optional(),
  text: z.string(),
  mediaType: z.string().max(200).default('text/markdown'),
  url: webUrl.optional(),
  metadata,
});
export const batchLine = documentInput.extend({ id });
export const document = z
  .object({
    id: z.string(),
    externalId: z.string(),
    sourceId: z.string(),
    title: z.string(),
    url: z.string().optional(),
    mediaType: z.string(),
    metadata: z.looseObject({}).optional(),
    bytes: z.int(),
    chunks: z.int(),
    updatedAt: time,
    problem: z.string().optional(),
  })
  .openapi('Document');
export const documents = z.object({ documents: z.array(document), nextCursor });
export const putResult = z.object({ outcome: z.enum(['created', 'updated', 'unchanged']), document });
export const batchResult = z.object({
  upserted: z.int(),
  unchanged: z.int(),
  failed: z.array(z.object({ id: z.string(), problem: z.string() })),
});

// ── questions ───────────────────────────────────────────────────────────────────────────────────────────────────────

export const searchInput = z.object({
  query: z.string().trim().min(1).max(100_000),
  limit: z.int().min(1).max(100).default(10),
  sources: some(id).optional(),
});
export const askInput = z.object({
  question: z.string().trim().min(1).max(200_000),
  conversationId: id.optional(),
  user: z.string().trim().min(1).max(200).optional(),
  sources: some(id).optional(),
});
export const summarizeInput = z
  .object({
    documents: some(id).min(1).optional(),
    sources: some(id).min(1).optional(),
    texts: some(z.string()).min(1).optional(),
    instruction: z.string().max(4000).optional(),
  })
  .refine(
    (input) => [input.documents, input.sources, input.texts].filter((part) => part !== undefined).length === 1,
    'give exactly one of documents, sources and texts',
  );
export const passage = z
  .object({
    documentId: z.string(),
    externalId: z.string(),
    chunkId: z.string(),
    sourceId: z.string(),
    title: z.string(),
    headingPath: z.array(z.string()),
    url: z.string().optional(),
    page: z.int().optional(),
    text: z.string(),
    score: z.number(),
  })
  .openapi('Passage');
export const citation = z
  .object({
    n: z.int(),
    documentId: z.string(),
    externalId: z.string(),
    chunkId: z.string(),
    title: z.string(),
    url: z.string().optional(),
    page: z.int().optional(),
    quote: z.string(),
  })
  .openapi('Citation');
const tokenUsage = z
  .object({
    promptTokens: z.int(),
    completionTokens: z.int(),
    embeddingTokens: z.int(),
    cost: money.optional().openapi({ description: 'absent: some price is unknown' }),
  })
  .openapi('TokenUsage');
const timings = z.record(z.string(), z.number());
export const searchResult = z.object({ passages: z.array(passage) });
const answerShape = z.object({
  answerId: z.string(),
  conversationId: z.string(),
  answer: z.string(),
  kind: z.enum(['answered', 'not-found', 'refused']),
  reason: z.string().optional(),
  retryAt: time.optional(),
  citations: z.array(citation),
  retrieved: z.array(passage),
  usage: tokenUsage,
  timingsMs: timings,
});
export const answer = answerShape.openapi('Answer');
const rating = z.enum(['up', 'down']);
export const receipt = answerShape
  .extend({
    at: time,
    question: z.string(),
    condensedQuestion: z.string().optional(),
    platform: z.string(),
    workspaceId: z.string().optional(),
    channelId: z.string().optional(),
    threadId: z.string().optional(),
    messageId: z.string().optional(),
    memberId: z.string().optional(),
    reasonCode: z.string(),
    inPrompt: z.array(z.string()),
    model: z.string(),
    promptVersion: z.string(),
    generation: z.int(),
    contentRevision: z.int(),
    cached: z.boolean(),
    quotaBuckets: z.array(z.string()),
    traceId: z.string(),
    feedback: z.array(
      z.object({
        rating,
        mark: z.enum(['solved', 'human']).optional(),
        comment: z.string().optional(),
        user: z.string().optional(),
        at: time,
      }),
    ),
  })
  .openapi('Receipt');
export const answers = z.object({ answers: z.array(receipt), nextCursor });
export const summary = z.object({ summary: z.string(), citations: z.array(citation), usage: tokenUsage });
export const feedbackInput = z.object({
  rating,
  comment: z.string().max(4000).optional(),
  user: z.string().trim().min(1).max(200).optional(),
});

// ── connections, channels, quotas, usage ────────────────────────────────────────────────────────────────────────────

const platform = z.enum(['slack', 'discord', 'teams']);
export const connectionInput = z.object({
  platform,
  workspaceId: z.string().min(1).max(200).optional(),
  credentials: z.record(z.string().max(100), z.string().max(8192)).optional(),
  code: z.string().min(1).max(200).optional(),
});
export const connection = z
  .object({
    id: z.string(),
    platform,
    workspaceId: z.string(),
    ownCredentials: z.boolean(),
    createdAt: time,
    lastEventAt: time.nullable(),
    lastError: z.string().nullable(),
    lastErrorAt: time.nullable(),
  })
  .openapi('Connection');
export const connections = z.object({ connections: z.array(connection), nextCursor });
export const checkUp = z.object({
  items: z.array(z.object({ item: z.string(), ok: z.boolean(), advice: z.string().optional() })),
  lastEventAt: time.nullable(),
  lastError: z.string().nullable(),
  lastErrorAt: time.nullable(),
});

const origin = z.enum(['channel', 'tenant', 'default']);
const ruled = (value: z.ZodType) => z.object({ value: value.nullable(), origin });
export const rules = z
  .object({
    enabled: ruled(z.boolean()),
    answerWhen: ruled(z.string()),
    sources: ruled(z.array(z.string())),
    instructions: ruled(z.string()),
    language: ruled(z.string()),
    replies: ruled(z.string()),
    whoMayAsk: ruled(z.array(z.string())),
    audience: ruled(z.string()),
    guests: ruled(z.string()),
    bots: ruled(z.array(z.string())),
    humans: ruled(z.array(z.string())),
  })
  .openapi('ChannelRules');

const decimal = z.string().regex(/^\d{1,9}(\.\d{1,9})?$/, 'a decimal number as text, like "12.50"');
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const grace = z
  .object({ percent: z.int().min(1).max(100).optional(), until: time.optional() })
  .optional()
  .openapi({
    description:
      'What may be used beyond the limit: `percent` alone so much more always, `until` alone everything before that moment, both so much more before it',
  });
const limitBase = {
  scope: z.enum(['tenant', 'channel', 'member']),
  id: id.optional(),
  per: z.enum(['day', 'month']),
  grace,
};
export const quotaInput = z.object({
  limits: z
    .array(
      z.discriminatedUnion('unit', [
        z.object({ ...limitBase, unit: z.literal('tokens'), limit: count }),
        z.object({ ...limitBase, unit: z.literal('questions'), limit: count }),
        z.object({
          ...limitBase,
          unit: z.literal('money'),
          limit: z.union([decimal, z.object({ amount: decimal, currency: z.string() })]),
        }),
      ]),
    )
    .max(200),
});
const amount = z.union([z.number(), money]);
export const quotas = z.object({
  limits: z.array(
    z.object({
      ...limitBase,
      unit: z.enum(['tokens', 'questions', 'money']),
      limit: amount,
      used: amount,
      resetsAt: time,
    }),
  ),
});

const usageFigures = {
  questions: z.int(),
  promptTokens: z.int(),
  completionTokens: z.int(),
  embeddingTokens: z.int(),
  cost: money.nullable().openapi({ description: 'null: no price is known' }),
  costIncomplete: z.boolean().openapi({ description: 'true: some price is unknown, the cost is a lower bound' }),
};
export const usage = z.object({
  from: time,
  to: time,
  group: z.string(),
  rows: z.array(z.object({ key: z.string(), ...usageFigures })),
  total: z.object(usageFigures),
});

export const ledger = z.object({
  entries: z.array(
    z.object({
      id: z.string(),
      at: z.iso.datetime(),
      kind: z.string(),
      model: z.string().nullable(),
      promptTokens: z.int(),
      completionTokens: z.int(),
      embeddingTokens: z.int(),
      price: z
        .object({
          inputPerMillion: z.string(),
          outputPerMillion: z.string(),
          currency: z.string(),
          from: z.string(),
          origin: z.string(),
        })
        .nullable(),
      cost: money.nullable(),
      platform: z.string(),
      channelId: z.string().nullable(),
      memberId: z.string().nullable(),
      sourceId: z.string().nullable(),
      answerId: z.string().nullable(),
    }),
  ),
});

// ── webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────────

const webhookShape = {
  name,
  url: webUrl,
  events: z.array(z.enum(webhookEvents)).min(1).max(webhookEvents.length),
  text: z.boolean().openapi({ description: 'Whether questions, answers and comments go along' }),
};
export const webhookInput = z.object({ ...webhookShape, text: webhookShape.text.default(false) });
export const webhookPatch = z
  .object({ ...webhookShape, paused: z.boolean() })
  .partial()
  .openapi({ description: '`paused: true` stops it, `false` lets it go on' });
const webhookFields = {
  id: z.string(),
  ...webhookShape,
  createdAt: time,
  paused: z
    .object({ at: time, by: z.enum(['people', 'failures']), why: z.string().nullable() })
    .nullable()
    .openapi({ description: 'By failures: nothing could be delivered for three days' }),
  failingSince: time.nullable(),
  lastDeliveredAt: time.nullable(),
};
export const webhook = z.object(webhookFields).openapi('Webhook');
export const newWebhook = z
  .object({ ...webhookFields, secret: z.string().openapi({ description: 'Shown this once.' }) })
  .openapi('NewWebhook');
export const newSecret = z.object({ secret: z.string().openapi({ description: 'Shown this once.' }) });
export const webhooks = z.object({ webhooks: z.array(webhook), nextCursor });
const delivery = z
  .object({
    id: z.string().openapi({ description: 'Also the `webhook-id` of every try' }),
    event: z.string(),
    state: z.enum(['waiting', 'delivered', 'failed']),
    attempts: z.int(),
    createdAt: time,
    lastAt: time.nullable(),
    nextAt: time.nullable(),
    status: z.int().nullable().openapi({ description: 'What the receiver answered by HTTP' }),
    problem: z.string().nullable(),
    tookMs: z.number().nullable(),
  })
  .openapi('Delivery');
export const deliveryStarted = z.object({ delivery: z.object({ id: z.string() }) });
export const deliveries = z.object({ deliveries: z.array(delivery), nextCursor });

export const retention = z.object({
  days: z.int().nullable().openapi({ description: 'null: kept for ever' }),
  runs: z.array(z.object({ day: z.iso.date(), at: time, answers: z.int(), turns: z.int() })),
});
