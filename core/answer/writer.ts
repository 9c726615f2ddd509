import type { Citation, Passage } from '../domain.ts';
import { endsSentence } from '../text/sentences.ts';
import { holdsAddress } from './addresses.ts';
import { createCitation, createEvidence, isSupported, quoteFor } from './citations.ts';
import {
  blockPrefix,
  cleanCharacters,
  containCode,
  containFence,
  containInline,
  containRow,
  fenceLine,
  listEscapes,
  partAtMarkers,
} from './contain.ts';
import { sentinel } from './prompt.ts';
import { numbersOf, termsOf } from './terms.ts';

/**
 * Turns a model's raw Markdown into the answer: footnotes checked and renumbered, output contained. It works on units (a
 * sentence, a line, a line of code) that are cut by what came before them only and are never touched again: so whatever
 * was shown is a prefix of the final answer, however the pieces arrive. Nothing is shown before the first footnote that
 * holds, so that an answer without any can still become "not in your documents".
 */
export type Writer = {
  push(delta: string): void;
  /** `cut`: the model ran into its token limit; the unfinished sentence goes. */
  finish(cut: boolean): Written;
};

export type Written = {
  /** Empty when no footnote holds or the model said that the documents do not tell. */
  readonly markdown: string;
  readonly citations: readonly Citation[];
  readonly removedMarkers: number;
};

export type WriterOptions = {
  /** In the order of their numbers in the prompt. */
  readonly passages: readonly Passage[];
  readonly question: string;
  /** The contained answer so far; only ever grows. */
  readonly onText?: ((markdown: string) => void) | undefined;
};

