import { deflateRawSync, inflateRawSync } from 'node:zlib';

/** What is remembered of a page as its version: enough to ask for it only when it changed. */
export type PageVersion = {
  /** Of what can be read on it. */
  readonly print: string;
  readonly etag: string;
  readonly modified: string;
  readonly type: string;
};

export const writeVersion = ({ print, etag, modified, type }: PageVersion): string =>
  JSON.stringify([print, etag, modified, type]);

export const readVersion = (version: string | undefined): PageVersion | null => {
  const parts = parsed(version ?? '');
  if (!Array.isArray(parts) || parts.length !== 4 || !parts.every((part) => typeof part === 'string')) return null;
  const [print, etag, modified, type] = parts as [string, string, string, string];
  return { print, etag, modified, type };
};

/** The headers of a request that costs no body when nothing changed. */
export const conditionsOf = (version: PageVersion | null): Record<string, string> => {
  if (version === null) return {};
  if (version.etag !== '') return { 'if-none-match': version.etag };
  return version.modified === '' ? {} : { 'if-modified-since': version.modified };
};

/** Validators as they may be sent back: short, and without what would end a header. */
export const validator = (value: string | undefined): string =>
  value !== undefined && value.length <= 200 && /^[\x20-\x7e]+$/.test(value) ? value : '';

export type WaitingPage = {
  readonly url: string;
  /** Links away from the first page or the sitemap. */
  readonly depth: number;
  /** Who named it: a page that only a link names may be no page at all, and nobody is told. */
  readonly from: 'start' | 'sitemap' | 'link' | 'known';
  readonly hops: number;
};

/** `over`: the last run went through. Otherwise where it stands, so that another process can go on. */
export type CrawlCursor =
  | { readonly state: 'over' /** Pages that are no documents but lead to some. */; readonly again: readonly string[] }
  | {
      readonly state: 'running';
      readonly at: number;
      readonly origin: string;
      readonly waiting: readonly WaitingPage[];
      readonly seen: readonly string[];
      /** Documents that were reported, or kept because of a problem. */
      readonly settled: readonly string[];
      readonly again: readonly string[];
    };

export const writeCursor = (cursor: CrawlCursor): string =>
  deflateRawSync(JSON.stringify(cursor), { level: 3 }).toString('base64url');

/** Null for none, and for one of another making. */
export const readCursor = (cursor: string | undefined): CrawlCursor | null => {
  if (cursor === undefined) return null;
  try {
    const plain = inflateRawSync(Buffer.from(cursor, 'base64url'), { maxOutputLength: 256 * 1024 * 1024 });
    const value = parsed(plain.toString());
    return typeof value === 'object' && value !== null && 'state' in value ? (value as CrawlCursor) : null;
  } catch {
    return null;
  }
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
};
