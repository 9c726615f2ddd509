import { stemmer as stemArabic } from '@orama/stemmers/arabic';
import { stemmer as stemDanish } from '@orama/stemmers/danish';
import { stemmer as stemDutch } from '@orama/stemmers/dutch';
import { stemmer as stemEnglish } from '@orama/stemmers/english';
import { stemmer as stemFinnish } from '@orama/stemmers/finnish';
import { stemmer as stemFrench } from '@orama/stemmers/french';
import { stemmer as stemGerman } from '@orama/stemmers/german';
import { stemmer as stemGreek } from '@orama/stemmers/greek';
import { stemmer as stemHungarian } from '@orama/stemmers/hungarian';
import { stemmer as stemItalian } from '@orama/stemmers/italian';
import { stemmer as stemNorwegian } from '@orama/stemmers/norwegian';
import { stemmer as stemPortuguese } from '@orama/stemmers/portuguese';
import { stemmer as stemRomanian } from '@orama/stemmers/romanian';
import { stemmer as stemRussian } from '@orama/stemmers/russian';
import { stemmer as stemSpanish } from '@orama/stemmers/spanish';
import { stemmer as stemSwedish } from '@orama/stemmers/swedish';
import { stemmer as stemTurkish } from '@orama/stemmers/turkish';
import { stemmer as stemUkrainian } from '@orama/stemmers/ukrainian';
import { stopwords as arabic } from '@orama/stopwords/arabic';
import { stopwords as danish } from '@orama/stopwords/danish';
import { stopwords as dutch } from '@orama/stopwords/dutch';
import { stopwords as english } from '@orama/stopwords/english';
import { stopwords as finnish } from '@orama/stopwords/finnish';
import { stopwords as french } from '@orama/stopwords/french';
import { stopwords as german } from '@orama/stopwords/german';
import { stopwords as greek } from '@orama/stopwords/greek';
import { stopwords as hungarian } from '@orama/stopwords/hungarian';
import { stopwords as italian } from '@orama/stopwords/italian';
import { stopwords as norwegian } from '@orama/stopwords/norwegian';
import { stopwords as portuguese } from '@orama/stopwords/portuguese';
import { stopwords as romanian } from '@orama/stopwords/romanian';
import { stopwords as russian } from '@orama/stopwords/russian';
import { stopwords as spanish } from '@orama/stopwords/spanish';
import { stopwords as swedish } from '@orama/stopwords/swedish';
import { stopwords as turkish } from '@orama/stopwords/turkish';
import { stopwords as ukrainian } from '@orama/stopwords/ukrainian';

/** Alphabets whose words the languages below share; a word is only ever stemmed by a language of its own alphabet. */
export type Alphabet = 'latin' | 'cyrillic' | 'greek' | 'arabic';

type Tongue = {
  readonly alphabet: Alphabet;
  readonly stem: (word: string) => string;
  readonly stopWords: readonly string[];
};

const tongues = {
  en: { alphabet: 'latin', stem: stemEnglish, stopWords: english },
  de: { alphabet: 'latin', stem: stemGerman, stopWords: german },
  fr: { alphabet: 'latin', stem: stemFrench, stopWords: french },
  es: { alphabet: 'latin', stem: stemSpanish, stopWords: spanish },
  it: { alphabet: 'latin', stem: stemItalian, stopWords: italian },
  pt: { alphabet: 'latin', stem: stemPortuguese, stopWords: portuguese },
  nl: { alphabet: 'latin', stem: stemDutch, stopWords: dutch },
  sv: { alphabet: 'latin', stem: stemSwedish, stopWords: swedish },
  no: { alphabet: 'latin', stem: stemNorwegian, stopWords: norwegian },
  da: { alphabet: 'latin', stem: stemDanish, stopWords: danish },
  fi: { alphabet: 'latin', stem: stemFinnish, stopWords: finnish },
  hu: { alphabet: 'latin', stem: stemHungarian, stopWords: hungarian },
  ro: { alphabet: 'latin', stem: stemRomanian, stopWords: romanian },
  tr: { alphabet: 'latin', stem: stemTurkish, stopWords: turkish },
  ru: { alphabet: 'cyrillic', stem: stemRussian, stopWords: russian },
  uk: { alphabet: 'cyrillic', stem: stemUkrainian, stopWords: ukrainian },
  el: { alphabet: 'greek', stem: stemGreek, stopWords: greek },
  ar: { alphabet: 'arabic', stem: stemArabic, stopWords: arabic },
} as const satisfies Record<string, Tongue>;

