import type { Nodes, PhrasingContent } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';

/**
 * Output containment. Whatever a document makes a model write, what leaves here holds no link, image, HTML, reference
 * definition or mention, and no address that a chat client would turn into one. Addresses are footnotes' business: only
 * cited sources have them. An address that stands word for word in a cited passage may be read, as code that nobody can click.
 */
export type Containment = {
  /** Whether this address stands in a passage that is cited (in code: that was before the model) and may be shown as code. */
  knows(address: string, inCode: boolean): boolean;
  /** Called for each footnote marker in reading order; returns what stands in its place. Absent: markers go. */
  marker?(): string;
};

// ── characters ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Controls, zero-width characters, bidirectional overrides, tags, variation tricks: nothing a reader would miss. */
const invisible =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]|\u034f/gu;

export const cleanCharacters = (text: string): string => text.replace(/\r\n?/g, '\n').replace(invisible, '');

// ── mentions and addresses ──────────────────────────────────────────────────────────────────────────────────────────

const platformMention = /<(?:[@#!][^<>\s][^<>]{0,400}|at(?:\s[^<>]{0,80})?|\/at)>/giu;
/** Some clients find `@everyone` in the middle of a word too; `@team/package` is a name. */
const broadcast = /[@＠﹫]+(everyone|here(?![\p{L}/-])|(?:channel|all|team)(?![\w/-]))/giu;

/** Until nothing is left: what is taken out may have stood between the halves of another one. */
const withoutMentions = (text: string): string => {
  const without = text.replace(platformMention, '').replace(broadcast, '$1');
  return without === text ? text : withoutMentions(without);
};

const scheme = String.raw`(?:[a-z][a-z0-9+.-]{1,20}:[\\/]{1,3}|(?:mailto|javascript|data|vbscript|tel|sms|file|blob|slack|msteams|discord):)[^\s<>"'“”‘’]+`;
const email = String.raw`[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`;
/** What chat clients turn into links without a scheme, as far as it is no usual word after a full stop. */
const topLevel =
  'com|net|org|io|dev|app|ai|co|info|biz|xyz|me|gov|edu|mil|int|eu|uk|de|fr|es|it|nl|be|ch|at|pt|se|no|dk|fi|ie|cz|hu|ro|bg|gr|tr|ua|us|ca|mx|ar|cl|au|nz|jp|cn|hk|tw|kr|sg|my|th|vn|id|ph|ru|su|br|in|pk|za|ng|ke|il|ae|tk|ml|ga|cf|gq|pw|cx|nu|la|fm|im|is|gl|gd|vc|ag|site|online|shop|store|top|cloud|link|click|win|vip|club|icu|live|life|world|today|news|media|agency|digital|email|support|team|tools|page|pages|web|host|website|space|tech|blog|wiki|art|chat|city|codes|company|computer|design|download|exchange|expert|express|finance|fun|fund|games|global|group|guru|help|ink|kim|land|loan|lol|marketing|mobi|monster|network|ninja|one|party|photos|pizza|plus|porn|press|pro|quest|review|rocks|run|sbs|science|services|sex|software|solutions|stream|studio|systems|trade|training|university|video|watch|work|works|wtf|zone|bid|buzz|bar|cam|cfd|example|test|invalid|onion|gg|ly|to|tv|cc|ws|mov';
/** Endings of files that are countries too: shown as code, which nobody can click. */
const fileEnding = 'md|rs|py|pl|sh|so|ps|zip';
const host = String.raw`(?:www\.)?(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+`;
const bare = String.raw`(?<![\p{L}\p{N}])(?:www\.[^\s<>"']+|${host}(?:${topLevel}|${fileEnding})(?![\p{L}\p{N}-])(?::\d+)?(?:[/?#][^\s<>"']*)?|${host}\p{L}{2,24}(?::\d+)?\/[^\s<>"']*|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\/[^\s<>"']*)`;
const address = new RegExp(`${scheme}|${email}|${bare}`, 'giu');
const isFileName = new RegExp(`^[\\p{L}\\p{N}.-]+\\.(?:${fileEnding})$`, 'iu');
/** Punctuation that ends the sentence and not the address. */
const trailing = /[.,;:!?)\]}*_…]+$/u;

