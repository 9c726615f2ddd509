import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWebsiteSource } from '../../../../core/drivers/sources/website/website.ts';
import { systemClock } from '../../../../core/observe/system.ts';
import type { Clock } from '../../../../core/ports/runtime.ts';
import type { Change, KnownDocument } from '../../../../core/ports/source.ts';
import { createGuardedFetch } from '../../../../core/security/guarded-fetch.ts';
import { sourceContract } from '../../../contracts/source.ts';
import { openWebSite, pageOf, type WebSite } from '../../../fakes/web-site.ts';

/** Twenty seconds in one: what is meant to be polite need not be slow here. */
const pace = 20;
const hurried: Clock = {
  now: () => systemClock.now() * pace,
  sleep: (ms, signal) => systemClock.sleep(ms / pace, signal),
};

const driverFor = (hosts: readonly string[], withinMs = 5_000) =>
  createWebsiteSource({ fetch: createGuardedFetch({ allow: hosts, withinMs }), clock: hurried });

sourceContract('website', async () => {
  const site = await openWebSite();
  const names = new Set<string>();
  const index = () =>
    site.set(
      '/',
      pageOf(
        'All',
        'all',
        [...names].map((name) => `/${name}`),
        '<meta name="robots" content="noindex">',
      ),
    );
  index();
  return {
    open: async () => (await driverFor([site.host]).open?.({ url: site.origin, requestsPerSecond: 50 }))!,
    put: async (name, text) => {
      names.add(name);
      site.set(`/${name}`, { body: text, type: 'text/markdown' });
      index();
    },
    remove: async (name) => {
      names.delete(name);
      site.remove(`/${name}`);
      index();
    },
    idOf: (name) => `${site.origin}/${name}`,
    close: () => site.close(),
  };
});

