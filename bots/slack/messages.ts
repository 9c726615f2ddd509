import type { ActionName } from '../../core/domain.ts';
import type { FinishedAnswer, Offer, Titles } from '../../core/ports/platform.ts';
import { escapeSlack, renderFootnotes, renderMrkdwn, splitMarkdown } from '../markdown.ts';
import { buttonActionId, feedbackActionId } from './interactions.ts';

/** Slack takes 12,000 characters of Markdown in a message; the rest is room for what it counts differently. */
export const markdownLimit = 11_500;
/** All blocks as JSON: above about 13,200 Slack says `msg_blocks_too_long`. https://github.com/slackapi/bolt-js/issues/2509 */
const blocksLimit = 12_600;
/** Legacy text: 4,000 are advised, a section takes 3,000, and escapes make it longer. */
const mrkdwnLimit = 2700;
const sectionLimit = 3000;
/** `text` beside blocks is for notifications and screen readers. */
const summaryLimit = 2900;

/** The labels by which our own messages are found again. */
export const answerMetadata = 'footnote_answer';
export const stopMetadata = 'footnote_stop';

/** Markdown blocks; sections and plain buttons where these are refused; nothing but text where even those are. */
export type Dialect = 'blocks' | 'sections' | 'text';
export type Block = Readonly<Record<string, unknown>>;

/** What stands under an answer, and whose it is. */
export type Offered = {
  readonly answerId: string;
  readonly offers: readonly Offer[];
  readonly titles: Titles;
  /** Ephemeral messages do not tell their thread when a button is pressed. */
  readonly thread?: string;
};

export type Part = {
  readonly markdown: string;
  readonly index: number;
  readonly of: number;
  readonly sealed: boolean;
  readonly offered?: Offered | null;
};

/** Full of quotation marks or line breaks, a part may be too long as JSON although it is short enough as text. */
export const splitFor = (dialect: Dialect, markdown: string): readonly string[] =>
  dialect === 'blocks'
    ? splitMarkdown(markdown, markdownLimit).flatMap((part) => splitByJson(part, markdownLimit))
    : splitMarkdown(markdown, mrkdwnLimit);

const splitByJson = (markdown: string, limit: number): readonly string[] => {
  const length = JSON.stringify(markdown).length;
  if (length <= blocksLimit || limit < 400) return [markdown];
  const smaller = Math.max(300, Math.floor(limit * 0.95 * (blocksLimit / length)));
  return splitMarkdown(markdown, smaller).flatMap((part) => splitByJson(part, smaller));
};

/**
 * Slack reads `<!channel>`, `<@U1>` and `<#C1>` even in Markdown. An invisible character after the bracket keeps the
 * words and takes the power, in prose and in code alike; a prefix stays a prefix, so streams may be cut anywhere.
 * `@here`, `@channel` and `@everyone` are words in what a bot posts, unless a client's parser was asked for: it is not.
 */
