import type { Citation, Passage } from '../domain.ts';
import { guessLanguage, type Language } from '../text/analyse.ts';
import { collapse } from '../text/sentences.ts';
import { numbersOf, termsOf } from './terms.ts';
import { type Unit, unitsOf } from './units.ts';

/** A passage that stood in the prompt, with what is needed to check claims against it; worked out on first use. */
export type Evidence = {
  readonly passage: Passage;
  readonly terms: ReadonlySet<string>;
  readonly numbers: ReadonlySet<string>;
  readonly language: Language;
  readonly units: readonly (Unit & { readonly terms: ReadonlySet<string> })[];
};

export const createEvidence = (passage: Passage): (() => Evidence) => {
  let made: Evidence | undefined;
  return () => {
    if (made === undefined) {
      const whole = `${passage.title}\n${passage.headingPath.join('\n')}\n${passage.text}`;
      const language = guessLanguage(passage.text);
      made = {
        passage,
        terms: termsOf(whole, language),
        numbers: numbersOf(whole, true),
        language,
        units: unitsOf(passage.text).map((unit) => ({ ...unit, terms: termsOf(unit.words, language) })),
      };
    }
    return made;
  };
};

/** Share of a claim's content terms that its passage must hold. Paraphrase keeps nouns: true claims lie far above. */
const leastOverlap = 0.34;
/** Share of a claim's numbers that may be missing from the passages it cites (a date may be written in two ways). */
const missingNumbers = 0.34;

/**
 * Whether a passage can be said to support a claim: enough of its words, and its numbers. A claim in another language than
 * its passage shares no words; then only its numbers can tell. `said` is the answer up to and with the claim: a sentence or a
 * name alone is easily taken for another language, and then nothing would be asked of it.
 */
export const isSupported = (
  claim: string,
  evidence: Evidence,
  allowedNumbers: ReadonlySet<string>,
  said: string,
): boolean => {
  const numbers = [...numbersOf(claim, false)];
  const missing = numbers.filter((number) => !evidence.numbers.has(number) && !allowedNumbers.has(number));
  if (numbers.length > 0 && missing.length / numbers.length > missingNumbers) return false;
  const terms = [...termsOf(claim, evidence.language)];
  if (terms.length === 0) return numbers.length > 0;
  const shared = terms.filter((term) => evidence.terms.has(term)).length;
  if (shared / terms.length >= leastOverlap) return true;
  const isForeign = (text: string): boolean => guessLanguage(text, evidence.language) !== evidence.language;
  return isForeign(claim) && isForeign(said);
};

const maxQuote = 320;

/** The sentence (or two neighbours, list item, row, code) of the passage that carries the claim best. Contiguous in it. */
export const quoteFor = (claim: string, { passage, units, language }: Evidence): string => {
  const terms = termsOf(claim, language);
  const numbers = numbersOf(claim, false);
  const scored = units
    .filter((unit) => unit.kind !== 'heading')
    .map((unit) => {
      const own = numbersOf(unit.words, true);
      const shared =
        [...unit.terms].filter((term) => terms.has(term)).length +
        1.5 * [...numbers].filter((number) => own.has(number)).length;
      // A long unit shares words by chance.
      return { unit, score: shared / (1 + Math.log1p(unit.terms.size) / 4) };
    });
  const best = scored.reduce<(typeof scored)[number] | undefined>(
    (top, each) => (top === undefined || each.score > top.score ? each : top),
    undefined,
  );
  if (best === undefined) return clip(collapse(passage.text));
  const next = scored[scored.indexOf(best) + 1];
  const gained =
    next === undefined
      ? 0
      : [...next.unit.terms].filter((term) => terms.has(term) && !best.unit.terms.has(term)).length;
  const together =
    next !== undefined &&
    gained >= 2 &&
    next.unit.block === best.unit.block &&
    next.unit.end - best.unit.start <= maxQuote;
  return quoteSlice(passage.text, best.unit, together ? next.unit.end : best.unit.end);
};

/** The unit as it stands in the passage, white space collapsed, code without its fence. */
export const quoteSlice = (text: string, unit: Pick<Unit, 'kind' | 'start'>, end: number): string => {
  const slice = text.slice(unit.start, end);
  return clip(
    collapse(
      unit.kind === 'code'
        ? slice.replace(/^(?:`{3,}|~{3,})[^\n]*\n/, '').replace(/\n?[ \t]*(?:`{3,}|~{3,})[ \t]*$/, '')
        : slice,
    ),
  );
};

const clip = (quote: string): string => {
  if (quote.length <= maxQuote) return quote;
  const edge = quote.lastIndexOf(' ', maxQuote);
  return quote.slice(0, edge > maxQuote / 2 ? edge : maxQuote);
};

export const createCitation = (n: number, passage: Passage, quote: string): Citation => ({
  n,
  documentId: passage.documentId,
  externalId: passage.externalId,
  chunkId: passage.chunkId,
  title: passage.title,
  quote,
  ...(passage.url !== undefined && isWebAddress(passage.url) ? { url: passage.url } : {}),
  ...(passage.page === undefined ? {} : { page: passage.page }),
});

/** A footnote may lead to the web and nowhere else. */
const isWebAddress = (url: string): boolean => {
  const parsed = URL.parse(url);
  return parsed !== null && (parsed.protocol === 'https:' || parsed.protocol === 'http:');
};
