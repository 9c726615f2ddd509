import { beforeAll, describe, expect, test } from 'vitest';
import { rolesFor } from '../../console/policy.ts';
import type { Role } from '../../core/domain.ts';
import { createHarness, type Harness, operator, publicUrl } from './harness.ts';
import { bodiesWithIds, fill, goodForm, idsOf, nameOf, ownedIds, sampleFor } from './routes.ts';

/** Tenant isolation, generated from the route table: a foreign id is answered like an unknown one, on every route. */

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness({ requestsPerMinute: 1_000_000 });
});

/** What the caller can see of an answer, without what differs by chance. */
const seen = async (response: Response): Promise<{ status: number; body: string }> => ({
  status: response.status,
  body: (await response.text()).replaceAll(/"instance":"[^"]*"/g, '"instance":""'),
});

describe('a key of tenant A', () => {
  const apiRoutes = () => harness.app.declaredRoutes.filter(({ policy }) => policy.startsWith('key:'));
  const scopes = ['ask', 'ingest', 'billing', 'admin'] as const;

  test('gets nothing of tenant B on any route, and cannot tell whether B exists', async () => {
    let cells = 0;
    for (const route of apiRoutes()) {
      for (const scope of scopes) {
        const { body, headers } = sampleFor(route);
        const foreign = await harness.call(
          route.method,
          fill(route.path, idsOf(harness.b)),
          harness.a.keys[scope],
          body,
          headers,
        );
        const unknown = await harness.call(
          route.method,
          fill(route.path, { ...idsOf(harness.b), slug: 'nobody' }),
          harness.a.keys[scope],
          sampleFor(route).body,
          headers,
        );
        const [one, other] = [await seen(foreign), await seen(unknown)];
        expect(one.status, `${nameOf(route)} with ${scope}`).toBe(404);
        expect(one).toEqual(other);
        cells += 2;
      }
    }
    expect(cells).toBeGreaterThan(200);
  });

  test("with B's ids in its own paths is answered as with ids that do not exist", async () => {
    let cells = 0;
    for (const route of apiRoutes()) {
      const positions = ownedIds.filter((name) => route.path.includes(`{${name}}`));
      for (const position of positions) {
        for (const bearer of [harness.a.keys.admin, operator]) {
          const ids = idsOf(harness.a);
          const send = (id: string) => {
            const { body, headers } = sampleFor(route);
            return harness.call(route.method, fill(route.path, { ...ids, [position]: id }), bearer, body, headers);
          };
          const foreign = await seen(await send(idsOf(harness.b)[position] ?? ''));
          const unknown = await seen(await send('s_000000000000000000000000'));
          expect(foreign.status, `${nameOf(route)} with a foreign ${position}`).toBe(404);
          expect(foreign).toEqual(unknown);
          cells += 2;
        }
      }
    }
    expect(cells).toBeGreaterThan(60);
    // And everything of B is still there.
    const { core, b } = harness;
    expect(await core.sources.get(b.tenant.id, b.push.id)).not.toBeNull();
    expect(await core.documents.get(b.tenant.id, b.document.id)).not.toBeNull();
    expect(await core.connections.get(b.tenant.id, b.connection.id)).not.toBeNull();
    expect((await core.answers.get(b.tenant.id, b.receipt.answerId))?.feedback).toEqual([]);
  });

  test("with B's ids in a body is answered as with ids that do not exist", async () => {
    for (const [index, { name, method, path, body }] of bodiesWithIds(harness.b).entries()) {
      const at = `/api/v1/tenants/${harness.a.tenant.slug}${path}`;
      const foreign = await seen(await harness.call(method, at, harness.a.keys.admin, body));
      const unknownBody = JSON.parse(
        JSON.stringify(body).replaceAll(/"[svd]_[0-9a-f]+"/g, '"s_000000000000000000000000"'),
      );
      const unknown = await seen(await harness.call(method, at, harness.a.keys.admin, unknownBody));
      expect(foreign.status, name).toBe(404);
      expect(foreign).toEqual(unknown);
      const own = await harness.call(method, at, harness.a.keys.admin, bodiesWithIds(harness.a)[index]?.body);
      expect(own.status, `${name}, its own`).toBe(200);
    }
  });

  test.each(scopes)('with the scope %s alone is refused outside of it, in its own tenant', async (scope) => {
    for (const route of apiRoutes()) {
      const needed = route.policy.slice('key:'.length);
      if (needed === 'any' || needed === scope || scope === 'admin') continue;
      const { body, headers } = sampleFor(route);
      const response = await harness.call(
        route.method,
        fill(route.path, idsOf(harness.a)),
        harness.a.keys[scope],
        body,
        headers,
      );
      expect(response.status, nameOf(route)).toBe(403);
    }
  });

  test('may do nothing that is the operator’s', async () => {
    for (const route of harness.app.declaredRoutes.filter(({ policy }) => policy === 'operator')) {
      const { body, headers } = sampleFor(route);
      expect(
        (await harness.call(route.method, route.path, harness.a.keys.admin, body, headers)).status,
        nameOf(route),
      ).toBe(403);
    }
  });

  test('stops working the moment it is revoked, and with its tenant', async () => {
    const own = await createHarness();
    const path = `/api/v1/tenants/${own.a.tenant.slug}`;
    const made = await own.call('POST', `${path}/keys`, own.a.keys.admin, { name: 'short', scopes: ['ask'] });
    const { id, key } = (await made.json()) as { id: string; key: string };
    expect((await own.call('GET', path, key)).status).toBe(200);
    expect((await own.call('DELETE', `${path}/keys/${id}`, own.a.keys.admin)).status).toBe(204);
    expect((await own.call('GET', path, key)).status).toBe(401);
    expect((await own.call('DELETE', path, operator)).status).toBe(204);
    expect((await own.call('GET', path, own.a.keys.admin)).status).toBe(401);
    expect((await own.call('GET', path, operator)).status).toBe(404);
  });
});

