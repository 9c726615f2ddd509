import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { csrf } from 'hono/csrf';
import { html } from 'hono/html';
import { streamSSE } from 'hono/streaming';
import type { AskInput } from '../../core/core.ts';
import type { Receipt, Tenant } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { answerEvents } from '../answer-events.ts';
import type { Assets } from '../assets.ts';
import { createClientAddress } from '../client-address.ts';
import { type Actor, type Doors, type Env, guard, type HttpParts, limitBody, limits, tooMany } from '../guard.ts';
import { type DeclaredRoute, type Policy, rolesFor } from '../policy.ts';
import { problemOf } from '../problem.ts';
import { watchAccess } from '../revocation.ts';
import { texts } from '../texts.ts';
import { AnswerCard, anchorOf, growingHtml, receiptPath } from './answer-view.tsx';
import { AnswerRows, type AnswersFilter, AnswersPage, AnswersSection } from './answers.tsx';
import { AskPage, NoTenantPage } from './ask.tsx';
import { renderPage, type Shell } from './layout.tsx';
import { ReceiptPage } from './receipt.tsx';
import { SignInPage } from './sign-in.tsx';

type Handler = (c: Context<Env>) => Promise<Response>;
type Person = Extract<Actor, { kind: 'person' }>;

/** Registers the pages. Every one of them names its policy. */
export const addPages = (app: OpenAPIHono<Env>, parts: Doors, assets: Assets, declared: DeclaredRoute[]): void => {
  const { core, auth, runtime, config } = parts;
  const clientAddress = createClientAddress(config.trustedProxies);
  const publicOrigin = new URL(config.publicUrl).origin;
  const noForgery = csrf({ origin: (origin, c) => origin === publicOrigin || origin === new URL(c.req.url).origin });

  const add = (method: 'GET' | 'POST', path: string, policy: Policy, handle: Handler): void => {
    const route: DeclaredRoute = { method, path, policy };
    declared.push(route);
    const pattern = path.replaceAll(/\{(.+?)\}/g, ':$1');
    app.on([method], [pattern], noForgery, guard(parts, route), limitBody(limits.json), handle);
  };

  const limit = async (key: string, count: number): Promise<void> => {
    const window = await core.hit(key, count, 60_000);
    if (!window.ok) throw tooMany(window.resetsAt - runtime.clock.now());
  };

  /** The tenants that the person may ask, by name. */
  const tenantsOf = async ({ memberships }: Person): Promise<readonly Tenant[]> => {
    if (isOperator(memberships)) return (await core.tenants.list({ limit: 100 })).items;
    const readable = memberships.filter(({ tenantId, role }) => tenantId !== null && rolesFor.viewer.includes(role));
    const tenants = await Promise.all(readable.slice(0, 100).map(({ tenantId }) => core.tenants.get(tenantId ?? '')));
    return tenants.filter((tenant) => tenant !== null).sort((a, b) => a.name.localeCompare(b.name));
  };

  const shellOf = async (c: Context<Env>, active: NonNullable<Shell['active']>, tenant: Tenant) => {
    const actor = personOf(c);
    return { assets, person: actor.person, tenants: await tenantsOf(actor), tenant, active };
  };

  add('GET', '/', 'public', async (c) => c.redirect('/console', 302));

  add('GET', '/console/assets/{hash}/{name}', 'public', async (c) => {
    const response = assets.respond(
      c.req.param('hash') ?? '',
      c.req.param('name') ?? '',
      c.req.header('accept-encoding'),
    );
    return response ?? c.notFound();
  });

  add('GET', '/console/sign-in', 'public', async (c) => {
    const person = (await auth.person(c.req.raw.headers)) ?? undefined;
    const signedOut = c.req.query('signed-out') !== undefined && person === undefined;
    return c.html(
      renderPage(
        <SignInPage
          shell={{ assets, person }}
          publicUrl={config.publicUrl}
          {...(signedOut ? { reason: 'signed-out' as const } : {})}
        />,
      ),
    );
  });

  add('GET', '/console/sign-in/{token}', 'public', async (c) => {
    // Link scanners and previews look before the person does: looking must not spend the link.
    const purpose = `${c.req.header('purpose') ?? ''} ${c.req.header('sec-purpose') ?? ''}`;
    if (c.req.method === 'HEAD' || /prefetch|preview|prerender/i.test(purpose)) return c.body(null, 204);
    await limit(`sign-in:${clientAddress(c)}`, 20);
    const cookies = await auth.redeem(c.req.param('token') ?? '', c.req.raw.headers);
    if (cookies === null) {
      const person = (await auth.person(c.req.raw.headers)) ?? undefined;
      return c.html(
        renderPage(<SignInPage shell={{ assets, person }} publicUrl={config.publicUrl} reason="used" />),
        410,
      );
    }
    for (const cookie of cookies) c.header('set-cookie', cookie, { append: true });
    return c.redirect('/console', 303);
  });

  add('POST', '/console/sign-out', 'session:any', async (c) => {
    for (const cookie of await auth.signOut(c.req.raw.headers)) c.header('set-cookie', cookie, { append: true });
    return c.redirect('/console/sign-in?signed-out', 303);
  });

  add('GET', '/console', 'session:any', async (c) => {
    const actor = personOf(c);
    const tenants = await tenantsOf(actor);
    const wanted = c.req.query('tenant');
    const tenant = wanted === undefined ? tenants[0] : await namedTenant(actor, tenants, wanted);
    if (tenant === undefined) {
      return c.html(
        renderPage(
          <NoTenantPage
            shell={{ assets, person: actor.person, active: 'ask' }}
            isOperator={isOperator(actor.memberships)}
          />,
        ),
      );
    }
    const documents = await core.documents.list(tenant.id, {}, { limit: 1 });
    const shell = { assets, person: actor.person, tenants, tenant, active: 'ask' as const };
    return c.html(renderPage(<AskPage shell={shell} modes={core.modes} hasDocuments={documents.items.length > 0} />));
  });

  /** A tenant beyond the first hundred is still an operator's to ask. */
  const namedTenant = async (actor: Person, tenants: readonly Tenant[], slug: string): Promise<Tenant> => {
    const listed = tenants.find((tenant) => tenant.slug === slug);
    const tenant = listed ?? (isOperator(actor.memberships) ? await core.tenants.bySlug(slug) : null);
    if (tenant === null) throw new AppError('not-found', 'There is no such tenant.');
    return tenant;
  };

  add('POST', '/console/{tenant}/ask', 'session:viewer', async (c) => {
    const { person } = personOf(c);
    await limit(`person:${person.userId}`, 60);
    const tenant = c.get('tenant');
    const form = await readForm(c);
    const question = form('question').trim();
    if (question === '') throw new AppError('invalid', 'Write a question first.', { at: 'question' });
    const conversationId = form('conversationId');
    const input: AskInput = {
      question,
      platform: 'console',
      user: person.userId,
      traceId: c.get('requestId'),
      ...(conversationId === '' ? {} : { conversationId }),
    };
    if (/text\/event-stream/i.test(c.req.header('accept') ?? '')) return streamTurn(c, parts, tenant, input);
    const receipt = await core.ask(tenant.id, input, {
      signal: AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(120_000)]),
    });
    return c.redirect(receiptPath(tenant, receipt.answerId), 303);
  });

  add('GET', '/console/{tenant}/answers', 'session:viewer', async (c) => {
    const tenant = c.get('tenant');
    const cursor = c.req.query('cursor');
    const filter: AnswersFilter = {
      ...textQuery('outcome', c.req.query('outcome'), 64),
      ...textQuery('q', c.req.query('q'), 1000),
    };
    const page = await core.answers.list(tenant.id, filter, {
      limit: 25,
      ...(cursor === undefined ? {} : { cursor: cursor.slice(0, 2048) }),
    });
    const props = { tenant, page, filter };
    const swapped = c.req.header('hx-request') !== undefined;
    if (swapped)
      return c.html(await (cursor === undefined ? <AnswersSection {...props} /> : <AnswerRows {...props} />));
    return c.html(
      renderPage(
        <AnswersPage
          shell={await shellOf(c, 'answers', tenant)}
          page={page}
          filter={filter}
          isFirst={cursor === undefined}
        />,
      ),
    );
  });

  const receiptOf = async (c: Context<Env>): Promise<Receipt> => {
    const receipt = await core.answers.get(c.get('tenant').id, c.req.param('answer') ?? '');
    if (receipt === null) throw new AppError('not-found', 'There is no such answer.');
    return receipt;
  };

  add('GET', '/console/{tenant}/answers/{answer}', 'session:viewer', async (c) => {
    const receipt = await receiptOf(c);
    return c.html(renderPage(<ReceiptPage shell={await shellOf(c, 'answers', c.get('tenant'))} receipt={receipt} />));
  });

  add('POST', '/console/{tenant}/answers/{answer}/feedback', 'session:viewer', async (c) => {
    const tenant = c.get('tenant');
    const receipt = await receiptOf(c);
    const form = await readForm(c);
    const rating = form('rating');
    if (rating !== 'up' && rating !== 'down')
      throw new AppError('invalid', 'The rating is "up" or "down".', { at: 'rating' });
    await core.answers.feedback(tenant.id, receipt.answerId, { rating, user: personOf(c).person.userId });
    if (c.req.header('hx-request') === undefined) return c.redirect(receiptPath(tenant, receipt.answerId), 303);
    return c.html(html`<p class="thanks" role="status">${texts.answer.thanks}</p>`);
  });
};

