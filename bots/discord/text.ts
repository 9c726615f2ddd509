import type { Mention } from '../../core/domain.ts';

/** Whom a message names, as its payload says. */
export type Named = { readonly id: string; readonly name: string };

/** Our own ids in a guild: the bot's user, and the role that Discord made for it there. */
export type Self = { readonly userId: string | null; readonly roleId: string | null };

export const mentionsSelf = (content: string, self: Self): boolean =>
  [...content.matchAll(/<@(!?|&)(\d{1,20})>/g)].some(
    ([, kind, id]) => (kind === '&' ? self.roleId : self.userId) === id,
  );

/**
 * Discord's message text as Markdown: our own mention goes, other people become `@name`, and what stands for an emoji, a
 * channel, a time or a command is written out.
 */
export const parseDiscordText = (content: string, self: Self, named: readonly Named[]): string =>
  content
    .replace(/<@!?(\d{1,20})>/g, (_, id: string) =>
      id === self.userId ? '' : `@${named.find((person) => person.id === id)?.name ?? 'someone'}`,
    )
    .replace(/<@&(\d{1,20})>/g, (_, id: string) => (id === self.roleId ? '' : '@role'))
    .replace(/<#\d{1,20}>/g, '#channel')
    .replace(/<a?(:\w{1,40}:)\d{1,20}>/g, '$1')
    .replace(/<\/([^:<>]{1,100}):\d{1,20}>/g, '/$1')
    .replace(/<t:(-?\d{1,12})(?::[a-zA-Z])?>/g, (_, seconds: string) => new Date(Number(seconds) * 1000).toISOString())
    .replace(/(\S) {2,}(?=\S)/g, '$1 ')
    .trim();

/** People and channels that the text names, in its order, without ourselves. */
export const mentionsIn = (content: string, self: Self, named: readonly Named[]): readonly Mention[] =>
  [...content.matchAll(/<(@!?|#)(\d{1,20})>/g)].slice(0, 100).flatMap(([, kind, id = '']): readonly Mention[] => {
    if (kind === '#') return [{ kind: 'channel', id }];
    const name = named.find((person) => person.id === id)?.name;
    return id === self.userId ? [] : [{ kind: 'person', id, ...(name === undefined ? {} : { name }) }];
  });
