import { Readability } from '@mozilla/readability';
import type { Root } from 'hast';
import { toMdast } from 'hast-util-to-mdast';
import { parseHTML } from 'linkedom';
import type { Link, Node, Nodes, Parents, PhrasingContent, RootContent } from 'mdast';
import { gfmToMarkdown } from 'mdast-util-gfm';
import { toMarkdown } from 'mdast-util-to-markdown';
import { toString as wordsOf } from 'mdast-util-to-string';
import rehypeParse from 'rehype-parse';
import { unified } from 'unified';
import { outlineByLines } from './lines.ts';
import { type Block, createOutline, type Parsed, plainHeading } from './outline.ts';
import { refusals } from './refusal.ts';

/** A web page: its article, or the whole body without navigation when there is no article to be found. */
export const parseHtml = (html: string): Parsed => {
  const tags = countTags(html);
  if (tags > 60_000) return parseWildHtml(html);
  const { document } = parseHTML(withBody(html));
  const title = titleOf(document);
  dropHidden(document);
  const parsed = outlineOfHtml(article(document, tags) ?? document.body.innerHTML, 'text/html');
  const name = title ?? parsed.title;
  return { ...parsed, ...(name === undefined ? {} : { title: name }) };
};

/**
 * The part that a reader came for, as HTML. Null when the guess holds less than half of the words (documentation pages
 * have many small parts), and for very large pages, where guessing takes time by the square.
 */
const article = (document: Page, tags: number): string | null => {
  if (tags > 20_000) return null;
  const whole = visibleLength(document.body.textContent);
  // The finder takes the page apart while it looks, so it gets a copy.
  const copy = document.cloneNode(true) as unknown as Document;
  const found = new Readability(copy, { keepClasses: true }).parse();
  return found?.content != null && visibleLength(found.textContent) >= whole * 0.5 ? found.content : null;
};

/** The reader invents no body where the page leaves it out, as HTML allows. */
const withBody = (html: string): string => {
  if (/<body[\s>]/i.test(html)) return html;
  const bare = html.replace(/<!doctype[^>]*>|<\/?(?:html|body)(?:\s[^>]*)?>/gi, '');
  return `<!doctype html><html><head></head><body>${bare}</body></html>`;
};

/** An HTML fragment as canonical Markdown; also the second half of the Word path. */
export const outlineOfHtml = (fragment: string, mediaType: string): Parsed => {
  const tree: Root = unified().use(rehypeParse, { fragment: true }).parse(fragment);
  const mdast = toMdast(tree, {
    handlers: { ...Object.fromEntries(unreadable.map((name) => [name, () => undefined])) },
  });
  const outline = createOutline();
  let title: string | undefined;
  for (const child of childrenOf(mdast)) {
    tidy(child);
    const markdown = toMarkdown({ type: 'root', children: [child] }, serialise).replace(/\n+$/, '');
    const kind = kindOf(child);
    const heading = child.type === 'heading' ? plainHeading(wordsOf(child)) : undefined;
    if (child.type === 'heading' && heading !== undefined) {
      if (child.depth === 1) title ??= heading;
      outline.add(markdown, { kind: 'heading', depth: child.depth, heading });
    } else outline.add(markdown, { kind });
  }
  const { text, blocks } = outline.finish();
  if (text.trim() === '') throw refusals.noText();
  return { mediaType, text, blocks, ...(title === undefined ? {} : { title }) };
};

const unreadable = [
  'script',
  'style',
  'noscript',
  'template',
  'svg',
  'math',
  'iframe',
  'object',
  'embed',
  'canvas',
  'audio',
  'video',
  'form',
  'button',
  'input',
  'select',
  'textarea',
];

/** Words are written as they stand, without escapes: the text is searched and quoted, never parsed again. */
const serialise: Parameters<typeof toMarkdown>[1] = {
  extensions: [gfmToMarkdown({ tablePipeAlign: false })],
  bullet: '-',
  emphasis: '_',
  fences: true,
  rule: '-',
  handlers: { text: (node: { readonly value: string }) => node.value },
};

const childrenOf = (tree: Nodes): readonly RootContent[] =>
  tree.type === 'root' ? tree.children : [tree as RootContent];

const kindOf = (node: Node): Exclude<Block['kind'], 'heading' | 'hidden'> =>
  node.type === 'code' || node.type === 'table' || node.type === 'list' ? node.type : 'text';

