import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Core } from '../core/core.ts';
import type { ApiKey, Membership, Tenant } from '../core/domain.ts';
import { AppError } from '../core/errors.ts';
import type { Finding } from '../core/ports/finding.ts';
import type { Platform } from '../core/ports/platform.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import type { Auth, Person } from './auth/auth.ts';
import { isLoopback } from './client-address.ts';
import type { SendMail } from './mail.ts';
import { type DeclaredRoute, type Policy, rolesFor, type SessionRule } from './policy.ts';
import type { RateLimit } from './rate-limit.ts';

/** What `main.ts` hands to the HTTP app. */
export type HttpParts = {
  readonly core: Core;
  readonly auth: Auth;
  readonly platforms: readonly Platform[];
  readonly runtime: Runtime;
  /** Absent where no mail server is configured: links are shown instead, to be handed over. */
  readonly sendMail?: SendMail | undefined;
  readonly config: {
    readonly publicUrl: string;
    readonly metricsToken?: string | undefined;
    readonly trustedProxies: readonly string[];
    /** Of one tenant's key; default 600. */
    readonly requestsPerMinute?: number | undefined;
  };
  /** The text of `/metrics`. */
  metricsText(): Promise<string>;
  /** What runs here, for the operator's page on health. Absent: the page says what the core knows. */
  readonly about?:
    | {
        readonly version: string;
        /** What `footnote doctor` would say; may take half a minute. */
        findings(signal: AbortSignal): Promise<readonly Finding[]>;
      }
    | undefined;
};

/** What the routes are made of: the same, with what all of them share. */
export type Doors = HttpParts & { readonly rateLimit: RateLimit };

export type Actor =
  | { readonly kind: 'operator'; readonly name: 'operator' }
  | { readonly kind: 'key'; readonly name: string; readonly key: ApiKey }
  | {
      readonly kind: 'person';
      readonly name: string;
      readonly person: Person;
      readonly memberships: readonly Membership[];
    };

/** Set by the guard before a handler runs; `tenant` only on routes whose path names one. */
export type Env = {
  Variables: {
    requestId: string;
    route: string;
    actor: Actor;
    tenant: Tenant;
    /** Throws like the guard itself when the caller would not be let in any more. */
    checkAgain: () => Promise<void>;
  };
};

const mib = 1024 * 1024;
export const limits = { json: mib, batch: 16 * mib, document: 16 * mib, files: 50 * mib, jsonDepth: 40 } as const;

/** The middleware that stands directly on the route, so that no spelling of a path can lead around it. */
export const guard = (doors: Doors, route: DeclaredRoute): MiddlewareHandler<Env> => {
  const check = checkFor(doors, route.policy);
  return async (c, next) => {
    c.set('route', route.path);
    await check(c, 'first');
    c.set('checkAgain', () => check(c, 'again'));
    return next();
  };
};

/** The first check of a request counts against the caller's limit; checks while its stream runs do not. */
type Check = (c: Context<Env>, time: 'first' | 'again') => Promise<void>;

const checkFor = (doors: Doors, policy: Policy): Check => {
  if (policy === 'public') return async () => undefined;
  if (policy === 'metrics') return async (c) => checkMetrics(c, doors.config.metricsToken);
  if (policy === 'operator' || policy.startsWith('key:')) return (c, time) => checkBearer(doors, policy, c, time);
  return (c) => checkSession(doors, policy.slice('session:'.length) as SessionRule, c);
};

const noSuchTenant = (): AppError => new AppError('not-found', 'There is no such tenant.');

