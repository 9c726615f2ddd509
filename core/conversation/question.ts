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

/** Words that close a talk or keep it company, in the languages that we know; a message of nothing else wants no answer. */
const pleasantries = new Set(
  (
    'thanks thank you thx ty cheers ok okay k kk great perfect cool nice good awesome super yes no yep nope sure lol haha ' +
    'so much very a lot that helped works worked got it done hi hello hey morning bye welcome ' +
    'danke dank vielen schön dir ihnen sehr alles klar passt prima ja nein hallo tschüss gern gerne ' +
    'merci beaucoup parfait oui non bonjour salut gracias muchas perfecto vale sí hola adiós grazie mille prego obrigado obrigada'
  ).split(/\s+/),
);

/** "Thanks, that helped!" and the like: at most six words, all of them pleasantries, and no question. */
export const isSmallTalk = (text: string): boolean => {
  const words =
    withoutEmoji(text)
      .toLowerCase()
      .match(/[\p{L}\p{N}']+/gu) ?? [];
  return words.length > 0 && words.length <= 6 && !isQuestion(text) && words.every((word) => pleasantries.has(word));
};

/** Platform drivers write emoji by name. */
export const withoutEmoji = (text: string): string => text.replace(/:[a-z0-9_+'-]+:/gi, '');

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
