import type { Receipt, TokenUsage } from '../domain.ts';
import { toAppError } from '../errors.ts';
import { maskFor } from '../text/mask.ts';
import { forCache } from './cache.ts';
import { promptVersion } from './prompt.ts';
import { type Outcome, reserve, type Work } from './work.ts';

const nothing: TokenUsage = { promptTokens: 0, completionTokens: 0, embeddingTokens: 0 };

/** Settles or lets go what was held, and writes the receipt. */
export const finish = async (
  work: Work,
  outcome: Outcome,
  options: { readonly charge: boolean; readonly condensed?: string; readonly cached?: Receipt },
): Promise<Receipt> => {
  const { account, hooks, steps } = work;
  if (options.charge) {
    await hooks.beforeCharge?.(receiptOf(work, outcome, options, account.tokens()));
    const usage = await steps.time('settle', () => account.close(outcome.free));
    return receiptOf(work, outcome, options, usage);
  }
  // A question that was held for and then refused by another limit, or was no question: nothing is charged.
  await account.abandon();
  return receiptOf(work, outcome, options, nothing);
};

const receiptOf = (
  work: Work,
  outcome: Outcome,
  options: { readonly condensed?: string; readonly cached?: Receipt },
  usage: TokenUsage,
): Receipt => {
  const { request, account, parts, steps } = work;
  const optional = {
    ...(outcome.kind === 'answered' ? {} : { reason: outcome.reasonCode }),
    ...(outcome.retryAt === undefined ? {} : { retryAt: outcome.retryAt }),
    ...(options.condensed === undefined ? {} : { condensedQuestion: options.condensed }),
    ...pick(request, ['workspaceId', 'channelId', 'threadId', 'messageId', 'memberId']),
  };
  return {
    answerId: request.answerId,
    conversationId: request.conversationId,
    answer: outcome.answer,
    kind: outcome.kind,
    citations: outcome.citations,
    retrieved: outcome.retrieved,
    usage,
    timingsMs: steps.timings(),
    tenantId: request.tenant.id,
    at: parts.runtime.clock.now(),
    question: request.question.slice(0, work.settings.maxQuestion),
    platform: request.platform,
    reasonCode: outcome.reasonCode,
    inPrompt: outcome.inPrompt,
    model: options.cached?.model ?? parts.chat?.name ?? 'extractive',
    promptVersion,
    generation: request.tenant.activeGeneration,
    contentRevision: request.tenant.contentRevision,
    cached: options.cached !== undefined,
    quotaBuckets: account.buckets(),
    traceId: request.traceId,
    feedback: [],
    ...optional,
  };
};

const pick = <T, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> =>
  Object.fromEntries(keys.flatMap((key) => (from[key] === undefined ? [] : [[key, from[key]]]))) as Pick<T, K>;

/** The same question under the same documents and settings: it counts as a question and costs no tokens. */
export const fromCache = async (work: Work, kept: Receipt): Promise<Receipt> => {
  const refusal = await reserve(work, 0, 0);
  if (refusal !== null) return finish(work, refusal, { charge: false });
  if (kept.kind === 'answered') work.hooks.update?.(kept.answer);
  const outcome: Outcome = {
    kind: kept.kind,
    reasonCode: kept.kind === 'answered' ? 'answered-from-cache' : kept.reasonCode,
    // A sentence of ours is said in today's words.
    answer: kept.kind === 'not-found' ? work.texts.notFound : kept.answer,
    citations: kept.citations,
    retrieved: kept.retrieved,
    inPrompt: kept.inPrompt,
    free: true,
  };
  return finish(work, outcome, { charge: true, cached: kept });
};

/** A cache that cannot be written is no reason to lose an answer that is already paid for. */
export const keep = async ({ parts, request, settings, steps }: Work, key: string, receipt: Receipt): Promise<void> => {
  // The cache gives others what it holds: not a word that must be masked.
  const mask = maskFor(request.tenant.settings.masking);
  if (mask !== null && mask(receipt.answer) !== receipt.answer) return;
  if (request.tenant.settings.keepText === false || receipt.timingsMs.keywords_only === 1) return;
  const { clock, log } = parts.runtime;
  await steps
    .time('cache', () =>
      parts.state.answerCache.put(request.tenant.id, key, forCache(receipt), clock.now() + settings.cacheForMs),
    )
    .catch((error: unknown) => log.warn('cache_failed', { code: toAppError(error).code }));
};
