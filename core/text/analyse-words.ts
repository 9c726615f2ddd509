/** Longer runs are cut: nobody searches for them, and a 10 MB line must cost no more than ten of 1 MB. */
const maxWord = 64;
const windowLength = 65_536;

const unspaced =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}ー';
const unspacedRun = new RegExp(`[${unspaced}][${unspaced}\\p{M}]{0,1023}`, 'gu');
const isUnspaced = new RegExp(`[${unspaced}]`, 'u');

/**
 * Words joined by what joins identifiers, with a possible sign before (`.env`, `--flag`) and behind (`C++`, `C#`).
 * Every quantifier is bounded and no two neighbours match the same character, so matching is linear.
 */
const compound =
  /(?:(?<=^|[\s([`'"«“])(?:--?|\.|@))?[\p{L}\p{N}\p{M}]{1,1024}(?:(?:[._'’-]|::|(?<=\p{N}),(?=\p{N}{3}))[\p{L}\p{N}\p{M}]{1,1024}){0,15}(?:\+\+|#(?![\p{L}\p{N}]))?/uy;

const humps = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u;
const looksHumped = /[\p{Ll}\p{N}]{2}\p{Lu}|\p{Lu}{2}\p{Ll}{2}/u;
const hasDigit = /\p{N}/u;
const version = /^v?(\d{1,6}(?:\.\d{1,6}){1,3})$/;

/** Windows of a long text, cut at white space where there is some. */
function* windowsOf(text: string): Generator<string> {
  let from = 0;
  while (from < text.length) {
    let to = Math.min(text.length, from + windowLength);
    if (to < text.length) {
      const near = text.slice(to - 1_024, to);
      const space = Math.max(near.lastIndexOf(' '), near.lastIndexOf('\n'));
      if (space > 0) to = to - 1_024 + space;
      else if ((text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to -= 1; // never between the halves of a character
    }
    yield normalised(text.slice(from, to));
    from = to;
  }
}

const beyondAscii = /[^\0-\x7f]/;
const normalised = (text: string): string => (beyondAscii.test(text) ? text.normalize('NFKC') : text);

/** Is handed each token of a text, lower-case. `whole` ones (identifiers, versions, pairs) are neither stemmed nor stopped. */
export type Emit = (word: string, whole: boolean) => void;

const [apart, plain, joint, beyond] = [0, 1, 2, 3];
/** What separates words, what they are made of, what may join or mark them; beyond ASCII the patterns tell. */
const kinds = Uint8Array.from({ length: 0x10000 }, (_, code) => {
  if (code >= 0x80) return beyond;
  const character = String.fromCharCode(code);
  return /[A-Za-z0-9]/.test(character) ? plain : /[-._'@:,+#]/.test(character) ? joint : apart;
});

/**
 * Hands over the runs of a text that `expand` makes words of, in order. Linear in its length. What a run expands to
 * depends on nothing but the run, so that it can be remembered.
 */
export const eachRun = (text: string, take: (run: string) => void): void => {
  if (text.length <= windowLength) eachRunOf(normalised(text), take);
  else for (const window of windowsOf(text)) eachRunOf(window, take);
};

const eachRunOf = (window: string, take: (run: string) => void): void => {
  for (let at = 0; at < window.length; ) {
    const kind = kinds[window.charCodeAt(at)];
    if (kind === apart) {
      at += 1;
      continue;
    }
    if (kind === plain) {
      // Nine of ten words are letters between spaces or before a comma; the pattern is for the rest.
      const end = plainEnd(window, at);
      if (endsRun(window, end)) {
        take(window.slice(at, end));
        at = end;
        continue;
      }
    }
    compound.lastIndex = at;
    const match = compound.exec(window)?.[0];
    if (match) take(match);
    at += match ? match.length : (window.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1;
  }
};

const plainEnd = (window: string, from: number): number => {
  let at = from;
  while (at < window.length && kinds[window.charCodeAt(at)] === plain) at += 1;
  return at;
};

/** Nothing that could join follows; or something follows that joins, with nothing behind it to be joined. */
const endsRun = (window: string, at: number): boolean => {
  if (at === window.length) return true;
  const code = window.charCodeAt(at);
  if (kinds[code] === apart) return true;
  if (kinds[code] !== joint || code === 0x2b || code === 0x23) return false;
  return at + 1 === window.length || kinds[window.charCodeAt(at + 1)] === apart;
};

/** Hands over the tokens of a text in order. Linear in its length. */
export const eachWord = (text: string, emit: Emit): void => eachRun(text, (run) => expand(run, emit));

/** The words of a run: one as a rule, several for what people join. */
export const expand = (match: string, emit: Emit): void => {
  if (isPlain(match)) {
    emitWord(match, emit);
    return;
  }
  const parts = match.split(/[^\p{L}\p{N}\p{M}]+/u).filter((part) => part !== '');
  const lower = match.toLowerCase();
  const apostrophe = /^([\p{L}\p{M}]+)['’]([\p{L}\p{M}]+)$/u.exec(lower);
  const numbers = version.exec(lower)?.[1];
  if (parts.length === 1 && match.length === parts[0]?.length) emitPart(match, emit);
  else if (apostrophe) emitContraction(apostrophe[1] ?? '', apostrophe[2] ?? '', emit);
  else if (numbers) {
    emit(numbers, true);
    // "1.2.3" is a "1.2" as well.
    const shorter = numbers.split('.').slice(0, 2).join('.');
    if (shorter !== numbers) emit(shorter, true);
  } else if (/^\p{N}+(?:,\p{N}{3})+$/u.test(lower)) emit(lower.replaceAll(',', '').slice(0, maxWord), true);
  else if (/(?:\+\+|#)$/.test(lower) && parts.length === 1) emit(lower.slice(0, maxWord), true);
  else {
    if (isIdentifier(lower)) emit(lower.slice(0, maxWord), true);
    for (const part of parts) emitPart(part, emit);
  }
};

const isPlain = (match: string): boolean => plainEnd(match, 0) === match.length;

/** A hyphen alone makes no identifier: "state-of-the-art" is prose. */
const isIdentifier = (lower: string): boolean =>
  /^[.@-]/.test(lower) || /[._:]/.test(lower) || (lower.includes('-') && hasDigit.test(lower));

/** "user's" is user, "l'eau" is l and eau, "don't" is dont (a stop word). */
const emitContraction = (head: string, tail: string, emit: Emit): void => {
  if (/^(?:s|d|m|ll|re|ve)$/.test(tail)) emit(head.slice(0, maxWord), false);
  else if (head.length > 2) emit((head + tail).slice(0, maxWord), false);
  else {
    emit(head, false);
    emit(tail.slice(0, maxWord), false);
  }
};

const emitPart = (part: string, emit: Emit): void =>
  isUnspaced.test(part) ? emitMixed(part, emit) : emitWord(part, emit);

/** A word, and the pieces of one in camel case. */
const emitWord = (part: string, emit: Emit): void => {
  const lower = part.toLowerCase();
  const pieces = lower !== part && part.length <= maxWord && looksHumped.test(part) ? part.split(humps) : [];
  emit(lower.slice(0, maxWord), pieces.length > 1 || hasDigit.test(lower));
  if (pieces.length > 1) for (const piece of pieces) if (piece.length > 1) emit(piece.toLowerCase(), false);
};

/** Scripts without spaces become overlapping pairs of characters; what stands between them ("Node版本") stays a word. */
const emitMixed = (part: string, emit: Emit): void => {
  let from = 0;
  for (const match of part.matchAll(unspacedRun)) {
    if (match.index > from) emitWord(part.slice(from, match.index), emit);
    from = match.index + match[0].length;
    emitPairs(match[0], emit);
  }
  if (from < part.length) emitWord(part.slice(from), emit);
};

/** Pairs need no dictionary, so an index does not change with the version of the runtime. A vowel sign stays with its letter. */
const emitPairs = (run: string, emit: Emit): void => {
  const clusters = run.match(/\P{M}\p{M}{0,8}|\p{M}{1,8}/gu) ?? [];
  if (clusters.length === 1) emit(run.slice(0, maxWord), true);
  for (let at = 0; at + 1 < clusters.length; at++) emit(`${clusters[at]}${clusters[at + 1]}`, true);
};
