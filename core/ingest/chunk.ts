import type { Chunk } from '../domain.ts';
import { hashOf } from '../ids.ts';
import { estimateTokens } from '../text/estimate-tokens.ts';
import type { Block, Parsed } from './parse/outline.ts';

/** Part of every fingerprint: a higher number makes every document be cut again. */
export const chunkerVersion = 'c2';

/** In tokens as estimated: the exact count is for prompts, where it is paid for. */
export type ChunkLimits = {
  /** A chunk that has this much is closed at the next block. */
  readonly target: number;
  readonly max: number;
  /** A chunk below this takes in what follows, even across a heading. */
  readonly min: number;
};

export const defaultChunkLimits: ChunkLimits = { target: 350, max: 512, min: 48 };

export type ChunkSubject = {
  readonly documentId: string;
  readonly sourceId: string;
  readonly externalId: string;
  readonly title: string;
  readonly url?: string;
};

/** The smallest thing that is not cut: a block, or lines of one that is too long. */
type Unit = {
  readonly start: number;
  readonly end: number;
  readonly tokens: number;
  readonly page: number | undefined;
  readonly path: readonly string[];
  readonly isHeading: boolean;
};

type Open = {
  start: number;
  end: number;
  tokens: number;
  page: number | undefined;
  path: readonly string[];
  onlyHeadings: boolean;
};

/**
 * Contiguous slices of the canonical Markdown, cut at headings and between blocks, in one pass. Never inside a fence or
 * a table that fits; a longer one is cut between lines, and its chunks share the heading path instead of altered text.
 */
export const chunkDocument = (
  parsed: Parsed,
  subject: ChunkSubject,
  limits: ChunkLimits = defaultChunkLimits,
): readonly Chunk[] => {
  const finished: Open[] = [];
  let open: Open | null = null;
  const flush = (): void => {
    // A heading with nothing under it is no passage, unless the whole document is headings.
    if (open !== null) finished.push(open);
    open = null;
  };
  for (const unit of units(parsed, limits)) {
    if (unit === 'boundary') {
      flush();
      continue;
    }
    const current = open as Open | null;
    if (current !== null && mustPart(current, unit, limits)) flush();
    if (open === null) {
      open = { ...unit, onlyHeadings: unit.isHeading };
      continue;
    }
    const into = open as Open;
    into.end = unit.end;
    into.tokens += unit.tokens + 1;
    into.path = into.onlyHeadings ? unit.path : commonPath(into.path, unit.path);
    into.onlyHeadings &&= unit.isHeading;
  }
  flush();
  return finish(parsed.text, finished, subject);
};

const mustPart = (open: Open, next: Unit, limits: ChunkLimits): boolean => {
  if (open.tokens + next.tokens + 1 > limits.max) return true;
  if (open.onlyHeadings) return false;
  if (open.tokens < limits.min) return false;
  if (next.isHeading || open.tokens >= limits.target) return true;
  return next.page !== open.page && open.tokens >= limits.target / 2;
};

const commonPath = (a: readonly string[], b: readonly string[]): readonly string[] => {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length === a.length ? a : a.slice(0, length);
};

function* units(parsed: Parsed, limits: ChunkLimits): Generator<Unit | 'boundary'> {
  const { text } = parsed;
  let stack: readonly { readonly depth: number; readonly heading: string }[] = [];
  let path: readonly string[] = [];
  for (const block of parsed.blocks) {
    if (block.kind === 'hidden') {
      yield 'boundary';
      continue;
    }
    if (block.kind === 'heading') {
      const depth = block.depth ?? 1;
      stack = [...stack.filter((above) => above.depth < depth), { depth, heading: block.heading ?? '' }];
      path = stack.map((above) => above.heading).filter((heading) => heading !== '');
    }
    const { start, end } = trimmed(text, block.start, block.end);
    if (start >= end) continue;
    const common = { page: block.page, path, isHeading: block.kind === 'heading' };
    const tokens = tokensOf(text, start, end, limits.max);
    if (tokens <= limits.max) yield { start, end, tokens, ...common };
    else yield* pieces(text, block, limits, common);
  }
}