const checkBearer = async (
  { core, config, runtime, rateLimit }: Doors,
  policy: Policy,
  c: Context<Env>,
  time: 'first' | 'again',
): Promise<void> => {
  const bearer = bearerOf(c);
  if (bearer === null) throw new AppError('unauthenticated', 'Send a key as "Authorization: Bearer …".');
  const slug = c.req.param('slug');

  if (core.keys.isOperator(bearer)) {
    c.set('actor', { kind: 'operator', name: 'operator' });
    if (slug !== undefined) c.set('tenant', await tenantBySlug(core, slug));
    return;
  }

  const key = await core.keys.authenticate(bearer);
  if (key === null) throw new AppError('unauthenticated', 'This key is unknown or was revoked.');
  if (time === 'first') {
    const window = await rateLimit(`key:${key.id}`, config.requestsPerMinute ?? 600, 60_000);
    if (!window.ok) throw tooMany(window.resetsAt - runtime.clock.now());
  }
  c.set('actor', { kind: 'key', name: `key:${key.id}`, key });

  if (slug !== undefined) {
    // The path's tenant must be the key's own; whether another one exists is nobody's business.
    const tenant = await core.tenants.get(key.tenantId);
    if (tenant === null || tenant.slug !== slug) throw noSuchTenant();
    c.set('tenant', tenant);
  }
  if (policy === 'operator') throw new AppError('forbidden', 'Only the operator of this deployment may do this.');
  const scope = policy.slice('key:'.length);
  if (scope !== 'any' && !key.scopes.some((held) => held === scope || held === 'admin')) {
    throw new AppError('forbidden', `This key lacks the scope "${scope}".`);
  }
};

const checkSession = async ({ core, auth }: HttpParts, rule: SessionRule, c: Context<Env>): Promise<void> => {
  const person = await auth.person(c.req.raw.headers);
  if (person === null) throw new AppError('unauthenticated', 'Please sign in.');
  const memberships = await core.members.ofUser(person.userId);
  c.set('actor', { kind: 'person', name: `user:${person.userId}`, person, memberships });
  const slug = c.req.param('tenant');
  if (slug === undefined) {
    if (rule === 'operator' && !memberships.some(({ role }) => role === 'operator'))
      throw new AppError('forbidden', 'Only an operator of this deployment may open this page.');
    return;
  }

  const tenant = await core.tenants.bySlug(slug);
  const own = memberships.filter((membership) => membership.role === 'operator' || membership.tenantId === tenant?.id);
  if (tenant === null || own.length === 0) throw noSuchTenant();
  c.set('tenant', tenant);
  if (rule === 'any' || own.some((membership) => membership.role === 'operator')) return;
  if (!own.some((membership) => rolesFor[rule].includes(membership.role))) {
    throw new AppError('forbidden', 'Your role does not include this page.');
  }
};

const checkMetrics = (c: Context, token: string | undefined): void => {
  if (token !== undefined) {
    const bearer = bearerOf(c);
    if (bearer === null || !sameSecret(bearer, token))
      throw new AppError('unauthenticated', 'Send the metrics token as "Authorization: Bearer …".');
    return;
  }
  if (!isLoopback(c)) throw new AppError('forbidden', 'Set METRICS_TOKEN to read metrics from another machine.');
};

const tenantBySlug = async (core: Core, slug: string): Promise<Tenant> => {
  const tenant = await core.tenants.bySlug(slug);
  if (tenant === null) throw noSuchTenant();
  return tenant;
};

/** One header, one scheme, one token: every other carrier is refused. */
const bearerOf = (c: Context): string | null =>
  /^Bearer ([\x21-\x7e]{1,512})$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? null;

const sameSecret = (given: string, expected: string): boolean => {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
};

export const tooMany = (waitMs: number): AppError =>
  new AppError('rate-limited', 'Too many requests in a short time.', {
    retryAfterMs: Math.max(1000, waitMs),
    retryable: true,
  });

/** Refuses a body above the limit before anything of it is read into a handler. */
export const limitBody = (bytes: number): MiddlewareHandler =>
  bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw new AppError('too-large', `The body may have at most ${Math.floor(bytes / mib)} MB.`);
    },
  });

/** JSON nested deeper than we ever need is refused before anything recursive sees it. */
export const limitDepth: MiddlewareHandler = async (c, next) => {
  if (/^application\/([\w.-]+\+)?json/i.test(c.req.header('content-type') ?? '') && isTooDeep(await c.req.text())) {
    throw new AppError('malformed', `The JSON is nested deeper than ${limits.jsonDepth} levels.`);
  }
  return next();
};

export const isTooDeep = (json: string): boolean => {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) at++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > limits.jsonDepth) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
};
