import { Buffer } from 'node:buffer';
import { buildConnector } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWebsiteSource } from '../../../core/drivers/sources/website/website.ts';
import { systemClock } from '../../../core/observe/system.ts';
import { createGuardedFetch, type GuardedFetch } from '../../../core/security/guarded-fetch.ts';
import { openWebSite, pageOf, type WebSite } from '../../fakes/web-site.ts';

/**
 * Every way that is known to talk a fetch into an address it must not reach, generated: each private address in each of
 * its spellings, written into the address, answered by the name server, or given by a redirect. Whatever would be
 * connected is led to loopback and remembered, so nothing here leaves the machine; a canary counts what got through.
 */

const publicAddress = '93.184.216.34';

const privateV4 = [
  '127.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
];
const privateV6 = [
  '::',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::127.0.0.1',
  '::7f00:1',
  '::a9fe:a9fe',
  '::ffff:0:127.0.0.1',
  '100::1',
  '2001:db8::1',
  '2001:2::1',
  '2001:10::1',
  '2001::7f00:1',
  '2002:7f00:1::',
  '2002:a9fe:a9fe::1',
  '3fff::1',
  '4000::1',
  '5f00::1',
  '64:ff9b::7f00:1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::7f00:1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
];

const numberOf = (address: string): number => Buffer.from(address.split('.').map(Number)).readUInt32BE(0);
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** The same address as browsers, libraries and old C code also read it. */
const spellings = (address: string): readonly string[] => {
  const value = numberOf(address);
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return [
    address,
    `${address}.`,
    String(value),
    `0x${hex(value, 8)}`,
    `0${value.toString(8)}`,
    `${a}.${b * 65_536 + c * 256 + d}`,
    `0${a.toString(8)}.0x${b.toString(16)}.${c * 256 + d}`,
    address.replace('.', '%2e'),
    address.replaceAll('.', '\u3002'),
    [...address].map((char) => (/\d/.test(char) ? String.fromCharCode(char.charCodeAt(0) + 0xfee0) : char)).join(''),
    `[::ffff:${address}]`,
    `[::ffff:${hex(value >>> 16, 1)}:${hex(value & 0xffff, 1)}]`,
    `[64:ff9b::${hex(value >>> 16, 1)}:${hex(value & 0xffff, 1)}]`,
    `[2002:${hex(value >>> 16, 1)}:${hex(value & 0xffff, 1)}::]`,
    `[::${address}]`,
  ];
};

