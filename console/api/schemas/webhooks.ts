import { z } from '@hono/zod-openapi';
import { webhookEvents } from '../../../core/ports/notices.ts';
import { id, name, nextCursor, rev, seenRev, tenantPath, time, webUrl } from './fields.ts';

export const webhookPath = tenantPath.extend({ webhook: id });

const webhookShape = {
  name,
  url: webUrl,
  events: z.array(z.enum(webhookEvents)).min(1).max(webhookEvents.length),
  text: z.boolean().openapi({ description: 'Whether questions, answers and comments go along' }),
};
export const webhookInput = z.object({ ...webhookShape, text: webhookShape.text.default(false) });
export const webhookPatch = z
  .object({ ...webhookShape, paused: z.boolean(), rev: seenRev })
  .partial()
  .openapi({ description: '`paused: true` stops it, `false` lets it go on' });
const webhookFields = {
  id: z.string(),
  ...webhookShape,
  createdAt: time,
  paused: z
    .object({ at: time, by: z.enum(['people', 'failures']), why: z.string().nullable() })
    .nullable()
    .openapi({ description: 'By failures: nothing could be delivered for three days' }),
  failingSince: time.nullable(),
  lastDeliveredAt: time.nullable(),
  rev,
};
export const webhook = z.object(webhookFields).openapi('Webhook');
export const newWebhook = z
  .object({ ...webhookFields, secret: z.string().openapi({ description: 'Shown this once.' }) })
  .openapi('NewWebhook');
export const newSecret = z.object({ secret: z.string().openapi({ description: 'Shown this once.' }) });
export const webhooks = z.object({ webhooks: z.array(webhook), nextCursor });
const delivery = z
  .object({
    id: z.string().openapi({ description: 'Also the `webhook-id` of every try' }),
    event: z.string(),
    state: z.enum(['waiting', 'delivered', 'failed']),
    attempts: z.int(),
    createdAt: time,
    lastAt: time.nullable(),
    nextAt: time.nullable(),
    status: z.int().nullable().openapi({ description: 'What the receiver answered by HTTP' }),
    problem: z.string().nullable(),
    tookMs: z.number().nullable(),
  })
  .openapi('Delivery');
export const deliveryStarted = z.object({ delivery: z.object({ id: z.string() }) });
export const deliveries = z.object({ deliveries: z.array(delivery), nextCursor });

export const retention = z.object({
  days: z.int().nullable().openapi({ description: 'null: kept for ever' }),
  runs: z.array(z.object({ day: z.iso.date(), at: time, answers: z.int(), turns: z.int() })),
});
