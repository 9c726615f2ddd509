import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Role } from '../../core/domain.ts';
import { type Furnished, operatorToken } from '../fakes/core.ts';
import { publicUrl } from './harness.ts';
import { openReal, type Real } from './real.ts';
import { bodiesWithIds, fill, idsOf, nameOf, ownedIds, sampleFor } from './routes.ts';

/**
 * S2 on the real core and its stores: roles × tenants × routes × verbs × id positions, generated from the route table.
 * A foreign id, a deleted one and one that never was are answered alike to the byte, in every spelling, and afterwards
 * nothing of the other tenant has changed.
 */

let real: Real;
let a: Furnished;
let b: Furnished;
let gone: Furnished;
let before: readonly string[];
let cells = 0;

beforeAll(async () => {
  real = await openReal();
  a = await real.furnish('acme');
  b = await real.furnish('globex');
  gone = await real.furnish('initech');
  for (const externalId of ['one.md', 'two.md'])
    await real.core.documents.put(
      b.tenant.id,
      b.push.id,
      { externalId, content: `# ${externalId}\nText.` },
      AbortSignal.timeout(10_000),
    );
  await real.core.tenants.remove(gone.tenant.id);
  before = await snapshot(b);
}, 60_000);
afterAll(() => real.close());

const scopes = ['ask', 'ingest', 'billing', 'admin'] as const;
const apiRoutes = () => real.app.declaredRoutes.filter(({ policy }) => policy.startsWith('key:'));
const unknownId = 's_000000000000000000000000';

type Seen = { readonly status: number; readonly body: string };

/** What the caller can see, without the echo of its own path. */
const seen = (answer: Seen): Seen => ({
  status: answer.status,
  body: answer.body.replaceAll(/"instance":"(?:[^"\\]|\\.)*"/g, '"instance":""'),
});

const send = async (
  route: { readonly method: string; readonly path: string; readonly policy: never | string },
  path: string,
  bearer: string,
): Promise<Seen> => {
  cells += 1;
  const { body, headers } = sampleFor(route as never);
  const response = await real.app.request(path, {
    method: route.method,
    headers: {
      authorization: `Bearer ${bearer}`,
      ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { body: typeof body === 'string' || body instanceof FormData ? body : JSON.stringify(body) }),
  });
  return seen({ status: response.status, body: await response.text() });
};

/** Everything of a tenant that its own admin can read. */
const snapshot = async (tenant: Furnished): Promise<readonly string[]> => {
  const pages = apiRoutes().filter(
    ({ method, path }) => method === 'GET' && !path.endsWith('/usage') && !path.endsWith('/check-up'),
  );
  const answers = await Promise.all(
    pages.map(async (route) => {
      const response = await real.app.request(fill(route.path, idsOf(tenant)), {
        headers: { authorization: `Bearer ${tenant.keys.admin}` },
      });
      return `${nameOf(route)} ${response.status} ${(await response.text()).replaceAll(/"lastUsedAt":"[^"]*"/g, '')}`;
    }),
  );
  return answers;
};

/** Ids and words that only B's own people may ever see. */
const secretsOf = (tenant: Furnished): readonly string[] => [
  tenant.tenant.id,
  tenant.push.id,
  tenant.document.id,
  tenant.job.id,
  tenant.receipt.answerId,
  tenant.receipt.conversationId,
  tenant.connection.id,
  tenant.keyId,
  `T-${tenant.tenant.slug}`,
  `${tenant.tenant.slug} travel desk`,
];

const percent = (text: string): string => [...text].map((char) => `%${char.charCodeAt(0).toString(16)}`).join('');

/** Other ways to write the same name, some of which a lenient door would take for it. */
const spellings: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => percent(name),
  (name) => `${percent(name[0] ?? '')}${name.slice(1)}`,
  (name) => percent(name).replaceAll('%', '%25'),
  (name) => `${name}%00`,
  (name) => `${name}%20`,
  (name) => `${name}%2f`,
  (name) => `.%2f${name}`,
  (name) => `acme%2f..%2f${name}`,
  (name) => `${name};x=1`,
  (name) => `${name}%3f`,
];

