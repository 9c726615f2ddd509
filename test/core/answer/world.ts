import {
  type Answering,
  type AnswerRequest,
  type AnswerSettings,
  createAnswering,
} from '../../../core/answer/answering.ts';
import type { EmbeddedChunk, LedgerEntry, Receipt, Tenant, Turn } from '../../../core/domain.ts';
import type { MeteredCall, Metering, ReserveRequest } from '../../../core/metering/metering.ts';
import type { ChunkStore } from '../../../core/ports/chunks.ts';
import type { ChatModel, ChatRequest, Embedder } from '../../../core/ports/model.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';
import { anyTenantId, createMemoryChunks } from './memory-chunks.ts';

export const tenant: Tenant = {
  id: anyTenantId,
  slug: 'acme',
  name: 'Acme',
  createdAt: 0,
  settings: {},
  activeGeneration: 1,
  contentRevision: 1,
  rev: 1,
};

/** What metering was asked to do, and how it is told to answer. */
export type Till = {
  readonly reserved: ReserveRequest[];
  readonly settled: { readonly tokens: number; readonly costNanos: number }[];
  readonly recorded: Omit<MeteredCall, 'tenant'>[];
  released: number;
  refuse: boolean;
};

const createTill = (): { readonly till: Till; readonly metering: Metering } => {
  const till: Till = { reserved: [], settled: [], recorded: [], released: 0, refuse: false };
  const price = {
    model: 'any',
    currency: 'USD',
    inputPerMillion: '1',
    outputPerMillion: '2',
    from: '2026-01-01',
    origin: 'tenant',
  } as const;
  const linesOf = (calls: readonly MeteredCall[]): LedgerEntry[] =>
    calls.map(({ tenant: of, ...call }) => ({
      ...call,
      tenantId: of.id,
      at: 0,
      price,
      currency: 'USD',
      costNanos: call.promptTokens * 1_000 + call.completionTokens * 2_000,
    }));
  const metering: Metering = {
    reserve: async (request) => {
      till.reserved.push(request);
      if (till.refuse) {
        return {
          outcome: 'refused',
          scope: 'member',
          unit: 'tokens',
          per: 'day',
          limit: 10,
          used: 10,
          retryAt: 5_000,
          bucket: 'member:x',
          sentence: 'Your tokens for today are used up.',
        };
      }
      return {
        outcome: 'held',
        buckets: ['tenant:t:questions:day'],
        settle: async (actual, lines = []) => {
          till.recorded.push(...lines);
          till.settled.push(actual);
        },
        release: async () => {
          till.released += 1;
        },
      };
    },
    lines: (_tenantId, calls) => linesOf(calls),
    record: async (_tenantId, calls) => {
      till.recorded.push(...calls);
      return linesOf(calls);
    },
    priceOf: () => price,
    limits: async () => [],
    putLimits: async () => undefined,
  };
  return { till, metering };
};

export type World = {
  readonly answering: Answering;
  readonly till: Till;
  readonly runtime: TestRuntime;
  readonly cache: Map<string, Receipt>;
  ask(question: string, more?: Partial<AnswerRequest>, seen?: string[]): Promise<Receipt>;
};

export const createWorld = (
  chunks: readonly EmbeddedChunk[],
  options: {
    readonly chunks?: ChunkStore;
    readonly chat?: ChatModel;
    readonly embedder?: Embedder;
    readonly settings?: Partial<AnswerSettings>;
  } = {},
): World => {
  const runtime = createTestRuntime();
  const { till, metering } = createTill();
  const cache = new Map<string, Receipt>();
  const unused = (): never => {
    throw new Error('not part of this test');
  };
  const store = new Proxy({}, { get: () => unused }) as never;
  const answering = createAnswering({
    state: {
      answerCache: {
        get: async (_tenantId, key) => cache.get(key) ?? null,
        put: async (_tenantId, key, receipt) => void cache.set(key, receipt),
      },
      // Whatever is asked for by its id is there.
      documents: { get: async (_tenantId: string, id: string) => ({ id }) } as never,
      sources: store,
    },
    chunks: options.chunks ?? createMemoryChunks(chunks),
    chat: options.chat ?? null,
    embedder: options.embedder ?? null,
    metering,
    runtime,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  });
  let count = 0;
  return {
    answering,
    till,
    runtime,
    cache,
    ask: (question, more = {}, seen = []) => {
      count += 1;
      const request = {
        tenant,
        answerId: `a_${count}`,
        attempt: 1,
        conversationId: 'v_1',
        question,
        turns: [],
        platform: 'api',
        traceId: 'trace',
        ...more,
      } as const;
      return answering.answer(request, {
        signal: new AbortController().signal,
        update: (markdown) => void seen.push(markdown),
      });
    },
  };
};

export const turnsOf = (...texts: readonly string[]): readonly Turn[] =>
  texts.map((text, index) => ({ role: index % 2 === 0 ? ('user' as const) : ('assistant' as const), text, at: index }));

/** A model that answers what the script says, in pieces of the given length; keeps what it was asked. */
export const createScriptedChat = (
  answer: (request: ChatRequest) => string,
  options: { readonly piece?: number; readonly finish?: 'stop' | 'length' | 'filter' } = {},
): ChatModel & { readonly requests: ChatRequest[] } => {
  const requests: ChatRequest[] = [];
  return {
    name: 'scripted',
    requests,
    async *stream(request) {
      requests.push(request);
      const text = answer(request);
      const piece = options.piece ?? 7;
      for (let at = 0; at < text.length; at += piece) yield { type: 'delta', text: text.slice(at, at + piece) };
      yield {
        type: 'end',
        finish: options.finish ?? 'stop',
        model: 'scripted',
        usage: { promptTokens: 100, completionTokens: 20, estimated: false },
      };
    },
  };
};
