import type { Hono } from 'hono';
import { createHttpApp, type HttpApp } from '../../console/app.tsx';
import { type Auth, createAuth } from '../../console/auth/auth.ts';
import { openSqliteUsers } from '../../console/auth/sqlite-users.ts';
import type { HttpParts } from '../../console/guard.ts';
import type { Role } from '../../core/domain.ts';
import type { Platform } from '../../core/ports/platform.ts';
import { createTestRuntime, type TestRuntime } from '../fakes/clock.ts';
import { createFakeCore, type FakeCore, type Furnished, furnish, operatorToken } from '../fakes/core.ts';

/** The HTTP app over a fake Core and the real sign-in library in memory, with two furnished tenants. */
export type Harness = {
  readonly app: HttpApp;
  readonly core: FakeCore;
  readonly auth: Auth;
  readonly runtime: TestRuntime;
  readonly a: Furnished;
  readonly b: Furnished;
  /** A request with a bearer; the body is sent as JSON unless it is text. */
  call(
    method: string,
    path: string,
    bearer?: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Response>;
  /** Cookies of a new person with this role, in tenant A unless told otherwise. */
  signIn(role: Role | null, tenantId?: string | null): Promise<string>;
};

export const publicUrl = 'http://localhost:3000';
export const operator = operatorToken;

export const createHarness = async (
  config: Partial<HttpParts['config']> = {},
  platforms: readonly Platform[] = [],
): Promise<Harness> => {
  const core = createFakeCore();
  const runtime = createTestRuntime();
  const auth = createAuth({
    users: openSqliteUsers(':memory:'),
    publicUrl,
    secret: 'a secret of the tests, long enough to sign',
    runtime,
  });
  const app = createHttpApp({
    core,
    auth,
    platforms,
    runtime,
    config: { publicUrl, trustedProxies: [], ...config },
    metricsText: async () => 'footnote_up 1\n',
  });
  const a = await furnish(core, 'acme');
  const b = await furnish(core, 'globex');
  let people = 0;
  return {
    app,
    core,
    auth,
    runtime,
    a,
    b,
    call: callOn(app),
    signIn: async (role, tenantId = a.tenant.id) => {
      const link = await auth.issueSignInLink(`person${++people}@example.com`);
      if (role !== null) await core.members.put(link.userId, role === 'operator' ? null : tenantId, role);
      // Each from an address of its own: how many may sign in from one is not what is tested here.
      const remoteAddress = `10.0.${people >> 8}.${people & 255}`;
      return cookiesOf(await app.request(new URL(link.url).pathname, {}, { incoming: { socket: { remoteAddress } } }));
    },
  };
};

export const callOn =
  (app: HttpApp): Harness['call'] =>
  async (method, path, bearer, body, headers = {}) => {
    const isText = typeof body === 'string' || body instanceof FormData;
    return app.request(path, {
      method,
      headers: {
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined || isText ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isText ? (body as string) : JSON.stringify(body) }),
    });
  };

export const cookiesOf = (response: Response): string =>
  response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ');

/** A platform that only has routes, as the HTTP app sees it. */
export const platformWith = (routes?: Hono): Platform => ({
  name: 'slack',
  start: async () => undefined,
  ...(routes === undefined ? {} : { routes }),
  openAnswer: () => Promise.reject(new Error('not in these tests')),
  capabilities: () => ({
    nativeStream: false,
    edit: false,
    maxCharacters: 1,
    minUpdateIntervalMs: 0,
    status: false,
    feedback: false,
    nativeCitations: false,
    ephemeral: false,
    tables: false,
  }),
  checkUp: async () => [{ item: 'token is valid', ok: true }],
  stop: async () => undefined,
});