const addressAsText = (found: string, containment: Containment): string => {
  const tail = trailing.exec(found)?.[0] ?? '';
  const plain = found.slice(0, found.length - tail.length);
  const readable = plain.replace(/^(?:https?:\/\/|mailto:)/iu, '');
  // Backslashes and backticks have no place in an address that is to be shown.
  const shown =
    containment.knows(plain, false) && !/^[a-z][a-z0-9+.-]*:(?!\d)/iu.test(readable) && !/[`\\]/.test(readable);
  if (isFileName.test(plain)) return `\`${plain}\`${escapeText(tail)}`;
  return `${shown ? `\`${readable}\`` : '(link removed)'}${escapeText(tail)}`;
};

// ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What would be read as syntax is escaped, and no more: people read this as plain text on some doors. */
const escapeText = (text: string): string =>
  text
    .replace(/\\(?=[!-/:-@[-`{-~])/g, '\\\\')
    .replace(/&(?=#?\w+;)/g, '\\&')
    .replace(/<(?=[a-z/!?@#]|$)/giu, '\\<')
    .replace(/[*`]/g, '\\$&')
    .replace(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}_])/gu, '\\_')
    .replace(/\](?=[([])/g, '] ');

const markerText = /\[\^?(\d{1,3}(?:\s*[,;]\s*\^?\d{1,3})*)\]|【\^?(\d{1,3})[^】]{0,40}】/gu;

/** Numbers in `[1]`, `[1, 2]`, `[^1]` and `【1†…】`. */
const numbersIn = (match: RegExpExecArray | RegExpMatchArray): readonly number[] =>
  (match[1] ?? match[2] ?? '').split(/[,;]/).map((part) => Number(part.replace(/[^\d]/g, '')));

const renderText = (text: string, containment: Containment): string => {
  let out = '';
  let at = 0;
  for (const match of text.matchAll(markerText)) {
    out += renderWords(text.slice(at, match.index), containment);
    at = match.index + match[0].length;
    const standsFor = containment.marker?.() ?? '';
    // A removed marker takes the space before it along.
    out = standsFor === '' ? out.trimEnd() : out + standsFor;
    // `[1](…` would be read as a link.
    if (standsFor !== '' && /^[([]/.test(text.slice(at)) && !markerAhead(text.slice(at))) out += ' ';
  }
  return out + renderWords(text.slice(at), containment);
};

const markerAhead = (text: string): boolean => /^\[\^?\d{1,3}(?:\s*[,;]\s*\^?\d{1,3})*\]/.test(text);

const renderWords = (text: string, containment: Containment): string => {
  // Once more: entities are decoded only now.
  const words = withoutMentions(cleanCharacters(text));
  let out = '';
  let at = 0;
  for (const match of words.matchAll(address)) {
    out += escapeText(words.slice(at, match.index)) + addressAsText(match[0], containment);
    at = match.index + match[0].length;
  }
  return out + escapeText(words.slice(at));
};

// ── lines ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Block syntax is the line's own business (see `splitLine`): here everything is one run of inline content. */
const inlineOnly = {
  disable: {
    null: [
      'attentionBlock',
      'blockQuote',
      'codeFenced',
      'codeIndented',
      'definition',
      'headingAtx',
      'htmlFlow',
      'list',
      'setextUnderline',
      'thematicBreak',
    ],
  },
};

const parseInline = (markdown: string): readonly PhrasingContent[] =>
  fromMarkdown(markdown, { extensions: [inlineOnly] }).children.flatMap((node) =>
    node.type === 'paragraph' ? withoutTags(node.children) : [],
  );

/** What is left out must not hide what it stands in: `@<i></i>everyone` and `evil.<i></i>example` are read as one text. */
const withoutTags = (nodes: readonly PhrasingContent[]): PhrasingContent[] => {
  const kept: PhrasingContent[] = [];
  for (const node of nodes) {
    const own: PhrasingContent = node.type === 'html' && /^<br/i.test(node.value) ? { type: 'text', value: ' ' } : node;
    const last = kept.at(-1);
    if (own.type === 'html' || own.type === 'image' || own.type === 'imageReference') continue;
    if (own.type === 'text' && last?.type === 'text')
      kept[kept.length - 1] = { type: 'text', value: last.value + own.value };
    else kept.push('children' in own ? { ...own, children: withoutTags(own.children) as never } : own);
  }
  return kept;
};

/** The words of inline Markdown without its syntax, parted at its footnote markers: n markers, n + 1 segments. */
export const partAtMarkers = (
  markdown: string,
): { readonly segments: readonly string[]; readonly markers: readonly (readonly number[])[] } => {
  const segments = [''];
  const markers: (readonly number[])[] = [];
  const add = (words: string): void => {
    segments[segments.length - 1] += words;
  };
  const walk = (node: Nodes): void => {
    if (node.type === 'text') {
      let at = 0;
      for (const match of node.value.matchAll(markerText)) {
        add(node.value.slice(at, match.index));
        segments.push('');
        markers.push(numbersIn(match));
        at = match.index + match[0].length;
      }
      add(node.value.slice(at));
    } else if (node.type === 'break') add(' ');
    else if ('value' in node) add(node.value);
    else if ('children' in node) node.children.forEach(walk);
  };
  parseInline(markdown).forEach(walk);
  return { segments, markers };
};

/** Inline Markdown, contained. */
export const containInline = (markdown: string, containment: Containment): string => {
  const edges = /^(\s*)([\s\S]*?)(\s*)$/u.exec(markdown);
  if (edges === null || edges[2] === '') return markdown;
  const inside = parseInline(edges[2] ?? '')
    .map((node) => renderInline(node, containment))
    .join('');
  // At the beginning of a line `[1]: …` would be read as a definition.
  return `${edges[1]}${inside.replace(/^(\[[^\]\n]*\]):/, '$1 :')}${edges[3]}`;
};

const renderInline = (node: PhrasingContent, containment: Containment): string => {
  const inside = (): string =>
    'children' in node
      ? node.children.map((child) => renderInline(child as PhrasingContent, containment)).join('')
      : '';
  switch (node.type) {
    case 'text':
      return renderText(node.value, containment);
    case 'emphasis':
      return wrap('*', inside());
    case 'strong':
      return wrap('**', inside());
    case 'inlineCode':
      return codeSpan(containCode(node.value, containment));
    case 'break':
      return '\n';
    default:
      return inside();
  }
};

/** Emphasis may not begin or end with a space, or it is no emphasis. */
const wrap = (mark: string, inside: string): string => {
  const edges = /^(\s*)([\s\S]*?)(\s*)$/u.exec(inside);
  return edges === null || edges[2] === '' ? inside : `${edges[1]}${mark}${edges[2]}${mark}${edges[3]}`;
};

const codeSpan = (code: string): string => {
  const longest = Math.max(0, ...[...code.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = '`'.repeat(longest + 1);
  const pad = code.startsWith('`') || code.endsWith('`') ? ' ' : '';
  return code === '' ? '' : `${fence}${pad}${code}${pad}${fence}`;
};

/** Code stays as it is, addresses in it only where a passage before us has the very same ones: nothing can be smuggled out in them. */
export const containCode = (code: string, containment: Containment): string =>
  withoutMentions(cleanCharacters(code)).replace(new RegExp(scheme, 'giu'), (found) => {
    const tail = trailing.exec(found)?.[0] ?? '';
    const plain = found.slice(0, found.length - tail.length);
    const harmless = !/^(?:mailto|javascript|data|vbscript|tel|sms|blob|slack|msteams|discord):/iu.test(plain);
    return harmless && containment.knows(plain, true) ? found : `(address removed)${tail}`;
  });

// ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Quote marks, bullets, numbers, hashes: what makes a line a block. */
export const blockPrefix =
  /^[ \t]*(?:>[ \t]?)*(?:[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?)*(?:#{1,6}[ \t]+)?/;
/** The fence and the name of a language; nothing else may stand there. */
export const containFence = (line: string): string =>
  /^[ \t]*(?:>[ \t]?)*[ \t]*(?:`{3,}|~{3,})(?:[ \t]*[\w+#-]{1,20}(?![^\s{,]))?/.exec(line)?.[0] ?? '';
export const fenceLine = /^[ \t]*(?:>[ \t]?)*[ \t]*(`{3,}|~{3,})[^`\n]*$/;

/** One row of a table; `write` contains a cell. */
export const containRow = (row: string, write: (cell: string) => string): string => {
  if (/^[ \t]*\|?[\s:|-]+\|?[ \t]*\n?$/.test(row)) return row;
  return row
    .split(/(?<!\\)\|/)
    .map((cell) =>
      cell.trim() === '' ? cell : write(cell.replaceAll('\\|', '¦')).replaceAll('|', '\\|').replaceAll('¦', '\\|'),
    )
    .join('|');
};

/** Whole Markdown, contained line by line: for text that is all there. */
export const containBlocks = (markdown: string, containment: Containment): string => {
  let fence: string | null = null;
  const lines = cleanCharacters(markdown)
    .split('\n')
    .map((line) => {
      if (fence !== null) {
        if (/^[`~]+$/.test(line.trim()) && line.trim().startsWith(fence)) fence = null;
        return fence === null ? line : containCode(line, containment);
      }
      const opening = fenceLine.exec(line);
      if (opening !== null) {
        fence = opening[1] ?? '```';
        return containFence(line);
      }
      if (/^[ \t]*\|/.test(line)) return containRow(line, (cell) => containInline(cell, containment));
      if (/^[ \t]*\[[^\]\n]{1,80}\]:/.test(line)) return '';
      const prefix = blockPrefix.exec(line)?.[0] ?? '';
      return prefix + containInline(line.slice(prefix.length), containment);
    });
  return fence === null ? lines.join('\n') : `${lines.join('\n')}\n${fence}`;
};

// ── the proof ───────────────────────────────────────────────────────────────────────────────────────────────────────

const everything = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] };

/** Everything in finished Markdown that would leave the text: links, images, HTML, definitions, mentions. Empty when contained. */
export const listEscapes = (markdown: string): readonly string[] => {
  const found: string[] = [];
  const walk = (node: Nodes): void => {
    if (node.type === 'link' || node.type === 'image') found.push(`${node.type} ${node.url}`);
    else if (node.type === 'html') found.push(`html ${node.value}`);
    else if (node.type === 'definition' || node.type === 'footnoteDefinition')
      found.push(`definition ${node.identifier}`);
    else if (node.type === 'linkReference' || node.type === 'imageReference')
      found.push(`reference ${node.identifier}`);
    if ('children' in node) for (const child of node.children) walk(child);
  };
  walk(fromMarkdown(markdown, everything));
  for (const match of markdown.matchAll(platformMention)) found.push(`mention ${match[0]}`);
  for (const match of markdown.matchAll(broadcast)) found.push(`mention ${match[0]}`);
  return found;
};
