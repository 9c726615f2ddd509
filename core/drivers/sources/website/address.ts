/** Who clicked where in which campaign: none of it changes the page. */
const tracking =
  /^(?:utm_\w+|[gmyd]clid|fbclid|msclkid|gbraid|wbraid|mc_[ce]id|_g[al]|igshid|twclid|ttclid|_hs(?:enc|mi)|hsCtaTracking|mkt_tok|vero_\w+|oly_\w+|wickedid|ref_src|pk_\w+|piwik_\w+|matomo_\w+|spm|trk|replytocom)$/i;
const session =
  /^(?:phpsessid|jsessionid|aspsessionid\w*|asp\.net_sessionid|cfid|cftoken|sessid|sessionid|session_?id|sid|zenid|oscsid)$/i;

/** Longer ones are made by machines for machines; the id of a document has its limit, too. */
const maxLength = 900;

/**
 * One spelling for all addresses of a page: without fragment, tracking, session id and empty query; parameters sorted.
 * Null for what no page can be at.
 */
export const pageAddress = (address: string, base?: URL): URL | null => {
  const url = URL.parse(address, base);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  if (url.username !== '' || url.password !== '') return null;
  url.hash = '';
  if (/;jsessionid=/i.test(url.pathname)) url.pathname = url.pathname.replace(/;jsessionid=[^/;]*/gi, '');
  const names = new Set(url.searchParams.keys());
  for (const name of names) if (tracking.test(name) || session.test(name)) url.searchParams.delete(name);
  // Written back only when there is something to sort: it would also respell what the site spells in its own way.
  if (url.searchParams.size > 1) url.searchParams.sort();
  if (url.searchParams.size === 0) url.search = '';
  return url.href.length > maxLength ? null : url;
};

/** Endings of what is certainly no document that can be read. */
const noDocument =
  /\.(?:jpe?g|png|gif|webp|avif|svg|ico|bmp|tiff?|mp[34]|m4[av]|mov|avi|webm|ogg|wav|flac|zip|gz|tgz|bz2|xz|7z|rar|tar|exe|msi|dmg|pkg|deb|rpm|apk|iso|bin|css|m?js|map|json|xml|rss|atom|woff2?|ttf|eot|otf|wasm|xlsx?|pptx?|csv|ics|vcf)$/i;

/** Whether the path leads in circles: relative links that pile up, or a step that comes again and again. */
const isLoop = (path: string): boolean => {
  const steps = path.split('/').filter((step) => step !== '');
  if (steps.length > 25) return true;
  const times = new Map<string, number>();
  for (const step of steps) times.set(step, (times.get(step) ?? 0) + 1);
  return [...times.values()].some((count) => count > 3);
};

export const mayBePage = (url: URL): boolean => !noDocument.test(url.pathname) && !isLoop(url.pathname);

/** Where one goes to sign in, when a page sends one there. */
export const isSignIn = (url: URL): boolean =>
  /(?:^|\.)(?:login\.microsoftonline\.com|accounts\.google\.com|okta\.com|auth0\.com|onelogin\.com)$/i.test(
    url.hostname,
  ) ||
  /\/(?:log-?in|log-?on|sign-?in|sso|saml2?|oauth2?|auth|authorize|wp-login\.php|cas)(?:[/.?]|$)/i.test(url.pathname);

/** Without a list of the site's own, so many pages of one make are looked at. */
const mostOfAKind = { calendar: 100, number: 2_000, parameter: 500, parameters: 100 };

/**
 * Bounds what a machine can make up: calendars without end, numbers that count on, every mix of filters. Pages whose
 * addresses have words of their own are not bounded here. True while one more of its kind may be looked at.
 */
export const createVariety = (): { admit(url: URL): boolean; readonly exhausted: ReadonlySet<string> } => {
  const counts = new Map<string, number>();
  const exhausted = new Set<string>();
  return {
    exhausted,
    admit(url) {
      const [kind, most] = kindOf(url);
      if (kind === null) return true;
      const count = (counts.get(kind) ?? 0) + 1;
      if (count > most) {
        exhausted.add(kind);
        return false;
      }
      counts.set(kind, count);
      return true;
    },
  };
};

const kindOf = (url: URL): readonly [kind: string | null, most: number] => {
  const path = url.pathname.replace(/\d+/g, '#');
  const names = [...new Set(url.searchParams.keys())];
  const values = [...url.searchParams.values()];
  const isDated =
    /\/(?:19|20)\d\d(?:[-/.]\d{1,2}){0,2}\/?$/.test(url.pathname) ||
    (names.some((name) => /^(?:date|day|month|year|week|tribe-bar-date|ical|from|to|start|end|ym|ymd)$/i.test(name)) &&
      values.some((value) => /^\d[\d./:T-]*$/.test(value)));
  if (isDated) return [`${path}?${names.join('&')}`, mostOfAKind.calendar];
  if (names.length > 1) return [`${path}?${names.length} parameters`, mostOfAKind.parameters];
  if (names.length === 1) return [`${path}?${names[0]}`, mostOfAKind.parameter];
  return /\/\d+\/?$/.test(url.pathname) ? [path, mostOfAKind.number] : [null, 0];
};
