import { analyse, type Language } from '../text/analyse.ts';

/** The distinct content terms of a text, as the index has them. */
export const termsOf = (text: string, language?: Language): ReadonlySet<string> => new Set(analyse(text, language));

/**
 * A question without the words that only ask. "How many" names no subject, yet "many" is rare enough in most documents to
 * draw a passage by itself. For keywords only: an embedding wants the whole question.
 */
export const wordsAsked = (question: string): string => question.replaceAll(/\bhow (?:many|much)\b/gi, 'how');

/** Lucene's idf: how much a term that `documentFrequency` of `total` chunks hold tells. Never negative. */
export const idfOf = (documentFrequency: number, total: number): number =>
  Math.log(1 + (Math.max(total, documentFrequency) - documentFrequency + 0.5) / (documentFrequency + 0.5));

const numberWords: Readonly<Record<string, string>> = {
  one: '1',
  two: '2',
  three: '3',
  four: '4',
  five: '5',
  six: '6',
  seven: '7',
  eight: '8',
  nine: '9',
  ten: '10',
  eleven: '11',
  twelve: '12',
};

/** Numbers as digits, thousands separators gone: `1,000` and `1000` are one. With `inWords`, small numbers in words count too. */
export const numbersOf = (text: string, inWords: boolean): ReadonlySet<string> => {
  const found = new Set<string>();
  for (const [digits] of text.matchAll(/\d+(?:[.,’']\d{3})*(?:[.,]\d+)?/g)) {
    found.add(digits.replace(/[,’'.](?=\d{3}(?!\d))/g, '').replace(',', '.'));
  }
  if (!inWords) return found;
  for (const [word] of text.toLowerCase().matchAll(/\p{L}+/gu)) {
    const digits = numberWords[word];
    if (digits !== undefined) found.add(digits);
  }
  return found;
};
