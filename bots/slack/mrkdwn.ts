import type { InboundEvent, Mention } from '../../core/domain.ts';

/**
 * Slack's inbound text ("mrkdwn" with `<…>` entities and `&amp;` escapes) as Markdown. Code is left alone but for the
 * escapes. Mentions of others become `@name`, which the reply policy relies on; our own disappears.
 */
export const parseSlackText = (text: string, botUserId: string | null): string =>
  text
    .split(/(```[\s\S]*?```|`[^`\n]+`)/)
    .map((piece, index) =>
      index % 2 === 1 ? unescapeSlack(plainEntities(piece)) : unescapeSlack(emphasis(entities(piece, botUserId))),
    )
    .join('')
    .replace(/[ \t]+\n/g, '\n')
    .trim();

/** People and channels that a text names, in its order, each once, without ourselves. Code is only text. */
export const mentionsIn = (text: string, botUserId: string | null): readonly Mention[] => {
  const found = new Map<string, Mention>();
  const words = text.replace(/```[\s\S]*?```|`[^`\n]+`/g, ' ');
  for (const [, sign = '', id = '', name] of words.matchAll(/<([@#])([A-Z0-9]{2,32})(?:\|([^<>\n]*))?>/g))
    if (id !== botUserId && !found.has(id))
      found.set(id, {
        kind: sign === '@' ? 'person' : 'channel',
        id,
        ...(name === undefined || name === '' ? {} : { name }),
      });
  return [...found.values()];
};

/** For an event: nothing where nobody is named. */
export const mentionedIn = (text: string, botUserId: string | null): Pick<InboundEvent, 'mentions'> => {
  const mentions = mentionsIn(text, botUserId);
  return mentions.length === 0 ? {} : { mentions };
};

export const mentionsUser = (text: string, userId: string): boolean =>
  new RegExp(`<@${userId}(?:\\|[^>]*)?>`).test(text);
export const mentionsAnybody = (text: string): boolean => /<@[UW][A-Z0-9]+/.test(text);

const entities = (text: string, botUserId: string | null): string =>
  text.replace(/<([^<>\n]+)>/g, (whole, inner: string) => {
    const bar = inner.indexOf('|');
    const target = bar === -1 ? inner : inner.slice(0, bar);
    const label = bar === -1 ? null : inner.slice(bar + 1);
    if (target.startsWith('@')) return target.slice(1) === botUserId ? '' : `@${label ?? target.slice(1)}`;
    if (target.startsWith('#')) return `#${label ?? target.slice(1)}`;
    if (target.startsWith('!')) return special(target, label);
    if (!/^(?:https?:|mailto:|tel:)/i.test(target)) return whole;
    return label === null || label === target || target === `mailto:${label}`
      ? (label ?? target)
      : `[${label}](${target})`;
  });

/** `<!here>`, `<!subteam^S1|@team>`, `<!date^…|fallback>`. */
const special = (target: string, label: string | null): string => {
  if (target.startsWith('!subteam')) return label === null ? '@group' : `@${label.replace(/^@/, '')}`;
  return label ?? `@${target.slice(1).split('^')[0] ?? ''}`;
};

/** In code an entity is only its text: Slack wraps addresses even there. */
const plainEntities = (text: string): string =>
  text.replace(/<(?:[^<>|\n]*\|)?((?:https?:|mailto:)?[^<>|\n]*)>/g, '$1');

const emphasis = (text: string): string =>
  text
    .replace(/(?<![\p{L}\p{N}*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\p{L}\p{N}*])/gu, '**$1**')
    .replace(/(?<![\p{L}\p{N}~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\p{L}\p{N}~])/gu, '~~$1~~');

const unescapeSlack = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
