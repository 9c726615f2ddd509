import type { AnswerKind, Citation, Passage, ReasonCode, Receipt, TokenUsage, Turn } from '../domain.ts';
import { AppError, isAppError, toAppError } from '../errors.ts';
import type { ChatEvent } from '../ports/model.ts';
import { type Account, createAccount } from './account.ts';
import type { AnswerHooks, AnsweringParts, AnswerRequest, AnswerSettings } from './answering.ts';
import { cacheKeyOf, type Flights, forCache } from './cache.ts';
import { condense, condenseBound, condenseMaxTokens, withSubject } from './condense.ts';
import { cleanCharacters } from './contain.ts';
import { startDeadline } from './deadline.ts';
import { extract } from './extractive.ts';
import { judge } from './floor.ts';
import { createPrompt, promptVersion } from './prompt.ts';
import { type Retrieval, retrieve, selectPassages, toPassage } from './retrieve.ts';
import { createSteps, type Steps } from './steps.ts';
import { idfOf, termsOf } from './terms.ts';
import { type Texts, textsFor } from './texts.ts';
import { createWriter } from './writer.ts';

/** What the work on one answer has found so far. */
type Outcome = {
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
type Work = {
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

const says = (kind: AnswerKind, reasonCode: ReasonCode, answer: string, free = true): Outcome => ({
  kind,
  reasonCode,
  answer,
  citations: [],
  retrieved: [],
  inPrompt: [],
  free,
});

/** The whole path of one question, under one time limit. */
export const answerQuestion = async (
  parts: AnsweringParts,
  settings: AnswerSettings,
  flights: Flights,
  request: AnswerRequest,
  hooks: AnswerHooks,
): Promise<Receipt> => {
  const { runtime } = parts;
  const deadline = startDeadline(runtime.clock, settings.answerWithinMs, hooks.signal);
  const question = cleanCharacters(request.question).trim();
  const work: Work = {
    parts,
    settings,
    request,
    question,
    texts: textsFor(question, request.language ?? request.tenant.settings.language),
    steps: createSteps(runtime),
    account: createAccount(parts.metering, runtime, request),
    hooks,
    signal: deadline.signal,
  };
  try {
    const receipt = await run(work, flights);
    runtime.metrics.count('answers_total', { platform: request.platform, outcome: receipt.kind });
    return receipt;
  } catch (error) {
    await work.account.abandon();
    const ownLimit = deadline.signal.aborted && !hooks.signal.aborted && isAppError(deadline.signal.reason);
    const failure = ownLimit ? deadline.signal.reason : toAppError(error);
    runtime.metrics.count('answers_total', { platform: request.platform, outcome: failure.code });
    throw failure;
  } finally {
    deadline.end();
  }
};

const run = async (work: Work, flights: Flights): Promise<Receipt> => {
  const { question, settings, texts, request, parts } = work;
  if (!/[\p{L}\p{N}]/u.test(question)) return finish(work, says('refused', 'empty', texts.empty), { charge: false });
  if (question.length > settings.maxQuestion)
    return finish(work, says('refused', 'too-long', texts.tooLong), { charge: false });

  const meaning = await understand(work);
  if (typeof meaning !== 'string') return finish(work, meaning, { charge: false });
  const key = cacheKeyOf({
    tenant: request.tenant,
    // Without a model a follow-up may lean on the last answered turn: then that is part of what was asked.
    meaning: parts.chat === null ? (withSubject(meaning, request.turns) ?? meaning) : meaning,
    sourceIds: request.sourceIds,
    instructions: request.instructions,
    language: request.language,
    chatModel: parts.chat?.name ?? 'extractive',
    embeddingModel: parts.embedder?.name ?? 'none',
    promptVersion,
  });

  for (;;) {
    const kept = await work.steps.time('cache', () =>
      parts.state.answerCache.get(request.tenant.id, key, parts.runtime.clock.now()),
    );
    parts.runtime.metrics.count('cache_total', { outcome: kept === null ? 'miss' : 'hit' });
    if (kept !== null) return fromCache(work, kept);
    const land = await flights.board(key, work.signal);
    if (land === null) {
      if (work.signal.aborted) throw toAppError(work.signal.reason);
      continue;
    }
    try {
      const outcome = await find(work, meaning);
      const receipt = await finish(work, outcome, {
        charge: outcome.kind !== 'refused',
        ...(meaning === question ? {} : { condensed: meaning }),
      });
      if (outcome.kind !== 'refused') await keep(work, key, receipt);
      return receipt;
    } finally {
      land();
    }
  }
};

// ── understand ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** The question as it stands by itself; an outcome when the allowance does not permit to find out. */
const understand = async (work: Work): Promise<string | Outcome> => {
  const { parts, request, question, settings, steps, account, signal } = work;
  const turns = request.turns.slice(-settings.turns);
  const { chat } = parts;
  if (chat === null || !turns.some((turn) => turn.role === 'user')) return question;
  // What will be asked for is not known yet, so the most that it can be is held.
  const refusal = await reserve(
    work,
    condenseBound(question, turns) - condenseMaxTokens + settings.promptTokens,
    condenseMaxTokens + settings.maxTokens,
  );
  if (refusal !== null) return refusal;
  const short = startDeadline(parts.runtime.clock, settings.condenseWithinMs, signal);
  try {
    const input = { question, turns, tenantId: request.tenant.id, signal: short.signal };
    const { question: condensed, usage } = await steps
      .time('condense', () => condense({ chat, runtime: parts.runtime }, input))
      .catch((error) => {
        if (signal.aborted) throw error;
        return { question, usage: null };
      });
    if (usage !== null) account.add({ kind: 'condense', ...usage, embeddingTokens: 0 });
    return condensed;
  } finally {
    short.end();
  }
};

const reserve = async (work: Work, promptTokens: number, completionTokens: number): Promise<Outcome | null> => {
  const verdict = await work.steps.time('reserve', () =>
    work.account.hold({ model: work.parts.chat?.name ?? null, promptTokens, completionTokens }),
  );
  return verdict.outcome === 'held'
    ? null
    : { ...says('refused', 'quota', verdict.sentence), retryAt: verdict.retryAt };
};

// ── find ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const find = async (work: Work, meaning: string): Promise<Outcome> => {
  const { parts, settings, texts, hooks, steps } = work;
  hooks.status?.('Searching the documents…');
  const found = await relevant(work, meaning);
  if (found === null) return (await reserve(work, 0, 0)) ?? says('not-found', 'not-found', texts.notFound);
  const passages = selectPassages(found.candidates, settings.passages, settings.perDocument).map(toPassage);
  if (parts.chat !== null) return compose(work, meaning, passages);

  const refusal = await reserve(work, 0, 0);
  if (refusal !== null) return refusal;
  const asked = { question: found.query, terms: found.text.terms, totalChunks: found.text.totalChunks };
  const { markdown, citations } = await steps.time('compose', async () =>
    extract(asked, passages.slice(0, 6), texts.quoted),
  );
  if (citations.length === 0) return says('not-found', 'not-found', texts.notFound);
  hooks.update?.(markdown);
  return {
    kind: 'answered',
    reasonCode: 'answered',
    answer: markdown,
    citations,
    retrieved: passages,
    inPrompt: [],
    free: false,
  };
};

/**
 * What was found for the question, or for it with the subject it leans on; null below the floor. A short follow-up
 * ("can I carry them over?") may meet some stray sentence by itself, so a passage that holds all of its words and the
 * subject too is preferred to one that holds its words alone.
 */
const relevant = async (work: Work, meaning: string): Promise<Retrieval | null> => {
  const { parts, request } = work;
  const mode = { chat: parts.chat !== null };
  const found = await search(work, meaning);
  const passes = judge(found, mode).passes;
  // A condensed question holds its subject already.
  const leaning = meaning === work.question ? withSubject(meaning, request.turns) : null;
  if (leaning === null) return passes ? found : null;
  const again = await search(work, leaning);
  const own = termsOf(meaning);
  if (judge(again, mode).passes && (passes ? holdsBoth(again, own) : shareMet(again, own) >= 0.4)) return again;
  return passes ? found : null;
};

/** Whether one of the best passages holds every word of the question and most of the subject's weight. */
const holdsBoth = ({ text }: Retrieval, own: ReadonlySet<string>): boolean => {
  const known = text.terms.map(({ term, documentFrequency }, index) => ({
    index,
    isOwn: own.has(term),
    weight: documentFrequency === 0 ? 0 : idfOf(documentFrequency, text.totalChunks),
  }));
  const subject = known.filter(({ isOwn }) => !isOwn).reduce((sum, { weight }) => sum + weight, 0);
  return text.hits.slice(0, 3).some(({ matched }) => {
    const held = known.filter(({ index }) => matched.includes(index));
    const ownHeld = held.filter(({ isOwn }) => isOwn).length;
    const subjectHeld = held.filter(({ isOwn }) => !isOwn).reduce((sum, { weight }) => sum + weight, 0);
    return ownHeld === known.filter(({ isOwn }) => isOwn).length && subjectHeld >= 0.5 * subject;
  });
};

/** Share of the weight of these terms that the best three passages hold. */
const shareMet = ({ text }: Retrieval, own: ReadonlySet<string>): number => {
  const met = new Set(text.hits.slice(0, 3).flatMap((hit) => hit.matched));
  let mass = 0;
  let held = 0;
  text.terms.forEach(({ term, documentFrequency }, index) => {
    if (!own.has(term)) return;
    const weight = idfOf(documentFrequency, text.totalChunks);
    mass += weight;
    if (met.has(index)) held += weight;
  });
  return mass === 0 ? 1 : held / mass;
};

const search = async (work: Work, query: string): Promise<Retrieval> => {
  const { parts, request, settings, steps, account, signal } = work;
  const found = await retrieve(parts, {
    ref: { tenantId: request.tenant.id, generation: request.tenant.activeGeneration },
    query,
    limit: settings.candidates,
    sourceIds: request.sourceIds,
    embedWithinMs: settings.embedWithinMs,
    signal,
    steps,
  });
  if (found.embedding !== null)
    account.add({
      kind: 'embedding',
      model: found.embedding.model,
      promptTokens: 0,
      completionTokens: 0,
      embeddingTokens: found.embedding.tokens,
    });
  if (found.degraded) steps.note('keywords_only', 1);
  return found;
};

// ── compose ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const compose = async (work: Work, meaning: string, found: readonly Passage[]): Promise<Outcome> => {
  const { parts, settings, request, question, texts, hooks, steps, account, signal } = work;
  const { chat, runtime } = parts;
  if (chat === null) throw new AppError('internal', 'Something went wrong on our side.');
  const prompt = createPrompt({
    tenant: request.tenant,
    question,
    condensed: meaning,
    turns: request.turns.slice(-settings.turns) as readonly Turn[],
    passages: found,
    instructions: request.instructions,
    language: request.language,
    budget: settings.promptTokens,
    random: runtime.random,
  });
  const refusal = await reserve(work, prompt.tokens, settings.maxTokens);
  if (refusal !== null) return refusal;

  hooks.status?.('Writing the answer…');
  const writer = createWriter({
    passages: prompt.passages,
    question: `${question} ${meaning}`,
    onText: (markdown) => hooks.update?.(markdown),
  });
  const lost = account.lost();
  const within = lost === null ? signal : AbortSignal.any([signal, lost]);
  const begun = runtime.clock.now();
  let end: Extract<ChatEvent, { type: 'end' }> | null = null;
  await steps.time('compose', async () => {
    let isFirst = true;
    const stream = chat.stream(
      {
        messages: prompt.messages,
        maxTokens: settings.maxTokens,
        temperature: 0.1,
        size: 'main',
        tenantId: request.tenant.id,
      },
      { signal: within },
    );
    for await (const event of stream) {
      if (event.type === 'end') end = event;
      else {
        if (isFirst) runtime.metrics.observe('first_token_seconds', (runtime.clock.now() - begun) / 1_000);
        isFirst = false;
        writer.push(event.text);
      }
    }
  });
  const last = end as Extract<ChatEvent, { type: 'end' }> | null;
  if (last === null)
    throw new AppError('model-failed', 'The language model broke off in the middle of its answer. Please try again.', {
      retryable: true,
    });
  account.add({
    kind: 'chat',
    model: last.model,
    promptTokens: last.usage.promptTokens,
    completionTokens: last.usage.completionTokens,
    embeddingTokens: 0,
  });

  const written = await steps.time('check', async () => writer.finish(last.finish === 'length'));
  const inPrompt = prompt.passages.map((passage) => passage.chunkId);
  // The model was asked and said that the documents do not tell, or could not show where they do. It was paid for.
  if (written.citations.length === 0) return { ...says('not-found', 'not-found', texts.notFound, false), inPrompt };
  return {
    kind: 'answered',
    reasonCode: 'answered',
    answer: written.markdown,
    citations: written.citations,
    retrieved: found,
    inPrompt,
    free: false,
  };
};

