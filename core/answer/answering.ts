import type { Passage, PlatformName, Receipt, Tenant, Turn } from '../domain.ts';
import type { Summary, SummarizeInput } from '../core.ts';

/** The path of a question: condense, retrieve, decide, compose, check, contain, receipt. */
export type Answering = {
  /**
   * One answer as a receipt; a refusal or "not in your documents" is a receipt too. Reserves, settles and writes the
   * ledger; does not store the receipt or the turns (the caller does, in the order that its delivery needs).
   * Throws AppError `model-failed`, `model-timeout`, `rate-limited`, `store-unavailable`, `cancelled`; nothing is charged then.
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
  /** Absent: all of the tenant's; empty: none. */
  readonly sourceIds?: readonly string[];
  readonly instructions?: string;
  readonly language?: string;
  readonly traceId: string;
};

export type AnswerHooks = {
  readonly signal: AbortSignal;
  status?(text: string): void;
  /** The whole answer so far, contained; only ever grows. */
  update?(markdown: string): void;
};
