import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Furnished } from '../fakes/core.ts';
import { operator, publicUrl } from './harness.ts';
import { openReal, type Real } from './real.ts';
import { fill, idsOf, nameOf, sampleFor } from './routes.ts';

/** Every route takes anything, on the real core: no answer is a 5xx, none tells a stack, and the app is alive afterwards. */

let harness: Real & { readonly a: Furnished };
beforeAll(async () => {
  const real = await openReal();
  harness = { ...real, a: await real.furnish('acme') };
}, 120_000);
afterAll(() => harness.close());

const odd: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  '',
  ' ',
  'x',
  '\u0000',
  '\ud800',
  '%',
  '../..',
  'a'.repeat(5000),
  [],
  [[]],
  {},
  { length: -1 },
  JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  '<script>alert(1)</script>',
  "'; drop table x; --",
  { $gt: '' },
];

/** The sample with one field at a time replaced by something that does not belong there. */
const mutations = (sample: unknown): unknown[] => {
  if (sample === null || typeof sample !== 'object' || sample instanceof FormData) return [...odd];
  const fields = Object.keys(sample);
  return [
    ...odd,
    ...fields.flatMap((field) => odd.map((value) => ({ ...sample, [field]: value }))),
    ...odd.map((value) => ({ ...sample, __proto__x: value, id: value, tenantId: value, role: value })),
  ];
};

const rawBodies: readonly (readonly [string, string])[] = [
  ['{', 'application/json'],
  ['', 'application/json'],
  ['\ufeff{}', 'application/json'],
  ['{"a":1}{"b":2}', 'application/json'],
  ['['.repeat(50_000), 'application/json'],
  [`{"a":`.repeat(5000), 'application/json'],
  [`{"metadata":${'{"a":'.repeat(500)}1${'}'.repeat(500)}}`, 'application/json'],
  ['{"__proto__":null}', 'application/json; charset=utf-8'],
  ['a=b', 'application/x-www-form-urlencoded'],
  ['x', 'text/plain'],
  ['x', 'application/octet-stream'],
  ['x', 'multipart/form-data'],
  ['--x\r\nbroken', 'multipart/form-data; boundary=x'],
  ['<a/>', 'application/xml'],
  ['{}', ';;;'],
  ['{}', 'application/x-ndjson'],
  ['x'.repeat(1024 * 1024 + 10), 'application/json'],
];

const check = async (response: Response, what: string): Promise<void> => {
  const text = await response.text();
  expect(response.status, `${what} answered ${text.slice(0, 300)}`).toBeLessThan(500);
  expect(text, what).not.toMatch(/\bat (?:async )?[\w.<>]+ \(|node_modules|\/console\/.*\.tsx?:/);
  if (response.status >= 400 && what.includes('/api/'))
    expect(response.headers.get('content-type'), what).toContain('application/problem+json');
};

// Thousands of calls: minutes on a machine that is busy with something else.
describe('bodies', { timeout: 240_000 }, () => {
  test('of every kind are answered below 500 on every route of the API', async () => {
    let calls = 0;
    for (const route of harness.app.declaredRoutes.filter(
      ({ method, path }) => path.startsWith('/api/') && method !== 'GET' && method !== 'DELETE',
    )) {
      for (const body of mutations(sampleFor(route).body)) {
        const path = fill(route.path, {
          ...idsOf(harness.a),
          source: route.path.endsWith('/files') ? harness.a.upload.id : harness.a.push.id,
        });
        await check(
          await harness.call(route.method, path, operator, typeof body === 'string' ? JSON.stringify(body) : body, {
            'content-type': 'application/json',
          }),
          `${nameOf(route)} with ${JSON.stringify(body)?.slice(0, 80)}`,
        );
        calls++;
      }
      for (const [body, type] of rawBodies) {
        await check(
          await harness.call(route.method, fill(route.path, idsOf(harness.a)), operator, body, {
            'content-type': type,
          }),
          `${nameOf(route)} with ${type} ${body.slice(0, 20)}`,
        );
        calls++;
      }
    }
    expect(calls).toBeGreaterThan(900);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect((await harness.app.request('/healthz')).status).toBe(200);
  });

  test('of every kind are answered below 500 by the console', async () => {
    const cookie = await harness.signIn('owner', harness.a.tenant.id);
    for (const route of harness.app.declaredRoutes.filter(
      ({ method, path }) => path.startsWith('/console') && method === 'POST' && !path.endsWith('sign-out'),
    )) {
      for (const [body, type] of [
        ...rawBodies,
        ['question=', 'application/x-www-form-urlencoded'],
        ['question=%ff%00&conversationId=x', 'application/x-www-form-urlencoded'],
        ['rating=sideways', 'application/x-www-form-urlencoded'],
      ] as const) {
        for (const accept of ['text/html', 'text/event-stream']) {
          const response = await harness.app.request(fill(route.path, idsOf(harness.a)), {
            method: 'POST',
            body,
            headers: { cookie, origin: publicUrl, accept, 'content-type': type },
          });
          await check(response, `${nameOf(route)} with ${type} ${body.slice(0, 20)}`);
        }
      }
    }
  });
});

describe('paths and queries', { timeout: 240_000 }, () => {
  const oddText = [
    '',
    ' ',
    '.',
    '..',
    '%',
    '%00',
    '%ff',
    '%2f',
    '%2e%2e%2f',
    '%25',
    'null',
    'undefined',
    '__proto__',
    'constructor',
    'a'.repeat(4000),
    '*',
    ':x',
    '{x}',
    '<b>',
    "'",
    '-1',
    '1e9',
    '%F0%9F%92%A5',
  ];

  test('of every kind are answered below 500', async () => {
    const cookie = await harness.signIn('operator', null);
    const headers = { cookie, authorization: `Bearer ${operator}`, origin: publicUrl };
    let calls = 0;
    for (const route of harness.app.declaredRoutes) {
      const positions = [...route.path.matchAll(/\{(.+?)\}/g)].map(([, name]) => name ?? '');
      if (route.method === 'DELETE' && positions.length === 1) continue;
      for (const position of positions) {
        for (const text of oddText) {
          const path = fill(route.path, { ...idsOf(harness.a), [position]: 'POSITION' }).replace('POSITION', text);
          const { body } = sampleFor(route);
          const response = await harness.app.request(`http://localhost:3000${path}`, {
            method: route.method,
            headers: {
              ...headers,
              ...(body === undefined || body instanceof FormData
                ? {}
                : { 'content-type': typeof body === 'string' ? 'application/x-ndjson' : 'application/json' }),
            },
            ...(body === undefined
              ? {}
              : {
                  body: body instanceof FormData || typeof body === 'string' ? (body as string) : JSON.stringify(body),
                }),
          });
          await check(response, `${route.method} ${path.slice(0, 120)}`);
          calls++;
        }
      }
      if (route.method !== 'GET') continue;
      for (const text of oddText) {
        const names = ['cursor', 'limit', 'from', 'to', 'group', 'format', 'outcome', 'q', 'source', 'tenant'];
        for (const name of names) {
          const response = await harness.app.request(
            `http://localhost:3000${fill(route.path, idsOf(harness.a))}?${name}=${text}&${name}=${text}`,
            { headers },
          );
          await check(response, `GET ${route.path}?${name}=${text.slice(0, 40)}`);
          calls++;
        }
      }
    }
    expect(calls).toBeGreaterThan(3000);
  });
});
