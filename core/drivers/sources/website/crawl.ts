import { createHash } from 'node:crypto';
import { AppError } from '../../../errors.ts';
import type { Clock } from '../../../ports/runtime.ts';
import type { Change, ChangeOptions } from '../../../ports/source.ts';
import type { GuardedResponse } from '../../../security/guarded-fetch.ts';
import { isSignIn, pageAddress } from './address.ts';
import { atAddress, enter, maxHops, movedAway } from './enter.ts';
import { listSitemaps } from './list-sitemaps.ts';
import { decodePage, essence, isReadable, type ScannedPage, scanPage } from './page.ts';
import type { PoliteFetch } from './polite-fetch.ts';
import { type Robots, readRobots } from './robots.ts';
import { createScope, type Scope } from './scope.ts';
import {
  conditionsOf,
  readCursor,
  readVersion,
  validator,
  type WaitingPage,
  writeCursor,
  writeVersion,
} from './version.ts';
import type { WebsiteSettings } from './website.ts';

type Parts = { readonly settings: WebsiteSettings; readonly fetchPolitely: PoliteFetch; readonly clock: Clock };

/** Under way at once, so that a slow site still gets as many requests a second as it may. */
const lanes = 4;
const maxPageBytes = 20 * 1024 * 1024;
/** Larger ones are fetched again when they are wanted, or a queue of them would fill the memory. */
const keptBytes = 2 * 1024 * 1024;
/** Links are looked for in so much of a page. */
const scannedBytes = 5 * 1024 * 1024;
/** Without an answer in a row: the site is down, and asking on would neither help it nor us. */
const failuresInARow = 8;
const cursorEvery = 250;
const cursorEveryMs = 60_000;
/** An interrupted run is not gone on with for ever. */
const resumedWithinMs = 6 * 3_600_000;
const rememberedAgain = 1_000;

type Outcome =
  | { readonly page: WaitingPage; readonly answer: GuardedResponse }
  | { readonly page: WaitingPage; readonly error: AppError };

/**
 * Goes through a site: the first page, what its sitemap lists, then links, then what is stored and was not come across
 * (a page stays for as long as it answers). Throws AppError when the site cannot be entered at all: `address-not-allowed`,
 * `unreadable-document`, `cancelled`.
 */
export async function* crawl(parts: Parts, options: ChangeOptions): AsyncGenerator<Change> {
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  try {
    yield* goThrough(parts, options, signal);
  } finally {
    // Whoever stops listening also stops what is still under way.
    left.abort();
  }
}