describe('a person', () => {
  const roles: readonly Role[] = ['owner', 'admin', 'billing', 'viewer'];
  const pages = () =>
    harness.app.declaredRoutes.filter(({ policy, path }) => policy.startsWith('session:') && path.includes('{tenant}'));
  const visit = (method: string, path: string, cookie: string) =>
    harness.app.request(path, {
      method,
      headers: { cookie, origin: publicUrl, 'content-type': 'application/x-www-form-urlencoded' },
      ...(method === 'POST' ? { body: new URLSearchParams(goodForm).toString() } : {}),
    });

  test.each([...roles, null])('who is %s in A sees nothing of B, and cannot tell whether B exists', async (role) => {
    const cookie = await harness.signIn(role);
    for (const route of pages()) {
      const foreign = await visit(route.method, fill(route.path, idsOf(harness.b)), cookie);
      const unknown = await visit(route.method, fill(route.path, { ...idsOf(harness.b), tenant: 'nobody' }), cookie);
      expect(foreign.status, nameOf(route)).toBe(404);
      expect(await foreign.text()).toBe(await unknown.text());
    }
    expect((await visit('GET', `/console?tenant=${harness.b.tenant.slug}`, cookie)).status).toBe(404);
  });

  test.each(roles)('who is %s in A passes exactly the routes of that role', async (role) => {
    const cookie = await harness.signIn(role);
    for (const route of pages()) {
      const rule = route.policy.slice('session:'.length) as keyof typeof rolesFor | 'any';
      const passes = rule === 'any' || rolesFor[rule].includes(role);
      const { status } = await visit(route.method, fill(route.path, idsOf(harness.a)), cookie);
      // 422: the form does not fit this record, but the door was open.
      if (passes) expect(status < 400 || status === 422, `${nameOf(route)}: ${status}`).toBe(true);
      else expect(status, nameOf(route)).toBe(403);
    }
  });

  test.each(ownedIds)('with the id of a %s of B in a path of A finds nothing', async (name) => {
    const [owner, boss] = [await harness.signIn('owner'), await harness.signIn('operator')];
    for (const route of pages().filter(({ path }) => path.includes(`{${name}}`))) {
      const ids = { ...idsOf(harness.a), [name]: idsOf(harness.b)[name] ?? '' };
      const cookie = route.policy === 'session:operator' ? boss : owner;
      expect((await visit(route.method, fill(route.path, ids), cookie)).status, nameOf(route)).toBe(404);
    }
  });

  test.each([...roles, null])('who is %s in A opens no page of the deployment’s operator', async (role) => {
    const cookie = await harness.signIn(role);
    const own = harness.app.declaredRoutes.filter(({ policy }) => policy === 'session:operator');
    expect(own.length).toBeGreaterThan(15);
    for (const route of own) {
      const path = fill(route.path, { ...idsOf(harness.a), user: harness.b.userId });
      const expected = route.path.includes('{tenant}') && role === null ? 404 : 403;
      expect((await visit(route.method, path, cookie)).status, `${nameOf(route)}`).toBe(expected);
    }
  });

  test('who is an operator opens every page of theirs', async () => {
    const cookie = await harness.signIn('operator');
    const { userId } = await harness.auth.issueSignInLink('somebody@example.com');
    for (const route of harness.app.declaredRoutes.filter(({ policy }) => policy === 'session:operator')) {
      const path = fill(route.path, { ...idsOf(harness.a), user: userId });
      const { status } = await visit(route.method, path, cookie);
      // 409: this job has not failed, and cannot be tried again; 422: the form lacks its fields.
      expect(status < 400 || status === 422 || status === 409, `${nameOf(route)}: ${status}`).toBe(true);
    }
  });

  test('loses access the moment the membership is gone', async () => {
    const cookie = await harness.signIn('viewer');
    const path = `/console/${harness.a.tenant.slug}/answers`;
    expect((await visit('GET', path, cookie)).status).toBe(200);
    harness.core.memberships.splice(0);
    expect((await visit('GET', path, cookie)).status).toBe(404);
  });
});
