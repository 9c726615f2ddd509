import type { Nodes, PhrasingContent, Root, RootContent, Table } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import type { Citation } from '../core/domain.ts';

// ── splitting ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Markdown in parts of at most `limit` UTF-16 units, cut where it hurts least: between paragraphs, then lines, then
 * words. A fence that must be cut is closed and opened again with its language; a table's further rows get its head
 * again. Nothing is left out. `limit` must leave room for a fence (≥ 100).
 */
export const splitMarkdown = (markdown: string, limit: number): readonly string[] => {
  if (markdown.length <= limit) return markdown.trim() === '' ? [] : [markdown];
  const parts: string[] = [];
  let part = '';
  const close = () => {
    if (part.trim() !== '') parts.push(part.replace(/^\n+|\s+$/g, ''));
    part = '';
  };
  for (const block of blocksOf(markdown)) {
    if (part.length + block.length + 2 <= limit) {
      part = part === '' ? block : `${part}\n\n${block}`;
      continue;
    }
    close();
    const pieces = block.length <= limit ? [block] : splitBlock(block, limit);
    parts.push(...pieces.slice(0, -1));
    part = pieces.at(-1) ?? '';
  }
  close();
  return parts;
};

const fenceStart = /^( {0,3})(`{3,}|~{3,})(.*)$/;

/** Paragraphs, with a fence never apart from itself however many empty lines it holds. */
const blocksOf = (markdown: string): readonly string[] => {
  const blocks: string[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  const close = () => {
    if (lines.length > 0) blocks.push(lines.join('\n'));
    lines = [];
  };
  for (const line of markdown.split('\n')) {
    const mark = fenceStart.exec(line)?.[2];
    if (fence !== null) {
      lines.push(line);
      if (mark?.startsWith(fence) && line.trim() === mark) {
        fence = null;
        close();
      }
    } else if (mark !== undefined) {
      close();
      fence = mark;
      lines.push(line);
    } else if (line.trim() === '') close();
    else lines.push(line);
  }
  close();
  return blocks;
};

const splitBlock = (block: string, limit: number): readonly string[] => {
  const lines = block.split('\n');
  const fence = fenceStart.exec(lines[0] ?? '');
  if (fence !== null) {
    const closing = fence[2] ?? '```';
    const body = lines.slice(1, lines.at(-1)?.trim() === closing ? -1 : undefined);
    // A language as long as a part would leave no room for code.
    const opening = (lines[0] ?? '').length > limit / 4 ? closing : (lines[0] ?? closing);
    return packLines(body, limit - opening.length - closing.length - 2).map(
      (piece) => `${opening}\n${piece}\n${closing}`,
    );
  }
  if (isTable(lines)) {
    const head = lines.slice(0, 2).join('\n');
    if (head.length < limit / 2)
      return packLines(lines.slice(2), limit - head.length - 1).map((piece) => `${head}\n${piece}`);
  }
  return packLines(lines, limit);
};

const isTable = (lines: readonly string[]): boolean => lines.length > 2 && isTableHead(lines);

const packLines = (lines: readonly string[], limit: number): readonly string[] => {
  const pieces: string[] = [];
  let piece: string | null = null;
  for (const line of lines.flatMap((whole) => splitLine(whole, limit))) {
    if (piece === null) piece = line;
    else if (piece.length + line.length + 1 <= limit) piece += `\n${line}`;
    else {
      pieces.push(piece);
      piece = line;
    }
  }
  if (piece !== null) pieces.push(piece);
  return pieces;
};

/** At a space when there is one in the second half, otherwise between two characters, never inside one. */
const splitLine = (line: string, limit: number): readonly string[] => {
  const pieces: string[] = [];
  let rest = line;
  while (rest.length > limit) {
    const space = rest.lastIndexOf(' ', limit);
    let at = space > limit / 2 ? space : limit;
    if (isLowSurrogate(rest.charCodeAt(at))) at -= 1;
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at === space ? at + 1 : at);
  }
  return [...pieces, rest];
};
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

