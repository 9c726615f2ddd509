import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { csrf } from 'hono/csrf';
import type { z } from 'zod';
import type { Membership, Role, Tenant, TenantId } from '../../core/domain.ts';
import { AppError, isAppError } from '../../core/errors.ts';
import type { Assets } from '../assets.ts';
import type { Person } from '../auth/auth.ts';
import { createClientAddress } from '../client-address.ts';
import { formOf } from '../files.ts';
import { type Doors, type Env, guard, limitBody, limits, tooMany } from '../guard.ts';
import { createNames, type NamesOf } from '../names.ts';
import { type DeclaredRoute, type Policy, rolesFor } from '../policy.ts';
import { headersOf, problemOf } from '../problem.ts';
import { type DoneKey, isDoneKey } from '../texts/done.ts';
import { renderPage, type Shell } from './layout.tsx';
import type { PageName } from './navigation.ts';
import { type Confirmation, ConfirmPage } from './parts/confirm.tsx';
import { type Form, type FormState, readForm, staleOf, stateOf } from './parts/form.tsx';

type Submit = <S extends z.ZodType>(
  schema: S,
  handle: {
    save(value: z.output<S>): Promise<Response>;
    again(state: FormState): Promise<Html> | Html;
  },
) => Promise<Response>;

/** JSX as hono makes it. */
export type Html = { toString(): string | Promise<string> };

/** A request of somebody who is signed in, with what every page needs at hand. */
export type PageRequest = {
  readonly c: Context<Env>;
  readonly person: Person;
  readonly memberships: readonly Membership[];
  readonly isOperator: boolean;
  /** The path's tenant. Throws on routes that name none. */
  readonly tenant: Tenant;
  /** Roles of the person in the path's tenant; an operator has every right. */
  readonly roles: readonly Role[];
  /** The same in another tenant. */
  rolesIn(tenantId: TenantId): readonly Role[];
  /** A parameter of the path. */
  param(name: string): string;
  /** A parameter of the query, trimmed, at most 1,000 characters; absent when empty. */
  query(name: string): string | undefined;
  /** The request comes from htmx and wants a part of the page. */
  readonly isSwap: boolean;
  /** Fields of the posted form. Throws `malformed`. */
  form(): Promise<Form>;
  shell(active: PageName): Promise<Shell & { readonly tenant: Tenant }>;
  /** The same for pages that belong to no tenant (account, operator). */
  plainShell(active?: PageName): Promise<Shell>;
  show(page: Html, status?: 200 | 404 | 409 | 422): Response;
  fragment(part: Html): Promise<Response>;
  /** 303 to a path of ours, optionally with a sentence of `texts/done.ts` shown on arrival. */
  to(path: string, done?: DoneKey): Response;
  /**
   * Reads the form by its schema and saves. What does not fit, and what the core refuses in words (`invalid`, `conflict`,
   * `too-large` …), shows the form again with everything that was typed and the sentence beside its field.
   */
  readonly submit: Submit;
  /** Destructive actions: null when the person has confirmed, else the page that asks. */
  unconfirmed(active: PageName, confirmation: Confirmation): Promise<Response | null>;
  audit(action: string, subject?: string): Promise<void>;
  /** Counts against a limit per minute; throws `rate-limited`. */
  limit(key: string, perMinute: number): Promise<void>;
};

export type PageHandler = (request: PageRequest) => Promise<Response>;
export type PublicHandler = (
  c: Context<Env>,
  more: {
    readonly address: string;
    limit(key: string, perMinute: number): Promise<void>;
    show(page: Html, status?: 200 | 400 | 410 | 422): Response;
    form(): Promise<Form>;
    /** Like `PageRequest.submit`. */
    readonly submit: Submit;
    /** Somebody may be signed in all the same. */
    shell(): Promise<Shell>;
    /** 303 to a path of ours. */
    to(path: string, done?: DoneKey): Response;
  },
) => Promise<Response>;

/** Where a group of pages registers its routes. Every route names its policy. */
export type Pages = {
  readonly doors: Doors;
  readonly assets: Assets;
  /** What people call workspaces, channels and sources. */
  readonly names: NamesOf;
  get(path: string, policy: SignedIn, handle: PageHandler): void;
  /** `maxBytes`: of the body; default 1 MiB. */
  post(path: string, policy: SignedIn, handle: PageHandler, options?: { readonly maxBytes?: number }): void;
  /** Before sign-in. */
  open(method: 'GET' | 'POST', path: string, handle: PublicHandler): void;
};
type SignedIn = Extract<Policy, `session:${string}`>;

