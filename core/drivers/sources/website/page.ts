import { createHash } from 'node:crypto';
import { pageAddress } from './address.ts';

/** What a crawler sees of a page. Reading it for people is the parser's part, elsewhere and off this thread. */
export type ScannedPage = {
  /** In the order of the page, without those that ask not to be followed. */
  readonly links: readonly URL[];
  readonly canonical: URL | null;
  readonly noindex: boolean;
  /** A form that asks for a password, and little else. */
  readonly isSignIn: boolean;
  /** Of the words and links only: tokens and time stamps in the code of a page are no change of it. */
  readonly fingerprint: string;
};

const maxTag = 8_192;
const maxRules = 1_000;
const maxLinks = 5_000;
const fewWords = 1_500;

/**
 * One pass over the tags, in time that grows with the length whatever the page is made of; a tree of every page would
 * keep the event loop from answering questions. Throws nothing.
 */
export const scanPage = (html: string, address: URL, headers: Readonly<Record<string, string>> = {}): ScannedPage => {
  const links = new Map<string, URL>();
  const hash = createHash('sha256');
  let base = address;
  let canonical: URL | null = null;
  let hasPassword = false;
  let length = 0;
  const rules = new Set(
    rulesOf((headers['x-robots-tag'] ?? '').slice(0, maxRules).replace(/\b(?!footnote\b)[\w-]+bot\s*:[^:]*$/i, '')),
  );

  const words = (text: string): void => {
    const plain = text.replace(/\s+/g, ' ').trim();
    if (plain === '') return;
    length += plain.length;
    hash.update(plain).update(' ');
  };
  const follow = (href: string | undefined): void => {
    if (href === undefined || links.size >= maxLinks) return;
    const url = pageAddress(decodeEntities(href.trim()), base);
    if (url === null || links.has(url.href)) return;
    links.set(url.href, url);
    hash.update(url.href).update(' ');
  };

  const tag = (name: string, attributes: ReadonlyMap<string, string>): void => {
    const rel = (attributes.get('rel') ?? '').toLowerCase().split(/\s+/);
    const href = attributes.get('href');
    switch (name) {
      case 'a':
      case 'area':
        if (!rel.includes('nofollow')) follow(href);
        return;
      case 'base':
        if (base === address && href !== undefined) base = URL.parse(decodeEntities(href.trim()), address) ?? address;
        return;
      case 'link':
        if (rel.includes('canonical') && href !== undefined)
          canonical ??= pageAddress(decodeEntities(href.trim()), base);
        return;
      case 'meta':
        if (/^(?:robots|footnote)$/i.test(attributes.get('name') ?? ''))
          for (const rule of rulesOf(attributes.get('content') ?? '')) rules.add(rule);
        if (/^refresh$/i.test(attributes.get('http-equiv') ?? ''))
          follow(/^\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?['"]?([^'"]+)/i.exec(attributes.get('content') ?? '')?.[1]);
        return;
      case 'input':
        hasPassword ||= /^password$/i.test(attributes.get('type') ?? '');
        return;
      case 'img':
        words(attributes.get('alt') ?? '');
        return;
    }
  };

  scanTags(html, words, tag);
  return {
    links: rules.has('nofollow') || rules.has('none') ? [] : [...links.values()],
    canonical,
    noindex: rules.has('noindex') || rules.has('none'),
    isSignIn: hasPassword && length < fewWords,
    fingerprint: hash.digest('base64url').slice(0, 22),
  };
};

const rulesOf = (content: string): readonly string[] =>
  content
    .toLowerCase()
    .split(/[\s,;:]+/)
    .filter((rule) => rule !== '');

const interesting = new Set(['a', 'area', 'base', 'link', 'meta', 'input', 'img']);
const raw = new Set(['script', 'style', 'template', 'noscript', 'svg', 'iframe', 'textarea']);

const scanTags = (
  html: string,
  words: (text: string) => void,
  tag: (name: string, attributes: ReadonlyMap<string, string>) => void,
): void => {
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf('<', at);
    words(html.slice(at, open < 0 ? html.length : open));
    if (open < 0) return;
    if (html.startsWith('<!--', open)) {
      const end = html.indexOf('-->', open + 4);
      at = end < 0 ? html.length : end + 3;
      continue;
    }
    const name = /^<\/?([a-z][a-z0-9-]*)/i.exec(html.slice(open, open + 40))?.[1]?.toLowerCase();
    if (name === undefined) {
      at = open + 1;
      continue;
    }
    const end = endOfTag(html, open + 1);
    if (end < 0) {
      // Never looked at twice, or a page of nothing but beginnings would take time by the square.
      at = open + maxTag;
      continue;
    }
    const isClosing = html[open + 1] === '/';
    if (!isClosing && interesting.has(name)) tag(name, attributesOf(html.slice(open + 1 + name.length, end)));
    at = end + 1;
    if (!isClosing && raw.has(name) && html[end - 1] !== '/') {
      const close = indexOfClosing(html, name, at);
      at = close < 0 ? html.length : close;
    }
  }
};

const endOfTag = (html: string, from: number): number => {
  let quote = '';
  for (let at = from; at < html.length && at < from + maxTag; at++) {
    const char = html[at];
    if (quote !== '') {
      if (char === quote) quote = '';
    } else if (char === '>') return at;
    else if ((char === '"' || char === "'") && html[at - 1] === '=') quote = char;
  }
  return -1;
};

const indexOfClosing = (html: string, name: string, from: number): number => {
  const closing = new RegExp(`</${name}`, 'gi');
  closing.lastIndex = from;
  return closing.exec(html)?.index ?? -1;
};

const attributesOf = (inside: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>();
  for (const [, name, double, single, bare] of inside.matchAll(
    /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+)))?/g,
  )) {
    const key = name?.toLowerCase() ?? '';
    if (!found.has(key)) found.set(key, double ?? single ?? bare ?? '');
  }
  return found;
};

/** The few that stand in addresses. */
export const decodeEntities = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined)
      return { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }[String(name).toLowerCase()] ?? whole;
    const code = decimal !== undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : whole;
  });

/** The text of a page by the charset it declares; enough to find links, the parser looks closer. */
export const decodePage = (bytes: Uint8Array, contentType: string): string => {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 2_048)).toString('latin1');
  const charset = /charset=["']?([\w-]+)/i.exec(contentType)?.[1] ?? /<meta[^>]+charset=["']?([\w-]+)/i.exec(head)?.[1];
  try {
    return new TextDecoder(charset ?? 'utf-8').decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
};

const readable =
  /^(?:text\/(?:html|plain|markdown|x-markdown)|application\/(?:xhtml\+xml|pdf|x-pdf|vnd\.openxmlformats-officedocument\.wordprocessingml\.document))$/;

/** The type without its parameters. */
export const essence = (contentType: string | undefined): string =>
  (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';

/** By what the site says of it; where it says nothing of use, by the ending. The parser decides by content. */
export const isReadable = (url: string, contentType: string | undefined): boolean => {
  const type = essence(contentType);
  if (type === '' || type === 'application/octet-stream')
    return /\.(?:html?|md|txt|pdf|docx)$/i.test(URL.parse(url)?.pathname ?? '');
  return readable.test(type);
};
