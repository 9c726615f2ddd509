import { escapeSlack, renderMrkdwn, splitMarkdown } from '../markdown.ts';
import { feedbackActionId } from './normalise.ts';
import { metadataType } from './reconcile.ts';

/** Slack takes 12,000 characters of Markdown in a message; the rest is room for what it counts differently. */
export const markdownLimit = 11_500;
/** Legacy text: 4,000 are advised, and escapes make it longer. */
const mrkdwnLimit = 2900;
/** `text` beside blocks is for notifications and screen readers. */
const summaryLimit = 2900;

export type Dialect = 'blocks' | 'mrkdwn';

export type Part = {
  readonly markdown: string;
  readonly index: number;
  readonly of: number;
  readonly sealed: boolean;
  readonly feedbackId?: string;
};

export const splitFor = (dialect: Dialect, markdown: string): readonly string[] =>
  splitMarkdown(markdown, dialect === 'blocks' ? markdownLimit : mrkdwnLimit);

/**
 * Slack reads `<!channel>`, `<@U1>` and `<#C1>` even in Markdown. An invisible character after the bracket keeps the
 * words and takes the power, in prose and in code alike; a prefix stays a prefix, so streams may be cut anywhere.
 */
export const neutralise = (markdown: string): string => markdown.replace(/<(?=[!@#])/g, '<\u200b');

/** Arguments of chat.postMessage and chat.update for one part. `blocks` is always there: an update keeps the old ones otherwise. */
export const renderPart = (dialect: Dialect, deliveryId: string, part: Part): Readonly<Record<string, unknown>> => ({
  text: dialect === 'blocks' ? summaryOf(part.markdown) : renderMrkdwn(part.markdown) || ' ',
  blocks: dialect === 'blocks' ? [{ type: 'markdown', text: part.markdown }, ...feedbackBlocks(part.feedbackId)] : [],
  metadata: metadataOf(deliveryId, part),
  unfurl_links: false,
  unfurl_media: false,
});

export const metadataOf = (
  deliveryId: string,
  part: Pick<Part, 'index' | 'of' | 'sealed'>,
): Readonly<Record<string, unknown>> => ({
  event_type: metadataType,
  event_payload: { delivery: deliveryId, part: part.index, of: part.of, sealed: part.sealed },
});

/**
 * For a notification's one line and for what cannot show blocks: the words without their marks. Not parsed, because that
 * would cost every answer more than all the rest of its sending.
 */
const summaryOf = (markdown: string): string => {
  const words = markdown
    .slice(0, summaryLimit)
    .replace(/^ {0,3}(?:#{1,6} +|```.*$|~~~.*$)/gm, '')
    .replace(/^( *)[-*+] +/gm, '$1• ')
    .replace(/!?\[([^\]\n]*)\]\([^)\n]*\)/g, '$1')
    .replace(/\*\*|__|`|\\(?=[\\`*_[\]~|])/g, '');
  return escapeSlack(words).trim() || ' ';
};

/** Thumbs that carry the answer's id. https://docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element */
export const feedbackBlocks = (answerId: string | undefined): readonly Readonly<Record<string, unknown>>[] => {
  if (answerId === undefined) return [];
  const button = (text: string, value: string) => ({
    text: { type: 'plain_text', text },
    value: `${value}:${answerId}`,
    accessibility_label: text,
  });
  return [
    {
      type: 'context_actions',
      elements: [
        {
          type: 'feedback_buttons',
          action_id: feedbackActionId,
          positive_button: button('Good answer', 'up'),
          negative_button: button('Bad answer', 'down'),
        },
      ],
    },
  ];
};
