import type { Citation, Passage } from '../domain.ts';
import { collapse } from '../text/sentences.ts';
import { holdsAddress } from './addresses.ts';
import { createCitation, quoteSlice } from './citations.ts';
import { type Containment, containBlocks, containInline } from './contain.ts';
import { idfOf, termsOf } from './terms.ts';
import { type Unit, unitsOf } from './units.ts';

/**
 * Answers without a chat model: the sentences, list or code that meet the question best, word for word, each with its
 * footnote. At most one span of a passage and three in all: short and right beats complete.
 */
export type Extract = { readonly markdown: string; readonly citations: readonly Citation[] };

export type QuestionTerms = {
  readonly question: string;
  readonly terms: readonly { readonly term: string; readonly documentFrequency: number }[];
  /** The terms that were asked for now; the others are the subject of an earlier turn and count for less. Absent: all. */
  readonly own?: ReadonlySet<string>;
  readonly totalChunks: number;
};

const mostSpans = 3;
const longestBlock = 1_200;
const longestAnswer = 1_500;

type Scored = {
  readonly unit: Unit;
  /** The question's terms in the unit itself; `covers` has those around it too. */
  readonly own: ReadonlySet<string>;
  readonly score: number;
  readonly covers: ReadonlySet<string>;
};
type Span = {
  readonly passage: Passage;
  readonly first: Unit;
  readonly end: number;
  readonly score: number;
  readonly covers: ReadonlySet<string>;
  readonly isBlock: boolean;
};

export const extract = (asked: QuestionTerms, passages: readonly Passage[], heading: string): Extract => {
  const weigh = weigher(asked);
  const kind = kindOf(asked.question);
  const spans = passages
    .map((passage, rank) => bestSpan(passage, rank, weigh, kind))
    .filter((span) => span !== null)
    .sort((a, b) => b.score - a.score);
  const chosen = choose(spans, weigh);
  const citations = chosen.map((span, index) =>
    createCitation(index + 1, span.passage, quoteSlice(span.passage.text, span.first, span.end)),
  );
  if (citations.length === 0) return { markdown: '', citations };
  return { markdown: [heading, ...chosen.map((span, index) => renderSpan(span, index + 1))].join('\n\n'), citations };
};

/** For as long as the unit itself is kept. */
const unitTerms = new WeakMap<Unit, ReadonlySet<string>>();
const termsOfUnit = (unit: Unit): ReadonlySet<string> => {
  const known = unitTerms.get(unit) ?? termsOf(unit.words);
  unitTerms.set(unit, known);
  return known;
};

// ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────────

type Kind = 'how' | 'amount' | 'what' | 'other';
const kindOf = (question: string): Kind => {
  if (
    /^\W*(how (many|much|long|often|old|big|large|far|fast)|when|what time|which (port|version|number)|wie (viel|lange|oft|hoch)|wann|combien|cuánt|quanto)/i.test(
      question,
    ) ||
    /^\W*(what|was|wie) .*\b(price|cost|costs|fee|rate|limit|maximum|minimum|deadline|kostet|kosten|preis|teuer|frist)\b/i.test(
      question,
    )
  )
    return 'amount';
  if (
    /\b(how (do|can|to|should|does)|steps?|set ?up|install|configure|wie (kann|richte|mache)|comment|cómo)\b/i.test(
      question,
    )
  )
    return 'how';
  return /^\W*(what|who|was|wer|que|qui|qué|quién)\b/i.test(question) ? 'what' : 'other';
};

/** Of "and in London?" after a question about Paris, London is what matters. */
const borrowed = 0.5;

type Weigh = {
  of(covered: ReadonlySet<string>): number;
  among(words: string): ReadonlySet<string>;
  in(unit: Unit): ReadonlySet<string>;
  /** Nothing of what is asked now, only of what was spoken of before. */
  misses(covered: ReadonlySet<string>): boolean;
};

/** Share of the question's weight; terms that no document holds cannot be met by any sentence and count little. */
const weigher = ({ terms, totalChunks, own }: QuestionTerms): Weigh => {
  const weights = new Map(
    terms.map(({ term, documentFrequency }) => [
      term,
      (documentFrequency === 0 ? 0.2 : idfOf(documentFrequency, totalChunks)) *
        (own === undefined || own.has(term) ? 1 : borrowed),
    ]),
  );
  const mass = [...weights.values()].reduce((sum, value) => sum + value, 0) || 1;
  return {
    of: (covered) => [...covered].reduce((sum, term) => sum + (weights.get(term) ?? 0), 0) / mass,
    misses: (covered) => own !== undefined && ![...covered].some((term) => own.has(term)),
    among: (words) => new Set([...termsOf(words)].filter((term) => weights.has(term))),
    in: (unit) => new Set([...termsOfUnit(unit)].filter((term) => weights.has(term))),
  };
};