const openPrefix = /^[ \t]*(?:[>#\-*+`~|\d.)[\]xX \t]{0,12})$/;
const markersThenMore = /^((?:[ \t]*(?:\[\^?\d[\d,;\s^]{0,12}\]|【[^】\n]{1,60}】))*)[ \t]+(?=[^\s[【(])/;
const sourcesHeading =
  /^[ \t]*(?:#{1,6}[ \t]*)?[*_]{0,3}(?:sources?|references?|footnotes?|citations?|quellen|fuentes|fontes|fonti|bronnen)[*_]{0,3}:?[*_]{0,3}[ \t]*$/i;
const definitionLine = /^[ \t]*\[[^\]\n]{1,80}\]:/;

export const createWriter = ({ passages, question, onText }: WriterOptions): Writer => {
  const evidence = passages.map(createEvidence);
  const askedNumbers = numbersOf(question, true);
  const numbered = new Map<number, Citation>();
  let buffer = '';
  let out = '';
  let atLineStart = true;
  let fence: string | null = null;
  let before = '';
  let over = false;
  let removedMarkers = 0;

  const isKnown = (address: string, inCode: boolean): boolean =>
    passages.some((passage, index) => (inCode || numbered.has(index + 1)) && holdsAddress(passage.text, address));

  // ── one unit ──────────────────────────────────────────────────────────────────────────────────────────────────────

  const writeInline = (content: string): string => {
    const { segments, markers } = partAtMarkers(content);
    const whole = segments.join(' ');
    const wide = termsOf(whole).size < 2 ? `${before} ${whole}` : whole;
    const numbers = allowedNumbers(markers.flat());
    let last = '';
    // Footnotes first: an address is known once the sentence that holds it has cited its passage.
    const resolved = markers.map((marker, index) => {
      last = segments[index]?.trim() || last;
      return footnotes(marker, termsOf(last).size >= 3 ? [last, wide] : [wide], numbers);
    });
    if (whole.trim() !== '') before = whole;
    let at = 0;
    return containInline(content, { knows: isKnown, marker: () => resolved[at++] ?? '' });
  };

  /** `claims`: the words before the marker, then the whole unit: either may be what the marker vouches for. */
  const footnotes = (numbers: readonly number[], claims: readonly string[], allowed: ReadonlySet<string>): string => {
    let standsFor = '';
    for (const number of new Set(numbers)) {
      const proof = evidence[number - 1]?.();
      const held =
        proof === undefined ? undefined : claims.find((words) => isSupported(words, proof, allowed, `${out} ${words}`));
      if (proof === undefined || held === undefined) {
        removedMarkers += 1;
        continue;
      }
      let citation = numbered.get(number);
      if (citation === undefined) {
        citation = createCitation(numbered.size + 1, proof.passage, quoteFor(held, proof));
        numbered.set(number, citation);
      }
      standsFor += `[${citation.n}]`;
    }
    return standsFor;
  };

  /** A sentence may take its numbers from the question and from every passage that it cites. */
  const allowedNumbers = (sources: readonly number[]): ReadonlySet<string> =>
    new Set([...askedNumbers, ...sources.flatMap((source) => [...(evidence[source - 1]?.().numbers ?? [])])]);

  const write = (unit: string): void => {
    const text = unit.replaceAll(sentinel, '');
    if (over || (out === '' && text.trim() === '')) return;
    if (atLineStart && sourcesHeading.test(text.trimEnd())) {
      over = true;
      return;
    }
    if (atLineStart && definitionLine.test(text)) return;
    const prefix = atLineStart ? (blockPrefix.exec(text)?.[0] ?? '') : '';
    const content = text.slice(prefix.length);
    if (atLineStart && /^[ \t]*(?:-{3,}|_{3,}|\*{3,})[ \t]*\n?$/.test(text)) out += '\n';
    else if (atLineStart && /^[ \t]*\|/.test(text)) out += containRow(text, writeInline);
    else out += prefix + writeInline(content);
  };

  const writeCodeLine = (line: string): void => {
    const closes = line.trim().startsWith(fence ?? '') && /^[`~]+$/.test(line.trim());
    if (closes) fence = null;
    else before = `${before} ${line}`.slice(-2_000);
    if (!over) out += closes ? line : containCode(line, { knows: isKnown });
  };

  // ── cutting ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes the next unit off the buffer; false: more has to arrive. */
  const step = (final: boolean): boolean => {
    if (buffer === '') return false;
    const newline = buffer.indexOf('\n');
    const lineEnd = newline >= 0 ? newline + 1 : final ? buffer.length : -1;
    if (fence !== null) {
      if (lineEnd < 0) return false;
      writeCodeLine(take(lineEnd));
      return true;
    }
    if (atLineStart) {
      // Blocks that are known by their first characters, and rows, are taken as whole lines.
      const first = newline >= 0 ? buffer.slice(0, newline) : buffer;
      const needsLine =
        openPrefix.test(first) || /^[ \t]*(?:[|`~[]|(?:[#*_]+[ \t]*)?\p{L}{1,10}[*_]{0,3}:?[*_]{0,3}$)/u.test(first);
      if (needsLine && lineEnd < 0) return false;
      const opening = fenceLine.exec(first);
      if (opening !== null) {
        const line = take(lineEnd);
        fence = opening[1] ?? '```';
        if (!over) out += `${containFence(line)}\n`;
        return true;
      }
      if (/^[ \t]*\|/.test(first)) {
        write(take(lineEnd));
        return true;
      }
    }
    const cut = sentenceCut(newline >= 0 ? buffer.slice(0, newline) : buffer);
    const end = cut ?? lineEnd;
    if (end < 0) return false;
    const unit = take(end);
    write(unit);
    atLineStart = unit.endsWith('\n');
    return true;
  };

  const take = (length: number): string => {
    const unit = buffer.slice(0, length);
    buffer = buffer.slice(length);
    return unit;
  };

  const run = (final: boolean): void => {
    while (step(final));
    if (numbered.size > 0) onText?.(out.trimEnd());
  };

  return {
    push: (delta) => {
      buffer += delta;
      // A carriage return or half a surrogate pair at the end waits for what follows.
      const held = /[\r\ud800-\udbff]$/.exec(buffer)?.[0] ?? '';
      buffer = cleanCharacters(buffer.slice(0, buffer.length - held.length)) + held;
      if (held === '') run(false);
    },
    finish: (cut) => {
      buffer = cleanCharacters(buffer);
      if (cut)
        buffer = buffer.replace(/(?:^|(?<=[.!?…。！？]["'”’)\]]*\s))[^\n]*$/u, (rest) =>
          endsSentence(rest) ? rest : '',
        );
      run(true);
      if (fence !== null) out = `${out.trimEnd()}\n${fence}`;
      if (cut) out = `${out.trimEnd()} …`;
      const markdown = out.trimEnd();
      if (numbered.size === 0) return { markdown: '', citations: [], removedMarkers };
      onText?.(markdown);
      return { markdown: prove(markdown), citations: [...numbered.values()], removedMarkers };
    },
  };
};

// ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Where a finished sentence ends and the next has begun; null when nothing is certain yet. */
const sentenceCut = (line: string): number | null => {
  for (const match of line.matchAll(/[.!?…。！？]["'”’)*_]*/gu)) {
    const end = match.index + match[0].length;
    const head = line.slice(0, end);
    const wide = /[。！？]/.test(match[0]);
    const more =
      markersThenMore.exec(line.slice(end)) ??
      (wide ? /^(?:\[\^?\d[\d,;\s^]{0,12}\]|【[^】\n]{1,60}】)*(?=[^\s[【(])/.exec(line.slice(end)) : null);
    if (more !== null && endsSentence(head) && isBalanced(head)) return end + more[0].length;
  }
  return null;
};

/** No emphasis, code, link or tag is open: what follows cannot change how this is read. */
const isBalanced = (text: string): boolean => {
  const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
  return (
    count(/`/g) % 2 === 0 &&
    count(/\*/g) % 2 === 0 &&
    count(/(?<!\w)_|_(?!\w)/g) % 2 === 0 &&
    count(/\[/g) === count(/\]/g) &&
    count(/<(?=[a-z/!@#])/gi) <= count(/>/g)
  );
};

/** The last line of defence. Each unit is contained by construction; should two of them ever combine, syntax goes. */
const prove = (markdown: string): string =>
  listEscapes(markdown).length === 0
    ? markdown
    : markdown
        .replace(/[<>]/g, '')
        .replace(/\]\s*[(:]/g, '] ')
        .replace(/:\/\/|@|www\./gi, ' ');
