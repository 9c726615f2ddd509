import type { Element, ElementContent, Nodes as HastNodes, Root as HastRoot, Text } from 'hast';
import { type Schema, sanitize } from 'hast-util-sanitize';
import { toHtml } from 'hast-util-to-html';
import type { Nodes, Parents } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { toHast } from 'mdast-util-to-hast';
import { toString as textOf } from 'mdast-util-to-string';
import { gfm } from 'micromark-extension-gfm';

/** Only what an answer needs; everything else falls away, and it falls away last, after Markdown has had its say. */
const schema: Schema = {
  tagNames: [
    'p',
    'br',
    'strong',
    'em',
    'del',
    'code',
    'pre',
    'blockquote',
    'ul',
    'ol',
    'li',
    'h3',
    'h4',
    'h5',
    'h6',
    'hr',
    'a',
    'table',
    'thead',
    'tbody',
    'tr',
    'th',
    'td',
  ],
  attributes: { a: ['href'], ol: ['start'], th: ['align'], td: ['align'] },
  protocols: { href: ['http', 'https'] },
  ancestors: { li: ['ol', 'ul'], tbody: ['table'], thead: ['table'], tr: ['table'], th: ['table'], td: ['table'] },
  strip: ['script', 'style'],
};

export type MarkdownOptions = {
  /** Addresses that may be linked: those of the cited sources. */
  readonly links: readonly string[];
  /** Footnote numbers that exist. */
  readonly footnotes: readonly number[];
  /** Keeps the anchors of several answers on one page apart. */
  readonly prefix: string;
};

/** An answer's Markdown as safe HTML, with `[n]` as links to its footnotes. */
export const renderMarkdown = (markdown: string, options: MarkdownOptions): string => {
  const tree = fromMarkdown(markdown, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
  contain(tree, new Set(options.links.filter((link) => safeHref(link) !== undefined)));
  const clean = sanitize(toHast(tree) as HastRoot, schema) as HastRoot;
  markFootnotes(clean, new Set(options.footnotes), options.prefix, new Set());
  return toHtml(clean);
};

/** Images become their text, links that no source vouches for become plain text, headings step below the page's own. */
const contain = (parent: Parents, links: ReadonlySet<string>): void => {
  const children = parent.children.flatMap((node: Nodes): Nodes[] => {
    if ('children' in node) contain(node, links);
    switch (node.type) {
      case 'image':
      case 'imageReference':
        return [{ type: 'text', value: node.alt ?? '' }];
      case 'link':
        return links.has(node.url) ? [node] : node.children;
      case 'linkReference':
        // `[1]` beside a definition of the same name must stay a footnote.
        return node.referenceType === 'shortcut'
          ? [{ type: 'text', value: '[' }, ...node.children, { type: 'text', value: ']' }]
          : node.children;
      case 'definition':
      case 'footnoteDefinition':
      case 'footnoteReference':
        return [];
      case 'html':
        return [{ type: 'text', value: node.value }];
      case 'heading':
        return [{ ...node, depth: Math.min(6, node.depth + 2) as 3 | 4 | 5 | 6 }];
      default:
        return [node];
    }
  });
  parent.children = joinTexts(children) as never;
};

/** Neighbouring texts become one, so that a marker is never split between two. */
const joinTexts = (nodes: readonly Nodes[]): Nodes[] => {
  const joined: Nodes[] = [];
  for (const node of nodes) {
    const last = joined.at(-1);
    if (node.type === 'text' && last?.type === 'text')
      joined[joined.length - 1] = { type: 'text', value: last.value + node.value };
    else joined.push(node);
  }
  return joined;
};

const marker = /\[(\d{1,3})\]/;

const markFootnotes = (
  parent: HastRoot | Element,
  numbers: ReadonlySet<number>,
  prefix: string,
  seen: Set<number>,
): void => {
  parent.children = (parent.children as HastNodes[]).flatMap((node): HastNodes[] => {
    if (node.type === 'text') return splitMarkers(node, numbers, prefix, seen);
    if (node.type === 'element' && node.tagName === 'a')
      node.properties = { ...node.properties, rel: ['noopener', 'noreferrer'], target: '_blank' };
    if (node.type === 'element' && node.tagName !== 'code') markFootnotes(node, numbers, prefix, seen);
    return [node];
  }) as never;
};

const splitMarkers = (
  text: Text,
  numbers: ReadonlySet<number>,
  prefix: string,
  seen: Set<number>,
): ElementContent[] => {
  const parts = text.value.split(marker);
  const isFootnote = (index: number): boolean => numbers.has(Number(parts[index]));
  return parts.flatMap((part, index): ElementContent[] => {
    // A footnote hugs the word before it.
    if (index % 2 === 0)
      return part === '' ? [] : [{ type: 'text', value: isFootnote(index + 1) ? part.trimEnd() : part }];
    const n = Number(part);
    if (!isFootnote(index)) return [{ type: 'text', value: `[${part}]` }];
    const first = !seen.has(n);
    seen.add(n);
    const link: Element = {
      type: 'element',
      tagName: 'a',
      properties: {
        href: `#${prefix}-${n}`,
        ...(first ? { id: `${prefix}-ref-${n}` } : {}),
        ariaLabel: `Footnote ${n}`,
      },
      children: [{ type: 'text', value: String(n) }],
    };
    return [{ type: 'element', tagName: 'sup', properties: { className: ['ref'] }, children: [link] }];
  });
};

/** Markdown as the words that a reader sees, on one line. */
export const plainText = (markdown: string): string => {
  const tree = fromMarkdown(markdown, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
  return wordsOf(tree).replace(/\s+/g, ' ').trim();
};

const holdsBlocks: ReadonlySet<string> = new Set(['root', 'list', 'listItem', 'blockquote', 'table', 'tableRow']);

/** Items and cells are apart where they are shown, so they are apart here. */
const wordsOf = (node: Nodes): string =>
  holdsBlocks.has(node.type) && 'children' in node ? node.children.map(wordsOf).join(' ') : textOf(node);

/** The address when it is one that a person may follow, else nothing: `javascript:` and friends never reach an `href`. */
export const safeHref = (url: string | undefined): string | undefined => {
  if (url === undefined || !URL.canParse(url)) return undefined;
  const { protocol, href } = new URL(url);
  return protocol === 'http:' || protocol === 'https:' ? href : undefined;
};
