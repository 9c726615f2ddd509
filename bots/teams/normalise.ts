import { z } from 'zod';
import type { ActionName, Addressed, Attachment, InboundEvent, Scope, Standing } from '../../core/domain.ts';
import { verbPrefix } from './messages.ts';
import { type Mention, parseTeamsText, textOfHtml } from './text.ts';

/** An activity either is an event in our words, or is accepted and ignored for a reason that goes into the log. */
export type Normalised =
  | { readonly kind: 'event'; readonly event: InboundEvent }
  | { readonly kind: 'ignored'; readonly why: string };

/** Where an answer goes: Teams' conversation reference, serialisable, stored with the event, without any secret. */
export const teamsHandle = z.object({
  /** Proven by the token of the activity that it came with. */
  serviceUrl: z.string(),
  tenant: z.string(),
  /** With `;messageid=` for a thread of a channel. */
  conversation: z.string(),
  kind: z.enum(['personal', 'group', 'channel']),
  bot: z.string(),
  user: z.string().optional(),
  /** Of a channel: what a link to one of its messages needs. */
  team: z.string().optional(),
});
export type TeamsHandle = z.output<typeof teamsHandle>;

const maybe = z.string().min(1).max(2000).optional().catch(undefined);
const account = z.object({
  id: z.string().min(1).max(500),
  name: maybe,
  aadObjectId: maybe,
  role: maybe,
  userRole: maybe,
  tenantId: maybe,
});
const attachment = z.object({
  contentType: maybe,
  contentUrl: maybe,
  name: maybe,
  content: z.unknown().optional(),
});
const mentionEntity = z.object({
  type: z.literal('mention'),
  mentioned: z.object({ id: z.string(), name: maybe }),
  text: z.string().catch(''),
});
const channelData = z.object({
  tenant: z.object({ id: maybe }).optional().catch(undefined),
  channel: z.object({ id: maybe, type: maybe }).optional().catch(undefined),
  team: z.object({ id: maybe, aadGroupId: maybe }).optional().catch(undefined),
  eventType: maybe,
});
const activity = z.object({
  type: z.string(),
  id: maybe,
  name: maybe,
  timestamp: z.union([z.string(), z.date()]).optional().catch(undefined),
  serviceUrl: z.string().min(1),
  from: account,
  recipient: account.optional().catch(undefined),
  conversation: z.object({
    id: z.string().min(1).max(1000),
    conversationType: maybe,
    isGroup: z.boolean().optional().catch(undefined),
    tenantId: maybe,
  }),
  channelData: channelData.optional().catch(undefined),
  text: z.string().optional().catch(undefined),
  entities: z.array(z.unknown()).max(200).optional().catch(undefined),
  attachments: z.array(attachment).max(50).optional().catch(undefined),
  membersAdded: z.array(account).max(1000).optional().catch(undefined),
  action: maybe,
  replyToId: maybe,
  value: z.unknown().optional(),
});
export type TeamsActivity = z.output<typeof activity>;

/** What the driver knows beside the activity. */
export type NormaliseContext = { readonly receivedAt: number };

/** An activity in our words. Never throws; what cannot be read is ignored with its reason. */
export const normaliseActivity = (posted: unknown, context: NormaliseContext): Normalised => {
  const parsed = activity.safeParse(posted);
  if (!parsed.success) return ignored('unreadable');
  const body = parsed.data;
  const tenant = body.channelData?.tenant?.id ?? body.conversation.tenantId;
  if (tenant === undefined) return ignored('no-workspace');
  const here = hereOf(body, tenant, context);
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
      return body.action === 'add' ? installed(here) : ignored(`installation:${body.action ?? 'none'}`);
    case 'conversationUpdate':
      return body.membersAdded?.some(({ id }) => id === here.bot) ? installed(here) : ignored('conversation-update');
    case 'invoke':
      return invoked(here);
    default:
      return ignored(`type:${body.type.slice(0, 40)}`);
  }
};

type Here = {
  readonly body: TeamsActivity;
  readonly tenant: string;
  readonly scope: Scope;
  /** The whole conversation, without the thread in it. */
  readonly channel: string;
  /** Root message of the thread, in channels. */
  readonly root: string | null;
  readonly bot: string;
  readonly at: number;
  readonly context: NormaliseContext;
};

const ignored = (why: string): Normalised => ({ kind: 'ignored', why });

const hereOf = (body: TeamsActivity, tenant: string, context: NormaliseContext): Here => {
  const { conversation } = body;
  const scope: Scope =
    conversation.conversationType === 'channel'
      ? 'channel'
      : conversation.conversationType === 'groupChat' || conversation.isGroup === true
        ? 'group'
        : 'dm';
  const [channel = conversation.id, root] = conversation.id.split(';messageid=');
  const at = body.timestamp === undefined ? Number.NaN : new Date(body.timestamp).getTime();
  return {
    body,
    tenant,
    scope,
    channel,
    root: root ?? null,
    bot: body.recipient?.id ?? '',
    at: Number.isNaN(at) ? context.receivedAt : at,
    context,
  };
};

