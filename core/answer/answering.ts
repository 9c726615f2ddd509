import type { Person, SummarizeInput, Summary } from '../core.ts';
import type { Passage, PlatformName, Receipt, Tenant, Turn } from '../domain.ts';
import type { Metering } from '../metering/metering.ts';
import type { ChunkStore } from '../ports/chunks.ts';
import type { ChatModel, Embedder } from '../ports/model.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import { answerQuestion } from './answer-question.ts';
import { createFlights } from './cache.ts';
import { withChosenModel, withChosenRetrieval } from './chosen.ts';
import { searchPassages } from './search.ts';
import { summarize } from './summarize.ts';

/** The path of a question: condense, retrieve, decide, compose, check, contain, receipt. */
export type Answering = {
  /**
   * One answer as a receipt; a refusal or "not in your documents" is a receipt too. Reserves, settles and writes the
   * ledger; does not store the receipt or the turns (the caller does, in the order that its delivery needs).
   * Throws AppError `model-failed`, `model-timeout`, `rate-limited`, `store-unavailable`, `cancelled`; nothing is charged then,
   * though the ledger has the calls that a provider answered.
   */
  answer(request: AnswerRequest, hooks: AnswerHooks): Promise<Receipt>;
  search(
    tenant: Tenant,
    input: { readonly query: string; readonly limit: number; readonly sourceIds?: readonly string[] },
    signal: AbortSignal,
  ): Promise<{ readonly passages: readonly Passage[]; readonly timingsMs: Readonly<Record<string, number>> }>;
  summarize(tenant: Tenant, input: SummarizeInput, signal: AbortSignal): Promise<Summary>;
};

export type AnswerRequest = {
  readonly tenant: Tenant;
  /** Given by the caller and stable over retries; also the reservation's id. */
  readonly answerId: string;
  /** From 1; distinguishes the ledger lines of a retry. */
  readonly attempt: number;
  readonly conversationId: string;
  readonly question: string;
  /** Earlier turns of the thread, oldest first. */
  readonly turns: readonly Turn[];
  readonly platform: PlatformName;
  readonly workspaceId?: string;
  readonly channelId?: string;
  readonly threadId?: string;
  readonly messageId?: string;
  /** `platform:userId` */
  readonly memberId?: string;
  /** Accounts that are one person and share one allowance. */
  readonly person?: Person;
  /** Passages of files that came with the question, in reading order: read for it, and kept nowhere. */
  readonly attached?: readonly Passage[];
  /** Absent: all of the tenant's; empty: none. */
  readonly sourceIds?: readonly string[];
  readonly instructions?: string;
  readonly language?: string;
  readonly traceId: string;
  /** Less time than usual, in milliseconds: what an earlier try has left of the person's patience. */
  readonly withinMs?: number;
};

export type AnswerHooks = {
  readonly signal: AbortSignal;
  /**
   * The person has read enough: what is written by then is the answer, with the reason `cancelled`, and is charged. Before
   * the first word it is a refusal with that reason.
   */
  readonly stop?: AbortSignal;
  status?(text: string): void;
  /** The whole answer so far, contained; only ever grows. */
  update?(markdown: string): void;
  /**
   * The receipt as it will be but for the cost, before anything is written to the ledger or charged. Who stores it here
   * has no charge without a receipt, wherever a crash comes. What it throws fails the answer, uncharged.
   */
  beforeCharge?(receipt: Receipt): Promise<void>;
};

export type AnsweringParts = {
  /** Only the answer cache and, for summaries, documents are used. */
  readonly state: Pick<StateStore, 'answerCache' | 'documents' | 'sources'>;
  readonly chunks: ChunkStore;
  /** Null: extractive answers. */
  readonly chat: ChatModel | null;
  /** Null: keyword search. */
  readonly embedder: Embedder | null;
  readonly metering: Metering;
  readonly runtime: Runtime;
};

export type AnswerSettings = {
  /** Tokens of a whole prompt, and of an answer. */
  readonly promptTokens: number;
  readonly maxTokens: number;
  /** Passages looked at, passages handed on, and how many of these from one document. */
  readonly candidates: number;
  readonly passages: number;
  readonly perDocument: number;
  /** Weight of the search by meaning against that by words, 0 to 1; 0.5 is both alike. */
  readonly meaning: number;
  /** Added to the log odds that the relevance floor asks for: above 0 is stricter. */
  readonly floorShift: number;
  /** Characters. */
  readonly maxQuestion: number;
  /** Turns of the thread that are looked at. */
  readonly turns: number;
  readonly answerWithinMs: number;
  readonly condenseWithinMs: number;
  readonly embedWithinMs: number;
  readonly cacheForMs: number;
};

const defaults: AnswerSettings = {
  promptTokens: 6_000,
  maxTokens: 1_000,
  candidates: 40,
  passages: 10,
  perDocument: 4,
  meaning: 0.5,
  floorShift: 0,
  maxQuestion: 8_000,
  turns: 6,
  answerWithinMs: 58_000,
  condenseWithinMs: 10_000,
  embedWithinMs: 8_000,
  cacheForMs: 24 * 60 * 60_000,
};

export const createAnswering = (parts: AnsweringParts & { readonly settings?: Partial<AnswerSettings> }): Answering => {
  const settings = { ...defaults, ...parts.settings };
  const flights = createFlights();
  return {
    answer: (request, hooks) =>
      answerQuestion(
        withChosenModel(parts, request.tenant),
        withChosenRetrieval(settings, request.tenant),
        flights,
        request,
        hooks,
      ),
    search: (tenant, input, signal) =>
      searchPassages(parts, withChosenRetrieval(settings, tenant), tenant, input, signal),
    summarize: (tenant, input, signal) => summarize(withChosenModel(parts, tenant), settings, tenant, input, signal),
  };
};