describe('a key of tenant A', { timeout: 240_000 }, () => {
  test.each(scopes)('with the scope %s gets nothing of B in any spelling of its name', async (scope) => {
    const bearer = a.keys[scope];
    for (const route of apiRoutes()) {
      for (const spell of spellings) {
        const at = (slug: string, ids: Furnished) =>
          send(route, fill(route.path, { ...idsOf(ids), slug: '@@' }).replace('%40%40', spell(slug)), bearer);
        const foreign = await at('globex', b);
        const never = await at('nobody', b);
        const deleted = await at('initech', gone);
        expect(foreign.status, `${nameOf(route)} at ${spell('globex')}`).toBe(404);
        expect(foreign, nameOf(route)).toEqual(never);
        expect(foreign, nameOf(route)).toEqual(deleted);
      }
    }
  });

  test("with B's ids in A's paths is answered as with ids that were deleted or never were", async () => {
    const callers = [...scopes.map((scope) => a.keys[scope]), operatorToken];
    for (const route of apiRoutes()) {
      for (const position of ownedIds.filter((name) => route.path.includes(`{${name}}`))) {
        for (const bearer of callers) {
          const at = (id: string) =>
            send(route, fill(route.path, { ...idsOf(a), [position]: '@@' }).replace('%40%40', id), bearer);
          const never = await at(unknownId);
          expect([403, 404], `${nameOf(route)} with an unknown ${position}`).toContain(never.status);
          for (const tenant of [b, gone]) {
            const id = idsOf(tenant)[position] ?? '';
            for (const spelt of [id, percent(id), id.toUpperCase(), `${id}%00`, `${id}%20`, `..%2f${id}`])
              expect(await at(spelt), `${nameOf(route)} with ${position} ${spelt}`).toEqual(never);
          }
        }
      }
    }
  });

  test("with B's ids in bodies and queries, alone and beside its own, is answered as with unknown ids", async () => {
    const own = bodiesWithIds(a);
    const callers = [a.keys.ask, a.keys.admin, operatorToken];
    const post = async (method: string, path: string, bearer: string, body: unknown): Promise<Seen> => {
      cells += 1;
      const response = await real.app.request(`/api/v1/tenants/acme${path}`, {
        method,
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return seen({ status: response.status, body: await response.text() });
    };
    const unknown = (body: unknown): unknown =>
      JSON.parse(JSON.stringify(body).replaceAll(/"[svd]_[0-9a-f]+"/g, `"${unknownId}"`));
    const beside = (mine: unknown, theirs: unknown): unknown =>
      Object.fromEntries(
        Object.entries(theirs as object).map(([name, value]) => [
          name,
          Array.isArray(value) ? [...((mine as Record<string, unknown[]>)[name] ?? []), ...value] : value,
        ]),
      );
    for (const tenant of [b, gone]) {
      for (const [index, { name, method, path, body }] of bodiesWithIds(tenant).entries()) {
        for (const bearer of callers) {
          for (const sent of [body, beside(own[index]?.body, body)]) {
            const foreign = await post(method, path, bearer, sent);
            expect([403, 404], name).toContain(foreign.status);
            expect(foreign, name).toEqual(await post(method, path, bearer, unknown(sent)));
          }
        }
      }
    }
    for (const list of ['documents', 'jobs']) {
      for (const id of [b.push.id, b.folder.id, gone.push.id, unknownId]) {
        cells += 1;
        const response = await real.app.request(`/api/v1/tenants/acme/${list}?source=${id}`, {
          headers: { authorization: `Bearer ${a.keys.ingest}` },
        });
        expect(await response.json()).toEqual({ [list]: [], nextCursor: null });
      }
    }
  });

  test("with B's cursors sees its own rows only", async () => {
    for (const route of apiRoutes().filter(
      ({ method, path }) => method === 'GET' && /(documents|jobs|answers)$/.test(path),
    )) {
      const first = await real.app.request(`${fill(route.path, idsOf(b))}?limit=1`, {
        headers: { authorization: `Bearer ${b.keys.admin}` },
      });
      const { nextCursor } = (await first.json()) as { nextCursor: string | null };
      if (nextCursor === null) continue;
      cells += 1;
      const response = await real.app.request(
        `${fill(route.path, idsOf(a))}?cursor=${encodeURIComponent(nextCursor)}`,
        {
          headers: { authorization: `Bearer ${a.keys.admin}` },
        },
      );
      const text = await response.text();
      for (const secret of secretsOf(b)) expect(text).not.toContain(secret);
    }
  });

  test('gets nothing of B by a path that is odd on the wire', async () => {
    const odd = [
      '/api/v1/tenants/acme/../globex',
      '/api/v1/tenants/acme/%2e%2e/globex',
      '/api/v1/tenants/acme/..%2fglobex',
      '/api/v1/tenants/acme/./../globex/documents',
      '//api/v1/tenants/globex',
      '/api//v1/tenants/globex',
      '/api/v1/tenants//globex',
      '/API/v1/tenants/globex',
      '/%61pi/v1/tenants/globex',
      '/api/v1/tenants/globex/',
      '/api/v1/tenants/globex/documents/',
      '/api/v1/tenants/globex;/documents',
      '/api/v1/tenants/globex#/documents',
      '/api/v1/tenants/globex\\documents',
      '/api/v1/tenants/acme?slug=globex',
      '/api/v1/tenants/acme/documents?slug=globex&tenant=globex',
      'http://elsewhere.example/api/v1/tenants/globex',
    ];
    for (const path of odd) {
      for (const scope of scopes) {
        cells += 1;
        const { status, body } = await real.raw('GET', path, {
          authorization: `Bearer ${a.keys[scope]}`,
          host: 'localhost',
        });
        expect(status, path).toBeLessThan(500);
        for (const secret of secretsOf(b)) expect(body, path).not.toContain(secret);
        // Names of the tenant in headers that some door might believe.
        cells += 1;
        const named = await real.raw('GET', path, {
          authorization: `Bearer ${a.keys[scope]}`,
          host: 'globex.localhost',
          'x-tenant': 'globex',
          'x-tenant-id': b.tenant.id,
          'x-original-url': '/api/v1/tenants/globex',
          'x-rewrite-url': '/api/v1/tenants/globex',
          'x-http-method-override': 'DELETE',
          'x-api-key': b.keys.admin,
          cookie: `key=${b.keys.admin}`,
        });
        for (const secret of secretsOf(b)) expect(named.body, path).not.toContain(secret);
      }
    }
  });
});

describe('somebody without a good key', { timeout: 120_000 }, () => {
  test('is answered 401 on every route, whether the tenant exists or not', async () => {
    const revoked = await real.core.keys.create(a.tenant.id, { name: 'short', scopes: ['admin'] });
    await real.core.keys.revoke(a.tenant.id, revoked.id);
    const carriers: readonly Record<string, string>[] = [
      {},
      { authorization: '' },
      { authorization: 'Bearer ' },
      { authorization: 'Bearer null' },
      { authorization: 'Bearer undefined' },
      { authorization: 'Bearer []' },
      { authorization: `Bearer ${revoked.key}` },
      { authorization: `Bearer ${gone.keys.admin}` },
      { authorization: `Bearer ${a.keys.admin.slice(0, -1)}` },
      { authorization: `Bearer ${a.keys.admin}x` },
      { authorization: `Bearer ${a.keys.admin}, Bearer ${b.keys.admin}` },
      { authorization: `Basic ${Buffer.from(`key:${a.keys.admin}`).toString('base64')}` },
      { authorization: `Token ${a.keys.admin}` },
      { authorization: a.keys.admin },
      { authorization: `Bearer ' or 1=1 --` },
      { authorization: `Bearer ${a.keyId}` },
      { 'x-api-key': a.keys.admin },
      { cookie: `authorization=Bearer ${a.keys.admin}` },
    ];
    for (const route of real.app.declaredRoutes.filter(
      ({ policy }) => policy.startsWith('key:') || policy === 'operator',
    )) {
      for (const slug of ['acme', 'nobody']) {
        for (const headers of carriers) {
          cells += 1;
          const response = await real.app.request(fill(route.path, { ...idsOf(a), slug }), {
            method: route.method,
            headers,
          });
          expect(response.status, `${nameOf(route)} with ${JSON.stringify(headers)}`).toBe(401);
        }
        cells += 1;
        const asQuery = await real.app.request(
          `${fill(route.path, { ...idsOf(a), slug })}?key=${a.keys.admin}&access_token=${a.keys.admin}`,
          { method: route.method },
        );
        expect(asQuery.status, nameOf(route)).toBe(401);
      }
    }
  });
});

describe('a person of tenant A', { timeout: 120_000 }, () => {
  const roles: readonly Role[] = ['owner', 'admin', 'billing', 'viewer'];
  test.each(roles)('who is %s sees nothing of B on any page, in any spelling', async (role) => {
    const cookie = await real.signIn(role, a.tenant.id);
    const pages = real.app.declaredRoutes.filter(
      ({ policy, path }) => policy.startsWith('session:') && path.includes('{tenant}'),
    );
    for (const route of pages) {
      for (const spell of spellings) {
        const visit = async (slug: string): Promise<Seen> => {
          cells += 1;
          const path = fill(route.path, { ...idsOf(b), tenant: '@@' }).replace('%40%40', spell(slug));
          const response = await real.app.request(path, {
            method: route.method,
            headers: { cookie, origin: publicUrl, 'content-type': 'application/x-www-form-urlencoded' },
            ...(route.method === 'POST' ? { body: 'question=train+journeys&rating=up' } : {}),
          });
          return {
            status: response.status,
            body: (await response.text()).replaceAll(/<code>[0-9a-f]{24}<\/code>/g, ''),
          };
        };
        const foreign = await visit('globex');
        expect(foreign.status, `${nameOf(route)} at ${spell('globex')}`).toBe(404);
        expect(foreign).toEqual(await visit('nobody'));
      }
    }
  });
});

test('nothing of B has changed, and the grid was no smaller than it should be', async () => {
  expect(await snapshot(b)).toEqual(before);
  expect(before.length).toBeGreaterThan(10);
  for (const line of before) expect(line).toMatch(/^GET \S+ 200 /);
  expect(await real.core.answers.get(b.tenant.id, b.receipt.answerId)).toMatchObject({ feedback: [] });
  expect(cells).toBeGreaterThanOrEqual(5000);
  process.stdout.write(`isolation: ${cells} cells\n`);
});