export type Language = keyof typeof tongues;

export const isLanguage = (value: string): value is Language => Object.hasOwn(tongues, value);

const languages = Object.keys(tongues).filter(isLanguage);

/** What is assumed of an alphabet's words when the text itself does not tell. */
const usual: Readonly<Record<Alphabet, Language>> = { latin: 'en', cyrillic: 'ru', greek: 'el', arabic: 'ar' };

/** By the first letter's block: exact enough for a choice of stemmer, and a hundred times cheaper than a pattern. */
const alphabetOf = (word: string): Alphabet | undefined => {
  const first = word.charCodeAt(0);
  if (first <= 0x40) return undefined;
  if (first < 0x250 || (first >= 0x1e00 && first < 0x1f00)) return 'latin';
  if (first >= 0x370 && (first < 0x400 || (first >= 0x1f00 && first < 0x2000))) return 'greek';
  if (first >= 0x400 && first < 0x530) return 'cyrillic';
  if (first >= 0x600 && first < 0x780) return 'arabic';
  return undefined;
};

/**
 * The stop words of a language as they look after normalising. Typographic and straight apostrophes are one, and the
 * bare form of a negation counts ("dont"), as the tokeniser writes it; that of others would take "shell" for "she'll".
 */
const stopSets = new Map<Language, ReadonlySet<string>>();
const stopSetOf = (language: Language): ReadonlySet<string> => {
  const known = stopSets.get(language);
  if (known) return known;
  const words = tongues[language].stopWords.flatMap((word) => {
    const lower = word.normalize('NFKC').toLowerCase();
    return /n['’]t$/.test(lower) ? [lower, lower.replace(/['’]/, '')] : [lower];
  });
  const set: ReadonlySet<string> = new Set(words);
  stopSets.set(language, set);
  return set;
};

/** Each stop word with the languages that have it, in the order of the languages. */
let stoppingLanguages: ReadonlyMap<string, readonly Language[]> | undefined;
const stopping = (): ReadonlyMap<string, readonly Language[]> => {
  if (stoppingLanguages) return stoppingLanguages;
  const found = new Map<string, Language[]>();
  for (const language of languages)
    for (const word of stopSetOf(language)) found.set(word, [...(found.get(word) ?? []), language]);
  stoppingLanguages = found;
  return found;
};

const diacritics = /[\u0300-\u036f]/g;
const letters: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ı: 'i',
  ς: 'σ',
};
const foreign = /[ßæœøđðþłıς]/g;

const isAscii = (word: string): boolean => {
  for (let at = 0; at < word.length; at++) if (word.charCodeAt(at) > 0x7f) return false;
  return true;
};

/**
 * Accents go for Latin and Greek, where people leave them out when they type in a hurry. Not for Cyrillic (й is no и)
 * and not for the scripts of South Asia, where the marks are the vowels.
 */
export const foldWord = (word: string): string => {
  if (isAscii(word)) return word;
  const alphabet = alphabetOf(word);
  if (alphabet === 'arabic') return foldArabic(word);
  if (alphabet !== 'latin' && alphabet !== 'greek') return word;
  return word
    .normalize('NFD')
    .replaceAll(diacritics, '')
    .replaceAll(foreign, (letter) => letters[letter] ?? letter);
};

