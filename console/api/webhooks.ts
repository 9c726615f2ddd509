import type { Notice, Webhook } from '../../core/domain.ts';
import type { HttpParts } from '../guard.ts';
import type { Operations } from './operation.ts';
import { found, iso, isoOrNull, revOf } from './render.ts';
import { pageQuery, tenantPath } from './schemas/fields.ts';
import * as schemas from './schemas/webhooks.ts';
import { defined, pageOf } from './tenants.ts';

const base = '/api/v1/tenants/{slug}';

export const addWebhooks = ({ add }: Operations, { core }: HttpParts): void => {
  const tag = 'Webhooks';
  add(
    {
      method: 'post',
      path: `${base}/webhooks`,
      policy: 'key:admin',
      tag,
      summary: 'Create a webhook',
      audit: 'webhook.create',
      description:
        'Messages are signed by the Standard Webhooks specification (HMAC-SHA256 over id, timestamp and body). They come at least once; the id stays the same over all tries.',
      params: tenantPath,
      body: schemas.webhookInput,
      answers: { 201: schemas.newWebhook },
    },
    async ({ c, body }) => {
      const { webhook, secret } = await core.webhooks.create(c.get('tenant').id, body);
      return c.json({ ...renderWebhook(webhook), secret }, 201);
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/webhooks`,
      policy: 'key:admin',
      tag,
      summary: 'List webhooks',
      params: tenantPath,
      answers: { 200: schemas.webhooks },
    },
    async ({ c }) =>
      c.json({ webhooks: (await core.webhooks.list(c.get('tenant').id)).map(renderWebhook), nextCursor: null }),
  );
  add(
    {
      method: 'get',
      path: `${base}/webhooks/{webhook}`,
      policy: 'key:admin',
      tag,
      summary: 'Read a webhook',
      params: schemas.webhookPath,
      answers: { 200: schemas.webhook },
    },
    async ({ c, params }) =>
      c.json(renderWebhook(found(await core.webhooks.get(c.get('tenant').id, params.webhook), 'webhook'))),
  );
  add(
    {
      method: 'patch',
      path: `${base}/webhooks/{webhook}`,
      policy: 'key:admin',
      tag,
      summary: 'Change, pause or resume a webhook',
      audit: 'webhook.update',
      params: schemas.webhookPath,
      body: schemas.webhookPatch,
      answers: { 200: schemas.webhook },
    },
    async ({ c, params, body: { paused, rev, ...input } }) => {
      const tenantId = c.get('tenant').id;
      let webhook = found(await core.webhooks.get(tenantId, params.webhook), 'webhook');
      // With a revision also when it is only paused: then it is held against what stands.
      if (rev !== undefined || Object.values(input).some((value) => value !== undefined))
        webhook = await core.webhooks.update(tenantId, webhook.id, defined(input), revOf(rev));
      if (paused !== undefined)
        webhook = await (paused ? core.webhooks.pause : core.webhooks.resume)(tenantId, webhook.id);
      return c.json(renderWebhook(webhook));
    },
  );
  add(
    {
      method: 'delete',
      path: `${base}/webhooks/{webhook}`,
      policy: 'key:admin',
      tag,
      summary: 'Remove a webhook and its log',
      audit: 'webhook.delete',
      params: schemas.webhookPath,
      answers: { 204: null },
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      found(await core.webhooks.get(tenantId, params.webhook), 'webhook');
      await core.webhooks.remove(tenantId, params.webhook);
      return c.body(null, 204);
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/webhooks/{webhook}/secret`,
      policy: 'key:admin',
      tag,
      summary: 'Make a new secret',
      audit: 'webhook.secret',
      description: 'The one before is good no longer, from the next message on.',
      params: schemas.webhookPath,
      answers: { 201: schemas.newSecret },
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      found(await core.webhooks.get(tenantId, params.webhook), 'webhook');
      return c.json({ secret: await core.webhooks.newSecret(tenantId, params.webhook) }, 201);
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/webhooks/{webhook}/test`,
      policy: 'key:admin',
      tag,
      summary: 'Send a test',
      audit: 'webhook.test',
      description: 'One `webhook.test` message, tried once; its outcome stands in the log of deliveries.',
      params: schemas.webhookPath,
      answers: { 202: schemas.deliveryStarted },
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      found(await core.webhooks.get(tenantId, params.webhook), 'webhook');
      return c.json({ delivery: { id: (await core.webhooks.test(tenantId, params.webhook)).id } }, 202);
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/webhooks/{webhook}/deliveries`,
      policy: 'key:admin',
      tag,
      summary: 'List what was sent, newest first',
      description: 'Kept for 35 days, without what was in the messages.',
      params: schemas.webhookPath,
      query: pageQuery,
      answers: { 200: schemas.deliveries },
    },
    async ({ c, params, query }) => {
      const tenantId = c.get('tenant').id;
      found(await core.webhooks.get(tenantId, params.webhook), 'webhook');
      const page = await core.webhooks.deliveries(tenantId, params.webhook, pageOf(query));
      return c.json({ deliveries: page.items.map(renderDelivery), nextCursor: page.nextCursor ?? null });
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/retention`,
      policy: 'key:admin',
      tag: 'Tenants',
      summary: 'Read what retention removed',
      params: tenantPath,
      answers: { 200: schemas.retention },
    },
    async ({ c }) => {
      const { id, settings } = c.get('tenant');
      const runs = await core.retentionRuns(id);
      return c.json({
        days: settings.retentionDays ?? null,
        runs: runs.map(({ day, at, receipts, turns }) => ({ day, at: iso(at), answers: receipts, turns })),
      });
    },
  );
};

const renderWebhook = (webhook: Webhook) => ({
  id: webhook.id,
  name: webhook.name,
  url: webhook.url,
  events: webhook.events,
  text: webhook.text,
  createdAt: iso(webhook.createdAt),
  paused:
    webhook.paused === undefined
      ? null
      : { at: iso(webhook.paused.at), by: webhook.paused.by, why: webhook.paused.why ?? null },
  failingSince: isoOrNull(webhook.failingSince),
  lastDeliveredAt: isoOrNull(webhook.lastDeliveredAt),
  rev: String(webhook.rev),
});

const renderDelivery = (notice: Notice) => ({
  id: notice.id,
  event: notice.event,
  state: notice.state,
  attempts: notice.attempts,
  createdAt: iso(notice.createdAt),
  lastAt: isoOrNull(notice.lastAt),
  nextAt: notice.state === 'waiting' ? iso(notice.nextAt) : null,
  status: notice.status ?? null,
  problem: notice.problem ?? null,
  tookMs: notice.tookMs ?? null,
});
