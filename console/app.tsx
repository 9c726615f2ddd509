import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { TrieRouter } from 'hono/router/trie-router';
import { secureHeaders } from 'hono/secure-headers';
import { addApi, openApiDocument } from './api/api.ts';
import { type Assets, loadAssets } from './assets.ts';
import { noteFailure } from './failure.ts';
import { type Doors, type Env, guard, type HttpParts, limitBody, limits } from './guard.ts';
import { ErrorPage, ErrorPart } from './pages/error.tsx';
import { renderPage } from './pages/layout.tsx';
import { isSwap } from './pages/pages.tsx';
import { addPages } from './pages/routes.tsx';
import { signInPath } from './pages/sign-in.tsx';
import { ResendPage, signInHref, type Unsent, unsentOf } from './pages/signed-out.tsx';
import type { DeclaredRoute } from './policy.ts';
import { headersOf, invalid, methodNotAllowed, type Problem, problemOf, problemResponse } from './problem.ts';
import { createRateLimit } from './rate-limit.ts';

export type HttpApp = OpenAPIHono<Env> & { readonly declaredRoutes: readonly DeclaredRoute[] };

/** Everything that answers HTTP: health, metrics, the API, the console, and the platforms' webhooks. */
export const createHttpApp = (given: HttpParts): HttpApp => {
  const parts: Doors = { ...given, rateLimit: createRateLimit(given.core, given.runtime.clock.now) };
  const declared: DeclaredRoute[] = [];
  const assets = loadAssets();
  const app = new OpenAPIHono<Env>({
    defaultHook: (result, c) =>
      result.success ? undefined : problemResponse(invalid(result.error.issues, c.req.path)),
  });

  app.use('*', async (c, next) => {
    const given = c.req.header('x-request-id');
    c.set('requestId', given !== undefined && /^[\w.:-]{8,64}$/.test(given) ? given : parts.runtime.random.hex(12));
    const started = performance.now();
    await next();
    c.header('x-request-id', c.get('requestId'));
    // Nothing here is meant for a cache, except files whose name changes with their content.
    if (!c.res.headers.has('cache-control') || c.res.headers.get('content-type')?.startsWith('text/event-stream'))
      c.header('cache-control', 'no-store');
    observe(parts, c, performance.now() - started);
  });
  app.use('*', secureHeadersFor(parts.config.publicUrl));

  addHealth(app, parts, declared);
  addApi(app, parts, declared);
  addPages(app, parts, assets, declared);
  addWebhooks(app, parts);

  const methods = methodsByPath(declared);
  app.notFound((c) => {
    const allowed = methods(c.req.path);
    if (allowed.length > 0 && !allowed.includes(c.req.method)) {
      const response = answerProblem(c, assets, methodNotAllowed(c.req.path, allowed));
      response.headers.set('allow', allowed.join(', '));
      return response;
    }
    return answerProblem(c, assets, {
      type: 'about:blank',
      title: 'Not found',
      status: 404,
      detail: 'There is nothing at this address.',
      instance: c.req.path,
      code: 'not-found',
    });
  });
  app.onError(async (thrown, c) => {
    const { problem, error } = problemOf(thrown, c.req.path);
    noteFailure(parts.runtime, c, thrown);
    const unsent = problem.status === 401 ? await unsentOf(c).catch(() => null) : null;
    return answerProblem(c, assets, problem, headersOf(error), unsent);
  });
  return Object.assign(app, { declaredRoutes: declared });
};

/** A page for people at the console, a JSON problem for programs. */
const answerProblem = (
  c: Context<Env>,
  assets: Assets,
  problem: Problem,
  headers: Readonly<Record<string, string>> = {},
  unsent: Unsent | null = null,
): Response => {
  const isConsole = c.req.path === '/console' || c.req.path.startsWith('/console/');
  if (!isConsole || /text\/event-stream|application\/json/i.test(c.req.header('accept') ?? ''))
    return problemResponse(problem, headers);
  const html = { 'content-type': 'text/html; charset=utf-8', ...headers };
  if (isSwap(c))
    return new Response(String(<ErrorPart problem={problem} />), {
      status: problem.status,
      // Into the place, not instead of it: the next try needs it.
      headers: { ...html, 'hx-reswap': 'innerHTML' },
    });
  const page =
    unsent === null ? (
      <ErrorPage
        shell={{ assets }}
        problem={problem}
        requestId={c.get('requestId') ?? ''}
        signIn={c.req.method === 'GET' ? signInHref(c.req.url) : signInPath}
      />
    ) : (
      <ResendPage shell={{ assets }} action={c.req.path} unsent={unsent} />
    );
  return new Response(renderPage(page), { status: problem.status, headers: html });
};

const secureHeadersFor = (publicUrl: string) =>
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
    // Not "no-referrer": browsers would then send "Origin: null" with our own forms.
    referrerPolicy: 'same-origin',
    xFrameOptions: 'DENY',
    xXssProtection: false,
    strictTransportSecurity: publicUrl.startsWith('https:') ? 'max-age=31536000; includeSubDomains' : false,
    permissionsPolicy: { camera: [], microphone: [], geolocation: [] },
  });

const addHealth = (app: OpenAPIHono<Env>, parts: Doors, declared: DeclaredRoute[]): void => {
  const add = (path: string, policy: DeclaredRoute['policy'], handle: (c: Context<Env>) => Promise<Response>): void => {
    const route: DeclaredRoute = { method: 'GET', path, policy };
    declared.push(route);
    app.on(['GET'], [path], guard(parts, route), handle);
  };
  add('/healthz', 'public', async (c) => c.json({ status: 'ok' }));
  add('/readyz', 'public', async (c) => {
    const problems = await parts.core
      .problems(AbortSignal.timeout(3000))
      .catch(() => ['The check took too long or failed.']);
    return problems.length === 0 ? c.json({ status: 'ready' }) : c.json({ status: 'not-ready', problems }, 503);
  });
  add('/metrics', 'metrics', async (c) => {
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    return c.body(await parts.metricsText());
  });
  let document: object | undefined;
  add('/openapi.json', 'public', async (c) => {
    document ??= openApiDocument(app, parts.config.publicUrl);
    return c.json(document);
  });
};

/** Webhooks verify their own signatures over the raw body; here they only get a bound. */
const addWebhooks = (app: OpenAPIHono<Env>, { platforms }: HttpParts): void => {
  for (const { routes } of platforms) {
    if (routes === undefined) continue;
    for (const { path } of routes.routes) if (path !== '*' && path !== '/*') app.use(path, limitBody(limits.json));
    app.route('/', routes);
  }
};

const observe = ({ runtime }: HttpParts, c: Context<Env>, ms: number): void => {
  // The route's pattern, never the path: paths hold sign-in tokens and other people's ids.
  const route = c.get('route') ?? 'other';
  const status = String(c.res.status);
  runtime.metrics.count('http_requests_total', { route, status });
  runtime.metrics.observe('http_seconds', ms / 1000, { route });
  runtime.log.debug('http', {
    requestId: c.get('requestId'),
    method: c.req.method,
    route,
    status: c.res.status,
    ms: Math.round(ms),
  });
};

const methodsByPath = (declared: readonly DeclaredRoute[]): ((path: string) => readonly string[]) => {
  const router = new TrieRouter<string>();
  for (const { method, path } of declared) {
    router.add('ALL', path.replaceAll(/\{(.+?)\}/g, ':$1'), method);
  }
  return (path) => {
    const found = router.match('ALL', path)[0].map(([method]) => method);
    return [...new Set(found.includes('GET') ? [...found, 'HEAD'] : found)].sort();
  };
};
