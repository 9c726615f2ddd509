import { AppError } from '../../../errors.ts';
import type { Change } from '../../../ports/source.ts';
import type { GuardedResponse } from '../../../security/guarded-fetch.ts';
import { isSignIn, pageAddress } from './address.ts';
import type { Robots } from './robots.ts';

export const maxHops = 5;

/** Follows the first page to where it really stands: what is there decides which site is meant. */
export const enter = async (
  address: string,
  isResumed: boolean,
  robotsOf: (origin: string) => Promise<Robots>,
  fetchPage: (url: string, robots: Robots) => Promise<GuardedResponse>,
): Promise<{ readonly url: string; readonly robots: Robots; readonly start: GuardedResponse | null }> => {
  const refuse = (sentence: string): AppError => new AppError('unreadable-document', sentence);
  let at = pageAddress(address);
  const robots = new Map<string, Robots>();
  for (let hop = 0; at !== null && hop <= maxHops; hop += 1) {
    const { origin, href } = at;
    const rules = robots.get(origin) ?? (await robotsOf(origin));
    robots.set(origin, rules);
    if (isResumed) return { url: href, robots: rules, start: null };
    if (!rules.allows(at)) throw refuse(`robots.txt of ${origin} does not allow ${href} to be read.`);
    const start = await fetchPage(href, rules);
    const { status } = start;
    if (status === 401 || status === 403) throw refuse(`${href} is not public (the site answered ${status}).`);
    if (status === 429 || status >= 500) throw refuse(`${href} cannot be read just now (the site answered ${status}).`);
    const to: URL | null =
      status >= 300 && status < 400 && status !== 304 ? pageAddress(start.headers.location ?? '', at) : null;
    if (to === null) return { url: href, robots: rules, start };
    if (isSignIn(to)) throw refuse(`${href} leads to a sign-in; only public pages can be read.`);
    at = to;
  }
  throw refuse(`${address} leads on more than ${maxHops} times, or nowhere.`);
};

/** What keeps us out of the whole site is a matter of the address that was given: a form shows it there. */
export const atAddress = (error: unknown): unknown =>
  error instanceof AppError && error.code !== 'cancelled'
    ? new AppError(error.code, error.message, { at: 'settings.url', retryable: error.retryable, cause: error })
    : error;

/** A domain that was given up leads to somebody else's pages: that is no reason to forget what was read. */
export const movedAway = (given: string, origin: string, known: ReadonlyMap<string, unknown>): Change | null => {
  const bare = (hostname: string): string => hostname.replace(/^www\./, '');
  const to = new URL(origin);
  if (known.size === 0 || bare(new URL(given).hostname) === bare(to.hostname)) return null;
  for (const url of known.keys()) if (URL.parse(url)?.origin === origin) return null;
  return {
    type: 'problem',
    problem: `${given} now leads to ${origin}. Give that address in the settings if it is the right one; nothing was read or removed.`,
  };
};
