import { analyse } from '../text/analyse.ts';

/** The distinct content terms of a text, as the index has them. */
export const termsOf = (text: string): ReadonlySet<string> => new Set(analyse(text));

/** Lucene's idf: how much a term that `documentFrequency` of `total` chunks hold tells. Never negative. */
export const idfOf = (documentFrequency: number, total: number): number =>
  Math.log(1 + (Math.max(total, documentFrequency) - documentFrequency + 0.5) / (documentFrequency + 0.5));

const numberWords: Readonly<Record<string, string>> = {
  one: '1', two: '2', three: '3', four: '4', five: '5', six: '6', seven: '7', eight: '8', nine: '9', ten: '10', eleven: '11', twelve: '12',
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

const stopWords: Readonly<Record<string, readonly string[]>> = {
  en: ['the', 'and', 'of', 'to', 'is', 'are', 'you', 'in', 'for', 'with', 'that', 'this', 'be', 'can', 'how', 'what'],
  de: ['der', 'die', 'das', 'und', 'ist', 'sind', 'nicht', 'ein', 'eine', 'mit', 'für', 'auf', 'wie', 'den', 'dem', 'wird', 'können'],
  fr: ['le', 'la', 'les', 'des', 'est', 'une', 'vous', 'pour', 'dans', 'avec', 'sont', 'que', 'du', 'et', 'comment'],
  es: ['el', 'los', 'las', 'una', 'para', 'con', 'por', 'son', 'del', 'que', 'es', 'se', 'cómo', 'puede', 'y'],
  it: ['il', 'gli', 'che', 'per', 'con', 'sono', 'della', 'una', 'non', 'di', 'è', 'come', 'nel'],
  pt: ['os', 'uma', 'para', 'com', 'não', 'são', 'que', 'do', 'da', 'em', 'é', 'como', 'você'],
  nl: ['het', 'een', 'en', 'van', 'voor', 'niet', 'zijn', 'met', 'dat', 'hoe', 'wordt', 'kan', 'op'],
};

/** A guess from script and function words; null when there is too little to tell. */
export const guessLanguage = (text: string): string | null => {
  const sample = text.slice(0, 2_000);
  if (/[\u3040-\u30ff]/.test(sample)) return 'ja';
  if (/[\uac00-\ud7af]/.test(sample)) return 'ko';
  if (/[\u4e00-\u9fff]/.test(sample)) return 'zh';
  if (/[\u0400-\u04ff]/.test(sample)) return 'ru';
  if (/[\u0600-\u06ff]/.test(sample)) return 'ar';
  if (/[\u0590-\u05ff]/.test(sample)) return 'he';
  const words = sample.toLowerCase().match(/\p{L}+/gu) ?? [];
  const scores = Object.entries(stopWords).map(([language, list]) => ({ language, score: words.filter((word) => list.includes(word)).length }));
  const [best, second] = scores.toSorted((a, b) => b.score - a.score);
  return best !== undefined && best.score >= 1 && best.score > (second?.score ?? 0) ? best.language : null;
};
