import type { RootContent } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { frontmatterFromMarkdown } from 'mdast-util-frontmatter';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { toString as wordsOf } from 'mdast-util-to-string';
import { frontmatter } from 'micromark-extension-frontmatter';
import { gfm } from 'micromark-extension-gfm';
import { outlineByLines } from './lines.ts';
import { type Block, type Parsed, plainHeading } from './outline.ts';

/** The text is kept as it is; the tree only says where its blocks lie. */
export const parseMarkdown = (text: string): Parsed => {
  const blocks = isTame(text) ? outlineByTree(text) : outlineByLines(text, true);
  const title = frontMatterTitle(text) ?? firstHeading(blocks);
  return { mediaType: 'text/markdown', text, blocks, ...(title === undefined ? {} : { title }) };
};

/**
 * The inline constructs (emphasis, links, code spans) are switched off: chunks need to know where blocks lie, and
 * leaving the words alone makes the same CommonMark parser 1.7 times as fast.
 */
const blocksOnly = {
  disable: {
    null: [
      'attention',
      'autolink',
      'characterEscape',
      'characterReference',
      'codeText',
      'hardBreakEscape',
      'htmlText',
      'labelEnd',
      'labelStartImage',
      'labelStartLink',
      'literalAutolink',
      'strikethrough',
      'gfmFootnoteCall',
    ],
  },
};

const outlineByTree = (text: string): readonly Block[] => {
  const tree = fromMarkdown(text, {
    extensions: [frontmatter(['yaml', 'toml']), gfm(), blocksOnly],
    // Of the tree's GFM only what makes blocks: the rest walks every text node again to find addresses.
    mdastExtensions: [
      frontmatterFromMarkdown(['yaml', 'toml']),
      ...gfmFromMarkdown().filter((extension) => extension.transforms === undefined),
    ],
  });
  return tree.children.map((node) => blockOf(node, text)).filter((block) => block !== null);
};

const blockOf = (node: RootContent, text: string): Block | null => {
  const start = node.position?.start.offset;
  const end = node.position?.end.offset;
  if (start === undefined || end === undefined || end <= start) return null;
  switch (node.type) {
    case 'heading':
      return { start, end, kind: 'heading', depth: node.depth, heading: plainHeading(wordsOf(node)) };
    case 'code':
      return { start, end, kind: 'code' };
    case 'table':
      return { start, end, kind: 'table' };
    case 'list':
      return { start, end, kind: 'list' };
    case 'yaml':
      return { start, end, kind: 'hidden' };
    case 'html':
      return { start, end, kind: isComment(text.slice(start, end)) ? 'hidden' : 'text' };
    default:
      return { start, end, kind: (node.type as string) === 'toml' ? 'hidden' : 'text' };
  }
};

const isComment = (html: string): boolean =>
  html.startsWith('<!--') && html.indexOf('-->') === html.trimEnd().length - 3;

/**
 * Each level of nesting costs the parser every line again: 100,000 `>` took it 77 s. Nobody writes past a dozen
 * levels. Rows of one table and items of one list cost by the square as well: 50,000 took it 14 s.
 */
const isTame = (text: string): boolean => {
  if (text.length > 2_000_000) return false;
  let lines = 0;
  let rows = 0;
  for (let at = 0; at < text.length; lines++) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    if (end - at > 100_000) return false;
    const margin = /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t>]+)*/.exec(text.slice(at, Math.min(end, at + 400)))?.[0] ?? '';
    if (margin.length > 160 || (margin.match(/[>*+.)-]/g)?.length ?? 0) > 24) return false;
    rows = text[at] === '|' ? rows + 1 : 0;
    if (rows > 3_000 || lines > 20_000) return false;
    at = end + 1;
  }
  return true;
};

const frontMatterTitle = (text: string): string | undefined => {
  const matter = /^(?:---|\+\+\+)[ \t]*\r?\n([\s\S]{0,20000}?)\r?\n(?:---|\+\+\+)[ \t]*(?:\r?\n|$)/.exec(
    text.slice(0, 20_100),
  )?.[1];
  const value = matter === undefined ? undefined : /^title[ \t]*[:=][ \t]*(.+)$/m.exec(matter)?.[1]?.trim();
  const bare = value?.replace(/^(["'])(.*)\1$/, '$2').trim();
  return bare === undefined || bare === '' ? undefined : bare.slice(0, 300);
};

/** A heading of the second level names the document only when nothing stands before it. */
const firstHeading = (blocks: readonly Block[]): string | undefined => {
  const visible = blocks.filter((block) => block.kind !== 'hidden').slice(0, 100);
  const title = visible.find((block) => block.depth === 1) ?? visible[0];
  return title?.heading === '' ? undefined : title?.heading;
};
