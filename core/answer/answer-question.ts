import type { Receipt } from '../domain.ts';
import { isAppError, toAppError } from '../errors.ts';
import { maskFor } from '../text/mask.ts';
import { createAccount } from './account.ts';
import type { AnswerHooks, AnsweringParts, AnswerRequest, AnswerSettings } from './answering.ts';
import { rankAttached, termsOfAttached } from './attached.ts';
import { cacheKeyOf, type Flights } from './cache.ts';
import { compose } from './compose.ts';
import { condense, condenseBound, condenseMaxTokens, withSubject } from './condense.ts';
import { cleanCharacters } from './contain.ts';
import { startDeadline } from './deadline.ts';
import { extract } from './extractive.ts';
import { finish, fromCache, keep } from './finish.ts';
import { promptVersion } from './prompt.ts';
import { relevant } from './relevant.ts';
import { selectPassages, toPassage } from './retrieve.ts';
import { createSteps } from './steps.ts';
import { termsOf } from './terms.ts';
import { textsFor } from './texts.ts';
import { type Outcome, reserve, says, type Work } from './work.ts';

/** The whole path of one question, under one time limit. */
export const answerQuestion = async (
  parts: AnsweringParts,
  settings: AnswerSettings,
  flights: Flights,
  request: AnswerRequest,
  hooks: AnswerHooks,
): Promise<Receipt> => {
  const { runtime } = parts;
  const deadline = startDeadline(
    runtime.clock,
    Math.min(settings.answerWithinMs, request.withinMs ?? settings.answerWithinMs),
    hooks.signal,
  );
  const asked = cleanCharacters(request.question).trim();
  const { masking } = request.tenant.settings;
  const question = masking?.beforeModel === true ? (maskFor(masking)?.(asked) ?? asked) : asked;
  const work: Work = {
    parts,
    settings,
    request,
    question,
    texts: textsFor(request.tenant, question, request.language),
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
  // Whoever sends a file asks about that file: nobody else's question is the same. And where no text is kept there is
  // no answer to share, so that those who ask the same at the same time would only wait for each other.
  if ((request.attached?.length ?? 0) > 0 || request.tenant.settings.keepText === false)
    return receiptOf(work, meaning, await find(work, meaning));
  const key = cacheKeyOf({
    tenant: request.tenant,
    // Without a model a follow-up may lean on the last answered turn: then that is part of what was asked.
    meaning: parts.chat === null ? (withSubject(meaning, request.turns) ?? meaning) : meaning,
    history: parts.chat === null ? [] : request.turns.slice(-settings.turns).map((turn) => `${turn.role} ${turn.text}`),
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
    let keeping: Promise<void> = Promise.resolve();
    try {
      const outcome = await find(work, meaning);
      const receipt = await receiptOf(work, meaning, outcome);
      // Nobody waits for the cache but those who asked the same meanwhile.
      if (outcome.kind !== 'refused' && outcome.reasonCode !== 'cancelled') keeping = keep(work, key, receipt);
      return receipt;
    } finally {
      void keeping.finally(land);
    }
  }
};

const receiptOf = (work: Work, meaning: string, outcome: Outcome): Promise<Receipt> =>
  finish(work, outcome, {
    // A refusal that has cost something is an answer that was stopped.
    charge: outcome.kind !== 'refused' || !outcome.free,
    ...(meaning === work.question ? {} : { condensed: meaning }),
  });

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
  const { stop } = work.hooks;
  const interrupted = stop === undefined ? signal : AbortSignal.any([signal, stop]);
  const short = startDeadline(parts.runtime.clock, settings.condenseWithinMs, interrupted);
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

// ── find ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const find = async (work: Work, meaning: string): Promise<Outcome> => {
  const { parts, settings, texts, hooks, steps } = work;
  hooks.status?.(texts.thinking ?? 'Searching the documents…');
  const attached = rankAttached(meaning, work.request.attached ?? []);
  const found = await relevant(work, meaning);
  if (found === null && attached.length === 0)
    return (await reserve(work, 0, 0)) ?? says('not-found', 'not-found', texts.notFound);
  const indexed =
    found === null ? [] : selectPassages(found.candidates, settings.passages, settings.perDocument).map(toPassage);
  const passages = [...attached, ...indexed].slice(0, settings.passages);
  if (parts.chat !== null) return compose(work, meaning, passages);

  const refusal = await reserve(work, 0, 0);
  if (refusal !== null) return refusal;
  const asked =
    found === null
      ? { question: meaning, ...termsOfAttached(meaning, attached) }
      : {
          question: found.query,
          terms: found.text.terms,
          totalChunks: found.text.totalChunks,
          ...(found.query === meaning ? {} : { own: termsOf(meaning) }),
        };
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
