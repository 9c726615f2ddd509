import type { Core, WebhookInput } from '../core.ts';
import type { Webhook } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import type { Sealer } from '../security/seal.ts';
import { webhookSecretOf } from '../security/sign-webhook.ts';
import { type Notices, noticeFor } from './notices.ts';

const most = 20;

/** Binds a sealed secret to its webhook. */
export const secretContext = ({ tenantId, id }: Pick<Webhook, 'tenantId' | 'id'>): string =>
  `webhook:${tenantId}:${id}`;

/** A tenant's webhooks: made, changed, tried, paused. */
export const createWebhooks = (parts: {
  readonly state: StateStore;
  readonly runtime: Runtime;
  readonly sealer: Sealer;
  readonly notices: Pick<Notices, 'forget' | 'added'>;
}): Core['webhooks'] => {
  const { state, runtime, sealer, notices } = parts;
  const { webhooks } = state;
  const { clock, random } = runtime;

  const need = async (tenantId: string, webhookId: string): Promise<Webhook> => {
    const webhook = await webhooks.get(tenantId, webhookId);
    if (webhook === null) throw new AppError('not-found', 'There is no such webhook.');
    return webhook;
  };
  const change = async (
    tenantId: string,
    webhookId: string,
    rev: number | undefined,
    patch: Parameters<StateStore['webhooks']['update']>[3],
  ): Promise<Webhook> => {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const current = await need(tenantId, webhookId);
      const updated = await webhooks.update(tenantId, webhookId, rev ?? current.rev, patch);
      notices.forget(tenantId);
      if (updated !== null && updated !== 'stale') return updated;
      if (updated === 'stale' && rev !== undefined) break;
    }
    throw new AppError(
      'conflict',
      'Somebody else changed this webhook meanwhile. Read it again and repeat the change.',
    );
  };

  return {
    list: (tenantId) => webhooks.list(tenantId),
    get: (tenantId, webhookId) => webhooks.get(tenantId, webhookId),
    create: async (tenantId, input) => {
      const list = await webhooks.list(tenantId);
      if (list.length >= most)
        throw new AppError('conflict', `There are ${most} webhooks already, which is the most. Remove one first.`);
      if (list.some(({ name }) => name === input.name.trim()))
        throw new AppError('conflict', 'There is a webhook of this name already.', { at: 'name' });
      const id = `wh_${random.hex(12)}`;
      const secret = webhookSecretOf(random.hex(32));
      const webhook: Webhook = {
        id,
        tenantId,
        ...checked(input),
        sealedSecret: sealer.seal(secret, secretContext({ tenantId, id })),
        createdAt: clock.now(),
        rev: 0,
      };
      await webhooks.create(webhook);
      notices.forget(tenantId);
      return { webhook, secret };
    },
    update: async (tenantId, webhookId, input, rev) =>
      change(tenantId, webhookId, rev, checked({ ...(await need(tenantId, webhookId)), ...input })),
    pause: (tenantId, webhookId) =>
      change(tenantId, webhookId, undefined, { paused: { at: clock.now(), by: 'people' } }),
    resume: (tenantId, webhookId) => change(tenantId, webhookId, undefined, { paused: null }),
    newSecret: async (tenantId, webhookId) => {
      const secret = webhookSecretOf(random.hex(32));
      await change(tenantId, webhookId, undefined, {
        sealedSecret: sealer.seal(secret, secretContext({ tenantId, id: webhookId })),
      });
      return secret;
    },
    remove: async (tenantId, webhookId) => {
      if (!(await webhooks.remove(tenantId, webhookId))) throw new AppError('not-found', 'There is no such webhook.');
      notices.forget(tenantId);
    },
    test: async (tenantId, webhookId) => {
      const webhook = await need(tenantId, webhookId);
      const notice = noticeFor(webhook, {
        id: random.hex(16),
        tenantId,
        event: 'webhook.test',
        at: clock.now(),
        data: { webhookId, message: 'This is a test.' },
      });
      await state.notices.add(tenantId, [notice]);
      notices.added();
      return notice;
    },
    deliveries: async (tenantId, webhookId, page) => {
      await need(tenantId, webhookId);
      return state.notices.list(tenantId, webhookId, page);
    },
    delivery: (tenantId, noticeId) => state.notices.get(tenantId, noticeId),
  };
};

/** Whether the address may be reached at all is judged when it is, at the connection. */
const checked = ({ name, url, events, text }: WebhookInput): WebhookInput => {
  if (name.trim() === '') throw new AppError('invalid', 'A webhook needs a name.', { at: 'name' });
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:'))
    throw new AppError('invalid', 'A complete address is needed, such as https://example.com/footnote.', { at: 'url' });
  if (parsed.username !== '' || parsed.password !== '')
    throw new AppError(
      'invalid',
      'An address with a user name or password is not used; the signature says who calls.',
      {
        at: 'url',
      },
    );
  if (events.length === 0) throw new AppError('invalid', 'Choose at least one event.', { at: 'events' });
  return { name: name.trim(), url: parsed.href, events: [...new Set(events)], text };
};
