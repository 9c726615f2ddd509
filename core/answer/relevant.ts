import { withSubject } from './condense.ts';
import { judge } from './floor.ts';
import { type Retrieval, retrieve } from './retrieve.ts';
import { idfOf, termsOf, wordsAsked } from './terms.ts';
import type { Work } from './work.ts';

/**
 * What was found for the question, or for it with the subject it leans on; null below the floor. A short follow-up
 * ("can I carry them over?") may meet some stray sentence by itself, so a passage that holds all of its words and the
 * subject too is preferred to one that holds its words alone.
 */
export const relevant = async (work: Work, meaning: string): Promise<Retrieval | null> => {
  const { parts, request, settings } = work;
  const mode = { chat: parts.chat !== null, shift: settings.floorShift };
  const found = await search(work, meaning);
  const passes = judge(found, mode).passes;
  // A condensed question holds its subject already.
  const leaning = meaning === work.question ? withSubject(meaning, request.turns) : null;
  if (leaning === null) return passes ? found : null;
  const again = await search(work, leaning);
  const own = termsOf(wordsAsked(meaning));
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
    meaning: settings.meaning,
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