/** Vowel signs and the stretching dash go; the forms of alef, ya and ta marbuta that people mix become one. */
const foldArabic = (word: string): string =>
  word
    .replaceAll(/[\u0640\u064b-\u065f\u0670]/g, '')
    .replaceAll(/[أإآٱ]/g, 'ا')
    .replaceAll('ى', 'ي')
    .replaceAll('ة', 'ه');

/** Words recur, and a stemmer costs a hundred look-ups; the cap keeps a hostile text from growing the memory. */
const maxRemembered = 20_000;
const remembered = new Map<Language, Map<string, string>>();

const memoryOf = (language: Language): Map<string, string> => {
  const memory = remembered.get(language) ?? new Map<string, string>();
  remembered.set(language, memory);
  if (memory.size >= maxRemembered) memory.clear();
  return memory;
};

const stemIn = (word: string, language: Language): string => {
  const memory = memoryOf(language);
  const known = memory.get(word);
  if (known !== undefined) return known;
  const bare = language === 'ar' ? foldArabic(word) : word;
  const stem = foldWord(tongues[language].stem(bare)) || foldWord(word);
  memory.set(word, stem);
  return stem;
};

/** The language that takes care of a word of a text: the text's own if the alphabet fits, else the alphabet's usual one. */
const caretaker = (word: string, language: Language): Language | undefined => {
  const alphabet = alphabetOf(word);
  if (alphabet === undefined) return undefined;
  return tongues[language].alphabet === alphabet ? language : usual[alphabet];
};

/** The term of one lower-case word, or nothing for a stop word. */
export const termOf = (word: string, language: Language): string | undefined => {
  const by = caretaker(word, language);
  if (by === undefined) return foldWord(word);
  return stopSetOf(by).has(word) ? undefined : stemIn(word, by);
};

/** The terms that a word has in texts of these languages: one, unless their stemmers disagree. */
export const variantsOf = (word: string, among: readonly Language[]): readonly string[] => {
  const found = new Set<string>();
  for (const language of among) {
    const by = caretaker(word, language);
    found.add(by === undefined ? foldWord(word) : stemIn(word, by));
  }
  return [...found];
};

const sampleLength = 6_000;
const minShare = 0.2;

/**
 * The language of a text by its alphabet and its stop words; `fallback` when it does not tell, as most questions of
 * three words do not. Only `among` is considered.
 */
export const guessLanguage = (
  text: string,
  fallback: Language = 'en',
  among: readonly Language[] = languages,
): Language => {
  const words =
    text
      .slice(0, sampleLength)
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{M}'’]{2,64}/gu) ?? [];
  if (words.length === 0) return fallback;
  const perAlphabet = new Map<Alphabet, number>();
  const votes = new Map<Language, number>();
  for (const word of words) {
    const alphabet = alphabetOf(word);
    if (!alphabet) continue;
    perAlphabet.set(alphabet, (perAlphabet.get(alphabet) ?? 0) + 1);
    const stoppedBy = stopping().get(word);
    if (stoppedBy === undefined) continue;
    for (const language of among === languages ? stoppedBy : among) {
      if (tongues[language].alphabet === alphabet && stoppedBy.includes(language))
        votes.set(language, (votes.get(language) ?? 0) + 1);
    }
  }
  const alphabet = [...perAlphabet].sort((a, b) => b[1] - a[1])[0]?.[0];
  if (!alphabet) return fallback;
  const quiet = tongues[fallback].alphabet === alphabet ? fallback : usual[alphabet];
  const ranked = [...votes].filter(([language]) => tongues[language].alphabet === alphabet).sort((a, b) => b[1] - a[1]);
  const [best, second] = ranked;
  if (!best || best[1] < Math.max(words.length > 8 ? 2 : 1, words.length * minShare)) return quiet;
  // Near relatives (Danish and Norwegian) share most stop words; a tie goes to what is expected anyway.
  if (second && second[1] === best[1] && second[0] === quiet) return quiet;
  return best[0];
};
