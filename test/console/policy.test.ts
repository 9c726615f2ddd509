import { Hono } from 'hono';
import { beforeAll, describe, expect, test } from 'vitest';
import { createHarness, type Harness, platformWith } from './harness.ts';
import { fill, idsOf, nameOf } from './routes.ts';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});

const openPath = (path: string): string => path.replaceAll(/:([^/{}]+)/g, '{$1}');

describe('every route', () => {
  test('that is registered has exactly one policy', () => {
    const declared = new Set(harness.app.declaredRoutes.map(nameOf));
    const registered = new Set(
      // What is registered for all methods and paths is middleware of the whole app.
      harness.app.routes
        .filter(({ method, path }) => !(method === 'ALL' && path === '/*'))
        .map(({ method, path }) => `${method} ${openPath(path).replace('documents{batch}', 'documents:batch')}`),
    );
    expect([...registered].sort()).toEqual([...declared].sort());
    expect(declared.size).toBe(harness.app.declaredRoutes.length);
  });

  test('of the API stands in the OpenAPI document, and nothing else does', async () => {
    const document = (await (await harness.app.request('/openapi.json')).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; security: unknown[] }>>;
    };
    expect(document.openapi).toBe('3.1.0');
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const declared = harness.app.declaredRoutes.filter(({ path }) => path.startsWith('/api/')).map(nameOf);
    expect(described.sort()).toEqual(declared.sort());
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { security } of operations) expect(security).toEqual([{ bearer: [] }]);
    const references = JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g);
    const known = Object.keys((document as unknown as { components: { schemas: object } }).components.schemas);
    for (const [, name] of references) expect(known).toContain(name);
  });

  test('of the API describes every parameter of its path', async () => {
    const document = (await (await harness.app.request('/openapi.json')).json()) as {
      paths: Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>;
    };
    for (const [path, methods] of Object.entries(document.paths)) {
      const named = [...path.matchAll(/\{(.+?)\}/g)].map(([, name]) => name);
      for (const operation of Object.values(methods)) {
        expect(
          (operation.parameters ?? [])
            .filter((parameter) => parameter.in === 'path')
            .map(({ name }) => name)
            .sort(),
        ).toEqual(named.sort());
      }
    }
  });

  test('that is not public refuses a caller without a key or session, however its path is spelt', async () => {
    let cells = 0;
    for (const route of harness.app.declaredRoutes) {
      if (route.policy === 'public') continue;
      const path = fill(route.path, idsOf(harness.a));
      for (const spelling of spellings(path)) {
        const response = await harness.app.request(`http://localhost:3000${spelling}`, {
          method: route.method,
          headers: { origin: 'http://localhost:3000' },
        });
        cells++;
        // Another spelling may lead nowhere, but never inside.
        expect([401, 403, 404, 405], `${route.method} ${spelling}`).toContain(response.status);
        if (spelling === path)
          expect(response.status, `${route.method} ${spelling}`).toBe(route.policy === 'metrics' ? 403 : 401);
      }
    }
    expect(cells).toBeGreaterThan(250);
  });
});

const spellings = (path: string): readonly string[] => {
  const encoded = (at: number): string =>
    `${path.slice(0, at)}%${path.charCodeAt(at).toString(16)}${path.slice(at + 1)}`;
  const middle = Math.floor(path.length / 2);
  return [
    path,
    encoded(1),
    encoded(middle),
    encoded(path.length - 1),
    `/${path}`,
    `${path}/`,
    path.toUpperCase(),
    path.replace('/', '/./'),
    `${path}?x=1`,
    `/%2e${path}`,
    path.replaceAll('/', '%2f').replace('%2f', '/'),
  ];
};

describe('webhooks of platforms', () => {
  test('are mounted at the root, with a bound on the body', async () => {
    const routes = new Hono();
    routes.post('/slack/events', async (c) => c.text(`heard ${(await c.req.text()).length}`));
    const { app } = await createHarness({}, [platformWith(routes)]);
    const heard = await app.request('/slack/events', { method: 'POST', body: 'x'.repeat(10) });
    expect(await heard.text()).toBe('heard 10');
    const large = await app.request('/slack/events', { method: 'POST', body: 'x'.repeat(1024 * 1024 + 1) });
    expect(large.status).toBe(413);
  });
});
