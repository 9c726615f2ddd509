import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { buildConnector } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGuardedFetch, isPublicAddress } from '../../../core/security/guarded-fetch.ts';

/**
 * Nothing here connects anywhere but loopback: a canary server on loopback counts what reached it, and the connector is
 * injected, so that "would have connected to a public address" is seen without doing it.
 */
let server: Server;
let port: number;
let hits: string[] = [];
const { signal } = new AbortController();

beforeAll(async () => {
  server = createServer((request, response) => {
    hits.push(request.url ?? '');
    const to = new URL(request.url ?? '/', 'http://x').searchParams.get('to');
    if (to !== null) response.writeHead(302, { location: to }).end();
    else if (request.url === '/big') response.end(Buffer.alloc(200_000));
    else if (request.url === '/bomb')
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(5_000_000)));
    else response.writeHead(200, { 'content-type': 'text/plain' }).end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close());

/** Every connection that passes the judge lands on the canary; the address it would have used is remembered. */
const guarded = (
  lookup: (hostname: string) => Promise<readonly string[]> = async () => ['93.184.216.34'],
  allow: string[] = [],
) => {
  const connected: string[] = [];
  const toCanary = buildConnector({});
  const fetch = createGuardedFetch({
    allow,
    lookup,
    connect: (options, callback) => {
      connected.push(options.hostname);
      toCanary(
        { ...options, hostname: '127.0.0.1', host: '127.0.0.1', port: String(port), protocol: 'http:' },
        callback,
      );
    },
  });
  return { fetch, connected };
};

describe('the guarded fetch', () => {
  it.each([
    '127.0.0.1',
    '127.1',
    '0177.0.0.1',
    '2130706433',
    '0x7f000001',
    '0.0.0.0',
    'localhost.',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[fe80::1]',
    '[fc00::1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
  ])('refuses %s and connects nowhere', async (host) => {
    hits = [];
    const { fetch, connected } = guarded(async () => ['127.0.0.1']);
    await expect(fetch(`http://${host}:${port}/`, { signal })).rejects.toMatchObject({ code: 'address-not-allowed' });
    expect(connected).toEqual([]);
    expect(hits).toEqual([]);
  });

  it('refuses a name when any one of its addresses is private', async () => {
    const { fetch, connected } = guarded(async () => ['93.184.216.34', '10.0.0.1']);
    await expect(fetch('http://mixed.example/', { signal })).rejects.toMatchObject({ code: 'address-not-allowed' });
    expect(connected).toEqual([]);
  });

  it('connects the very address it judged, so that a second DNS answer changes nothing', async () => {
    let answers = 0;
    const { fetch, connected } = guarded(async () => (answers++ === 0 ? ['93.184.216.34'] : ['127.0.0.1']));
    expect((await fetch('http://rebinding.example/', { signal })).status).toBe(200);
    expect(connected).toEqual(['93.184.216.34']);
  });

  it.each(['http://127.0.0.1/', 'http://[::ffff:127.0.0.1]/', 'http://metadata.example/'])(
    'refuses a redirect to %s',
    async (to) => {
      hits = [];
      const { fetch } = guarded(async (name) =>
        name === 'metadata.example' ? ['169.254.169.254'] : ['93.184.216.34'],
      );
      await expect(fetch(`http://public.example/?to=${encodeURIComponent(to)}`, { signal })).rejects.toMatchObject({
        code: 'address-not-allowed',
      });
      expect(hits).toHaveLength(1);
    },
  );

  it('follows a permitted redirect and tells where it ended', async () => {
    const { fetch } = guarded();
    const response = await fetch(`http://public.example/?to=${encodeURIComponent('http://other.example/end')}`, {
      signal,
    });
    expect(response.url).toBe('http://other.example/end');
    expect(Buffer.from(response.bytes).toString()).toBe('hello');
  });

  it('gives up on a long chain of redirects', async () => {
    const { fetch } = guarded();
    await expect(
      fetch('http://public.example/?to=/%3Fto=/%253Fto=/%25253Fto=/%2525253Fto=/%252525253Fto=/%25252525253Fto=/x', {
        signal,
      }),
    ).rejects.toThrow('redirects');
  });

  it('reaches a private address only through the exemption', async () => {
    const { fetch } = guarded(undefined, [`127.0.0.1:${port}`]);
    expect((await fetch(`http://127.0.0.1:${port}/`, { signal })).status).toBe(200);
    await expect(fetch(`http://127.0.0.1:${port + 1}/`, { signal })).rejects.toMatchObject({
      code: 'address-not-allowed',
    });
  });

  it('bounds what it reads, also after decompression', async () => {
    const { fetch } = guarded();
    await expect(fetch('http://public.example/big', { signal, maxBytes: 100_000 })).rejects.toMatchObject({
      code: 'too-large',
    });
    await expect(fetch('http://public.example/bomb', { signal, maxBytes: 100_000 })).rejects.toMatchObject({
      code: 'too-large',
    });
  });

  it.each(['file:///etc/passwd', 'ftp://public.example/', 'javascript:alert(1)'])('refuses %s', async (address) => {
    await expect(guarded().fetch(address, { signal })).rejects.toMatchObject({ code: 'address-not-allowed' });
  });

  it('knows public addresses from others', () => {
    expect(['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946'].map(isPublicAddress)).toEqual([true, true]);
    expect(['127.0.0.1', '::1', 'not an address', '198.18.0.1'].map(isPublicAddress)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});
