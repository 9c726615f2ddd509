import type { AnswerHooks, Answering, AnswerRequest } from '../../../core/answer/answering.ts';
import type { Citation, Receipt } from '../../../core/domain.ts';

export type FakeAnswering = Answering & {
  /** Each call of the model path, in order. */
  readonly asked: readonly AnswerRequest[];
  /** Answer ids that were charged; the same id charges once, as a reservation does. */
  readonly charged: ReadonlySet<string>;
  /** What the next calls do instead of answering. */
  next(...behaviours: readonly Behaviour[]): void;
};

export type Behaviour = (request: AnswerRequest, hooks: AnswerHooks) => Promise<unknown>;

export const handbook: Citation = {
  n: 1,
  documentId: 'd_handbook',
  externalId: 'handbook',
  chunkId: 'c_1',
  title: 'Handbook',
  url: 'https://docs.example/handbook#leave',
  quote: 'Leave is 30 days.',
};

/** Answers every question with one cited sentence and zero latency; stands in for the path of a question. */
export const createFakeAnswering = (now: () => number): FakeAnswering => {
  const asked: AnswerRequest[] = [];
  const charged = new Set<string>();
  const queue: Behaviour[] = [];
  return {
    asked,
    charged,
    next: (...behaviours) => void queue.push(...behaviours),
    answer: async (request, hooks) => {
      asked.push(request);
      const changes = ((await queue.shift()?.(request, hooks)) ?? {}) as Partial<Receipt>;
      charged.add(request.answerId);
      return { ...receiptFor(request, now()), ...changes };
    },
    search: async () => ({ passages: [], timingsMs: {} }),
    summarize: async () => ({
      summary: '',
      citations: [],
      usage: { promptTokens: 0, completionTokens: 0, embeddingTokens: 0 },
    }),
  };
};

const receiptFor = (request: AnswerRequest, at: number): Receipt => ({
  answerId: request.answerId,
  conversationId: request.conversationId,
  answer: `Leave is 30 days. [1] (asked: ${request.question})`,
  kind: 'answered',
  citations: [handbook],
  retrieved: [],
  usage: { promptTokens: 100, completionTokens: 20, embeddingTokens: 0 },
  timingsMs: { compose: 1 },
  tenantId: request.tenant.id,
  at,
  question: request.question,
  platform: request.platform,
  ...(request.workspaceId === undefined ? {} : { workspaceId: request.workspaceId }),
  ...(request.channelId === undefined ? {} : { channelId: request.channelId }),
  ...(request.threadId === undefined ? {} : { threadId: request.threadId }),
  ...(request.messageId === undefined ? {} : { messageId: request.messageId }),
  ...(request.memberId === undefined ? {} : { memberId: request.memberId }),
  reasonCode: 'answered',
  inPrompt: ['c_1'],
  model: 'fake',
  promptVersion: 'test',
  generation: 1,
  contentRevision: 1,
  cached: false,
  quotaBuckets: [],
  traceId: request.traceId,
  feedback: [],
});
