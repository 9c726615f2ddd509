import { z } from 'zod';
import type { ChannelRules } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { type FormState, formWith } from './parts/form.tsx';

const words = texts.channels;

const people = z
  .string()
  .max(20_000)
  .transform((text) =>
    text
      .split(/[\n,]/)
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  )
  .refine((lines) => lines.length <= 200, words.tooMany)
  .optional();

/** Rules as they are typed: an empty field is inherited. */
export const rulesForm = z
  .object({
    enabled: z.enum(['on', 'off']).optional(),
    answerWhen: z.enum(['mention', 'question', 'every']).optional(),
    sourcesFrom: z.literal('chosen').optional(),
    sources: z.array(z.string().max(200)).max(500),
    instructions: z.string().max(4000).optional(),
    language: z
      .string()
      .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, words.notLanguage)
      .optional(),
    replies: z.enum(['public', 'private']).optional(),
    whoMayAsk: people,
    audience: z.enum(['everybody', 'members']).optional(),
    guests: z.enum(['refuse', 'limit']).optional(),
    bots: people,
    humans: people,
    accepted: z.literal('on').optional(),
    preview: z.literal('on').optional(),
    seen: z.string().max(100).optional(),
    rev: z.coerce.number().int().optional(),
  })
  .refine(({ sourcesFrom, sources }) => sourcesFrom === undefined || sources.length > 0, {
    path: ['sources'],
    message: words.chooseSource,
  });

export const rulesIn = (typed: z.output<typeof rulesForm>): ChannelRules => {
  const { enabled, sourcesFrom, sources, accepted: _, preview: _p, seen: _s, rev: _r, ...plain } = typed;
  const rules: { -readonly [K in keyof ChannelRules]: ChannelRules[K] | undefined } = {
    ...plain,
    ...(enabled === undefined ? {} : { enabled: enabled === 'on' }),
    ...(sourcesFrom === undefined ? {} : { sources }),
  };
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined)) as ChannelRules;
};

export const stateWith = (rules: ChannelRules): FormState =>
  formWith({
    ...rules,
    enabled: rules.enabled === undefined ? undefined : rules.enabled ? 'on' : 'off',
    sourcesFrom: rules.sources === undefined ? undefined : 'chosen',
    whoMayAsk: rules.whoMayAsk?.join('\n'),
    bots: rules.bots?.join('\n'),
    humans: rules.humans?.join('\n'),
  });