async function* goThrough(
  { settings, fetchPolitely, clock }: Parts,
  options: ChangeOptions,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const known = new Map<string, string | undefined>();
  for await (const one of options.known?.() ?? []) known.set(one.externalId, one.version);
  const before = readCursor(options.cursor);
  const resumed = before?.state === 'running' && clock.now() - before.at < resumedWithinMs ? before : null;
  /** Only after a whole run with these settings: of a page that is not sent again the links stay unknown. */
  const asksForChanges = before?.state === 'over' && settings.maxDepth === undefined;

  const fetchPage = (url: string, robots: Robots, isConditional: boolean): Promise<GuardedResponse> =>
    fetchPolitely(url, {
      signal,
      maxBytes: maxPageBytes,
      intervalMs: intervalOf(settings, robots),
      headers: {
        accept: 'text/html,application/xhtml+xml,application/pdf;q=0.9,text/*;q=0.8,*/*;q=0.1',
        ...(isConditional ? conditionsOf(readVersion(known.get(url))) : {}),
      },
      wants: ({ status, headers }) => status === 200 && isReadable(url, headers['content-type']),
    });

  const entered = await enter(
    resumed?.origin ?? settings.url,
    resumed !== null,
    (origin) => readRobots(origin, fetchPolitely, signal),
    (url, robots) => fetchPage(url, robots, asksForChanges),
  ).catch((error: unknown) => {
    throw atAddress(error);
  });
  const { robots, start } = entered;
  const origin = new URL(entered.url).origin;
  const intervalMs = intervalOf(settings, robots);
  const moved = movedAway(settings.url, origin, known);
  if (moved !== null) return yield moved;

  const scope = createScope(origin, robots, settings);
  const waiting: WaitingPage[] = [];
  const seen = new Set<string>();
  /** Reported, or kept because of a problem. */
  const settled = new Set<string>();
  const again = new Set<string>();
  const aliases = new Map<string, string>();
  const deferred = new Map<string, { readonly canonical: string; readonly change: Change & { type: 'upsert' } }>();
  let documents = 0;
  let failures = 0;
  const mostSeen = settings.maxPages * 3 + 1_000;

  const enqueue = (page: WaitingPage, atOnce = false): void => {
    if (seen.has(page.url) || seen.size >= mostSeen) return;
    seen.add(page.url);
    if (atOnce) waiting.unshift(page);
    else waiting.push(page);
  };

  // ── where to begin ────────────────────────────────────────────────────────────────────────────────────────────────

  if (resumed !== null) {
    for (const url of resumed.seen) seen.add(url);
    for (const url of resumed.settled) settled.add(url);
    for (const url of resumed.again) again.add(url);
    waiting.push(...resumed.waiting);
    documents = settled.size;
  } else {
    seen.add(entered.url);
    const sitemaps = await listSitemaps(origin, robots, settings.maxPages * 2, (address, maxBytes) =>
      fetchPolitely(address, {
        signal,
        maxBytes,
        redirects: maxHops,
        intervalMs,
      }),
    );
    for (const problem of sitemaps.problems) yield { type: 'problem', problem, isNote: true };
    for (const address of sitemaps.pages) {
      const url = pageAddress(address, new URL(origin));
      if (url !== null && scope.includes(url)) enqueue({ url: url.href, depth: 0, from: 'sitemap', hops: 0 });
    }
    if (settings.sitemapOnly === true && waiting.length === 0 && sitemaps.problems.length === 0)
      throw new AppError('unreadable-document', `${origin} has no sitemap with pages that may be read.`);
    if (before?.state === 'over')
      for (const url of before.again)
        if (scope.includes(new URL(url))) enqueue({ url, depth: 0, from: 'link', hops: 0 });
  }

  // ── one page ──────────────────────────────────────────────────────────────────────────────────────────────────────

  const upsertOf = (url: string, answer: GuardedResponse, print: string): Change & { type: 'upsert' } => {
    const type = essence(answer.headers['content-type']);
    const stored = known.get(url);
    const last = readVersion(stored);
    const { bytes } = answer;
    return {
      type: 'upsert',
      externalId: url,
      url,
      mediaType: type,
      // The same words under another stamp are the same version: nothing is read, cut and paid for again.
      version:
        stored !== undefined && last?.print === print && last.type === type
          ? stored
          : writeVersion({
              print,
              etag: validator(answer.headers.etag),
              modified: validator(answer.headers['last-modified']),
              type,
            }),
      read: bytes.length <= keptBytes ? async () => bytes : readAgain(url),
    };
  };

  /** Asked for when the listing may be over, so only the reader may stop it. */
  const readAgain =
    (url: string) =>
    async (reading: AbortSignal): Promise<Uint8Array> => {
      const answer = await fetchPolitely(url, { signal: reading, maxBytes: maxPageBytes, intervalMs });
      if (answer.status !== 200) throw new AppError('unreadable-document', `The site answered ${answer.status}.`);
      return answer.bytes;
    };

  const report = (change: Change & { type: 'upsert' }): Change => {
    settled.add(change.externalId);
    documents += 1;
    return change;
  };

  const problem = (url: string, sentence: string): Change => {
    settled.add(url);
    if (again.size < rememberedAgain) again.add(url);
    return { type: 'problem', externalId: url, problem: sentence };
  };

  const forget = function* (url: string): Generator<Change> {
    if (known.has(url)) yield { type: 'remove', externalId: url };
  };

  const followLinks = (links: readonly URL[], depth: number): void => {
    if (settings.sitemapOnly === true || (settings.maxDepth !== undefined && depth >= settings.maxDepth)) return;
    for (const url of links)
      if (!seen.has(url.href) && scope.includesFound(url))
        enqueue({ url: url.href, depth: depth + 1, from: 'link', hops: 0 });
  };

  const settlePage = function* (page: WaitingPage, answer: GuardedResponse): Generator<Change> {
    const { url } = page;
    const type = essence(answer.headers['content-type']);
    if (!isReadable(url, answer.headers['content-type'])) return yield* forget(url);
    if (!/html/.test(type)) {
      yield report(upsertOf(url, answer, createHash('sha256').update(answer.bytes).digest('base64url').slice(0, 22)));
      return;
    }
    const html = decodePage(answer.bytes.subarray(0, scannedBytes), answer.headers['content-type'] ?? '');
    const scanned = scanPage(html, new URL(url), answer.headers);
    if (scanned.isSignIn) {
      if (page.from !== 'link') yield problem(url, 'The page asks for signing in; what is behind it is not read.');
      return;
    }
    followLinks(scanned.links, page.depth);
    if (scanned.noindex) {
      if (again.size < rememberedAgain) again.add(url);
      return yield* forget(url);
    }
    const change = upsertOf(url, answer, scanned.fingerprint);
    const canonical = canonicalOf(scanned, url, scope);
    if (canonical === null) return yield report(change);
    aliases.set(url, canonical);
    if (settled.has(canonical)) return;
    // Only if nothing stands at the address that the page says is the right one, it is taken from here.
    deferred.set(url, { canonical, change: { ...change, read: readAgain(url) } });
    enqueue({ url: canonical, depth: page.depth, from: page.from, hops: 0 }, true);
  };

  const settle = function* (outcome: Outcome): Generator<Change> {
    const { page } = outcome;
    if ('error' in outcome) {
      if (outcome.error.code === 'cancelled' || outcome.error.code === 'address-not-allowed') throw outcome.error;
      if (outcome.error.retryable) failures += 1;
      return yield problem(page.url, outcome.error.message);
    }
    const { answer } = outcome;
    const { status } = answer;
    if (status === 429 || status === 503) {
      failures += 1;
      return yield problem(page.url, `The site is too busy (it answered ${status}).`);
    }
    failures = 0;
    if (status === 200) return yield* settlePage(page, answer);
    if (status === 304) {
      const stored = known.get(page.url);
      const mediaType = readVersion(stored)?.type ?? '';
      if (stored !== undefined)
        yield report({
          type: 'upsert',
          externalId: page.url,
          url: page.url,
          mediaType,
          version: stored,
          read: readAgain(page.url),
        });
      return;
    }
    if (status === 404 || status === 410) {
      if (page.from === 'start') yield problem(page.url, `The site has no such page (it answered ${status}).`);
      return yield* forget(page.url);
    }
    if (status === 401 || status === 403)
      return yield problem(page.url, `The page is not public (the site answered ${status}).`);
    const to = status >= 300 && status < 400 ? pageAddress(answer.headers.location ?? '', new URL(page.url)) : null;
    if (to === null) return yield problem(page.url, `The site answered ${status}.`);
    if (isSignIn(to)) return yield problem(page.url, 'The page leads to a sign-in; what is behind it is not read.');
    if (!scope.includes(to)) return yield* forget(page.url);
    if (page.hops >= maxHops) return yield problem(page.url, `The page leads on more than ${maxHops} times.`);
    enqueue({ ...page, url: to.href, hops: page.hops + 1 }, true);
  };

  // ── all pages ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const running = new Map<WaitingPage, Promise<Outcome>>();
  const begin = (page: WaitingPage): void => {
    running.set(
      page,
      fetchPage(page.url, robots, asksForChanges).then(
        (answer) => ({ page, answer }),
        (error: unknown) => ({ page, error: error instanceof AppError ? error : asProblem(error) }),
      ),
    );
  };
  const cursorNow = (): Change => ({
    type: 'cursor',
    cursor: writeCursor({
      state: 'running',
      at: clock.now(),
      origin,
      // A page that waits for its better address is looked at again.
      waiting: [...running.keys(), ...waiting, ...[...deferred.keys()].map((url) => pageAt(url))],
      seen: [...seen],
      settled: [...settled],
      again: [...again],
    }),
  });

  if (start !== null)
    for (const change of settle({ page: { url: entered.url, depth: 0, from: 'start', hops: 0 }, answer: start }))
      yield change;
  let visits = 0;
  let isCut = false;
  let toldAt = clock.now();
  let hasAskedForRest = false;
  for (;;) {
    if (signal.aborted) throw new AppError('cancelled', 'The sync was stopped.');
    isCut = documents + running.size >= settings.maxPages && waiting.length > 0;
    while (running.size < lanes && waiting.length > 0 && documents + running.size < settings.maxPages) {
      const page = waiting.shift();
      if (page !== undefined) begin(page);
    }
    if (running.size === 0) {
      if (isCut || hasAskedForRest || settings.maxDepth !== undefined || settings.sitemapOnly === true) break;
      hasAskedForRest = true;
      for (const url of known.keys()) {
        const parsed = URL.parse(url);
        if (parsed !== null && scope.includes(parsed)) enqueue(pageAt(url, 'known'));
      }
      if (waiting.length === 0) break;
      continue;
    }
    const outcome = await Promise.race(running.values());
    running.delete(outcome.page);
    for (const change of settle(outcome)) {
      yield change;
      toldAt = clock.now();
    }
    if (failures >= failuresInARow)
      return yield {
        type: 'problem',
        problem: 'The site does not answer any more. Nothing was removed; the next sync goes on.',
      };
    visits += 1;
    if (visits % cursorEvery === 0 || clock.now() - toldAt >= cursorEveryMs) {
      yield cursorNow();
      toldAt = clock.now();
    }
  }

  // In an order of their own, or two pages that name each other would take turns from run to run.
  for (const [url, { canonical, change }] of [...deferred].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (documents >= settings.maxPages) break;
    if (!settled.has(url) && !standsElsewhere(canonical, aliases, settled)) yield report(change);
  }
  yield* notesOf(isCut, settings.maxPages, scope);
  if (documents === 0 && known.size > 0)
    return yield { type: 'problem', problem: 'No page of the site could be read. Nothing was removed.' };
  if (resumed !== null)
    for (const url of known.keys()) if (!settled.has(url)) yield { type: 'remove', externalId: url };
  yield { type: 'cursor', cursor: writeCursor({ state: 'over', again: [...again] }) };
  // What an interrupted run has reported was reported to another run: it would be taken for gone.
  if (resumed === null) yield { type: 'complete' };
}

