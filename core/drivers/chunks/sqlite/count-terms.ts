import type { Chunk } from '../../../domain.ts';
import { eachRun, guessLanguage, type Language, termsOfRun } from '../../../text/analyse.ts';
import type { DocumentTerms } from './recent.ts';

/** What an occurrence weighs, in quarters: a word in the title says more about a chunk than one in its text. */
export const fieldWeights = { title: 6, headings: 6, text: 4 } as const;

export type CountedTerms = {
  readonly language: Language;
  readonly terms: DocumentTerms;
  /** Of each chunk: the sum of its weights. */
  readonly lengths: readonly number[];
};

/** The terms of a document's chunks. Each different word of it is looked up once, however often it stands there. */
export const countTerms = (chunks: readonly Chunk[]): CountedTerms => {
  const language = languageOf(chunks);
  const terms = new Map<string, number[]>();
  const runs = new Map<string, readonly number[][]>();
  const pairsOf = (term: string): number[] => {
    const known = terms.get(term);
    if (known !== undefined) return known;
    const made: number[] = [];
    terms.set(term, made);
    return made;
  };
  const find = (run: string): readonly number[][] => {
    const known = runs.get(run);
    if (known !== undefined) return known;
    const found = termsOfRun(run, language);
    const lists = typeof found === 'string' ? [pairsOf(found)] : found.map(pairsOf);
    runs.set(run, lists);
    return lists;
  };
  const countIn = (text: string, place: number, weight: number): number => {
    let length = 0;
    eachRun(text, (run) => {
      for (const pairs of find(run)) {
        add(pairs, place, weight);
        length += weight;
      }
    });
    return length;
  };
  const lengths = chunks.map(
    (chunk, place) =>
      countIn(chunk.title, place, fieldWeights.title) +
      countIn(chunk.headingPath.join('\n'), place, fieldWeights.headings) +
      countIn(chunk.text, place, fieldWeights.text),
  );
  return { language, terms, lengths };
};

const add = (pairs: number[], place: number, weight: number): void => {
  const last = pairs.length - 1;
  if (last > 0 && pairs[last - 1] === place) pairs[last] = (pairs[last] ?? 0) + weight;
  else pairs.push(place, weight);
};

/** One guess for a document, from its beginning: a chunk that is a table or a code block tells nothing by itself. */
const languageOf = (chunks: readonly Chunk[]): Language => {
  const [first] = chunks;
  return guessLanguage(
    first === undefined
      ? ''
      : [first.title, ...chunks.slice(0, 6).map((chunk) => chunk.text.slice(0, 1_000))].join('\n'),
  );
};
