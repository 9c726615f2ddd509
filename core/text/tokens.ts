import { createRequire } from 'node:module';
import { ownCopy } from './own-copy.ts';

/**
 * The tokenizer's time grows with the square of a run without a break (27,000 Japanese characters took 5 s on the event
 * loop), so it never sees more than a window. The error against an unwindowed count stays under 0.3 %.
 */
const windowLength = 512;

/** Text that imitates a special token (`<|endoftext|>`) is counted as the plain text that it is, instead of throwing. */
const asPlainText = { disallowedSpecial: new Set<string>() };

type Encoding = { countTokens(text: string, options: typeof asPlainText): number };

const require = createRequire(import.meta.url);
let encoding: Encoding | undefined;

/** The vocabulary costs 48 MB and half a second: it is loaded at the first count, not at import. */
const loaded = (): Encoding => {
  encoding ??= require('gpt-tokenizer/encoding/o200k_base') as Encoding;
  return encoding;
};

/** Tokens of `text` by the o200k vocabulary; linear in its length. Other models differ by some percent. */
export const countTokens = (text: string): number => {
  let tokens = 0;
  for (let start = 0; start < text.length; ) {
    const end = windowEnd(text, start);
    tokens += countWindow(text.slice(start, end));
    start = end;
  }
  return tokens;
};

/**
 * Words recur, and the vocabulary is 200,000 strings all over the memory: what was counted once is remembered. The cap
 * bounds the memory, whatever the texts hold.
 */
const maxRemembered = 50_000;
const maxRememberedLength = 32;
const remembered = new Map<string, number>();

const countPart = (part: string): number => {
  const known = remembered.get(part);
  if (known !== undefined) return known;
  const tokens = loaded().countTokens(part, asPlainText);
  if (part.length <= maxRememberedLength) {
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(ownCopy(part), tokens);
  }
  return tokens;
};

const countWindow = (window: string): number => {
  let tokens = 0;
  for (let start = 0; start < window.length; ) {
    const end = partEnd(window, start);
    // One character of ASCII is always one token.
    tokens += end - start === 1 && window.charCodeAt(start) < 0x80 ? 1 : countPart(window.slice(start, end));
    start = end;
  }
  return tokens;
};

const [mark, letter, digit, space, lineEnd, beyond] = [0, 1, 2, 3, 4, 5];
const kinds = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[A-Za-z]/.test(character)) return letter;
  if (/[0-9]/.test(character)) return digit;
  if (/[\r\n]/.test(character)) return lineEnd;
  return /\s/.test(character) ? space : mark;
});
/** Nothing behind the window's end. */
const kindAt = (window: string, at: number): number | undefined => {
  if (at >= window.length) return undefined;
  const code = window.charCodeAt(at);
  return code < 0x80 ? kinds[code] : beyond;
};

/**
 * Where the part that begins at `start` ends: a place where the vocabulary's pattern is certain to end a piece too, so
 * the sum over the parts is the count of the whole. ASCII is cut into the pattern's own pieces (letters with the one
 * character before them, three digits, marks with the line ends after them, white space but for its last character);
 * at anything else, and at contractions, the part goes on to the next space that has a letter behind it.
 */
const partEnd = (window: string, start: number): number => {
  const first = kindAt(window, start);
  const second = kindAt(window, start + 1);
  if (first === letter || (second === letter && (first === mark || first === space))) {
    let end = start + 1;
    while (kindAt(window, end) === letter) end += 1;
    return kindAt(window, end) === beyond || window.charCodeAt(end) === 0x27 ? nextWord(window, end) : end;
  }
  if (first === digit) {
    let end = start + 1;
    while (end < start + 3 && kindAt(window, end) === digit) end += 1;
    return kindAt(window, end) === beyond ? nextWord(window, end) : end;
  }
  if (first === mark || (second === mark && window.charCodeAt(start) === 0x20)) {
    let end = start + 1;
    while (kindAt(window, end) === mark) end += 1;
    while (kindAt(window, end) === lineEnd || window.charCodeAt(end) === 0x2f) end += 1;
    return kindAt(window, end) === beyond ? nextWord(window, end) : end;
  }
  return first === beyond ? nextWord(window, start + 1) : blankEnd(window, start);
};

const blankEnd = (window: string, start: number): number => {
  let end = start;
  let lines = start;
  for (let kind = kindAt(window, end); kind === space || kind === lineEnd; kind = kindAt(window, end)) {
    end += 1;
    if (kind === lineEnd) lines = end;
  }
  if (kindAt(window, end) === beyond) return nextWord(window, end);
  if (lines > start) return lines;
  return end === window.length || end === start + 1 ? end : end - 1;
};

const nextWord = (window: string, from: number): number => {
  let at = from;
  while (at < window.length && !(window.charCodeAt(at) === 0x20 && kindAt(window, at + 1) === letter)) at += 1;
  return at;
};

/**
 * Before white space when there is any near the edge, because a token carries the space before its word: then the count
 * is the unwindowed one. Never between the halves of a surrogate pair: a lone half counts as three bytes of rubbish.
 */
const windowEnd = (text: string, start: number): number => {
  const end = Math.min(start + windowLength, text.length);
  if (end === text.length) return end;
  for (let edge = end; edge > end - 64; edge--) {
    if (text.charCodeAt(edge) === 0x20 && text.charCodeAt(edge - 1) !== 0x20) return edge;
  }
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end - 1 : end;
};
