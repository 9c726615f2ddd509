import { z } from '@hono/zod-openapi';
import { id, money, rev, seenRev, time } from './fields.ts';

const day = z.union([z.iso.date(), z.iso.datetime({ offset: true })]);
export const usageQuery = z.object({
  from: day.optional().openapi({ description: 'First moment; default: the first of this month, UTC' }),
  to: day.optional().openapi({ description: 'First moment that no longer counts; default: now' }),
  group: z.enum(['day', 'member', 'channel', 'platform', 'model', 'source']).default('day'),
  format: z.enum(['json', 'csv']).default('json'),
});
export const ledgerQuery = usageQuery.omit({ group: true });

const decimal = z.string().regex(/^\d{1,9}(\.\d{1,9})?$/, 'a decimal number as text, like "12.50"');
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const grace = z
  .object({ percent: z.int().min(1).max(100).optional(), until: time.optional() })
  .optional()
  .openapi({
    description:
      'What may be used beyond the limit: `percent` alone so much more always, `until` alone everything before that moment, both so much more before it',
  });
const limitBase = {
  scope: z.enum(['tenant', 'channel', 'member']),
  id: id.optional(),
  per: z.enum(['day', 'month']),
  grace,
};
export const quotaInput = z.object({
  limits: z
    .array(
      z.discriminatedUnion('unit', [
        z.object({ ...limitBase, unit: z.literal('tokens'), limit: count }),
        z.object({ ...limitBase, unit: z.literal('questions'), limit: count }),
        z.object({
          ...limitBase,
          unit: z.literal('money'),
          limit: z.union([decimal, z.object({ amount: decimal, currency: z.string() })]),
        }),
      ]),
    )
    .max(200),
  rev: seenRev,
});
const amount = z.union([z.number(), money]);
export const quotas = z.object({
  rev,
  limits: z.array(
    z.object({
      ...limitBase,
      unit: z.enum(['tokens', 'questions', 'money']),
      limit: amount,
      used: amount,
      resetsAt: time,
    }),
  ),
});

const usageFigures = {
  questions: z.int(),
  promptTokens: z.int(),
  completionTokens: z.int(),
  embeddingTokens: z.int(),
  cost: money.nullable().openapi({ description: 'null: no price is known' }),
  costIncomplete: z.boolean().openapi({ description: 'true: some price is unknown, the cost is a lower bound' }),
};
export const usage = z.object({
  from: time,
  to: time,
  group: z.string(),
  rows: z.array(z.object({ key: z.string(), ...usageFigures })),
  total: z.object(usageFigures),
});

export const ledger = z.object({
  entries: z.array(
    z.object({
      id: z.string(),
      at: z.iso.datetime(),
      kind: z.string(),
      model: z.string().nullable(),
      promptTokens: z.int(),
      completionTokens: z.int(),
      embeddingTokens: z.int(),
      price: z
        .object({
          inputPerMillion: z.string(),
          outputPerMillion: z.string(),
          currency: z.string(),
          from: z.string(),
          origin: z.string(),
        })
        .nullable(),
      cost: money.nullable(),
      platform: z.string(),
      channelId: z.string().nullable(),
      memberId: z.string().nullable(),
      sourceId: z.string().nullable(),
      answerId: z.string().nullable(),
    }),
  ),
});