// ── the best span of a passage ──────────────────────────────────────────────────────────────────────────────────────

const bestSpan = (passage: Passage, rank: number, weigh: Weigh, kind: Kind): Span | null => {
  const units = unitsOf(passage.text);
  const outer = weigh.among([passage.title, ...passage.headingPath].join('\n'));
  const tells = telling(units, weigh);
  let inner: ReadonlySet<string> = new Set();
  let before: Scored | null = null;
  const scored = units.map((unit): Scored => {
    const own = weigh.in(unit);
    if (unit.kind === 'heading') {
      inner = own;
      return { unit, own, score: -1, covers: own };
    }
    const near = nearby(unit, before, weigh);
    const around = new Set([...outer, ...inner, ...near].filter((term) => !own.has(term)));
    const score =
      weigh.of(own) +
      0.55 * weigh.of(around) +
      0.1 * tells(own) +
      manner(unit, kind) -
      (weigh.misses(own) ? 0.3 : 0) -
      0.03 * rank;
    before = { unit, own, score, covers: new Set([...own, ...around]) };
    return before;
  });
  const best = scored.reduce<Scored | null>((top, each) => (each.score > (top?.score ?? 0) ? each : top), null);
  return best === null ? null : grow(passage, units, best, scored, kind);
};

/**
 * Where every line speaks of parcels and their cost, the one that says "express" is the one that was asked for: the share
 * of the terms that a unit holds, each counting by how few units of its passage hold it.
 */
const telling = (units: readonly Unit[], weigh: Weigh): ((own: ReadonlySet<string>) => number) => {
  const holders = new Map<string, number>();
  for (const unit of units) for (const term of weigh.in(unit)) holders.set(term, (holders.get(term) ?? 0) + 1);
  const sum = (terms: Iterable<string>): number =>
    [...terms].reduce((total, term) => total + 1 / (holders.get(term) ?? 1), 0);
  const mass = sum(holders.keys()) || 1;
  return (own) => sum(own) / mass;
};

/** A row means what its head says; a sentence that begins with "it" speaks of what the one before it named. */
const nearby = (unit: Unit, before: Scored | null, weigh: Weigh): ReadonlySet<string> => {
  if (unit.head !== undefined) return weigh.among(unit.head.words);
  return before !== null && before.unit.block === unit.block && leans.test(unit.words) ? before.own : new Set();
};
const leans = /^(it|this|these|they|that|he|she|es|sie|dies)\b/i;

/** How well the form of a unit fits the kind of question. */
const manner = ({ kind, words }: Unit, asked: Kind): number => {
  let bonus = 0;
  if (
    asked === 'amount' &&
    /\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|daily|weekly|monthly)\b/i.test(words)
  )
    bonus += 0.12;
  if (
    asked === 'how' &&
    (kind === 'item' ||
      kind === 'code' ||
      /^(to|use|run|call|open|click|go|set|add|create|install|pass|you can)\b/i.test(words))
  )
    bonus += 0.08;
  if (asked === 'what' && /\b(is|are|means|ist|sind|est|es)\b/i.test(words.slice(0, 80))) bonus += 0.05;
  if (kind === 'code' && asked !== 'how') bonus -= 0.15;
  if (words.endsWith('?')) bonus -= 0.25;
  if (kind !== 'row' && words.split(' ').length < 4) bonus -= 0.12;
  if (words.length > 500) bonus -= 0.1;
  return bonus;
};