/** What is certainly too long need not be counted whole: a token is at most some characters of prose. */
const tokensOf = (text: string, start: number, end: number, max: number): number =>
  end - start > max * 40 ? Number.POSITIVE_INFINITY : estimateTokens(text, start, end);

/** A block that is too long, cut between its lines; a line that is too long, cut where sentences or words end. */
function* pieces(
  text: string,
  block: Block,
  limits: ChunkLimits,
  common: Pick<Unit, 'page' | 'path' | 'isHeading'>,
): Generator<Unit> {
  for (let at = block.start; at < block.end; ) {
    const newline = text.indexOf('\n', at);
    const lineEnd = newline < 0 || newline > block.end ? block.end : newline;
    const line = trimmedEnd(text, at, lineEnd);
    if (line > at) {
      const tokens = tokensOf(text, at, line, limits.max);
      if (tokens <= limits.max) yield { start: at, end: line, tokens, ...common };
      else yield* cutLine(text, at, line, limits, common);
    }
    at = lineEnd + 1;
  }
}

function* cutLine(
  text: string,
  from: number,
  to: number,
  limits: ChunkLimits,
  common: Pick<Unit, 'page' | 'path' | 'isHeading'>,
): Generator<Unit> {
  for (let start = from; start < to; ) {
    let end = cutAt(text, start, Math.min(start + limits.target * 4, to), to);
    let tokens = estimateTokens(text, start, end);
    while (tokens > limits.target && end - start > 64) {
      end = cutAt(text, start, start + Math.max(64, Math.floor(((end - start) * limits.target * 0.9) / tokens)), to);
      const next = estimateTokens(text, start, end);
      if (next >= tokens) break;
      tokens = next;
    }
    const inner = trimmed(text, start, end);
    if (inner.end > inner.start) yield { ...inner, tokens, ...common };
    start = end;
  }
}

/** The best place to cut at or before `limit`: after a sentence, else before white space, else anywhere but inside a character. */
const cutAt = (text: string, start: number, limit: number, to: number): number => {
  if (limit >= to) return to;
  const lowest = start + Math.floor((limit - start) / 2);
  for (let at = limit; at > lowest; at--)
    if (/[.!?。！？؟]/.test(text[at - 1] ?? '') && (/\s/.test(text[at] ?? '') || /[。！？]/.test(text[at - 1] ?? '')))
      return at;
  for (let at = limit; at > lowest; at--) if (/\s/.test(text[at] ?? '')) return at;
  const last = text.charCodeAt(limit - 1);
  return last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit;
};

const trimmedEnd = (text: string, start: number, end: number): number => {
  let at = end;
  while (at > start && isSpace(text.charCodeAt(at - 1))) at--;
  return at;
};

/** Not the indentation of a first line: in code it says something. */
const trimmed = (text: string, start: number, end: number): { readonly start: number; readonly end: number } => {
  let at = start;
  while (at < end && isBreak(text.charCodeAt(at))) at++;
  return { start: at, end: trimmedEnd(text, at, end) };
};

const isBreak = (code: number): boolean => code === 10 || code === 13;
const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13) || code === 0xa0;

const finish = (text: string, parts: readonly Open[], subject: ChunkSubject): readonly Chunk[] => {
  const withText = parts.filter((part) => !part.onlyHeadings);
  const kept = withText.length > 0 ? withText : parts;
  const twins = new Map<string, number>();
  return kept.map((part, ordinal) => {
    const slice = text.slice(part.start, part.end);
    const key = hashOf(subject.documentId, ...part.path, slice);
    const twin = twins.get(key) ?? 0;
    twins.set(key, twin + 1);
    return {
      id: `c_${hashOf(key, String(twin)).slice(0, 32)}`,
      documentId: subject.documentId,
      sourceId: subject.sourceId,
      externalId: subject.externalId,
      ordinal,
      title: subject.title,
      headingPath: part.path,
      text: slice,
      start: part.start,
      end: part.end,
      tokens: part.tokens,
      ...(part.page === undefined ? {} : { page: part.page }),
      ...(subject.url === undefined ? {} : { url: subject.url }),
    };
  });
};
