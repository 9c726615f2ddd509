import { matchesGlob } from '../../../text/glob.ts';
import { createVariety, mayBePage } from './address.ts';
import type { Robots } from './robots.ts';

export type Scope = {
  /** Whether a page may be fetched at all. */
  includes(url: URL): boolean;
  /** The same for one that only a link names: of what a machine makes up there is an end. */
  includesFound(url: URL): boolean;
  /** Kinds of addresses of which not all were looked at. */
  readonly exhausted: ReadonlySet<string>;
};

/** Pages of one origin, by robots.txt and by the patterns of the tenant. */
export const createScope = (
  origin: string,
  robots: Robots,
  patterns: { readonly include?: readonly string[] | undefined; readonly exclude?: readonly string[] | undefined },
): Scope => {
  const variety = createVariety();
  const includes = (url: URL): boolean => {
    if (url.origin !== origin || !mayBePage(url)) return false;
    const path = pathOf(url);
    if (patterns.exclude?.some((pattern) => matchesGlob(path, pattern)) === true) return false;
    if (patterns.include !== undefined && patterns.include.length > 0)
      if (!patterns.include.some((pattern) => matchesGlob(path, pattern))) return false;
    return robots.allows(url);
  };
  return { includes, includesFound: (url) => includes(url) && variety.admit(url), exhausted: variety.exhausted };
};

const pathOf = (url: URL): string => {
  try {
    return decodeURIComponent(url.pathname).slice(1);
  } catch {
    return url.pathname.slice(1);
  }
};
