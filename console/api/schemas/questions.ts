import { z } from '@hono/zod-openapi';
import { id, money, nextCursor, pageQuery, some, tenantPath, time } from './fields.ts';

export const answerPath = tenantPath.extend({ answer: id });
export const answersQuery = pageQuery.extend({
  outcome: z.string().max(64).optional(),
  q: z.string().max(1000).optional(),
});

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
