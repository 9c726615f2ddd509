import { analyse, guessLanguage } from '../text/analyse.ts';
import { splitSentences } from '../text/sentences.ts';
import type { Retrieval } from './retrieve.ts';
import { idfOf } from './terms.ts';

/**
 * The relevance floor: whether what was found can hold an answer at all. Below it nobody is asked, nothing is shown and
 * nothing is paid for. It reads how much of the question's weight (idf) the best passages hold: anywhere in one passage,
 * within two neighbouring sentences, and all together; short questions have to be met more fully than long ones.
 *
 * The weights come from a logistic regression over questions to the right and to a wrong collection (SciFact, Cranfield,
 * README files, large and small; `test/bench/answers.ts` publishes the rates on each). 0 is the balanced threshold.
 */
const weights = { passage: 5.62, sentences: 6.0, together: 1.31, length: 1.68, bias: -8.97 };
/** Beyond this many terms length says nothing more. */
const mostTerms = 20;
const looked = 5;

export type FloorMode = {
  /** A chat model reads what passes and can still say "not there": the floor then only keeps out what is hopeless. */
  readonly chat: boolean;
  /** Log odds asked for beyond the usual; a tenant may want it stricter, or more open. */
  readonly shift?: number;
};

export type Verdict = {
  readonly passes: boolean;
  /** Log odds that the passages hold an answer, from keywords. */
  readonly keywordScore: number;
  /** Share of the question's weight in the best single passage, 0 to 1. */
  readonly coverage: number;
};

/** Log odds below which even a chat model is not asked. */
const lenient = -2.5;
/** How far the nearest passage must stand out from the crowd of the nearest, on the way to identity. */
const standsOut = { strict: 0.3, lenient: 0.15 };
/** What a shift of one log odd is on the way by meaning. */
const cosinePerShift = 0.06;
const leastCosine = { strict: 0.4, lenient: 0.25 };

export const judge = (retrieval: Retrieval, { chat, shift = 0 }: FloorMode): Verdict => {
  const { keywordScore, coverage } = scoreKeywords(retrieval);
  const byKeywords = keywordScore >= (chat ? lenient : 0) + shift;
  return { passes: byKeywords || standsOutByMeaning(retrieval, chat, shift), keywordScore, coverage };
};

const scoreKeywords = ({
  text,
  candidates,
}: Retrieval): { readonly keywordScore: number; readonly coverage: number } => {
  const idf = text.terms.map(({ term, documentFrequency }) =>
    isSeam(term) ? 0 : idfOf(documentFrequency, text.totalChunks),
  );
  const mass = idf.reduce((sum, value) => sum + value, 0);
  const top = text.hits.slice(0, looked);
  if (mass === 0 || top.length === 0 || candidates.length === 0)
    return { keywordScore: Number.NEGATIVE_INFINITY, coverage: 0 };
  const cover = (matched: Iterable<number>): number =>
    [...matched].reduce((sum, index) => sum + (idf[index] ?? 0), 0) / mass;

  const passage = Math.max(...top.map(({ matched }) => cover(matched)));
  const together = cover(new Set(top.slice(0, 3).flatMap(({ matched }) => matched)));
  const places = new Map(text.terms.map(({ term }, index) => [term, index]));
  let sentences = 0;
  for (const { chunk, matched } of top) {
    // Neighbouring sentences cannot hold more than their passage does.
    if (cover(matched) <= sentences) continue;
    for (const found of neighbourhoods(chunk.text, `${chunk.title}\n${chunk.headingPath.join('\n')}`, places)) {
      sentences = Math.max(sentences, cover(found));
    }
  }
  const length = Math.log(Math.min(idf.filter((value) => value > 0).length, mostTerms));
  const keywordScore =
    weights.bias +
    weights.passage * passage +
    weights.sentences * sentences +
    weights.together * together +
    weights.length * length;
  return { keywordScore, coverage: passage };
};

/**
 * Chinese and Japanese are indexed in pairs of characters, and a question is full of pairs that no text about its subject
 * holds: particles, question words and what stands across them. They are to those languages what stop words are to others.
 */
const isSeam = (term: string): boolean => /^\p{Script=Hiragana}+$|[的是了在吗呢么什哪谁怎吧嗎麼誰]/u.test(term);

/** For each pair of neighbouring sentences, with title and headings, the question's terms that it holds. */
function* neighbourhoods(
  text: string,
  headings: string,
  places: ReadonlyMap<string, number>,
): Generator<ReadonlySet<number>> {
  const language = guessLanguage(text);
  const placesIn = (words: string): number[] => analyse(words, language).flatMap((term) => places.get(term) ?? []);
  const always = placesIn(headings);
  let before: readonly number[] = [];
  for (const { start, end } of splitSentences(text.slice(0, 6_000))) {
    const own = placesIn(text.slice(start, end));
    yield new Set([...always, ...before, ...own]);
    before = own;
  }
}

/**
 * Cosines of different models live on different scales, so the nearest passage is compared with the tail of its own
 * list. Chosen from the published habits of common models, not calibrated on one: none can be run here.
 */
const standsOutByMeaning = ({ topCosine, candidates }: Retrieval, chat: boolean, shift: number): boolean => {
  if (topCosine === null) return false;
  const cosines = candidates.flatMap(({ cosine }) => cosine ?? []).sort((a, b) => b - a);
  const tail = cosines.slice(Math.floor(cosines.length / 2));
  const crowd = tail.reduce((sum, value) => sum + value, 0) / Math.max(1, tail.length);
  const margin = cosines.length < 4 ? topCosine : (topCosine - crowd) / Math.max(0.05, 1 - crowd);
  const level = chat ? 'lenient' : 'strict';
  const nearer = shift * cosinePerShift;
  return topCosine >= leastCosine[level] + nearer && margin >= standsOut[level] + nearer;
};