/** A list, a lead-in with what it leads to, code with the sentence before it: what belongs together stays together. */
const grow = (passage: Passage, units: readonly Unit[], best: Scored, scored: readonly Scored[], kind: Kind): Span => {
  const at = units.indexOf(best.unit);
  const blockOf = (unit: Unit | undefined): readonly Unit[] =>
    unit === undefined ? [] : units.filter((each) => each.block === unit.block);
  const lengthOf = (unit: Unit): number => unit.blockEnd - unit.blockStart;
  const isBlockKind = (unit: Unit): boolean => ['item', 'code', 'row'].includes(unit.kind);

  let first = best.unit;
  let end = best.unit.end;
  let isBlock = false;

  if (isBlockKind(best.unit)) {
    const siblings = blockOf(best.unit);
    const whole =
      best.unit.kind === 'code' ||
      (best.unit.kind === 'item' &&
        lengthOf(best.unit) <= longestBlock &&
        (best.unit.ordered === true || (siblings.length <= 5 && lengthOf(best.unit) <= 500)));
    isBlock = best.unit.kind !== 'item' || whole;
    if (whole) {
      first = { ...(siblings[0] ?? best.unit), start: best.unit.blockStart };
      end = best.unit.blockEnd;
      const lead = units[units.indexOf(siblings[0] ?? best.unit) - 1];
      if (
        lead?.kind === 'sentence' &&
        (lead.words.endsWith(':') || best.unit.kind === 'code') &&
        lead.words.length < 300
      )
        first = lead;
    }
  } else {
    const next = units[at + 1];
    const follows = next !== undefined && next.block !== best.unit.block && isBlockKind(next);
    if (
      follows &&
      (best.unit.words.endsWith(':') || (kind === 'how' && next.kind === 'code')) &&
      lengthOf(next) <= longestBlock
    ) {
      end = next.blockEnd;
      isBlock = true;
    } else if (
      next?.kind === 'sentence' &&
      next.block === best.unit.block &&
      end - first.start < 260 &&
      next.words.length < 260
    ) {
      // Beside the amount that was asked for, the next one would only be taken for it.
      const worth =
        (kind !== 'amount' && (scored[at + 1]?.score ?? 0) >= 0.6 * best.score) ||
        /^(it|this|these|they|that|then|otherwise|however|if|but|after|sie|es|dies|dann)\b/i.test(next.words);
      if (worth) end = next.end;
    }
    const before = units[at - 1];
    // "It expires after 90 days." says nothing without the sentence before it.
    if (
      leans.test(best.unit.words) &&
      before !== undefined &&
      before.block === best.unit.block &&
      end - before.start < 600
    )
      first = before;
  }
  return { passage, first, end, score: best.score, covers: best.covers, isBlock };
};

/** The best span; others only when they are nearly as good and say something else. */
const choose = (spans: readonly Span[], weigh: Weigh): readonly Span[] => {
  const [best, ...rest] = spans;
  if (best === undefined) return [];
  const chosen = [best];
  const covered = new Set(best.covers);
  const texts = [collapse(best.passage.text.slice(best.first.start, best.end))];
  for (const span of rest) {
    if (chosen.length >= mostSpans) break;
    const text = collapse(span.passage.text.slice(span.first.start, span.end));
    const adds = weigh.of(new Set([...span.covers].filter((term) => !covered.has(term))));
    const worth = adds >= 0.15 ? span.score >= 0.7 * best.score : span.score >= 0.95 * best.score;
    if (
      !worth ||
      texts.join('').length + text.length > longestAnswer ||
      texts.some((other) => other.includes(text) || text.includes(other))
    )
      continue;
    chosen.push(span);
    texts.push(text);
    for (const term of span.covers) covered.add(term);
  }
  return chosen;
};

// ── on paper ────────────────────────────────────────────────────────────────────────────────────────────────────────

const renderSpan = ({ passage, first, end, isBlock }: Span, n: number): string => {
  const slice = passage.text.slice(first.start, end);
  // The passage is cited by this very footnote, so its addresses may be read.
  const containment: Containment = { knows: (address) => holdsAddress(passage.text, address) };
  if (!isBlock) return `“${containInline(collapse(slice), containment).trim()}” [${n}]`;
  // A lead-in is one line however it was wrapped, and carries the footnote.
  const leadLength = first.kind === 'sentence' ? Math.min(first.end, end) - first.start : 0;
  const lead =
    leadLength === 0 ? '' : `${containInline(collapse(slice.slice(0, leadLength)), containment).trim()} [${n}]\n\n`;
  const rest = slice
    .slice(leadLength)
    .replace(/^\s*\n/, '')
    .trimEnd();
  // A piece of a long code block comes without its fence.
  const head = first.head === undefined ? '' : passage.text.slice(first.head.start, first.head.end);
  if (head !== '')
    return `${containBlocks(`${head}${rest}`.replace(/^[ \t>]+(?=\|)/gm, ''), containment).trim()}\n\n[${n}]`;
  const body = first.kind === 'code' && !/^[ \t]*(?:`{3,}|~{3,})/.test(rest) ? `\`\`\`\n${rest}\n\`\`\`` : rest;
  const markdown = containBlocks(dedent(body), containment).trim();
  if (lead !== '') return lead + markdown;
  return /(?:`{3,}|~{3,}|\|)\s*$/.test(markdown) ? `${markdown}\n\n[${n}]` : `${markdown} [${n}]`;
};

const dedent = (text: string): string => {
  const indents = text
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '')
    .map((line) => /^[ \t]*/.exec(line)?.[0].length ?? 0);
  const least = Math.min(...indents, 20);
  return least === 0 || least === 20
    ? text
    : text
        .split('\n')
        .map((line, index) => (index === 0 ? line : line.slice(least)))
        .join('\n');
};
