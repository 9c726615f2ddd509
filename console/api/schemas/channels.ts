import { z } from '@hono/zod-openapi';
import { id, rev, seenRev, some, tenantPath } from './fields.ts';

export const channelPath = tenantPath.extend({
  platform: z.enum(['slack', 'discord', 'teams', 'api', 'console']),
  channel: id,
});

const people = z.array(z.string().min(1).max(200)).max(1000);
/** The rules of a channel; for a tenant, what its channels inherit. */
export const rulesInput = z.object({
  enabled: z.boolean().optional(),
  answerWhen: z.enum(['mention', 'question', 'every']).optional(),
  sources: some(id).optional(),
  instructions: z.string().max(4000).optional(),
  language: z.string().max(35).optional(),
  replies: z.enum(['public', 'private']).optional(),
  whoMayAsk: people.optional(),
  audience: z.enum(['everybody', 'members']).optional().openapi({
    description: 'Who can read the channel; where everybody can, public answers use only sources meant for everybody',
  }),
  guests: z.enum(['refuse', 'limit']).optional().openapi({
    description: 'Guests and outsiders: not answered, or answered from sources meant for everybody',
  }),
  bots: people.optional().openapi({ description: 'Bot users that may ask' }),
  humans: people.optional().openapi({
    description: 'Whom “I need a human” calls: user ids, or one channel as `#id`',
  }),
});

const origin = z.enum(['channel', 'tenant', 'default']);
const ruled = (value: z.ZodType) => z.object({ value: value.nullable(), origin });
export const rulesChange = rulesInput.extend({ rev: seenRev });
export const rules = z
  .object({
    rev,
    enabled: ruled(z.boolean()),
    answerWhen: ruled(z.string()),
    sources: ruled(z.array(z.string())),
    instructions: ruled(z.string()),
    language: ruled(z.string()),
    replies: ruled(z.string()),
    whoMayAsk: ruled(z.array(z.string())),
    audience: ruled(z.string()),
    guests: ruled(z.string()),
    bots: ruled(z.array(z.string())),
    humans: ruled(z.array(z.string())),
  })
  .openapi('ChannelRules');
