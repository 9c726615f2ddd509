import { z } from 'zod';
import type { Webhook } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { webhookEvents } from '../../core/ports/notices.ts';
import { texts } from '../texts.ts';
import type { PageRequest, Pages } from './pages.tsx';
import type { Confirmation } from './parts/confirm.tsx';
import { emptyForm, type FormState, formWith } from './parts/form.tsx';
import { WebhookPage, WebhooksPage, webhookPath, webhooksPath } from './webhooks.tsx';

const words = texts.webhooks;

const fields = {
  name: z.string().max(200),
  url: z.string().max(2000),
  events: z.array(z.enum(webhookEvents)).min(1, words.noEvent),
  text: z.literal('on').optional(),
};
const newForm = z.object(fields);
const changeForm = z.object({ ...fields, rev: z.coerce.number().int() });

const shown = 25;

/** Telling other systems what happens here. */
export const addWebhookPages = (pages: Pages): void => {
  const { core } = pages.doors;
  const list = '/console/{tenant}/webhooks';
  const one = `${list}/{webhook}`;

  const listPage = async (request: PageRequest, state: FormState) => (
    <WebhooksPage
      shell={await request.shell('webhooks')}
      webhooks={await core.webhooks.list(request.tenant.id)}
      state={state}
    />
  );
  const onePage = async (
    request: PageRequest,
    webhook: Webhook,
    state: FormState = current(webhook),
    secret?: string,
  ) => {
    const cursor = request.query('cursor');
    const page = await core.webhooks.deliveries(request.tenant.id, webhook.id, {
      limit: shown,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const more =
      page.nextCursor === undefined
        ? undefined
        : `${webhookPath(request.tenant, webhook.id)}?cursor=${encodeURIComponent(page.nextCursor)}`;
    return (
      <WebhookPage
        shell={await request.shell('webhooks')}
        webhook={webhook}
        deliveries={page.items}
        more={more}
        state={state}
        {...(secret === undefined ? {} : { secret })}
      />
    );
  };
  const named = async (request: PageRequest): Promise<Webhook> => {
    const webhook = await core.webhooks.get(request.tenant.id, request.param('webhook'));
    if (webhook === null) throw new AppError('not-found', 'There is no such webhook.');
    return webhook;
  };

  pages.get(list, 'session:admin', async (request) => request.show(await listPage(request, emptyForm)));

  pages.post(list, 'session:admin', async (request) =>
    request.submit(newForm, {
      // Shown in the answer to the form itself: a secret must never stand in an address.
      save: async ({ text, ...input }) => {
        const made = await core.webhooks.create(request.tenant.id, { ...input, text: text === 'on' });
        await request.audit('webhook.create', made.webhook.id);
        return request.show(await onePage(request, made.webhook, current(made.webhook), made.secret));
      },
      again: (state) => listPage(request, state),
    }),
  );

  pages.get(one, 'session:admin', async (request) => request.show(await onePage(request, await named(request))));

  pages.post(one, 'session:admin', async (request) => {
    const webhook = await named(request);
    return request.submit(changeForm, {
      save: async ({ text, rev, ...input }) => {
        await core.webhooks.update(request.tenant.id, webhook.id, { ...input, text: text === 'on' }, rev);
        await request.audit('webhook.update', webhook.id);
        return request.to(webhookPath(request.tenant, webhook.id), 'saved');
      },
      again: (state) => onePage(request, webhook, state),
    });
  });

  pages.post(`${one}/test`, 'session:admin', async (request) => {
    const { id } = await named(request);
    await request.limit(`webhook-test:${request.tenant.id}`, 20);
    await core.webhooks.test(request.tenant.id, id);
    await request.audit('webhook.test', id);
    return request.to(webhookPath(request.tenant, id), 'webhook-tested');
  });

  pages.post(`${one}/pause`, 'session:admin', async (request) => {
    const { id } = await named(request);
    await core.webhooks.pause(request.tenant.id, id);
    await request.audit('webhook.pause', id);
    return request.to(webhookPath(request.tenant, id), 'webhook-paused');
  });

  pages.post(`${one}/resume`, 'session:admin', async (request) => {
    const { id } = await named(request);
    await core.webhooks.resume(request.tenant.id, id);
    await request.audit('webhook.resume', id);
    return request.to(webhookPath(request.tenant, id), 'webhook-resumed');
  });

  const asked = (request: PageRequest, webhook: Webhook, confirmation: Omit<Confirmation, 'back'>) =>
    request.unconfirmed('webhooks', { ...confirmation, back: webhookPath(request.tenant, webhook.id) });

  pages.post(`${one}/secret`, 'session:admin', async (request) => {
    const webhook = await named(request);
    const asks = await asked(request, webhook, {
      title: words.newSecretTitle(webhook.name),
      consequences: words.newSecretConsequences,
      button: words.newSecretButton,
    });
    if (asks !== null) return asks;
    const secret = await core.webhooks.newSecret(request.tenant.id, webhook.id);
    await request.audit('webhook.secret', webhook.id);
    const changed = await named(request);
    return request.show(await onePage(request, changed, current(changed), secret));
  });

  pages.post(`${one}/remove`, 'session:admin', async (request) => {
    const webhook = await named(request);
    const asks = await asked(request, webhook, {
      title: words.removeTitle(webhook.name),
      consequences: words.removeConsequences,
      button: words.removeButton,
    });
    if (asks !== null) return asks;
    await core.webhooks.remove(request.tenant.id, webhook.id);
    await request.audit('webhook.delete', webhook.id);
    return request.to(webhooksPath(request.tenant), 'webhook-removed');
  });
};

const current = ({ name, url, events, text }: Webhook): FormState => formWith({ name, url, events, text });
