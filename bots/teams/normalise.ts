import { z } from 'zod';
import type { Addressed, Attachment, InboundEvent } from '../../core/domain.ts';
import {
  authorOf,
  common,
  event,
  type Here,
  handleOf,
  ignored,
  keyOf,
  maybe,
  mentionEntity,
  type NormaliseContext,
  type Normalised,
  readActivity,
  type TeamsActivity,
} from './activity.ts';
import { invoked, pressed } from './presses.ts';
import { type Mention, parseTeamsText } from './text.ts';

/** An activity in our words. Never throws; what cannot be read is ignored with its reason. */
export const normaliseActivity = (posted: unknown, context: NormaliseContext): Normalised => {
  const here = readActivity(posted, context);
  if (typeof here === 'string') return ignored(here);
  const { body } = here;
  switch (body.type) {
    case 'message':
      return body.value !== undefined && body.value !== null && (body.text ?? '').trim() === ''
        ? pressed(here, body.value)
        : asked(here);
    case 'messageUpdate':
      return edited(here);
    case 'messageDelete':
      return deleted(here);
    case 'installationUpdate':
      return body.action === 'add' || body.action === 'remove'
        ? joinedOrLeft(here, body.action === 'add' ? 'install' : 'uninstall')
        : ignored(`installation:${body.action ?? 'none'}`);
    case 'conversationUpdate':
      if (body.membersAdded?.some(({ id }) => id === here.bot)) return joinedOrLeft(here, 'install');
      if (body.membersRemoved?.some(({ id }) => id === here.bot)) return joinedOrLeft(here, 'uninstall');
      return ignored('conversation-update');
    case 'invoke':
      return invoked(here);
    default:
      return ignored(`type:${body.type.slice(0, 40)}`);
  }
};

// ── what is said, and to whom ───────────────────────────────────────────────────────────────────────────────────────

const mentionsOf = (body: TeamsActivity): readonly Mention[] =>
  (body.entities ?? []).flatMap((entity) => {
    const found = mentionEntity.safeParse(entity);
    if (!found.success) return [];
    const { mentioned, text } = found.data;
    return [{ id: mentioned.id, text, name: mentioned.name ?? text.replace(/<[^>]*>/g, '') }];
  });

/** People and channels that the text names; a channel's id is a conversation's. */
const namedIn = (mentions: readonly Mention[], bot: string): Pick<InboundEvent, 'mentions'> => {
  const named = mentions
    .filter(({ id }) => id !== bot)
    .map(({ id, name }) => ({
      kind: id.startsWith('19:') ? ('channel' as const) : ('person' as const),
      id,
      ...(name === '' ? {} : { name }),
    }));
  return named.length === 0 ? {} : { mentions: named };
};

const reference = z.object({
  messageSender: z.object({ application: z.object({ id: z.string() }).nullish().catch(null) }).nullish(),
});

/**
 * Whose message a reply quotes. Teams sends the quote beside the text: as HTML with its author's id, or as a reference that
 * names the app. Null: it quotes none.
 */
