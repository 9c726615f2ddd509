import { AppError } from '../../../errors.ts';
import type { PoliteFetch } from './polite-fetch.ts';
import type { Robots } from './robots.ts';
import { maxSitemapBytes, readSitemap } from './sitemap.ts';

export type Listed = {
  readonly pages: readonly string[];
  /** Files that could not be read, as sentences. */
  readonly problems: readonly string[];
};

const maxFiles = 500;
const maxLevel = 3;

/** The pages that a site lists itself: by the sitemaps that robots.txt names, else by /sitemap.xml. */
export const listSitemaps = async (
  origin: string,
  robots: Robots,
  maxPages: number,
  get: (address: string, maxBytes: number) => ReturnType<PoliteFetch>,
): Promise<Listed> => {
  const isNamed = robots.sitemaps.length > 0;
  const waiting = (isNamed ? robots.sitemaps : [`${origin}/sitemap.xml`]).map((address) => ({ address, level: 1 }));
  const seen = new Set<string>();
  const pages: string[] = [];
  const problems: string[] = [];
  while (waiting.length > 0 && seen.size < maxFiles && pages.length < maxPages) {
    const next = waiting.shift();
    const address = URL.parse(next?.address ?? '', origin)?.href;
    if (next === undefined || address === undefined || seen.has(address)) continue;
    seen.add(address);
    try {
      const answer = await get(address, maxSitemapBytes);
      const isGuess = !isNamed && next.level === 1;
      // Most sites have none there, and many answer with a page of theirs instead.
      if (isGuess && answer.status >= 400 && answer.status < 500) continue;
      const found = answer.status === 200 ? await readSitemap(answer.bytes) : null;
      if (found === null) {
        if (!isGuess || answer.status >= 500) problems.push(`The sitemap ${address} cannot be read.`);
        continue;
      }
      for (const page of found.pages) if (pages.length < maxPages) pages.push(page);
      if (next.level < maxLevel)
        for (const one of found.sitemaps.slice(0, maxFiles)) waiting.push({ address: one, level: next.level + 1 });
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'cancelled') throw error;
      problems.push(`The sitemap ${address} cannot be read: ${error.message}`);
    }
  }
  return { pages, problems };
};
