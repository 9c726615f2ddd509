import { createRequire } from 'node:module';

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
  if (text === '') return 0;
  const { countTokens: count } = loaded();
  if (text.length <= windowLength) return count(text, asPlainText);
  let tokens = 0;
  for (let start = 0; start < text.length; ) {
    const end = windowEnd(text, start);
    tokens += count(text.slice(start, end), asPlainText);
    start = end;
  }
  return tokens;
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

/**
 * Cheap estimate without the vocabulary: four characters a token for Latin script, one and a half for
 * everything beyond it. For budgets that need no precision.
 */
export const estimateTokens = (text: string): number => {
  let wide = 0;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x2ff) wide++;
  return Math.ceil((text.length - wide) / 4 + wide / 1.5);
};
