import type { AnswerKind, Citation, Passage, ReasonCode } from '../domain.ts';
import type { Account } from './account.ts';
import type { AnswerHooks, AnsweringParts, AnswerRequest, AnswerSettings } from './answering.ts';
import type { Steps } from './steps.ts';
import type { Texts } from './texts.ts';

/** What the work on one answer has found so far. */
export type Outcome = {
  readonly kind: AnswerKind;
  readonly reasonCode: ReasonCode;
  readonly answer: string;
  readonly citations: readonly Citation[];
  readonly retrieved: readonly Passage[];
  readonly inPrompt: readonly string[];
  readonly retryAt?: number;
  /** Counts as a question, costs no tokens. */
  readonly free: boolean;
};

/** One question under way. */
export type Work = {
  readonly parts: AnsweringParts;
  readonly settings: AnswerSettings;
  readonly request: AnswerRequest;
  readonly question: string;
  readonly texts: Texts;
  readonly steps: Steps;
  readonly account: Account;
  readonly hooks: AnswerHooks;
  readonly signal: AbortSignal;
};

export const says = (kind: AnswerKind, reasonCode: ReasonCode, answer: string, free = true): Outcome => ({
  kind,
  reasonCode,
  answer,
  citations: [],
  retrieved: [],
  inPrompt: [],
  free,
});

/**
 * Null when the allowances hold what is asked of them, once for each answer; else the refusal. Waits some seconds, once,
 * where only answers under way stand in the way.
 */
export const reserve = async (work: Work, promptTokens: number, completionTokens: number): Promise<Outcome | null> => {
  const { parts, signal } = work;
  const { stop } = work.hooks;
  const wait = (ms: number): Promise<void> =>
    parts.runtime.clock.sleep(ms, stop === undefined ? signal : AbortSignal.any([signal, stop]));
  const verdict = await work.steps.time('reserve', () =>
    work.account.hold({ model: parts.chat?.name ?? null, promptTokens, completionTokens, wait }),
  );
  return verdict.outcome === 'held'
    ? null
    : {
        ...says('refused', 'quota', work.texts.quota(verdict.sentence, verdict.retryAt)),
        retryAt: verdict.retryAt,
      };
};
