/** One token of a text, lower-case. `whole` terms (identifiers, versions, error codes) are never stemmed or stopped. */
export type Word = { readonly text: string; readonly whole: boolean };

/** Longer runs are cut: nobody searches for them, and a 10 MB line must cost no more than ten of 1 MB. */
const maxWord = 64;
const windowLength = 65_536;

const unspaced =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}ー';
const unspacedRun = new RegExp(`[${unspaced}\\p{M}]{1,1024}`, 'gu');
const startsUnspaced = new RegExp(`^[${unspaced}]`, 'u');

/**
 * Words joined by what joins identifiers, with a possible sign before (`.env`, `--flag`) and behind (`C++`, `C#`).
 * Every quantifier is bounded and no two neighbours match the same character, so matching is linear.
 */
const compound =
  /(?:(?<=^|[\s([`'"«“])(?:--?|\.|@))?[\p{L}\p{N}\p{M}]{1,1024}(?:(?:[._'’-]|::|(?<=\p{N}),(?=\p{N}{3}))[\p{L}\p{N}\p{M}]{1,1024}){0,15}(?:\+\+|#(?![\p{L}\p{N}]))?/gu;

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
    yield text.slice(from, to).normalize('NFKC');
    from = to;
  }
}

/** The tokens of a text in order. Linear in its length. */
export function* wordsOf(text: string): Generator<Word> {
  for (const window of windowsOf(text)) {
    for (const [match] of window.matchAll(compound)) yield* wordsOfCompound(match);
  }
}

function* wordsOfCompound(match: string): Generator<Word> {
  const parts = match.split(/[^\p{L}\p{N}\p{M}]+/u).filter((part) => part !== '');
  if (parts.length === 1 && match.length === parts[0]?.length) return yield* wordsOfPart(match);

  const lower = match.toLowerCase();
  const apostrophe = /^([\p{L}\p{M}]+)['’]([\p{L}\p{M}]+)$/u.exec(lower);
  if (apostrophe) return yield* wordsOfContraction(apostrophe[1] ?? '', apostrophe[2] ?? '');
  const numbers = version.exec(lower)?.[1];
  if (numbers) {
    yield { text: numbers, whole: true };
    const shorter = numbers.split('.').slice(0, 2).join('.');
    if (shorter !== numbers) yield { text: shorter, whole: true };
    return;
  }
  if (/^\p{N}+(?:,\p{N}{3})+$/u.test(lower))
    return yield { text: lower.replaceAll(',', '').slice(0, maxWord), whole: true };
  if (/(?:\+\+|#)$/.test(lower) && parts.length === 1) return yield { text: lower.slice(0, maxWord), whole: true };
  if (isIdentifier(lower)) yield { text: lower.slice(0, maxWord), whole: true };
  for (const part of parts) yield* wordsOfPart(part);
}

/** A hyphen alone makes no identifier: "state-of-the-art" is prose. */
const isIdentifier = (lower: string): boolean =>
  /^[.@-]/.test(lower) || /[._:]/.test(lower.replace(/\.$/, '')) || (hasDigit.test(lower) && lower.includes('-'));

/** "user's" is user, "l'eau" is eau, "don't" is dont (a stop word). */
function* wordsOfContraction(head: string, tail: string): Generator<Word> {
  if (tail === 's') yield { text: head.slice(0, maxWord), whole: false };
  else if (head.length <= 2 || head === 'qu' || head.endsWith('ll')) {
    yield { text: head, whole: false };
    yield { text: tail.slice(0, maxWord), whole: false };
  } else yield { text: (head + tail).slice(0, maxWord), whole: false };
}

function* wordsOfPart(part: string): Generator<Word> {
  if (startsUnspaced.test(part) || unspacedInside.test(part)) return yield* wordsOfMixed(part);
  const lower = part.toLowerCase().slice(0, maxWord);
  const pieces = part.length <= maxWord && looksHumped.test(part) ? part.split(humps) : [];
  yield { text: lower, whole: pieces.length > 1 || hasDigit.test(lower) };
  if (pieces.length > 1)
    for (const piece of pieces) if (piece.length > 1) yield { text: piece.toLowerCase(), whole: false };
}

const unspacedInside = new RegExp(`[${unspaced}]`, 'u');

/** Scripts without spaces become overlapping pairs of characters; what stands between them ("Node版本") stays a word. */
function* wordsOfMixed(part: string): Generator<Word> {
  let from = 0;
  for (const match of part.matchAll(unspacedRun)) {
    if (!startsUnspaced.test(match[0])) continue;
    if (match.index > from) yield* plain(part.slice(from, match.index));
    from = match.index + match[0].length;
    yield* pairsOf(match[0]);
  }
  if (from < part.length) yield* plain(part.slice(from));
}

function* plain(part: string): Generator<Word> {
  const lower = part.toLowerCase().slice(0, maxWord);
  yield { text: lower, whole: hasDigit.test(lower) };
}

/** Pairs need no dictionary, so an index does not change with the version of the runtime. A vowel sign stays with its letter. */
function* pairsOf(run: string): Generator<Word> {
  const clusters = run.match(/\P{M}\p{M}{0,8}|\p{M}{1,8}/gu) ?? [];
  if (clusters.length === 1) yield { text: run.slice(0, maxWord), whole: true };
  for (let at = 0; at + 1 < clusters.length; at++) yield { text: `${clusters[at]}${clusters[at + 1]}`, whole: true };
}
