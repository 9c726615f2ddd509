import type { Passage } from '../domain.ts';
import { idfOf, termsOf, wordsAsked } from './terms.ts';

/** Of a question's own files at most this many passages stand before those of the documents. */
const most = 6;

/**
 * The passages of a question's own files that meet it best. A question that names nothing in them ("summarise this") means
 * their beginning.
 */
export const rankAttached = (question: string, passages: readonly Passage[]): readonly Passage[] => {
  if (passages.length <= most) return passages;
  const asked = [...termsOf(wordsAsked(question))];
  const held = passages.map((passage) => termsOf(`${passage.headingPath.join('\n')}\n${passage.text}`));
  const weights = asked.map((term) => {
    const frequency = held.filter((terms) => terms.has(term)).length;
    return frequency === 0 ? 0 : idfOf(frequency, passages.length);
  });
  return passages
    .map((passage, index) => ({
      passage,
      index,
      score: asked.reduce((sum, term, at) => sum + (held[index]?.has(term) === true ? (weights[at] ?? 0) : 0), 0),
    }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, most)
    .sort((a, b) => a.index - b.index)
    .map(({ passage }) => passage);
};

/** The question's terms as an index of these passages alone would tell them, for answers that are quoted. */
export const termsOfAttached = (
  question: string,
  passages: readonly Passage[],
): {
  readonly terms: readonly { readonly term: string; readonly documentFrequency: number }[];
  readonly totalChunks: number;
} => {
  const held = passages.map((passage) =>
    termsOf(`${passage.title}\n${passage.headingPath.join('\n')}\n${passage.text}`),
  );
  return {
    terms: [...termsOf(wordsAsked(question))].map((term) => ({
      term,
      documentFrequency: held.filter((terms) => terms.has(term)).length,
    })),
    // As if they were part of something larger: in two passages every word would be a common one.
    totalChunks: passages.length + 100,
  };
};