/** At most one rendering of the growing answer per this time; the last words come with the finished card. */
const renderEveryMs = 90;

/** A turn as events: `status {text}`, `answer {html}` while it grows, then `done {html, conversationId}` or `failed {text}`. */
const streamTurn = async (
  c: Context<Env>,
  { core, runtime }: HttpParts,
  tenant: Tenant,
  input: AskInput,
): Promise<Response> => {
  const gone = new AbortController();
  const access = watchAccess(c, runtime);
  const signal = AbortSignal.any([c.req.raw.signal, gone.signal, access.revoked, AbortSignal.timeout(120_000)]);
  const events = answerEvents((hooks) => core.ask(tenant.id, input, { ...hooks, signal }), access.revoked);
  const response = streamSSE(c, async (stream) => {
    stream.onAbort(() => {
      gone.abort();
      access.stop();
    });
    const send = (event: string, data: object) => stream.writeSSE({ event, data: JSON.stringify(data) });
    let markdown = '';
    let renderedAt = 0;
    for await (const event of events) {
      switch (event.type) {
        case 'status':
          await send('status', { text: event.text });
          break;
        case 'delta': {
          markdown += event.text;
          const now = runtime.clock.now();
          if (now - renderedAt < renderEveryMs && renderedAt !== 0) break;
          renderedAt = now;
          await send('answer', { html: growingHtml(markdown) });
          break;
        }
        case 'done':
          await send('done', {
            html: String(<AnswerCard tenant={tenant} receipt={event.receipt} />),
            conversationId: event.receipt.conversationId,
            anchor: anchorOf(event.receipt),
          });
          break;
        case 'failed': {
          const { problem, error } = problemOf(event.error, c.req.path);
          if (error.code === 'internal')
            runtime.log.error('console ask failed', { requestId: c.get('requestId'), error: String(error.cause) });
          await send('failed', { text: problem.detail });
        }
      }
    }
    access.stop();
  });
  response.headers.set('x-accel-buffering', 'no');
  return response;
};

const isOperator = (memberships: Person['memberships']): boolean => memberships.some(({ role }) => role === 'operator');

const personOf = (c: Context<Env>): Person => {
  const actor = c.get('actor');
  if (actor?.kind !== 'person') throw new AppError('unauthenticated', 'Please sign in.');
  return actor;
};

const textQuery = (name: 'outcome' | 'q', value: string | undefined, max: number): AnswersFilter =>
  value === undefined || value.trim() === '' ? {} : { [name]: value.trim().slice(0, max) };

/** The text fields of a form; files and missing fields are the empty text. */
const readForm = async (c: Context): Promise<(name: string) => string> => {
  try {
    const form = await c.req.formData();
    return (name) => {
      const value = form.get(name);
      return typeof value === 'string' ? value : '';
    };
  } catch (error) {
    throw new AppError('malformed', 'The form cannot be read.', { cause: error });
  }
};
