const questionMarks = /[?？؟⁇⸮;՞፧]\s*$/u;

/** First words that open a question in the languages that we know; the rest is left to the question mark. */
const openers = new Set(
  (
    'who what when where why how which whose whom is are was were do does did can could may might should shall will would has have ' +
    'wer was wann wo warum wieso weshalb wie welche welcher welches wozu woher wohin kann können darf dürfen gibt ist sind ' +
    'qui que quoi quand où pourquoi comment quel quelle quels quelles est-ce combien ' +
    'quién qué cuándo dónde por cómo cuál cuáles cuánto puedo hay ' +
    'chi cosa quando dove perché come quale quanto quem quando onde porque qual posso'
  ).split(/\s+/),
);

/**
 * Whether a message reads like a question: it ends a sentence with a question mark, or it opens like a question and is
 * long enough to be one. Deliberately simple and wrong on the silent side: "how nice" is no question, and a bot that
 * butts in is worse than one that waits to be mentioned.
 */
export const isQuestion = (text: string): boolean => {
  const plain = withoutCode(text).trim();
  if (plain === '') return false;
  const sentences = plain.split(/\n+/).flatMap((line) => line.split(/(?<=[.!…])\s+/u));
  if (sentences.some((sentence) => isAsked(sentence.trim()))) return true;
  const words = plain.toLowerCase().split(/\s+/u);
  return words.length >= 4 && openers.has(words[0] ?? '') && !/[.!]$/.test(plain);
};

/** The Greek question mark is a semicolon, so it counts only after Greek letters. */
const isAsked = (sentence: string): boolean => {
  if (!questionMarks.test(sentence)) return false;
  if (sentence.endsWith(';') && !/\p{Script=Greek}/u.test(sentence)) return false;
  return /\p{L}/u.test(sentence);
};

const withoutCode = (text: string): string =>
  text
    .replace(/```[\s\S]*?(?:```|$)/g, ' ')
    .replace(/`[^`\n]*`/g, ' ')
    .replace(/https?:\/\/\S+/g, ' ');
