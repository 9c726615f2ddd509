import { z } from '@hono/zod-openapi';
import { maskedKinds } from '../../../core/text/mask.ts';
import { longestMessage } from '../../../core/text/messages.ts';
import { rulesInput } from './channels.ts';
import { id, name, nextCursor, rev, seenRev, slug, tenantPath, time } from './fields.ts';

export const keyPath = tenantPath.extend({ key: id });
export const memberPath = tenantPath.extend({ member: id });

const price = z.object({
  model: name,
  currency: z.string().regex(/^[A-Z]{3}$/),
  inputPerMillion: z.string().regex(/^\d{1,9}(\.\d{1,9})?$/),
  outputPerMillion: z.string().regex(/^\d{1,9}(\.\d{1,9})?$/),
  from: z.iso.date(),
  origin: z.literal('tenant').default('tenant'),
});

const tenantSettings = z.object({
  instructions: z.string().max(4000).optional(),
  language: z.string().max(35).optional(),
  keepText: z.boolean().optional(),
  retentionDays: z.int().min(1).max(36_500).optional(),
  prices: z.array(price).max(200).optional(),
  channels: rulesInput.optional().openapi({ description: 'What every channel inherits unless it says otherwise' }),
  messages: z
    .record(z.string().regex(/^[a-z]{2,3}$/), z.record(z.string().max(40), z.string().max(longestMessage)))
    .nullish()
    .openapi({ description: 'The bot’s own sentences, by language and name; null: all in our words again' }),
  chatModel: z.string().max(200).nullish().openapi({ description: 'One of CHAT_MODELS; null: the deployment’s own' }),
  retrieval: z
    .object({
      passages: z.int().min(3).max(20).optional(),
      floor: z.enum(['open', 'balanced', 'strict']).optional(),
      meaning: z.number().min(0.1).max(0.9).optional(),
    })
    .nullish(),
  masking: z
    .object({ kinds: z.array(z.enum(maskedKinds)).max(10), beforeModel: z.boolean().optional() })
    .nullish()
    .openapi({ description: 'Personal data that is masked in what is kept, and before the model if so chosen' }),
  quotaWarnings: z
    .object({
      at: z.array(z.int().min(1).max(100)).min(1).max(5),
      to: z
        .array(
          z.object({
            platform: z.enum(['slack', 'discord', 'teams']),
            workspaceId: z.string().min(1).max(200),
            channelId: z.string().min(1).max(200).optional(),
            userId: z.string().min(1).max(200).optional(),
          }),
        )
        .max(20),
    })
    .nullish()
    .openapi({ description: 'Percentages of a limit, and who is told by a chat message when they are reached' }),
});
export const tenantInput = z.object({ slug, name });
export const tenantPatch = z.object({ name: name.optional(), settings: tenantSettings.optional(), rev: seenRev });
export const tenant = z
  .object({ id: z.string(), slug: z.string(), name: z.string(), createdAt: time, settings: z.looseObject({}), rev })
  .openapi('Tenant');
export const tenants = z.object({ tenants: z.array(tenant), nextCursor });

const scope = z.enum(['ask', 'ingest', 'billing', 'admin']);
export const keyInput = z.object({ name, scopes: z.array(scope).min(1).max(4) });
export const newKey = z.object({ id: z.string(), key: z.string().openapi({ description: 'Shown this once.' }) });
export const keys = z.object({
  keys: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      scopes: z.array(scope),
      createdAt: time,
      lastUsedAt: time.optional(),
    }),
  ),
  nextCursor,
});