const quotedIn = ({ body, bot }: Here): 'us' | 'somebody' | null => {
  for (const { contentType, content } of body.attachments ?? []) {
    if (typeof content !== 'string' || bot === '') continue;
    if (contentType === 'text/html' && content.includes('schema.skype.com/Reply'))
      return content.includes(`itemid="${bot}"`) ? 'us' : 'somebody';
    if (contentType === 'messageReference') {
      const { messageSender } = reference.catch({ messageSender: null }).parse(jsonOf(content));
      return `28:${messageSender?.application?.id}` === bot ? 'us' : 'somebody';
    }
  }
  return null;
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const addressedOf = (here: Here, mentions: readonly Mention[]): Addressed => {
  if (mentions.some(({ id }) => id === here.bot) || quotedIn(here) === 'us') return 'mention';
  return here.scope === 'dm' ? 'dm' : 'none';
};

/** Quotes somebody, or goes on in a thread of a channel, of which Teams does not tell who began it. */
const goesOn = (here: Here): Pick<InboundEvent, 'repliesToPerson' | 'rootMessageId'> => {
  const quoted = here.scope === 'dm' ? null : quotedIn(here);
  if (quoted !== null) return quoted === 'somebody' ? { repliesToPerson: true } : {};
  return here.scope !== 'channel' || here.root === null || here.root === here.body.id
    ? {}
    : { rootMessageId: here.root };
};

const fileInfo = z.object({ downloadUrl: maybe, fileType: maybe });

/** Files, and images that are part of the message; its own HTML and cards are no files. */
const attachmentsOf = (body: TeamsActivity): readonly Attachment[] =>
  (body.attachments ?? []).flatMap((entry): readonly Attachment[] => {
    const type = entry.contentType ?? '';
    if (type === 'application/vnd.microsoft.teams.file.download.info') {
      const { downloadUrl } = fileInfo.catch({}).parse(entry.content);
      return [{ name: entry.name ?? 'file', ...(downloadUrl === undefined ? {} : { url: downloadUrl }) }];
    }
    // A file that is shared in a channel or group chat: Teams gives bots its name only. https://learn.microsoft.com/microsoftteams/platform/bots/how-to/bots-filesv4
    if (type === 'reference') return [{ name: entry.name ?? 'file' }];
    if (type.startsWith('image/'))
      return [
        {
          name: entry.name ?? 'image',
          ...(type === 'image/*' ? {} : { mediaType: type }),
          ...(entry.contentUrl === undefined ? {} : { url: entry.contentUrl }),
        },
      ];
    return [];
  });

const spoken = (here: Here): Partial<InboundEvent> & Pick<InboundEvent, 'addressed' | 'text' | 'attachments'> => {
  const mentions = mentionsOf(here.body);
  return {
    addressed: addressedOf(here, mentions),
    ...goesOn(here),
    text: parseTeamsText(here.body.text ?? '', mentions, here.bot),
    ...namedIn(mentions, here.bot),
    attachments: attachmentsOf(here.body),
  };
};

// ── messages, and what becomes of them ──────────────────────────────────────────────────────────────────────────────

const asked = (here: Here): Normalised => {
  const { id } = here.body;
  if (id === undefined) return ignored('no-id');
  return event({ ...common(here), ...spoken(here), kind: 'message', messageId: id, dedupeKeys: [keyOf(here, id)] });
};

/** Edits, and a deletion that was taken back: the words are there again. */
const edited = (here: Here): Normalised => {
  const { id, channelData: data } = here.body;
  if (id === undefined) return ignored('no-id');
  if (data?.eventType !== 'editMessage' && data?.eventType !== 'undeleteMessage') return ignored('update');
  if (authorOf(here).isBot) return ignored('edit-by-bot');
  return event({
    ...common(here),
    ...spoken(here),
    kind: 'edit',
    ...(data.eventType === 'undeleteMessage' ? { restored: true } : {}),
    messageId: id,
    targetMessageId: id,
    dedupeKeys: [keyOf(here, `${id}:edit:${here.at}`)],
  });
};

const deleted = (here: Here): Normalised => {
  const { id } = here.body;
  if (id === undefined) return ignored('no-id');
  if (authorOf(here).isBot) return ignored('delete-of-bot-message');
  return event({
    ...common(here),
    kind: 'delete',
    messageId: id,
    targetMessageId: id,
    dedupeKeys: [keyOf(here, `${id}:deleted:${here.at}`)],
  });
};

/**
 * The bot came into a team or chat, or left it. Teams reports it twice, by two kinds of activity, moments apart: both have
 * the key of this time or of the one before.
 */
const joinedOrLeft = (here: Here, kind: 'install' | 'uninstall'): Normalised => {
  const slot = Math.floor(here.at / 600_000);
  const messageId = `${kind}:${slot}`;
  return event({
    ...common(here),
    // A greeting begins a thread of its own.
    handle: { ...handleOf(here), conversation: here.channel },
    kind,
    messageId,
    dedupeKeys: [keyOf(here, messageId), keyOf(here, `${kind}:${slot - 1}`)],
  });
};