/** The rate is a maximum; robots.txt may ask for less. */
const intervalOf = (settings: WebsiteSettings, robots: Robots): number =>
  Math.max(1_000 / settings.requestsPerSecond, robots.delayMs);

const pageAt = (url: string, from: WaitingPage['from'] = 'link'): WaitingPage => ({ url, depth: 0, from, hops: 0 });

/** The address that a page gives as its own, when it is another one of this site. */
const canonicalOf = ({ canonical }: ScannedPage, url: string, scope: Scope): string | null =>
  canonical !== null && canonical.href !== url && scope.includes(canonical) ? canonical.href : null;

const standsElsewhere = (
  canonical: string,
  aliases: ReadonlyMap<string, string>,
  settled: ReadonlySet<string>,
): boolean => {
  let at: string | undefined = canonical;
  for (let step = 0; at !== undefined && step <= maxHops; step += 1) {
    if (settled.has(at)) return true;
    at = aliases.get(at);
  }
  return false;
};

const notesOf = function* (isCut: boolean, maxPages: number, scope: Scope): Generator<Change> {
  if (isCut)
    yield {
      type: 'problem',
      isNote: true,
      problem: `The site has more than ${maxPages.toLocaleString('en')} pages; the rest was left out.`,
    };
  for (const kind of [...scope.exhausted].slice(0, 10))
    yield {
      type: 'problem',
      isNote: true,
      problem: `There seems to be no end of pages like ${kind}; the rest of them was left out.`,
    };
};

const asProblem = (error: unknown): AppError =>
  new AppError('unreadable-document', 'The page could not be fetched.', { cause: error, retryable: true });
