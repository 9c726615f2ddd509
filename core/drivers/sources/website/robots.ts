import robotsParser from 'robots-parser';
import { AppError } from '../../../errors.ts';
import type { PoliteFetch } from './polite-fetch.ts';

/** What the site's robots.txt says to us. */
export type Robots = {
  allows(url: URL): boolean;
  readonly sitemaps: readonly string[];
  /** Between two requests; zero when it asks for none. */
  readonly delayMs: number;
};

/** As it stands in robots.txt files: `User-agent: Footnote`. */
export const userAgent = 'Footnote';

const maxBytes = 1024 * 1024;
/** More than this would be asked for by nobody who wants to be read at all. */
const maxDelayMs = 60_000;

const parse = robotsParser as unknown as typeof robotsParser.default;

/**
 * RFC 9309: a site without the file (any 4xx) allows everything; one whose file cannot be had (5xx, no answer) allows
 * nothing for now. Throws AppError `unreadable-document` in that case, `address-not-allowed`, `cancelled`.
 */
export const readRobots = async (origin: string, fetchPolitely: PoliteFetch, signal: AbortSignal): Promise<Robots> => {
  const address = `${origin}/robots.txt`;
  const answer = await fetchPolitely(address, { signal, maxBytes, redirects: 5, intervalMs: 0 }).catch(
    (error: unknown) => {
      if (error instanceof AppError && error.code !== 'unreadable-document' && error.code !== 'too-large') throw error;
      throw unavailable(address, error);
    },
  );
  if (answer.status >= 500 || answer.status === 429) throw unavailable(address);
  // What is sent instead of a missing file (a start page, an error in HTML) has no rules in it.
  const rules = answer.status === 200 ? new TextDecoder().decode(answer.bytes) : '';
  const robots = parse(address, rules);
  return {
    allows: (url) => robots.isAllowed(url.href, userAgent) !== false,
    sitemaps: robots.getSitemaps().slice(0, 100),
    delayMs: Math.min((robots.getCrawlDelay(userAgent) ?? 0) * 1_000, maxDelayMs),
  };
};

const unavailable = (address: string, cause?: unknown): AppError =>
  new AppError(
    'unreadable-document',
    `${address} cannot be read just now, so it is not known what may be fetched. Nothing was fetched and nothing removed.`,
    { cause, retryable: true },
  );