const handleOf = (here: Here): TeamsHandle => ({
  serviceUrl: here.body.serviceUrl,
  tenant: here.tenant,
  conversation:
    here.scope === 'channel' ? `${here.channel};messageid=${here.root ?? here.body.id ?? ''}` : here.channel,
  kind: here.scope === 'dm' ? 'personal' : here.scope,
  bot: here.bot,
  user: here.body.from.id,
  ...(here.body.channelData?.team?.aadGroupId === undefined ? {} : { team: here.body.channelData.team.aadGroupId }),
});

const standingOf = ({ body, tenant }: Here): Standing | null => {
  const role = (body.from.userRole ?? body.from.role ?? '').toLowerCase();
  if (role === 'guest') return 'guest';
  if (role === 'anonymous') return 'outsider';
  if (body.from.tenantId !== undefined) return body.from.tenantId === tenant ? 'member' : 'outsider';
  return null;
};

const authorOf = (here: Here): InboundEvent['author'] => {
  const { from } = here.body;
  const isSelf = here.bot !== '' && from.id === here.bot;
  const standing = standingOf(here);
  return {
    id: from.aadObjectId ?? from.id,
    // Bots have ids of their own kind in Teams; connectors post with no directory object at all.
    isBot: isSelf || from.role === 'bot' || from.id.startsWith('28:'),
    isSelf,
    ...(from.name === undefined ? {} : { name: from.name }),
    ...(standing === null ? {} : { standing }),
  };
};

const mentionsOf = (body: TeamsActivity): readonly Mention[] =>
  (body.entities ?? []).flatMap((entity) => {
    const found = mentionEntity.safeParse(entity);
    if (!found.success) return [];
    const { mentioned, text } = found.data;
    return [{ id: mentioned.id, text, name: mentioned.name ?? text.replace(/<[^>]*>/g, '') }];
  });

/** A quoted message of ours in a reply: Teams sends the quote as HTML beside the text, with its author's id. */
const repliesToUs = ({ body, bot }: Here): boolean =>
  bot !== '' &&
  (body.attachments ?? []).some(
    ({ contentType, content }) =>
      contentType === 'text/html' &&
      typeof content === 'string' &&
      content.includes('schema.skype.com/Reply') &&
      content.includes(`itemid="${bot}"`),
  );

const addressedOf = (here: Here): Addressed => {
  if (mentionsOf(here.body).some(({ id }) => id === here.bot) || repliesToUs(here)) return 'mention';
  return here.scope === 'dm' ? 'dm' : 'none';
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

const orderOf = (at: number): string => String(at).padStart(15, '0');

type Common = Omit<InboundEvent, 'kind' | 'dedupeKeys' | 'messageId'>;

const common = (here: Here): Common => ({
  platform: 'teams',
  workspaceId: here.tenant,
  channelId: here.channel,
  threadId: here.scope === 'channel' ? (here.root ?? here.body.id ?? here.channel) : here.channel,
  orderKey: orderOf(here.at),
  scope: here.scope,
  addressed: 'none',
  author: authorOf(here),
  ...(here.body.channelData?.channel?.type === 'shared' ? { shared: true } : {}),
  text: '',
  attachments: [],
  receivedAt: here.context.receivedAt,
  handle: handleOf(here),
});

/** Activity ids are a conversation's own. */
const keyOf = (here: Here, own: string): string => `teams:${here.tenant}:${here.body.conversation.id}:${own}`;

const spoken = (here: Here): Pick<InboundEvent, 'addressed' | 'text' | 'attachments'> => ({
  addressed: addressedOf(here),
  text: parseTeamsText(here.body.text ?? '', mentionsOf(here.body), here.bot),
  attachments: attachmentsOf(here.body),
});

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

/** Teams reports one joining twice, by two kinds of activity, moments apart: both have the key of this time or of the one before. */
const installed = (here: Here): Normalised => {
  const slot = Math.floor(here.at / 600_000);
  const messageId = `install:${slot}`;
  return event({
    ...common(here),
    // A greeting begins a thread of its own.
    handle: { ...handleOf(here), conversation: here.channel },
    kind: 'install',
    messageId,
    dedupeKeys: [keyOf(here, messageId), keyOf(here, `install:${slot - 1}`)],
  });
};

// ── presses ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const feedbackValue = z.object({
  actionName: z.literal('feedback'),
  actionValue: z.object({ reaction: z.enum(['like', 'dislike']), feedback: z.unknown().optional() }),
});
const cardValue = z.object({ action: z.object({ verb: maybe, data: z.unknown().optional() }) });
const buttonData = z.object({
  footnote: z.enum(['stop', 'publish', 'solved', 'human']),
  answerId: maybe,
  deliveryId: maybe,
});
const extensionValue = z.object({
  commandId: z.literal('ask'),
  data: z
    .object({ question: z.string().max(30_000).optional().catch(undefined) })
    .nullish()
    .catch(null),
  messagePayload: z
    .object({
      body: z
        .object({ content: z.string().max(200_000), contentType: maybe })
        .optional()
        .catch(undefined),
    })
    .nullish()
    .catch(null),
});