// ── footnotes ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** How a dialect writes a link of a footnote; both parts are clean already. */
type FootnoteLink = (title: string, url: string) => string;

/** The cited sources as a Markdown list: a link when there is somewhere to go, otherwise title and quote. */
export const renderFootnotes = (
  citations: readonly Citation[],
  link: FootnoteLink = (title, url) => `[${title}](${url})`,
): string => citations.map((citation) => `- [${citation.n}] ${footnote(citation, link)}`).join('\n');

const footnote = (citation: Citation, link: FootnoteLink): string => {
  const title = escapeText(inert(oneLine(citation.title))) || 'Document';
  const page = citation.page === undefined ? '' : `, p. ${citation.page}`;
  const url = linkTarget(citation.url);
  if (url !== null) return `${link(title, url)}${page}`;
  const quote = oneLine(citation.quote);
  return quote === ''
    ? `${title}${page}`
    : `${title}${page}: “${escapeText(inert(quote.length > 200 ? `${quote.slice(0, 199).trimEnd()}…` : quote))}”`;
};

/** Only http and https, and nothing that could end the link early. */
export const linkTarget = (url: string | undefined): string | null => {
  if (url === undefined || !URL.canParse(url)) return null;
  const parsed = new URL(url);
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return null;
  return parsed.href.replace(
    /[()<>|\s]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  );
};

/**
 * Titles and quotes are a document's own words. An invisible character inside addresses, mentions and tags leaves them to
 * be read and takes away what a client would make of them: the only link of a footnote is its own.
 */
