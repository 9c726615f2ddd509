import { createHash } from 'node:crypto';
import type { Home } from '../../core/domain.ts';
import type { FinishedAnswer, Offer, Titles } from '../../core/ports/platform.ts';
import { discordLink, inertForDiscord, renderDiscord, renderFootnotes, splitMarkdown } from '../markdown.ts';
import { customId, type Origin } from './buttons.ts';
import { ephemeralFlag } from './interaction.ts';
import { nonceMark } from './normalise.ts';

/** Discord takes 2,000 characters in a message. */
export const messageLimit = 1950;
const suppressEmbeds = 4;

export type Body = {
  readonly content: string;
  readonly components: readonly Readonly<Record<string, unknown>>[];
};

export const splitForDiscord = (rendered: string): readonly string[] => {
  const parts = splitMarkdown(rendered, messageLimit);
  return parts.length === 0 ? ['…'] : parts;
};

export const renderAnswer = (answer: FinishedAnswer): string => {
  const body = renderDiscord(answer.markdown);
  return answer.citations.length === 0
    ? body
    : `${body.trimEnd()}\n\n**Sources**\n${renderFootnotes(answer.citations, (title, url) => discordLink(inertForDiscord(title), url))}`;
};

/** What a call sends: nobody is pinged but `people`, and no link is unfolded. */
export const payloadOf = (
  body: Body,
  more: {
    readonly nonce?: string;
    readonly replyTo?: string;
    readonly ephemeral?: boolean;
    readonly people?: readonly string[];
  } = {},
): Readonly<Record<string, unknown>> => ({
  ...body,
  flags: suppressEmbeds | (more.ephemeral ? ephemeralFlag : 0),
  allowed_mentions: { parse: [], users: more.people ?? [], replied_user: false },
  ...(more.nonce === undefined ? {} : { nonce: more.nonce, enforce_nonce: true }),
  ...(more.replyTo === undefined ? {} : { message_reference: { message_id: more.replyTo, fail_if_not_exists: false } }),
});

/** The same for the same part of the same delivery: within minutes Discord makes one message of two. At most 25 characters. */
export const nonceOf = (deliveryId: string, part: number, again = 0): string =>
  nonceMark + createHash('sha256').update(`${deliveryId}:${part}:${again}`).digest('base64url').slice(0, 22);

const button = (label: string, emoji: string, id: string, style = 2): Readonly<Record<string, unknown>> => ({
  type: 2,
  style,
  ...(label === '' ? {} : { label }),
  emoji: { name: emoji },
  custom_id: id,
});
const row = (buttons: readonly unknown[]): Body['components'] =>
  buttons.length === 0 ? [] : [{ type: 1, components: buttons }];

export const stopRow = (deliveryId: string, title = 'Stop'): Body['components'] =>
  row([button(title, '⏹️', customId.of('stop', deliveryId))]);

const offerButtons: Readonly<
  Record<Offer, (answerId: string, origin: Origin | undefined, titles: Titles) => readonly unknown[]>
> = {
  thumbs: (answerId) => [
    button('', '👍', customId.of('up', answerId)),
    button('', '👎', customId.of('down', answerId)),
  ],
  solved: (answerId, _, { solved = 'Solved' }) => [button(solved, '✅', customId.of('solved', answerId))],
  human: (answerId, _, { human = 'I need a human' }) => [button(human, '🙋', customId.of('human', answerId))],
  publish: (answerId, origin, { publish = 'Post it to the channel' }) => [
    button(publish, '📣', customId.of('publish', answerId, origin), 1),
  ],
};

/** `origin`: where the question was asked, when the answer stands elsewhere. */
export const offerRow = (answer: FinishedAnswer, origin?: Origin): Body['components'] => {
  const { feedbackId } = answer;
  if (feedbackId === undefined) return [];
  return row(
    (answer.offers ?? ['thumbs']).flatMap((offer) => offerButtons[offer](feedbackId, origin, answer.titles ?? {})),
  );
};

/** Five rows of five buttons are the most that a message can have. */
const mostHomes = 25;

/** One button for each server; `messageId` is the question that waits for the choice. */
export const homeRows = (homes: readonly Home[], messageId: string): Body['components'] => {
  const buttons = homes
    .slice(0, mostHomes)
    .map(({ workspaceId, name }) =>
      button((name ?? workspaceId).slice(0, 80), '🏠', customId.of('choose', `${workspaceId}-${messageId}`)),
    );
  return Array.from({ length: Math.ceil(buttons.length / 5) }, (_, index) =>
    row(buttons.slice(index * 5, index * 5 + 5)),
  ).flat();
};