describe('the website source', () => {
  let site: WebSite;
  beforeEach(async () => {
    site = await openWebSite();
  });
  afterEach(() => site.close());

  /** What the core keeps between two runs. */
  const keep = () => {
    const rows = new Map<string, string | undefined>();
    let cursor: string | undefined;
    return {
      rows,
      run: async (settings: Record<string, unknown> = {}, stopAfter = Number.POSITIVE_INFINITY): Promise<Change[]> => {
        const driver = driverFor([site.host]);
        const connector = (await driver.open?.({ url: `${site.origin}/`, requestsPerSecond: 50, ...settings }))!;
        const seen: Change[] = [];
        const present = new Set<string>();
        const options = {
          signal: new AbortController().signal,
          ...(cursor === undefined ? {} : { cursor }),
          known: async function* (): AsyncGenerator<KnownDocument> {
            for (const [externalId, version] of rows)
              yield version === undefined ? { externalId } : { externalId, version };
          },
        };
        for await (const change of connector.changes(options)) {
          seen.push(change);
          if (change.type === 'upsert') {
            rows.set(change.externalId, change.version);
            present.add(change.externalId);
          }
          if (change.type === 'problem' && change.externalId !== undefined) present.add(change.externalId);
          if (change.type === 'remove') rows.delete(change.externalId);
          if (change.type === 'cursor') cursor = change.cursor;
          if (change.type === 'complete') for (const id of rows.keys()) if (!present.has(id)) rows.delete(id);
          if (seen.length >= stopAfter) break;
        }
        return seen;
      },
    };
  };
  const paths = (seen: readonly Change[]): string[] =>
    seen
      .filter((change) => change.type === 'upsert')
      .map(({ externalId }) => externalId.slice(site.origin.length))
      .sort();
  const problems = (seen: readonly Change[]): string[] =>
    seen.filter((change) => change.type === 'problem').map(({ problem }) => problem);

  it('follows links within the site, and no others', async () => {
    const other = await openWebSite();
    site.set('/', pageOf('Home', 'hello', ['/a', 'b?x=1#part', `${other.origin}/away`, 'mailto:a@b.c', '/logo.png']));
    site.set('/a', pageOf('A', 'a', ['/', '/deep/c']));
    site.set('/b?x=1', pageOf('B', 'b'));
    site.set('/deep/c', pageOf('C', 'c', ['../a', '/gone']));
    const seen = await keep().run();
    expect(paths(seen)).toEqual(['/', '/a', '/b?x=1', '/deep/c']);
    expect(seen.at(-1)).toEqual({ type: 'complete' });
    expect(other.visits).toEqual([]);
    expect(site.paths()).not.toContain('/logo.png');
    await other.close();
  });

  it('reads sitemaps that robots.txt names, indexes and packed ones, and follows links beside', async () => {
    const list = (...names: string[]) =>
      `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${names
        .map((name) => `<url><loc> ${site.origin}${name} </loc></url>`)
        .join('')}</urlset>`;
    site.set('/robots.txt', { body: `Sitemap: ${site.origin}/maps.xml`, type: 'text/plain' });
    site.set('/maps.xml', {
      body: `<sitemapindex><sitemap><loc>${site.origin}/one.xml</loc></sitemap><sitemap><loc><![CDATA[${site.origin}/two.xml.gz]]></loc></sitemap></sitemapindex>`,
      type: 'application/xml',
    });
    site.set('/one.xml', { body: list('/listed?a=1&amp;b=2'), type: 'application/xml' });
    site.set('/two.xml.gz', { body: gzipSync(list('/packed')), type: 'application/gzip' });
    site.set('/', pageOf('Home', 'hello', ['/linked']));
    for (const path of ['/listed?a=1&b=2', '/packed', '/linked']) site.set(path, pageOf(path, 'words'));
    expect(paths(await keep().run())).toEqual(['/', '/linked', '/listed?a=1&b=2', '/packed']);
    expect(paths(await keep().run({ sitemapOnly: true }))).toEqual(['/', '/listed?a=1&b=2', '/packed']);
  });

  it('keeps to robots.txt', async () => {
    site.set('/robots.txt', {
      body: 'User-agent: *\nDisallow: /\n\nUser-agent: Footnote\nDisallow: /private\nAllow: /private/open\n',
      type: 'text/plain',
    });
    site.set('/', pageOf('Home', 'hello', ['/private/a', '/private/open', '/b']));
    for (const path of ['/private/a', '/private/open', '/b']) site.set(path, pageOf(path, 'words'));
    expect(paths(await keep().run())).toEqual(['/', '/b', '/private/open']);
    expect(site.paths()).not.toContain('/private/a');
  });

  it('waits between requests as long as robots.txt asks', async () => {
    const waits: number[] = [];
    let now = 0;
    const clock: Clock = {
      now: () => now,
      sleep: async (ms) => {
        waits.push(ms);
        now += ms;
      },
    };
    const source = createWebsiteSource({ fetch: createGuardedFetch({ allow: [site.host] }), clock });
    const visit = async () => {
      for await (const _ of (await source.open?.({ url: site.origin }))!.changes({
        signal: AbortSignal.timeout(5_000),
      }));
      return Math.max(...waits.splice(0));
    };
    site.set('/', pageOf('Home', 'hello', ['/a', '/b']));
    for (const path of ['/a', '/b']) site.set(path, pageOf(path, 'words'));
    expect(await visit()).toBe(100);
    site.set('/robots.txt', { body: 'User-agent: *\nCrawl-delay: 7', type: 'text/plain' });
    now += 60_000;
    expect(await visit()).toBe(7_000);
  });

  it('reads nothing and removes nothing while robots.txt cannot be had, or forbids everything', async () => {
    site.set('/', pageOf('Home', 'hello'));
    const kept = keep();
    await kept.run();
    site.set('/robots.txt', { body: 'User-agent: *\nDisallow: /', type: 'text/plain' });
    await expect(kept.run()).rejects.toThrow('robots.txt');
    site.set('/robots.txt', { status: 500 });
    site.forget();
    await expect(kept.run()).rejects.toThrow('robots.txt');
    expect(site.paths()).toEqual(['/robots.txt']);
    expect(kept.rows.size).toBe(1);
  });

  it('takes a page once, by the address it gives as its own', async () => {
    const canonical = (to: string) => `<link rel="canonical" href="${to}">`;
    site.set('/', pageOf('Home', 'hello', ['/a?view=1', '/a?view=2', '/lost', '/x', '/y']));
    site.set('/a', pageOf('A', 'a', [], canonical('/a')));
    for (const path of ['/a?view=1', '/a?view=2']) site.set(path, pageOf('A', 'a', [], canonical('/a')));
    site.set('/lost', pageOf('Lost', 'its address leads nowhere', [], canonical('/nowhere')));
    site.set('/x', pageOf('X', 'x', [], canonical('/y')));
    site.set('/y', pageOf('Y', 'y', [], canonical('/x')));
    expect(paths(await keep().run())).toEqual(['/', '/a', '/lost', '/x']);
  });

  it('drops fragments, tracking and session ids', async () => {
    site.set(
      '/',
      pageOf('Home', 'hello', [
        '/a?utm_source=x&gclid=1',
        '/a#b',
        '/a;jsessionid=12',
        '/a?PHPSESSID=3',
        '/b?y=1&x=2',
        '/b?x=2&y=1',
      ]),
    );
    site.set('/a', pageOf('A', 'a'));
    site.set('/b?x=2&y=1', pageOf('B', 'b'));
    expect(paths(await keep().run())).toEqual(['/', '/a', '/b?x=2&y=1']);
    expect(site.paths().filter((path) => path !== '/')).toHaveLength(2);
  });

  it('respects nofollow, noindex, base and refresh', async () => {
    site.set(
      '/',
      `<html><head><base href="/docs/"><meta http-equiv="refresh" content="5; url=/later"></head><body>
       <a href="one">1</a><a rel="external nofollow" href="two">2</a><!-- <a href="three">3</a> --><script>'<a href="four">'</script>
       <a href=five&amp;a>5</a></body></html>`,
    );
    site.set('/docs/one', pageOf('One', 'one', ['/hub', '/end']));
    site.set('/docs/five&a', pageOf('Five', 'five'));
    site.set('/later', pageOf('Later', 'later'));
    site.set('/hub', pageOf('Hub', 'hub', ['/via-hub'], '<meta name="ROBOTS" content="NoIndex, follow">'));
    site.set('/end', { body: pageOf('End', 'end', ['/never']), headers: { 'x-robots-tag': 'nofollow' } });
    for (const path of ['/via-hub', '/never']) site.set(path, pageOf(path, 'words'));
    expect(paths(await keep().run())).toEqual(['/', '/docs/five&a', '/docs/one', '/end', '/later', '/via-hub']);
  });

  it('asks again only for what changed, and finds what is new all the same', async () => {
    const tagged = (body: string, tag: string) => ({ body, headers: { etag: `"${tag}"` } });
    site.set('/', tagged(pageOf('Home', 'hello', ['/a', '/hub']), '1'));
    site.set('/a', { body: pageOf('A', 'a', ['/b']), headers: { 'last-modified': 'Tue, 03 Nov 2026 10:00:00 GMT' } });
    site.set('/b', tagged(pageOf('B', 'b'), '1'));
    site.set('/hub', pageOf('Hub', 'hub', ['/old'], '<meta name="robots" content="noindex">'));
    site.set('/old', tagged(pageOf('Old', 'old'), '1'));
    const kept = keep();
    await kept.run();
    const versions = new Map(kept.rows);
    site.forget();
    site.set('/hub', pageOf('Hub', 'hub', ['/old', '/new'], '<meta name="robots" content="noindex">'));
    site.set('/new', pageOf('New', 'new'));
    site.set('/b', tagged(pageOf('B', 'other words'), '2'));
    const seen = await kept.run();
    expect(paths(seen)).toEqual(['/', '/a', '/b', '/new', '/old']);
    const statusOf = (path: string) => site.visits.find((visit) => visit.path === path)?.status;
    expect(['/', '/a', '/old', '/b', '/new'].map(statusOf)).toEqual([304, 304, 304, 200, 200]);
    expect(kept.rows.get(`${site.origin}/a`)).toBe(versions.get(`${site.origin}/a`));
    expect(kept.rows.get(`${site.origin}/b`)).not.toBe(versions.get(`${site.origin}/b`));
    const unread = seen.find((change) => change.type === 'upsert' && change.externalId.endsWith('/a'));
    expect(
      unread?.type === 'upsert' && Buffer.from(await unread.read(AbortSignal.timeout(5_000))).toString(),
    ).toContain('<h1>A</h1>');
  });

  it('does not take another token in the code of a page, or another stamp, for a change', async () => {
    let token = 0;
    site.otherwise((path) =>
      path === '/'
        ? {
            body: pageOf(
              'Home',
              'hello',
              ['/x?utm_source=1'],
              `<meta name="csrf" content="${token++}"><script>var t = ${token}</script>`,
            ),
            headers: { etag: `"${token}"` },
          }
        : null,
    );
    const kept = keep();
    await kept.run();
    const before = kept.rows.get(`${site.origin}/`);
    await kept.run();
    expect(kept.rows.get(`${site.origin}/`)).toBe(before);
    expect(token).toBe(2);
  });

  it('forgets what is gone, and keeps what fails', async () => {
    site.set('/', pageOf('Home', 'hello', ['/a', '/b', '/c', '/d']));
    for (const path of ['/a', '/b', '/c', '/d']) site.set(path, pageOf(path, 'words'));
    const kept = keep();
    await kept.run();
    site.set('/a', { status: 410 });
    site.remove('/b');
    site.set('/c', { status: 500 });
    const seen = await kept.run();
    expect([...kept.rows.keys()].map((id) => id.slice(site.origin.length)).sort()).toEqual(['/', '/c', '/d']);
    expect(problems(seen).join()).toContain('500');
  });

  it('removes nothing when the site is down, at once or on the way', async () => {
    const all = Array.from({ length: 20 }, (_, n) => `/p-${n}-x`);
    site.set('/', pageOf('Home', 'hello', all));
    for (const path of all) site.set(path, pageOf(path, 'words'));
    const kept = keep();
    await kept.run();
    expect(kept.rows.size).toBe(21);
    for (const path of all) site.set(path, { handle: (request) => request.socket.destroy() });
    site.set('/', pageOf('Home', 'changed', []));
    const seen = await kept.run();
    expect(seen.some((change) => change.type === 'complete')).toBe(false);
    expect(problems(seen).at(-1)).toContain('does not answer any more');
    expect(kept.rows.size).toBe(21);
    await site.close();
    await expect(kept.run()).rejects.toMatchObject({ code: 'unreadable-document' });
    expect(kept.rows.size).toBe(21);
  });

  it('comes to an end on calendars, filters and paths that lead in circles', async () => {
    site.otherwise((path) => {
      const [, year = '2026', month = '1'] = /^\/calendar\/(\d+)\/(\d+)$/.exec(path) ?? [];
      const next =
        Number(month) % 12 === 0 ? `/calendar/${Number(year) + 1}/1` : `/calendar/${year}/${Number(month) + 1}`;
      const links = [
        next,
        `more/${path.length % 2 === 0 ? 'a/' : 'b/'}`,
        `/shop?color=${path.length}&size=${path.length % 7}&page=${path.length}`,
      ];
      return path === '/robots.txt' || path === '/sitemap.xml'
        ? null
        : { body: pageOf(path, `words of ${path}`, links) };
    });
    const seen = await keep().run({ maxPages: 2_000, requestsPerSecond: 50 });
    expect(seen.at(-1)).toEqual({ type: 'complete' });
    expect(paths(seen).filter((path) => /^\/calendar\/\d+\/\d+$/.test(path)).length).toBeLessThanOrEqual(100);
    expect(paths(seen).filter((path) => /(?:more\/.*){4}/.test(path))).toEqual([]);
    expect(paths(seen).length).toBeLessThan(1_000);
    expect(problems(seen).join()).toContain('no end of pages like /calendar/#/#');
  }, 60_000);

  it('looks at no more pages than it may, and no deeper', async () => {
    site.otherwise((path) => {
      const n = Number(/^\/w-(\d+)-w$/.exec(path)?.[1] ?? (path === '/' ? 0 : Number.NaN));
      return Number.isNaN(n) ? null : { body: pageOf(path, `words ${n}`, [`/w-${n + 1}-w`]) };
    });
    const seen = await keep().run({ maxPages: 7 });
    expect(paths(seen)).toHaveLength(7);
    expect(problems(seen)).toEqual(['The site has more than 7 pages; the rest was left out.']);
    expect(paths(await keep().run({ maxDepth: 2 }))).toEqual(['/', '/w-1-w', '/w-2-w']);
  });

  it('takes only what the patterns say', async () => {
    site.set('/', pageOf('Home', 'hello', ['/docs/a', '/docs/old/b', '/blog/c', '/docs']));
    for (const path of ['/docs/a', '/docs/old/b', '/blog/c', '/docs']) site.set(path, pageOf(path, 'words'));
    expect(paths(await keep().run({ exclude: ['/blog/**'] }))).toEqual(['/', '/docs', '/docs/a', '/docs/old/b']);
    expect(paths(await keep().run({ include: ['/docs/**'], exclude: ['docs/old/**'] }))).toEqual([
      '/',
      '/docs',
      '/docs/a',
    ]);
  });

  it('names a login and takes none for a document', async () => {
    const login = '<form><input type="password" name="p"><button>Sign in</button></form>';
    site.set('/', pageOf('Home', 'hello', ['/inside', '/secret', '/form', '/to-form']));
    site.set('/inside', { status: 302, headers: { location: '/login?next=/inside' } });
    site.set('/login?next=/inside', pageOf('Login', login));
    site.set('/secret', { status: 403 });
    site.set('/form', pageOf('Members', login));
    site.set('/to-form', { status: 302, headers: { location: '/welcome' } });
    site.set('/welcome', pageOf('Welcome', login));
    const seen = await keep().run();
    expect(paths(seen)).toEqual(['/']);
    expect(problems(seen).filter((one) => /sign-in|not public/.test(one))).toHaveLength(2);
    site.set('/', { status: 302, headers: { location: '/login' } });
    await expect(keep().run()).rejects.toThrow('sign-in');
    site.set('/', { status: 401 });
    await expect(keep().run()).rejects.toThrow('not public');
  });

  it('follows redirects within the site, and takes where they end', async () => {
    site.set('/', pageOf('Home', 'hello', ['/old', '/circle']));
    site.set('/old', { status: 301, headers: { location: '/new' } });
    site.set('/new', pageOf('New', 'new'));
    site.set('/circle', { status: 302, headers: { location: '/circle2' } });
    site.set('/circle2', { status: 302, headers: { location: '/circle' } });
    expect(paths(await keep().run())).toEqual(['/', '/new']);
  });

  it('does not take the pages of whoever has the domain now', async () => {
    site.set('/', pageOf('Home', 'hello', ['/a']));
    site.set('/a', pageOf('A', 'a'));
    const kept = keep();
    await kept.run();
    const other = await openWebSite('127.0.0.2');
    other.set('/', pageOf('Buy this domain', 'now'));
    site.set('/', { status: 302, headers: { location: `${other.origin}/` } });
    const driver = driverFor([site.host, other.host]);
    const seen: Change[] = [];
    for await (const change of (await driver.open?.({ url: `${site.origin}/` }))!.changes({
      signal: AbortSignal.timeout(5_000),
      known: async function* () {
        for (const externalId of kept.rows.keys()) yield { externalId };
      },
    }))
      seen.push(change);
    expect(seen.map(({ type }) => type)).toEqual(['problem']);
    await other.close();
  });

  it('leaves pictures and archives unread, and names what is too large or never ends', async () => {
    let sent = 0;
    site.set('/', pageOf('Home', 'hello', ['/picture', '/huge', '/bomb', '/slow', '/text', '/paper.pdf']));
    site.set('/picture', {
      handle: (_request, response) => {
        response.writeHead(200, { 'content-type': 'image/png' });
        const more = () => {
          while (sent < 50_000_000 && !response.destroyed) {
            sent += 65_536;
            if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', more);
          }
          response.end();
        };
        more();
      },
    });
    site.set('/huge', { body: Buffer.alloc(21 * 1024 * 1024, 'a'), type: 'text/plain' });
    site.set('/bomb', { body: gzipSync(Buffer.alloc(60 * 1024 * 1024)), headers: { 'content-encoding': 'gzip' } });
    site.set('/slow', {
      handle: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        const timer = setInterval(() => response.write('x'), 50);
        response.on('close', () => clearInterval(timer));
      },
    });
    site.set('/text', { body: 'plain words', type: 'text/plain' });
    site.set('/paper.pdf', { body: '%PDF-1.4', type: 'application/pdf' });
    const connector = (await driverFor([site.host], 1_500).open?.({ url: site.origin, requestsPerSecond: 50 }))!;
    const seen: Change[] = [];
    for await (const change of connector.changes({ signal: AbortSignal.timeout(30_000) })) seen.push(change);
    expect(paths(seen)).toEqual(['/', '/paper.pdf', '/text']);
    expect(sent).toBeLessThan(20_000_000);
    const failed = seen
      .filter((change) => change.type === 'problem')
      .map(({ externalId }) => externalId?.slice(site.origin.length));
    expect(failed.sort()).toEqual(['/bomb', '/huge', '/slow']);
    expect(seen.at(-1)).toEqual({ type: 'complete' });
  }, 30_000);

  it('stops within a second, wherever it is', async () => {
    site.set('/', pageOf('Home', 'hello', ['/hang']));
    site.set('/hang', { handle: () => undefined });
    const control = new AbortController();
    const connector = (await driverFor([site.host]).open?.({ url: site.origin, requestsPerSecond: 50 }))!;
    let abortedAt = 0;
    const run = async () => {
      for await (const change of connector.changes({ signal: control.signal }))
        if (change.type === 'upsert')
          setTimeout(() => {
            abortedAt = performance.now();
            control.abort();
          }, 100);
    };
    await expect(run()).rejects.toMatchObject({ code: 'cancelled' });
    expect(performance.now() - abortedAt).toBeLessThan(1_000);
  });

  it('goes on where an interrupted run stood, and forgets what went meanwhile', async () => {
    const all = Array.from({ length: 600 }, (_, n) => `/p-${n}-x`);
    site.set('/', pageOf('Home', 'hello', all));
    for (const path of all) site.set(path, pageOf(path, `words of ${path}`));
    const kept = keep();
    kept.rows.set(`${site.origin}/gone`, 'x');
    const first = await kept.run({ requestsPerSecond: 50 }, 400);
    expect(first.some((change) => change.type === 'cursor')).toBe(true);
    const before = new Set(kept.rows.keys());
    site.forget();
    const second = await kept.run();
    expect(site.visits.filter(({ path }) => path === '/')).toEqual([]);
    expect(paths(second).length).toBeLessThan(400);
    expect(new Set([...before, ...kept.rows.keys()]).size - 1).toBe(601);
    expect(kept.rows.size).toBe(601);
    expect(second.some((change) => change.type === 'complete')).toBe(false);
  }, 60_000);
});