export const createPages = (app: OpenAPIHono<Env>, doors: Doors, assets: Assets, declared: DeclaredRoute[]): Pages => {
  const { core, runtime, config } = doors;
  const addressOf = createClientAddress(config.trustedProxies);
  const publicOrigin = new URL(config.publicUrl).origin;
  const noForgery = csrf({ origin: (origin, c) => origin === publicOrigin || origin === new URL(c.req.url).origin });

  const register = (
    method: 'GET' | 'POST',
    path: string,
    policy: Policy,
    handle: (c: Context<Env>) => Promise<Response>,
    maxBytes: number = limits.json,
  ): void => {
    const route: DeclaredRoute = { method, path, policy };
    declared.push(route);
    const pattern = path.replaceAll(/\{(.+?)\}/g, ':$1');
    app.on([method], [pattern], noForgery, guard(doors, route), limitBody(maxBytes), handle);
  };

  const limit = async (key: string, perMinute: number): Promise<void> => {
    const window = await core.hit(key, perMinute, 60_000);
    if (!window.ok) throw tooMany(window.resetsAt - runtime.clock.now());
  };

  const requestOf = (c: Context<Env>): PageRequest => {
    const actor = c.get('actor');
    if (actor?.kind !== 'person') throw new AppError('unauthenticated', 'Please sign in.');
    const { person, memberships } = actor;
    const isOperator = memberships.some(({ role }) => role === 'operator');
    let form: Promise<Form> | undefined;
    const request: PageRequest = {
      c,
      person,
      memberships,
      isOperator,
      get tenant() {
        const tenant = c.get('tenant');
        if (tenant === undefined) throw new AppError('internal', 'This route names no tenant.');
        return tenant;
      },
      get roles() {
        return request.rolesIn(request.tenant.id);
      },
      rolesIn: (tenantId) =>
        isOperator
          ? ['operator']
          : memberships.filter((membership) => membership.tenantId === tenantId).map(({ role }) => role),
      param: (name) => c.req.param(name) ?? '',
      query: (name) => {
        const value = c.req.query(name)?.trim().slice(0, 1000);
        return value === '' ? undefined : value;
      },
      isSwap: isSwap(c),
      form: () => {
        form ??= formOf(c);
        return form;
      },
      shell: async (active) => ({
        ...(await request.plainShell(active)),
        tenant: request.tenant,
        roles: request.roles,
      }),
      plainShell: async (active) => ({
        assets,
        person,
        isOperator,
        tenants: await tenantsFor(doors, memberships),
        ...(active === undefined ? {} : { active }),
        ...doneOf(c),
      }),
      show: (page, status = 200) => c.html(renderPage(page), status),
      fragment: async (part) => c.html(await String(part)),
      to: (path, done) => c.redirect(done === undefined ? path : withDone(path, done), 303),
      submit: submitOn(c, () => request.form()),
      unconfirmed: async (active, confirmation) => {
        const given = await request.form();
        if (given.get('confirmed') === (confirmation.phrase ?? 'yes')) return null;
        const shell = c.get('tenant') === undefined ? await request.plainShell(active) : await request.shell(active);
        const wrong = confirmation.phrase !== undefined && given.has('confirmed');
        return request.show(
          <ConfirmPage shell={shell} action={c.req.path} given={given} confirmation={confirmation} wrong={wrong} />,
          wrong ? 422 : 200,
        );
      },
      audit: (action, subject) => core.audit(c.get('tenant')?.id ?? null, `user:${person.userId}`, action, subject),
      limit,
    };
    return request;
  };

  return {
    doors,
    assets,
    names: createNames({ ...doors, accounts: doors.auth.accounts }),
    get: (path, policy, handle) => register('GET', path, policy, (c) => handle(requestOf(c))),
    post: (path, policy, handle, { maxBytes } = {}) =>
      register('POST', path, policy, (c) => handle(requestOf(c)), maxBytes),
    open: (method, path, handle) =>
      register(method, path, 'public', (c) =>
        handle(c, {
          address: addressOf(c),
          limit,
          show: (page, status = 200) => c.html(renderPage(page), status),
          form: () => formOf(c),
          submit: submitOn(c, () => formOf(c)),
          shell: async () => ({ assets, person: (await doors.auth.person(c.req.raw.headers)) ?? undefined }),
          to: (path, done) => c.redirect(done === undefined ? path : withDone(path, done), 303),
        }),
      ),
  };
};

/** Whether only a part of a page is asked for. */
export const isSwap = (c: Context): boolean => c.req.header('hx-request') !== undefined;

const submitOn =
  (c: Context<Env>, form: () => Promise<Form>): Submit =>
  async (schema, { save, again }) => {
    const given = await form();
    const read = readForm(schema, given);
    if (!read.ok) return c.html(renderPage(await again(read.state)), 422);
    try {
      return await save(read.value);
    } catch (thrown) {
      if (!isAppError(thrown) || !refusals.has(thrown.code)) throw thrown;
      const { problem, error } = problemOf(thrown, c.req.path);
      const state =
        thrown.code === 'conflict' && thrown.at === undefined
          ? staleOf(given, problem.detail)
          : stateOf(given, thrown.at, problem.detail);
      const response = await c.html(renderPage(await again(state)), thrown.code === 'conflict' ? 409 : 422);
      for (const [name, value] of Object.entries(headersOf(error))) response.headers.set(name, value);
      return response;
    }
  };

/** What the core refuses in words that belong beside the form. */
const refusals: ReadonlySet<string> = new Set([
  'invalid',
  'conflict',
  'too-large',
  'not-found',
  'unreadable-document',
  'address-not-allowed',
]);

/** The tenants whose pages the person may open, by name; an operator's first hundred. */
export const tenantsFor = async (
  { core }: Pick<Doors, 'core'>,
  memberships: readonly Membership[],
): Promise<readonly Tenant[]> => {
  if (memberships.some(({ role }) => role === 'operator')) return (await core.tenants.list({ limit: 100 })).items;
  const ids = new Set(memberships.flatMap(({ tenantId }) => (tenantId === null ? [] : [tenantId])));
  const tenants = await Promise.all([...ids].slice(0, 100).map((tenantId) => core.tenants.get(tenantId)));
  return tenants.filter((tenant) => tenant !== null).sort((a, b) => a.name.localeCompare(b.name));
};

/** Whether somebody with these roles passes a rule. */
export const mayPass = (roles: readonly Role[], rule: keyof typeof rolesFor): boolean =>
  roles.some((role) => role === 'operator' || rolesFor[rule].includes(role));

const withDone = (path: string, done: DoneKey): string => `${path}${path.includes('?') ? '&' : '?'}done=${done}`;
/** Only sentences of ours: the address bar cannot put words on a page. */
const doneOf = (c: Context): { readonly done?: DoneKey } => {
  const done = c.req.query('done');
  return done !== undefined && isDoneKey(done) ? { done } : {};
};
