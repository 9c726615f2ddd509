/**
 * The one text analyser: every chunk store indexes and searches these terms, so that all of them rank alike.
 * A text is normalised (NFKC, lower case), cut into words, freed of its language's stop words and stemmed; identifiers,
 * versions and error codes are kept whole beside their parts; scripts without spaces become pairs of characters.
 */
import { foldWord, guessLanguage, type Language, termOf, variantsOf } from './analyse-languages.ts';
import { eachRun, eachWord, expand } from './analyse-words.ts';
import { ownCopy } from './own-copy.ts';

export { guessLanguage, isLanguage, type Language } from './analyse-languages.ts';
export { eachRun } from './analyse-words.ts';

/** Part of an index's profile: another version makes other terms, so the index has to be built again. */
export const analyserVersion = 'footnote-1';

/**
 * The terms of a text in order, with repetitions. Give the language of the whole document when you have more of it than
 * `text`; otherwise it is guessed. Linear in the length of the text.
 */
export const analyse = (text: string, language: Language = guessLanguage(text)): string[] => {
  const terms: string[] = [];
  eachRun(text, (run) => {
    const found = termsOfRun(run, language);
    if (typeof found === 'string') terms.push(found);
    else for (const term of found) terms.push(term);
  });
  return terms;
};

/** The terms of one of a text's runs, as `eachRun` hands them over; a single one as itself. */
export const termsOfRun = (run: string, language: Language): string | readonly string[] => {
  const memory = memoryOf(language);
  const known = memory.get(run);
  if (known !== undefined) return known;
  const found = termsOf(run, language);
  if (run.length <= maxRememberedLength) memory.set(ownCopy(run), found);
  return found;
};

/** Runs recur, and most are one word. The caps keep a hostile text from growing the memory. */
const maxRemembered = 30_000;
const maxRememberedLength = 32;
const remembered = new Map<Language, Map<string, string | readonly string[]>>();

const memoryOf = (language: Language): Map<string, string | readonly string[]> => {
  const known = remembered.get(language);
  if (known !== undefined && known.size < maxRemembered) return known;
  const memory = new Map<string, string | readonly string[]>();
  remembered.set(language, memory);
  return memory;
};

const termsOf = (run: string, language: Language): string | readonly string[] => {
  const terms: string[] = [];
  expand(run, (word, whole) => {
    const term = whole ? foldWord(word) : termOf(word, language);
    if (term) terms.push(ownCopy(term));
  });
  return terms.length === 1 ? (terms[0] ?? terms) : terms;
};

/** A word of a question: the terms that stand for it in the index, any of which is a match. Never empty. */
export type QueryWord = { readonly variants: readonly string[]; readonly count: number };

const maxQueryWords = 256;

/**
 * The words of a question, each once, in order of appearance, at most 256. A question of three words does not tell its
 * language, so each word is stemmed in every language that the index holds (the commonest first); stop words go by
 * the question's own language, or the commonest when it does not tell.
 */
export const analyseQuery = (text: string, languages: readonly Language[] = ['en']): QueryWord[] => {
  const among: readonly Language[] = languages.length === 0 ? ['en'] : languages;
  const own = guessLanguage(text, among[0], among.includes('en') ? among : [...among, 'en']);
  const found = new Map<string, { variants: readonly string[]; count: number }>();
  eachWord(text, (word, whole) => {
    if (!whole && termOf(word, own) === undefined) return;
    const variants = whole ? [foldWord(word)] : variantsOf(word, among);
    const key = variants[0];
    if (!key) return;
    const known = found.get(key);
    if (known) known.count += 1;
    else if (found.size < maxQueryWords) found.set(key, { variants, count: 1 });
  });
  return [...found.values()];
};
