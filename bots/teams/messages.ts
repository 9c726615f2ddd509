import type { Citation } from '../../core/domain.ts';
import type { Offer, Titles } from '../../core/ports/platform.ts';
import { fenceTables, linkTarget, renderFootnotes, splitMarkdown, withoutOpenTable } from '../markdown.ts';
import type { OutgoingActivity } from './connector/connector.ts';
import { type CardTable, takeTables, withTables } from './tables.ts';

/** Teams takes about 100 KB of a message, in UTF-16 and with everything around the text. */
export const textLimit = 20_000;
/** A message with more native citations is refused whole. */
const maxCitations = 20;
const maxName = 80;
const maxAbstract = 160;
/** Of an informative line above a stream. */
const maxInformative = 1000;

// ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Canonical Markdown as Teams shows it in a message without a card: tables in fixed width, and no tags, which it would
 * read. Nothing is added that only stands at the end, so that a stream may be cut anywhere.
 */
export const renderTeamsText = (markdown: string): string => withoutTags(fenceTables(markdown));

/** As much of an unfinished answer as will stay a beginning of the finished one; its tables come with its end. */
export const renderTeamsStream = (markdown: string): string =>
  withoutTags(takeTables(withoutOpenTable(markdown)).text).trimEnd();

/** `<at>` and other tags become words outside of code blocks; addresses in angle brackets stay links. */
const withoutTags = (markdown: string): string =>
  markdown
    .split(/(^ {0,3}```[^\n]*\n[\s\S]*?(?:\n {0,3}```[^\S\n]*$|$(?![\s\S])))/m)
    .map((piece, index) => (index % 2 === 1 ? piece : piece.replace(/<(?=[a-z/!?])(?!https?:)/gi, '<\u200b')))
    .join('');

/** An answer in messages of at most the limit, each with the citations and tables that its text names. */
export type Part = {
  readonly text: string;
  readonly citations: readonly Citation[];
  readonly tables: readonly CardTable[];
};

/** How much of an answer Teams is asked to show by its own means: what it refuses is written into the text. */
export type PartsManner = { readonly native: boolean; readonly tables: boolean; readonly limit?: number };

/**
 * Native citations are chips in the text; past what a message takes, and where Teams refuses them, they are a list below.
 * Tables stand in a card under the text, or in it in fixed width.
 */
export const partsOf = (markdown: string, citations: readonly Citation[], how: PartsManner): readonly Part[] => {
  const limit = how.limit ?? textLimit;
  const native = how.native && citations.length <= maxCitations;
  const whole =
    native || citations.length === 0
      ? markdown
      : `${markdown.trimEnd()}\n\n**Sources**\n\n${renderFootnotes(citations)}`;
  const { text: lined, tables } = takeTables(whole, !how.tables);
  const texts = splitMarkdown(withoutTags(lined), limit);
  return (texts.length === 0 ? ['…'] : texts).map((text) => ({
    text,
    citations: native ? citations.filter(({ n }) => text.includes(`[${n}]`)) : [],
    tables: tables.filter(({ line }) => text.includes(line)),
  }));
};

// ── entities ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The one root entity of a message that was written for somebody: the AI label, and its footnotes as native citations.
 * Two of them are refused. https://learn.microsoft.com/microsoftteams/platform/bots/how-to/bot-messages-ai-generated-content
 */
export const messageEntity = (citations: readonly Citation[]): OutgoingActivity => ({
  type: 'https://schema.org/Message',
  '@type': 'Message',
  '@context': 'https://schema.org',
  '@id': '',
  additionalType: ['AIGeneratedContent'],
  ...(citations.length === 0 ? {} : { citation: citations.map(claim) }),
});