const inert = (text: string): string =>
  text
    .replace(/:(?=\/\/)/g, ':\u200b')
    .replace(/(?<=[\p{L}\p{N}])\.(?=\p{L}{2,})/gu, '.\u200b')
    .replace(/[@＠](?=[\p{L}\p{N}])/gu, '$&\u200b')
    .replace(/(?<=\b(?:mailto|tel|sms|javascript|data)):/giu, ':\u200b')
    .replace(/<(?=[a-z/!?@#])/giu, '<\u200b');

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
const escapeText = (text: string): string => text.replace(/[\\`*_[\]~|]/g, '\\$&');

/** Made once: putting the extensions together costs as much as reading a short answer. */
const dialect = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] };

// ── dialects ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Canonical Markdown as Slack's legacy mrkdwn: no headings, no tables, `<url|text>` links; everything else escaped. */
export const renderMrkdwn = (markdown: string): string => {
  const tree: Root = fromMarkdown(markdown, dialect);
  return tree.children
    .map((node) => mrkdwnBlock(node, 0))
    .filter((piece) => piece !== '')
    .join('\n\n');
};

const mrkdwnBlock = (node: RootContent, depth: number): string => {
  switch (node.type) {
    case 'heading':
      return `*${mrkdwnInline(node.children).replace(/\*/g, '')}*`;
    case 'paragraph':
      return mrkdwnInline(node.children);
    case 'blockquote':
      return node.children
        .map((child) => mrkdwnBlock(child, depth))
        .join('\n')
        .split('\n')
        .map((line) => `> ${line}`)
        .join('\n');
    case 'list':
      return node.children
        .map((item, index) => {
          const mark = node.ordered ? `${(node.start ?? 1) + index}.` : '•';
          const box = item.checked === null || item.checked === undefined ? '' : item.checked ? '☑ ' : '☐ ';
          const body = item.children
            .map((child) => mrkdwnBlock(child, child.type === 'list' ? depth + 1 : depth))
            .join('\n');
          return `${'    '.repeat(depth)}${mark} ${box}${body}`;
        })
        .join('\n');
    case 'code':
      return `\`\`\`\n${escapeSlack(node.value.replaceAll('```', '`\u200b``'))}\n\`\`\``;
    case 'table':
      return `\`\`\`\n${escapeSlack(tableText(node))}\n\`\`\``;
    case 'thematicBreak':
      return '———';
    case 'html':
      return escapeSlack(node.value);
    default:
      return 'children' in node ? mrkdwnInline(node.children as readonly PhrasingContent[]) : '';
  }
};

const mrkdwnInline = (nodes: readonly PhrasingContent[]): string => nodes.map(mrkdwnPhrase).join('');

const mrkdwnPhrase = (node: PhrasingContent): string => {
  switch (node.type) {
    case 'strong':
      return `*${mrkdwnInline(node.children)}*`;
    case 'emphasis':
      return `_${mrkdwnInline(node.children)}_`;
    case 'delete':
      return `~${mrkdwnInline(node.children)}~`;
    case 'inlineCode':
      return `\`${escapeSlack(node.value)}\``;
    case 'link': {
      const url = linkTarget(node.url);
      const label = escapeSlack(plainText(node)).replaceAll('|', '¦');
      return url === null ? label : `<${escapeSlack(url)}|${label || escapeSlack(url)}>`;
    }
    case 'image':
      return escapeSlack(node.alt ?? '');
    case 'break':
      return '\n';
    default:
      return 'children' in node
        ? mrkdwnInline(node.children as readonly PhrasingContent[])
        : escapeSlack('value' in node ? String(node.value) : plainText(node));
  }
};

/** The three characters that are special to Slack; with them gone no `<!channel>` and no `<@U1>` can be formed. */
export const escapeSlack = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const plainText = (node: Nodes): string => {
  if ('value' in node) return node.value;
  return 'children' in node ? node.children.map((child) => plainText(child as Nodes)).join('') : '';
};

/** A table in its cells, each on one line: plain words, with bold ones and links still marked as such. */
export type TableCells = {
  /** The first row is the head. */
  readonly rows: readonly (readonly string[])[];
  readonly align: readonly ('left' | 'center' | 'right' | null)[];
};

/**
 * Markdown with its tables in fixed width inside fences, for dialects that have none, or whatever `instead` writes for one
 * of them; everything else stays as it is written. What is rendered of a beginning is a beginning of what is rendered of
 * the whole, if no table is cut in it.
 */
export const fenceTables = (markdown: string, instead: (table: TableCells) => string | null = () => null): string =>
  markdown.includes('|')
    ? blocksOf(markdown)
        .map((block) => fenceTable(block, instead))
        .join('\n\n')
    : markdown;

const fenceTable = (block: string, instead: (table: TableCells) => string | null): string => {
  const lines = block.split('\n');
  if (fenceStart.test(lines[0] ?? '')) return block;
  const head = lines.findIndex((_, index) => isTableHead(lines.slice(index, index + 2)));
  if (head === -1) return block;
  const before = lines.slice(0, head).join('\n');
  const tree: Root = fromMarkdown(lines.slice(head).join('\n'), dialect);
  const [table, ...rest] = tree.children;
  if (table?.type !== 'table') return block;
  const after = lines.slice(head + (table.position?.end.line ?? lines.length)).join('\n');
  const written = instead(cellsOf(table)) ?? `\`\`\`\n${tableText(table).replaceAll('```', '`\u200b``')}\n\`\`\``;
  return [before, written, rest.length === 0 ? '' : after].filter((piece) => piece !== '').join('\n\n');
};

const cellsOf = ({ children, align }: Table): TableCells => ({
  rows: children.map((row) => row.children.map((cell) => oneLine(cell.children.map(cellPhrase).join('')))),
  align: align ?? [],
});

const cellPhrase = (node: PhrasingContent): string => {
  if (node.type === 'strong') return `**${oneLine(plainText(node))}**`;
  const url = node.type === 'link' ? linkTarget(node.url) : null;
  return url === null ? plainText(node) : `[${plainText(node).replace(/[[\]]/g, '')}](${url})`;
};

/** The text up to where something begins that is, or may yet become, a table that is not finished. */
export const withoutOpenTable = (markdown: string): string => {
  if (!markdown.includes('|')) return markdown;
  const blocks = blocksOf(markdown);
  const last = blocks.at(-1)?.split('\n') ?? [];
  if (fenceStart.test(last[0] ?? '') || markdown.endsWith('\n\n')) return markdown;
  const head = last.findIndex((line) => line.includes('|'));
  return head === -1 ? markdown : [...blocks.slice(0, -1), last.slice(0, head).join('\n')].join('\n\n').trimEnd();
};

const isTableHead = ([head = '', rule = '']: readonly string[]): boolean =>
  head.includes('|') && /^[\s|:-]+$/.test(rule) && rule.includes('-');

/** A table in fixed width, for dialects that have none. */
const tableText = (table: Table): string => {
  const rows = table.children.map((row) => row.children.map((cell) => oneLine(plainText(cell))));
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.min(40, Math.max(...rows.map((row) => [...(row[column] ?? '')].length))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const [head, ...body] = rows;
  return [line(head ?? []), widths.map((width) => '-'.repeat(width)).join('  '), ...body.map(line)].join('\n');
};

// ── Discord ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What Discord shows differently from what is meant: only then is the text parsed. */
const needsDiscord =
  /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\||$)|^ {0,3}#{4,} |\]\(|!\[|__|^ {0,3}(?:={2,}|\*\*\*|___|\* \* \*)[ \t]*$/m;

/**
 * Canonical Markdown as Discord reads it: a table becomes fixed width, a deep heading bold, a picture its description, and a
 * link's address stands in angle brackets, which asks for no preview. All else stays as it was written, and nothing in it
 * is taken for a mention, a channel or a command.
 */
export const renderDiscord = (markdown: string): string => {
  if (!needsDiscord.test(markdown)) return inertForDiscord(markdown);
  const pieces: string[] = [];
  let from = 0;
  const replace = (node: Nodes, text: string) => {
    const start = node.position?.start.offset ?? from;
    if (start < from) return;
    pieces.push(inertForDiscord(markdown.slice(from, start)), text);
    from = node.position?.end.offset ?? from;
  };
  const visit = (node: Nodes): void => {
    const text = discordNode(node, markdown);
    if (text !== null) replace(node, text);
    else if ('children' in node) for (const child of node.children) visit(child);
  };
  visit(fromMarkdown(markdown, dialect));
  return pieces.join('') + inertForDiscord(markdown.slice(from));
};

/** How a node is written instead; null: as it is. */
const discordNode = (node: Nodes, source: string): string | null => {
  switch (node.type) {
    case 'table':
      return `\`\`\`\n${tableText(node).replaceAll('```', '`\u200b``')}\n\`\`\``;
    case 'heading':
      if (node.depth > 3) return `**${inertForDiscord(plainText(node)).replace(/\*/g, '')}**`;
      return source[node.position?.start.offset ?? 0] === '#'
        ? null
        : `${'#'.repeat(node.depth)} ${inertForDiscord(oneLine(plainText(node)))}`;
    case 'image':
      return inertForDiscord(node.alt ?? '');
    case 'thematicBreak':
      return '———';
    case 'strong':
      // Discord underlines what stands between two underscores.
      return source.startsWith('__', node.position?.start.offset ?? -1)
        ? `**${inertForDiscord(plainText(node))}**`
        : null;
    case 'link': {
      const url = linkTarget(node.url);
      const label = inertForDiscord(plainText(node)).replace(/[[\]]/g, '\\$&');
      return url === null ? label : discordLink(label || url, url);
    }
    default:
      return null;
  }
};

/** A label that is the address itself cannot be a masked link; Discord shows such a thing as it is written. */
export const discordLink = (title: string, url: string): string =>
  URL.canParse(title) ? `<${url}>` : `[${title}](<${url}>)`;

/** `<@1>`, `<@&1>`, `<#1>`, `</ask:1>`, `<id:home>`, `@everyone`: an invisible character keeps the words and takes the power. */
export const inertForDiscord = (text: string): string =>
  text.replace(/<(?=[@#/]|id:|:\w|a:\w|t:)/g, '<\u200b').replace(/@(?=everyone|here)/g, '@\u200b');