/** Pictures become their words; links keep their words, and their address only when it leads somewhere by itself. */
const tidy = (node: Nodes): void => {
  if (!('children' in node)) return;
  const parent = node as Parents & { children: Nodes[] };
  const next: Nodes[] = [];
  for (const child of parent.children as Nodes[]) {
    tidy(child);
    if (child.type === 'image') next.push({ type: 'text', value: child.alt ?? '' });
    else if (child.type === 'link') next.push(...tidyLink(child));
    else if (child.type !== 'html') next.push(child);
  }
  parent.children = next as typeof parent.children;
};

const tidyLink = (link: Link): readonly PhrasingContent[] => {
  const words = wordsOf(link).trim();
  if (!/^(?:https?:\/\/|mailto:)/i.test(link.url) || link.url.length > 500 || words === '' || words === link.url)
    return link.children;
  return [{ type: 'link', url: link.url, children: link.children }];
};

type Page = ReturnType<typeof parseHTML>['document'];

const titleOf = (document: Page): string | undefined => {
  const own =
    document.querySelector('meta[property="og:title"]')?.getAttribute('content') ??
    document.querySelector('title')?.textContent;
  const title = plainHeading(own ?? '');
  return title === '' ? undefined : title;
};

/** What a reader does not see must not be answered from; what would be fetched must not be there at all. */
const dropHidden = (document: Page): void => {
  const never = [
    ...unreadable.filter((name) => name !== 'form'),
    'link',
    '[hidden]',
    '[aria-hidden="true"]',
    'nav',
    '[role="navigation"]',
    'dialog',
  ];
  for (const element of document.querySelectorAll(never.join(','))) element.remove();
  for (const element of document.querySelectorAll('[style]')) {
    if (
      /display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])/i.test(
        element.getAttribute('style') ?? '',
      )
    )
      element.remove();
  }
};

const visibleLength = (text: string | null | undefined): number => (text ?? '').replace(/\s+/g, '').length;

/** Opening tags; infinite for a depth that no page has, which would overflow the stacks of the parsers behind. */
const countTags = (html: string): number => {
  let depth = 0;
  let tags = 0;
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', at + 1)) {
    const next = html.charCodeAt(at + 1);
    if (next === 0x2f) depth = Math.max(0, depth - 1);
    else if (isLetter(next)) {
      tags++;
      if (!mayStayOpen.test(html.slice(at, at + 10))) depth++;
      if (depth > 400) return Number.POSITIVE_INFINITY;
    }
  }
  return tags;
};

const mayStayOpen =
  /^<(?:br|hr|img|input|meta|link|area|base|col|embed|source|track|wbr|p|li|td|tr|th|dt|dd|option)\b/i;

const isLetter = (code: number): boolean => (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);

/** Words only, in one pass. */
const parseWildHtml = (html: string): Parsed => {
  const words: string[] = [];
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf('<', at);
    words.push(html.slice(at, open < 0 ? html.length : open));
    if (open < 0) break;
    const name = /^<\/?([a-z][a-z0-9]*)/i.exec(html.slice(open, open + 20))?.[1]?.toLowerCase();
    if (html.startsWith('<!--', open)) at = after(html, '-->', open);
    else if (name === undefined) {
      words.push('<');
      at = open + 1;
    } else {
      at = after(html, '>', open);
      if (name === 'script' || name === 'style' || name === 'template') at = after(html, `</${name}`, at, '>');
      else if (!/^(?:a|b|i|u|em|strong|span|code|sub|sup|small|mark|font)$/.test(name)) words.push('\n\n');
    }
  }
  const text = decodeEntities(words.join(''))
    .replace(/[ \t]+/g, ' ')
    .replace(/\s*\n\s*/g, '\n\n')
    .trim();
  if (text === '') throw refusals.noText();
  return { mediaType: 'text/html', text, blocks: outlineByLines(text, false) };
};

const after = (html: string, end: string, from: number, then?: string): number => {
  const found = html.indexOf(end, from);
  if (found < 0) return html.length;
  return then === undefined ? found + end.length : after(html, then, found);
};

const decodeEntities = (text: string): string =>
  text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|nbsp|apos));/gi,
    (whole, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined)
        return { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ', apos: "'" }[name.toLowerCase()] ?? whole;
      const code = decimal !== undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex ?? '', 16);
      return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
        ? String.fromCodePoint(code)
        : '\ufffd';
    },
  );