const claim = (citation: Citation): OutgoingActivity => {
  const url = linkTarget(citation.url);
  const page = citation.page === undefined ? '' : `, p. ${citation.page}`;
  const title = oneLine(citation.title) || 'Document';
  const abstract = cut(oneLine(citation.quote), maxAbstract);
  return {
    '@type': 'Claim',
    position: citation.n,
    appearance: {
      '@type': 'DigitalDocument',
      name: `${cut(title, maxName - page.length)}${page}`,
      ...(url === null ? {} : { url }),
      ...(abstract === '' ? {} : { abstract }),
    },
  };
};

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
/** At most `limit` units, never half a character. */
const cut = (text: string, limit: number): string =>
  text.length <= limit ? text : `${text.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`;

// ── activities ──────────────────────────────────────────────────────────────────────────────────────────────────────

export type MessageParts = {
  readonly text: string;
  /** Absent: no AI label (a sentence of our own). */
  readonly citations?: readonly Citation[];
  /** Thumbs below it. */
  readonly feedback?: boolean;
  readonly card?: OutgoingActivity;
  readonly tables?: readonly CardTable[];
  /** The stream that this message ends. */
  readonly streamId?: string;
};

export const messageActivity = (parts: MessageParts): OutgoingActivity => {
  const stream = parts.streamId === undefined ? null : { streamId: parts.streamId, streamType: 'final' };
  const entities = [
    ...(stream === null ? [] : [{ type: 'streaminfo', ...stream }]),
    ...(parts.citations === undefined ? [] : [messageEntity(parts.citations)]),
  ];
  const tables = parts.tables ?? [];
  const card = tables.length === 0 ? parts.card : withTables(parts.card ?? adaptiveCard([], []), tables);
  return {
    type: 'message',
    text: parts.text,
    textFormat: 'markdown',
    ...(entities.length === 0 ? {} : { entities }),
    ...(card === undefined ? {} : { attachments: [attachmentOf(card)] }),
    channelData: { ...stream, ...(parts.feedback ? { feedbackLoop: { type: 'custom' } } : {}) },
  };
};

/** A step of a stream; the first one has no id yet. Sequence 1, 2, 3 …; each text holds the one before. */
export const streamActivity = (step: {
  readonly text: string;
  readonly informative: boolean;
  readonly streamId: string | null;
  readonly sequence: number;
}): OutgoingActivity => {
  const info = {
    streamType: step.informative ? 'informative' : 'streaming',
    streamSequence: step.sequence,
    ...(step.streamId === null ? {} : { streamId: step.streamId }),
  };
  return {
    type: 'typing',
    text: step.informative ? cut(step.text, maxInformative) : step.text,
    textFormat: 'markdown',
    entities: [{ type: 'streaminfo', ...info }],
    channelData: info,
  };
};

// ── cards ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const attachmentOf = (card: OutgoingActivity): OutgoingActivity => ({
  contentType: 'application/vnd.microsoft.card.adaptive',
  content: card,
});

export const adaptiveCard = (
  body: readonly OutgoingActivity[],
  actions: readonly OutgoingActivity[],
): OutgoingActivity => ({
  $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
  type: 'AdaptiveCard',
  version: '1.4',
  body,
  ...(actions.length === 0 ? {} : { actions }),
});

/** Before the verb of a button of ours; other apps' buttons have none. */
export const verbPrefix = 'footnote.';

const button = (title: string, name: string, data: OutgoingActivity): OutgoingActivity => ({
  type: 'Action.Execute',
  title,
  verb: `${verbPrefix}${name}`,
  data: { footnote: name, ...data },
});

export const stopCard = (deliveryId: string, title = 'Stop'): OutgoingActivity =>
  adaptiveCard([], [button(title, 'stop', { deliveryId })]);

const offerTitles = { solved: 'Solved', human: 'I need a human', publish: 'Post it here for everybody' } as const;

/** Buttons under an answer, or null when there are none; the thumbs are Teams' own. */
export const offersCard = (
  answerId: string,
  offers: readonly Offer[],
  titles: Titles = {},
): OutgoingActivity | null => {
  const buttons = offers.flatMap((offer) =>
    offer === 'thumbs' ? [] : [button(titles[offer] ?? offerTitles[offer], offer, { answerId })],
  );
  return buttons.length === 0 ? null : adaptiveCard([], buttons);
};
