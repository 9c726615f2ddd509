import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { decodeEntities } from './page.ts';

/** What a sitemap lists: pages, or further sitemaps. */
export type Sitemap = { readonly pages: readonly string[]; readonly sitemaps: readonly string[] };

export const maxSitemapBytes = 50 * 1024 * 1024;

const unzip = promisify(gunzip);

/**
 * A sitemap, an index of sitemaps, or a plain list of addresses, packed or not. Read by a scan for `<loc>`: a file of
 * fifty thousand pages as a tree of objects takes a hundred megabytes. Null when it is none of these.
 */
export const readSitemap = async (bytes: Uint8Array): Promise<Sitemap | null> => {
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const plain = isPacked ? await unzip(bytes, { maxOutputLength: maxSitemapBytes }).catch(() => null) : bytes;
  if (plain === null) return null;
  const text = withoutComments(new TextDecoder().decode(plain));
  const root = /<(?:[\w-]+:)?(urlset|sitemapindex)[\s>]/i.exec(text.slice(0, 20_000))?.[1]?.toLowerCase();
  if (root === 'urlset') return { pages: locations(text), sitemaps: [] };
  if (root === 'sitemapindex') return { pages: [], sitemaps: locations(text) };
  const lines = text.split(/\r?\n/, 50_001).map((line) => line.trim());
  const isList = !text.trimStart().startsWith('<') && lines.some((line) => /^https?:\/\//i.test(line));
  return isList ? { pages: lines.filter((line) => /^https?:\/\//i.test(line)), sitemaps: [] } : null;
};

/** One pass; a lazy pattern would look through the whole rest for every beginning without an end. */
const withoutComments = (text: string): string => {
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf('<!--', at);
    const close = open < 0 ? -1 : text.indexOf('-->', open + 4);
    parts.push(text.slice(at, open < 0 ? text.length : open));
    if (close < 0) return parts.join('');
    at = close + 3;
  }
};

/** At most fifty thousand, as the protocol says. Pictures and videos have their own names for it. */
const locations = (text: string): readonly string[] => {
  const found: string[] = [];
  for (const [, inside = ''] of text.matchAll(/<loc>([^<]{1,4000}|\s*<!\[CDATA\[[^\]]{1,4000}\]\]>\s*)<\/loc>/gi)) {
    const plain = inside.trim().replace(/^<!\[CDATA\[(.*)\]\]>$/s, '$1');
    found.push(decodeEntities(plain.trim()));
    if (found.length >= 50_000) break;
  }
  return found;
};