const invoked = (here: Here): Normalised => {
  const { name, value } = here.body;
  switch (name) {
    case 'message/submitAction':
      return rated(here, value);
    case 'adaptiveCard/action': {
      const parsed = cardValue.safeParse(value);
      return parsed.success && parsed.data.action.verb?.startsWith(verbPrefix)
        ? pressed(here, parsed.data.action.data)
        : ignored('foreign-button');
    }
    case 'composeExtension/submitAction':
      return askedAbout(here, value);
    default:
      return ignored(`invoke:${(name ?? 'none').slice(0, 60)}`);
  }
};

/** Teams' own thumbs. They carry no answer's id; the message under which they stand says whose they are. */
const rated = (here: Here, value: unknown): Normalised => {
  const parsed = feedbackValue.safeParse(value);
  const { id, replyToId } = here.body;
  if (!parsed.success || replyToId === undefined) return ignored('feedback-value');
  const { reaction, feedback } = parsed.data.actionValue;
  const comment = commentIn(feedback);
  const own = `${replyToId}:feedback:${here.body.from.id}:${id ?? here.at}`;
  return event({
    ...common(here),
    kind: 'feedback',
    messageId: own,
    targetMessageId: replyToId,
    feedback: { rating: reaction === 'like' ? 'up' : 'down', ...(comment === null ? {} : { comment }) },
    dedupeKeys: [keyOf(here, own)],
  });
};

/** `{"feedbackText": "…"}` as a string, from Teams' own form; with the choice of ours beside it. */
const commentIn = (feedback: unknown): string | null => {
  let form: unknown = feedback;
  try {
    if (typeof feedback === 'string') form = JSON.parse(feedback);
  } catch {
    return null;
  }
  const { reason, feedbackText } = z.object({ reason: maybe, feedbackText: maybe }).catch({}).parse(form);
  const words = [reason, feedbackText].filter((part) => part !== undefined && part.trim() !== '').join(': ');
  return words === '' ? null : words.slice(0, 2000);
};

/** A button of ours. Other apps' buttons, and values that we did not write, are ignored. */
const pressed = (here: Here, data: unknown): Normalised => {
  const parsed = buttonData.safeParse(data);
  if (!parsed.success) return ignored('button-value');
  const { footnote: name, answerId, deliveryId } = parsed.data;
  const known = name === 'stop' ? isId(deliveryId) : isId(answerId);
  if (!known) return ignored('button-value');
  const target = here.body.replyToId;
  const own = `${target ?? ''}:${name}:${here.body.from.id}:${here.body.id ?? here.at}`;
  return event({
    ...common(here),
    kind: 'action',
    messageId: own,
    ...(target === undefined ? {} : { targetMessageId: target }),
    action: actionOf(name, answerId, deliveryId),
    dedupeKeys: [keyOf(here, own)],
  });
};
const isId = (id: string | undefined): boolean => id !== undefined && /^[a-z]_[0-9a-z_]{1,80}$/.test(id);
const actionOf = (
  name: ActionName,
  answerId: string | undefined,
  deliveryId: string | undefined,
): NonNullable<InboundEvent['action']> => ({
  name,
  ...(name === 'stop' && deliveryId !== undefined ? { deliveryId } : {}),
  ...(name !== 'stop' && answerId !== undefined ? { answerId } : {}),
});

/** "Ask about this" on a message: what the person typed about its words, or its words themselves. For them alone. */
const askedAbout = (here: Here, value: unknown): Normalised => {
  const parsed = extensionValue.safeParse(value);
  const { id } = here.body;
  if (!parsed.success || id === undefined) return ignored('extension-value');
  const payload = parsed.data.messagePayload?.body;
  const message =
    payload === undefined ? '' : payload.contentType === 'text' ? payload.content.trim() : textOfHtml(payload.content);
  const question = parsed.data.data?.question?.trim() ?? '';
  const quoted = message
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');
  const text = question === '' ? message : message === '' ? question : `${question}\n\n${quoted}`;
  return event({
    ...common(here),
    kind: 'command',
    addressed: 'command',
    command: { name: 'ask', private: true },
    text,
    messageId: id,
    dedupeKeys: [keyOf(here, id)],
  });
};

const event = (made: InboundEvent): Normalised => ({ kind: 'event', event: made });