export const neutralise = (markdown: string): string => markdown.replace(/<(?=[!@#])/g, '<\u200b');

export const withFootnotes = (answer: FinishedAnswer): string =>
  neutralise(
    answer.citations.length === 0
      ? answer.markdown
      : `${answer.markdown.trimEnd()}\n\n**Sources**\n${renderFootnotes(answer.citations)}`,
  );

export const offeredBy = (answer: FinishedAnswer, thread: string | undefined): Offered | null =>
  answer.feedbackId === undefined
    ? null
    : {
        answerId: answer.feedbackId,
        offers: answer.offers ?? ['thumbs'],
        titles: answer.titles ?? {},
        ...(thread === undefined ? {} : { thread }),
      };

/** Text and blocks of one part, without any address. `blocks` is always there: an update keeps the old ones otherwise. */
export const renderBody = (
  dialect: Dialect,
  part: Pick<Part, 'markdown' | 'offered'>,
): Readonly<Record<string, unknown>> => {
  if (dialect === 'blocks')
    return {
      text: summaryOf(part.markdown),
      blocks: [{ type: 'markdown', text: part.markdown }, ...offerBlocks(dialect, part.offered)],
    };
  const text = renderMrkdwn(part.markdown) || ' ';
  const buttons = offerBlocks(dialect, part.offered);
  // A section is needed only to carry buttons; without it text stays text.
  const blocks =
    buttons.length === 0 || text.length > sectionLimit
      ? []
      : [{ type: 'section', text: { type: 'mrkdwn', text } }, ...buttons];
  return { text, blocks };
};

/** Arguments of chat.postMessage and chat.update for one part of an answer. */
export const renderPart = (dialect: Dialect, deliveryId: string, part: Part): Readonly<Record<string, unknown>> => ({
  ...renderBody(dialect, part),
  metadata: metadataOf(deliveryId, part),
  ...noPreviews,
});

export const noPreviews = { unfurl_links: false, unfurl_media: false } as const;

export const metadataOf = (
  deliveryId: string,
  part: Pick<Part, 'index' | 'of' | 'sealed'>,
): Readonly<Record<string, unknown>> => ({
  event_type: answerMetadata,
  event_payload: { delivery: deliveryId, part: part.index, of: part.of, sealed: part.sealed },
});

/**
 * For a notification's one line and for what cannot show blocks: the words without their marks. Not parsed, because that
 * would cost every answer more than all the rest of its sending.
 */
export const summaryOf = (markdown: string): string => {
  const words = markdown
    .slice(0, summaryLimit)
    .replace(/^ {0,3}(?:#{1,6} +|```.*$|~~~.*$)/gm, '')
    .replace(/^( *)[-*+] +/gm, '$1• ')
    .replace(/!?\[([^\]\n]*)\]\([^)\n]*\)/g, '$1')
    .replace(/\*\*|__|`|\\(?=[\\`*_[\]~|])/g, '');
  return escapeSlack(words).trim() || ' ';
};

// ── buttons ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const words: Readonly<Record<Exclude<Offer, 'thumbs'>, string>> = {
  solved: 'Solved',
  human: 'I need a human',
  publish: 'Post to the channel',
};

/**
 * Thumbs and buttons that carry the answer's id.
 * https://docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element
 */
export const offerBlocks = (dialect: Dialect, offered: Offered | null | undefined): readonly Block[] => {
  if (!offered || dialect === 'text') return [];
  const value = offered.thread === undefined ? offered.answerId : `${offered.answerId} ${offered.thread}`;
  const thumbs = offered.offers.includes('thumbs');
  const buttons = offered.offers
    .filter((offer) => offer !== 'thumbs')
    .map((offer) => button(buttonActionId(offer), offered.titles[offer] ?? words[offer], value));
  if (dialect === 'sections') {
    const rating = thumbs
      ? [
          button(`${feedbackActionId}:up`, '👍', `up:${value}`),
          button(`${feedbackActionId}:down`, '👎', `down:${value}`),
        ]
      : [];
    return rating.length + buttons.length === 0 ? [] : [{ type: 'actions', elements: [...rating, ...buttons] }];
  }
  return [
    ...(thumbs ? [thumbsBlock(value)] : []),
    ...(buttons.length === 0 ? [] : [{ type: 'actions', elements: buttons }]),
  ];
};

const thumbsBlock = (value: string): Block => {
  const thumb = (label: string, rating: string) => ({
    text: { type: 'plain_text', text: label },
    value: `${rating}:${value}`,
    accessibility_label: label,
  });
  return {
    type: 'context_actions',
    elements: [
      {
        type: 'feedback_buttons',
        action_id: feedbackActionId,
        positive_button: thumb('Good answer', 'up'),
        negative_button: thumb('Bad answer', 'down'),
      },
    ],
  };
};

const button = (actionId: string, text: string, value: string): Block => ({
  type: 'button',
  action_id: actionId,
  text: { type: 'plain_text', text },
  value,
});

/** A message that is nothing but a stop button; it goes when the answer is there. */
export const stopMessage = (deliveryId: string, title = 'Stop'): Readonly<Record<string, unknown>> => ({
  text: 'Writing the answer …',
  blocks: [
    {
      type: 'actions',
      elements: [{ ...button(buttonActionId('stop' satisfies ActionName), title, deliveryId), style: 'danger' }],
    },
  ],
  metadata: { event_type: stopMetadata, event_payload: { delivery: deliveryId } },
  ...noPreviews,
});
