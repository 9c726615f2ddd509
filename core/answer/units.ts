import type { Nodes, RootContent } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { toString as plainText } from 'mdast-util-to-string';
import { gfm } from 'micromark-extension-gfm';
import { collapse, splitSentences } from '../text/sentences.ts';

/** A piece of a passage that can be quoted by itself: offsets are those of the passage's text. */
export type Unit = {
  readonly kind: 'sentence' | 'item' | 'row' | 'code' | 'heading';
  readonly start: number;
  readonly end: number;
  /** Without Markdown syntax. */
  readonly words: string;
  /** Units of one paragraph, list, table or code block share it. */
  readonly block: number;
  /** The block's own extent. */
  readonly blockStart: number;
  readonly blockEnd: number;
  readonly ordered?: boolean;
  /** A row's: the words of the table's head, and the extent of head and delimiter line. */
  readonly head?: { readonly words: string; readonly start: number; readonly end: number };
};

/** Longer passages are not looked at beyond this: a chunk is a few thousand characters. */
const maxCharacters = 20_000;
const longestCode = 1_200;
const pieceLines = 6;

/** Bare addresses read the same whether they are links or not, and finding them is a sixth of the work. */
const extensions = [gfm(), { disable: { null: ['wwwAutolink', 'protocolAutolink', 'emailAutolink'] } }];
const mdastExtensions = gfmFromMarkdown().filter((extension) => extension.transforms === undefined);

/** The passages that are asked for again and again, by their text; a few megabytes at most. */
const kept = new Map<string, readonly Unit[]>();
const mostKept = 400;

export const unitsOf = (markdown: string): readonly Unit[] => {
  const known = kept.get(markdown);
  if (known !== undefined) return known;
  const units = parseUnits(markdown);
  const oldest = kept.keys().next();
  if (kept.size >= mostKept && !oldest.done) kept.delete(oldest.value);
  kept.set(markdown, units);
  return units;
};

const parseUnits = (markdown: string): readonly Unit[] => {
  const text = markdown.slice(0, maxCharacters);
  const units: Unit[] = [];
  let block = 0;

  const span = (node: Nodes): { readonly start: number; readonly end: number } => ({
    start: node.position?.start.offset ?? 0,
    end: node.position?.end.offset ?? 0,
  });
  const add = (
    kind: Unit['kind'],
    start: number,
    end: number,
    words: string,
    within: Nodes,
    more: Pick<Unit, 'ordered' | 'head'> = {},
  ): void => {
    if (end <= start || collapse(words) === '') return;
    const { start: blockStart, end: blockEnd } = span(within);
    units.push({
      kind,
      start,
      end,
      words: collapse(words),
      block,
      blockStart,
      blockEnd,
      ...more,
    });
  };
  const addSentences = (node: Nodes): void => {
    const { start, end } = span(node);
    for (const sentence of splitSentences(text.slice(start, end))) {
      const slice = text.slice(start + sentence.start, start + sentence.end);
      add('sentence', start + sentence.start, start + sentence.end, withoutSyntax(slice), node);
    }
  };

  /** Long code in pieces of some lines, each a block of its own. */
  const addPieces = (node: Nodes): void => {
    const { start, end } = span(node);
    const lines = text.slice(start, end).split('\n');
    let at = start + (lines[0]?.length ?? 0) + 1;
    const inner = lines.slice(1, -1);
    for (let from = 0; from < inner.length; from += pieceLines) {
      const piece = inner.slice(from, from + pieceLines).join('\n');
      const position = {
        start: { line: 1, column: 1, offset: at },
        end: { line: 1, column: 1, offset: at + piece.length },
      };
      block += 1;
      add('code', at, at + piece.length, piece, { type: 'text', value: piece, position });
      at += piece.length + 1;
    }
  };

  const walk = (node: RootContent): void => {
    block += 1;
    if (node.type === 'heading') add('heading', span(node).start, span(node).end, plainText(node), node);
    else if (node.type === 'paragraph') addSentences(node);
    else if (node.type === 'code' && span(node).end - span(node).start <= longestCode)
      add('code', span(node).start, span(node).end, node.value, node);
    else if (node.type === 'code') addPieces(node);
    else if (node.type === 'list') {
      for (const item of node.children) {
        // From the words on: the bullet is syntax. Lists inside have items of their own.
        const own = item.children.filter((child) => child.type !== 'list');
        const [first, last] = [own[0], own.at(-1)];
        if (first !== undefined && last !== undefined) {
          const words = own.map((child) => plainText(child)).join(' ');
          add('item', span(first).start, span(last).end, words, node, { ordered: node.ordered === true });
        }
        for (const child of item.children) if (child.type === 'list') walk(child);
      }
    } else if (node.type === 'table') {
      const wordsOf = (row: (typeof node.children)[number] | undefined): string =>
        (row?.children ?? []).map((cell) => plainText(cell)).join(' · ');
      const [first, ...rows] = node.children;
      const head = { words: wordsOf(first), start: span(node).start, end: span(rows[0] ?? node).start };
      for (const row of rows) add('row', span(row).start, span(row).end, wordsOf(row), node, { head });
    } else if (node.type === 'blockquote' || node.type === 'footnoteDefinition')
      for (const child of node.children) walk(child);
  };
  for (const node of fromMarkdown(text, { extensions, mdastExtensions }).children) walk(node);
  return units;
};

const withoutSyntax = (slice: string): string =>
  slice
    .replace(/!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])/g, ' ')
    .replace(/\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, '$1')
    .replace(/<\/?[a-z][^>]*>/gi, ' ')
    .replace(/(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)|`|^[ \t]*>[ \t]?/gm, '');