const hosts = [...new Set([...privateV4.flatMap(spellings), ...privateV6.map((address) => `[${address}]`)])];
const names = ['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'metadata.google.internal', 'router.lan', 'db'];
const answers = [...privateV4, ...privateV6, ...privateV4.map((address) => `::ffff:${address}`), 'fe80::1%eth0'];

const rawAddresses = [
  'ftp://files.example/',
  'file:///etc/passwd',
  'gopher://127.0.0.1:70/_x',
  'data:text/html,x',
  'blob:http://public.example/1',
  'javascript:alert(1)',
  'unix:/var/run/docker.sock',
  'http://unix:/var/run/docker.sock:/info',
  'http+unix://%2Fvar%2Frun%2Fdocker.sock/info',
  'ws://public.example/',
  `http://user@public.example/`,
  `http://user:word@public.example/`,
  `http://public.example@127.0.0.1/`,
  `http://public.example:80@127.0.0.1/`,
  'http://127.0.0.1\\@public.example/',
  ...[0, 1, 7, 21, 22, 23, 25, 53, 110, 143, 389, 445, 465, 587, 993, 6_000, 6_667, 6_697, 2_049, 5_060, 10_080].map(
    (port) => `http://public.example:${port}/`,
  ),
];

let canary: WebSite;
let site: WebSite;
beforeAll(async () => {
  canary = await openWebSite();
  canary.otherwise(() => ({ body: pageOf('Secret', 'the canary was hit') }));
  site = await openWebSite();
});
afterAll(async () => {
  await canary.close();
  await site.close();
});

/** A name server that knows `public.example`, and one answer for all else. What is connected ends at `to`. */
const guarded = (
  answer: readonly string[] | ((name: string) => readonly string[]),
  to: () => WebSite = () => canary,
) => {
  const connected: string[] = [];
  const loopback = buildConnector({});
  const fetch = createGuardedFetch({
    allow: [site.host],
    lookup: async (name) =>
      typeof answer === 'function' ? answer(name) : name === 'public.example' ? [publicAddress] : answer,
    connect: (options, callback) => {
      connected.push(options.hostname);
      const url = new URL(to().origin);
      loopback({ ...options, hostname: url.hostname, host: url.host, port: url.port, protocol: 'http:' }, callback);
    },
  });
  return { fetch, connected };
};

const refusal = async (fetch: GuardedFetch, address: string): Promise<string> =>
  fetch(address, { signal: AbortSignal.timeout(20_000) }).then(
    () => 'fetched',
    (error: { code?: string }) => String(error.code),
  );

describe('hostile addresses', () => {
  it('are a table of hundreds', () => {
    expect(hosts.length + names.length + answers.length + rawAddresses.length).toBeGreaterThan(400);
  });

  it('are refused when they stand in the address', async () => {
    canary.forget();
    const { fetch, connected } = guarded(['10.0.0.1']);
    const through: string[] = [];
    for (const host of [...hosts, ...names]) {
      for (const address of [`http://${host}/`, `https://${host}:8443/x`]) {
        const outcome = await refusal(fetch, address);
        if (outcome !== 'address-not-allowed' && outcome !== 'malformed') through.push(`${address} ${outcome}`);
      }
    }
    expect(through).toEqual([]);
    expect(connected).toEqual([]);
    expect(canary.visits).toEqual([]);
  }, 60_000);

  it('are refused by scheme, port and credentials', async () => {
    canary.forget();
    const { fetch, connected } = guarded(['10.0.0.1']);
    const through: string[] = [];
    for (const address of rawAddresses) {
      const outcome = await refusal(fetch, address);
      if (outcome !== 'address-not-allowed' && outcome !== 'malformed') through.push(`${address} ${outcome}`);
    }
    expect(through).toEqual([]);
    expect(connected).toEqual([]);
    expect(canary.visits).toEqual([]);
  });

  it('are refused when the name server answers them, alone or beside a public one', async () => {
    canary.forget();
    const through: string[] = [];
    for (const answer of answers) {
      for (const set of [[answer], [publicAddress, answer], [answer, publicAddress]]) {
        const { fetch, connected } = guarded(set);
        const outcome = await refusal(fetch, 'http://innocent.example/');
        if (outcome !== 'address-not-allowed' || connected.length > 0) through.push(`${set.join()} ${outcome}`);
      }
    }
    expect(through).toEqual([]);
    expect(canary.visits).toEqual([]);
  }, 60_000);

  it('are refused behind each kind of redirect, at each hop', async () => {
    const through: string[] = [];
    for (const [at, target] of [
      ...hosts.filter((_, index) => index % 4 === 0).map((host) => `http://${host}/`),
      ...names.map((name) => `http://${name}/`),
      ...rawAddresses,
    ].entries()) {
      const status = [301, 302, 303, 307, 308][at % 5] ?? 302;
      const hops = (at % 5) + 1;
      for (let hop = 1; hop <= hops; hop++)
        site.set(`/${hop}`, {
          status,
          headers: { location: hop === hops ? encodeURI(decodeURI(target)) : `/${hop + 1}` },
        });
      const { fetch, connected } = guarded(['10.0.0.1'], () => site);
      site.forget();
      const outcome = await refusal(fetch, 'http://public.example/1');
      if (outcome !== 'address-not-allowed' && outcome !== 'malformed') through.push(`${target} ${outcome}`);
      if (site.visits.length !== hops || connected.some((address) => address !== publicAddress))
        through.push(`${target} ${site.visits.length} of ${hops}, ${connected.join()}`);
    }
    expect(through).toEqual([]);
  }, 60_000);

  it('are not reached by a name that answers otherwise the second time', async () => {
    let asked = 0;
    const { fetch, connected } = guarded((name) =>
      name === 'public.example' ? [publicAddress] : asked++ === 0 ? [publicAddress] : ['127.0.0.1'],
    );
    await refusal(fetch, 'http://rebinding.example/');
    expect(connected).toEqual([publicAddress]);
    for (let again = 0; again < 3; again++) {
      // The connection that was judged may be used again; a new one is judged anew.
      await refusal(fetch, `http://rebinding.example:${8_080 + again}/`);
    }
    expect(connected).toEqual([publicAddress]);
  });

  it('a permitted address is fetched all the same', async () => {
    site.set('/ok', pageOf('Fine', 'fine'));
    const plain = createGuardedFetch({ allow: [site.host] });
    expect((await plain(`${site.origin}/ok`, { signal: AbortSignal.timeout(5_000) })).status).toBe(200);
    expect(await refusal(plain, `${canary.origin}/`)).toBe('address-not-allowed');
  });

  it('what is meant for one host is not told the next', async () => {
    canary.forget();
    site.set('/to', { status: 302, headers: { location: `${canary.origin}/end` } });
    const fetch = createGuardedFetch({ allow: [site.host, canary.host] });
    const headers = { authorization: 'Bearer secret', cookie: 'a=b', 'x-plain': '1' };
    await fetch(`${site.origin}/to`, { signal: AbortSignal.timeout(5_000), headers });
    expect(canary.visits[0]?.headers).toMatchObject({ 'x-plain': '1' });
    expect(canary.visits[0]?.headers.authorization).toBeUndefined();
    expect(canary.visits[0]?.headers.cookie).toBeUndefined();
  });

  it('a flood of headers and a drip without end are ended', async () => {
    site.set('/headers', {
      body: 'x',
      headers: Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`x-${n}`, 'y'.repeat(200)])),
    });
    site.set('/drip', {
      handle: (_request, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(timer));
      },
    });
    const fetch = createGuardedFetch({ allow: [site.host], withinMs: 400 });
    expect(await refusal(fetch, `${site.origin}/headers`)).toBe('unreadable-document');
    const started = performance.now();
    expect(await refusal(fetch, `${site.origin}/drip`)).toBe('unreadable-document');
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

describe('a website that means harm', () => {
  const sync = async (fetch: GuardedFetch, url: string): Promise<string> => {
    const connector = await createWebsiteSource({ fetch, clock: systemClock }).open?.({ url, requestsPerSecond: 50 });
    const reported: string[] = [];
    try {
      for await (const change of connector?.changes({ signal: AbortSignal.timeout(20_000) }) ?? [])
        reported.push(change.type === 'upsert' ? change.externalId : change.type);
    } catch (error) {
      return error instanceof Error ? error.message : 'thrown';
    }
    return reported.join(' ');
  };

  it('as the first page, behind it or in its name, fails the sync with "address not allowed"', async () => {
    canary.forget();
    const { fetch } = guarded(['10.0.0.1'], () => site);
    for (const url of ['http://127.0.0.1/', 'http://[::7f00:1]/', 'http://db/', `${canary.origin}/`])
      expect(await sync(fetch, url)).toContain('address not allowed');
    site.set('/', { status: 302, headers: { location: `${canary.origin}/` } });
    expect(await sync(fetch, 'http://public.example/')).toContain('address not allowed');
    site.set('/', pageOf('Home', 'fine'));
    site.set('/robots.txt', { status: 301, headers: { location: `${canary.origin}/robots.txt` } });
    expect(await sync(fetch, 'http://public.example/')).toContain('address not allowed');
    site.remove('/robots.txt');
    expect(canary.visits).toEqual([]);
  });

  it('in its sitemaps, links, canonical addresses, refreshes and redirects, is not followed there', async () => {
    canary.forget();
    const away = `${canary.origin}/secret`;
    site.set('/robots.txt', { body: `Sitemap: ${away}\nSitemap: http://public.example/map.xml`, type: 'text/plain' });
    site.set('/map.xml', {
      body: `<urlset><url><loc>${away}</loc></url><url><loc>http://169.254.169.254/</loc></url></urlset>`,
      type: 'application/xml',
    });
    site.set(
      '/',
      pageOf(
        'Home',
        'fine',
        [away, '/to', 'http://169.254.169.254/latest/', '//127.0.0.1/x', '/own'],
        `<link rel="canonical" href="${away}"><meta http-equiv="refresh" content="0;url=${away}"><base href="/">`,
      ),
    );
    site.set('/to', { status: 302, headers: { location: away } });
    site.set('/own', pageOf('Own', 'own', [], `<base href="${canary.origin}/">`));
    const { fetch, connected } = guarded(['10.0.0.1'], () => site);
    expect(await sync(fetch, 'http://public.example/')).toBe(
      'problem http://public.example/ http://public.example/own cursor complete',
    );
    expect(new Set(connected)).toEqual(new Set([publicAddress]));
    expect(canary.visits).toEqual([]);
  });
});