// ── finish ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const nothing: TokenUsage = { promptTokens: 0, completionTokens: 0, embeddingTokens: 0 };

const finish = async (
  work: Work,
  outcome: Outcome,
  options: { readonly charge: boolean; readonly condensed?: string; readonly cached?: Receipt },
): Promise<Receipt> => {
  const { request, account, parts, steps } = work;
  const usage = options.charge ? await steps.time('settle', () => account.close(outcome.free)) : nothing;
  // A question that was held for and then refused by another limit, or was no question: nothing is charged.
  if (!options.charge) await account.abandon();
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

const fromCache = async (work: Work, kept: Receipt): Promise<Receipt> => {
  const refusal = await reserve(work, 0, 0);
  if (refusal !== null) return finish(work, refusal, { charge: false });
  if (kept.kind === 'answered') work.hooks.update?.(kept.answer);
  const outcome: Outcome = {
    kind: kept.kind,
    reasonCode: kept.kind === 'answered' ? 'answered-from-cache' : kept.reasonCode,
    answer: kept.answer,
    citations: kept.citations,
    retrieved: kept.retrieved,
    inPrompt: kept.inPrompt,
    free: true,
  };
  return finish(work, outcome, { charge: true, cached: kept });
};

/** A cache that cannot be written is no reason to lose an answer that is already paid for. */
const keep = async ({ parts, request, settings, steps }: Work, key: string, receipt: Receipt): Promise<void> => {
  if (request.tenant.settings.keepText === false || receipt.timingsMs.keywords_only === 1) return;
  const { clock, log } = parts.runtime;
  await steps
    .time('cache', () =>
      parts.state.answerCache.put(request.tenant.id, key, forCache(receipt), clock.now() + settings.cacheForMs),
    )
    .catch((error: unknown) => log.warn('cache_failed', { code: toAppError(error).code }));
};
