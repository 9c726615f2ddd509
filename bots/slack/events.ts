import { z } from 'zod';
import type { Addressed, Attachment, InboundEvent, Scope, Standing } from '../../core/domain.ts';
import { ignored, maybe, type NormaliseContext, type Normalised, type SlackHandle, stamp } from './handle.ts';
import { mentionedIn, mentionsAnybody, mentionsUser, parseSlackText } from './mrkdwn.ts';

const text = z.string().catch('');

/** A file as messages carry it; without an address (Slack Connect, files kept elsewhere) it cannot be read. */
export const fileShape = z.object({
  name: maybe,
  title: maybe,
  mimetype: maybe,
  size: z.number().optional().catch(undefined),
  url_private_download: maybe,
});
const innerMessage = z.object({
  type: z.string().optional(),
  subtype: maybe,
  text,
  user: maybe,
  bot_id: maybe,
  app_id: maybe,
  team: maybe,
  user_team: maybe,
  /** Whose message the thread hangs from. */
  parent_user_id: maybe,
  user_profile: z
    .object({
      display_name: maybe,
      real_name: maybe,
      is_restricted: z.boolean().optional(),
      is_ultra_restricted: z.boolean().optional(),
    })
    .optional()
    .catch(undefined),
  ts: stamp.optional().catch(undefined),
  thread_ts: stamp.optional().catch(undefined),
  edited: z.object({ ts: stamp }).optional().catch(undefined),
  files: z.array(fileShape).max(50).optional().catch(undefined),
});
const eventBody = innerMessage.extend({
  type: z.string(),
  channel: maybe,
  channel_type: maybe,
  event_ts: stamp.optional().catch(undefined),
  deleted_ts: stamp.optional().catch(undefined),
  message: innerMessage.optional().catch(undefined),
  previous_message: innerMessage.optional().catch(undefined),
  /** app_home_opened */
  tab: maybe,
  tokens: z
    .object({ bot: z.array(z.string()).optional() })
    .optional()
    .catch(undefined),
});
const envelope = z.object({
  type: z.literal('event_callback'),
  team_id: maybe,
  context_team_id: maybe,
  api_app_id: maybe,
  event_id: z.string().min(1),
  is_ext_shared_channel: z.boolean().optional().catch(undefined),
  authorizations: z
    .array(z.object({ team_id: maybe, user_id: maybe, is_bot: z.boolean().optional() }))
    .optional()
    .catch(undefined),
  event: eventBody,
});
type Envelope = z.output<typeof envelope>;
type Message = z.output<typeof innerMessage>;

/** The workspace through which we hear an event; null when the payload is no event or names none. */
export const workspaceOfEvent = (payload: unknown): string | null => {
  const event = envelope.safeParse(payload);
  return event.success ? teamOf(event.data) : null;
};

/** Slack Connect and Grid: the workspace through which we hear, not the one of the author. */
const teamOf = (body: Envelope): string | null =>
  body.context_team_id ?? body.authorizations?.[0]?.team_id ?? body.team_id ?? null;

/** An Events API envelope in our words. Never throws; what cannot be read is ignored with its reason. */
export const normaliseEvent = (payload: unknown, context: NormaliseContext): Normalised => {
  const parsed = envelope.safeParse(payload);
  if (!parsed.success) return ignored('unreadable');
  const body = parsed.data;
  const team = teamOf(body);
  if (team === null) return ignored('no-workspace');
  const { event } = body;
  if (event.type === 'app_uninstalled' || (event.type === 'tokens_revoked' && (event.tokens?.bot?.length ?? 0) > 0))
    return uninstall(body, team, context);
  const self =
    body.authorizations?.find((entry) => entry.is_bot !== false && entry.user_id !== undefined)?.user_id ??
    context.botUserId(team);
  if (event.channel === undefined) return ignored(`event:${event.type}`);
  if (event.type === 'member_joined_channel' && self !== null && event.user === self)
    return { kind: 'courtesy', courtesy: { name: 'hello', team, channel: event.channel } };
  if (event.type === 'app_home_opened' && event.tab === 'messages' && event.user !== undefined)
    return { kind: 'courtesy', courtesy: { name: 'prompts', team, channel: event.channel, user: event.user } };
  if (event.type !== 'message' && event.type !== 'app_mention') return ignored(`event:${event.type}`);
  const here: Here = { body, team, channel: event.channel, self, context };
  switch (event.subtype) {
    case 'message_changed':
      return changed(here);
    case 'message_deleted':
      return event.deleted_ts === undefined
        ? ignored('no-ts')
        : deleted(here, event.deleted_ts, event.previous_message);
    case undefined:
    case 'file_share':
    case 'thread_broadcast':
    case 'bot_message':
      return asked(here);
    default:
      return ignored(`subtype:${event.subtype}`);
  }
};

type Here = {
  readonly body: Envelope;
  readonly team: string;
  readonly channel: string;
  readonly self: string | null;
  readonly context: NormaliseContext;
};

const scopeOf = (here: Here): Scope => {
  if (here.body.event.channel_type === 'im' || here.channel.startsWith('D')) return 'dm';
  return here.body.event.channel_type === 'mpim' ? 'group' : 'channel';
};

/** A direct message without a thread belongs to the one long conversation of that channel. */
const threadOf = (here: Here, message: Message, ts: string): string =>
  message.thread_ts ?? (scopeOf(here) === 'dm' ? here.channel : ts);

const handleOf = (here: Here, message: Message, ts: string): SlackHandle => {
  const thread = message.thread_ts ?? (scopeOf(here) === 'dm' ? undefined : ts);
  const userTeam = message.user_team ?? message.team;
  return {
    team: here.team,
    channel: here.channel,
    ...(thread === undefined ? {} : { thread }),
    ts,
    ...(message.user === undefined ? {} : { user: message.user }),
    ...(userTeam === undefined ? {} : { userTeam }),
  };
};

const authorOf = (here: Here, message: Message): InboundEvent['author'] => {
  const isBot = message.bot_id !== undefined || message.subtype === 'bot_message' || message.user === 'USLACKBOT';
  const ownApp = isBot && message.app_id !== undefined && message.app_id === here.body.api_app_id;
  const name = message.user_profile?.display_name ?? message.user_profile?.real_name;
  const standing = isBot ? null : standingIn(here, message);
  return {
    id: message.user ?? message.bot_id ?? 'unknown',
    isBot,
    isSelf: ownApp || (here.self !== null && message.user === here.self),
    ...(name === undefined ? {} : { name }),
    ...(standing === null ? {} : { standing }),
  };
};

/** Only as far as the payload itself says so; who is a member and who a guest Slack tells when it is asked. */
const standingIn = (here: Here, message: Message): Standing | null => {
  const home = message.user_team ?? message.team;
  // The workspaces of one organisation differ too; outsiders there are only in channels shared with another one.
  if (here.body.is_ext_shared_channel === true && home !== undefined && home !== here.team) return 'outsider';
  const profile = message.user_profile;
  return profile?.is_restricted === true || profile?.is_ultra_restricted === true ? 'guest' : null;
};

/** Either delivery of a mention (`message`, `app_mention`) gives the same answer here, because the text decides. */
const addressedOf = (here: Here, message: Message): Addressed => {
  if (scopeOf(here) === 'dm') return 'dm';
  if (here.body.event.type === 'app_mention' || (here.self !== null && mentionsUser(message.text, here.self)))
    return 'mention';
  // A thread that hangs from a message of ours is a reply to us.
  if (here.self !== null && message.parent_user_id === here.self) return 'subscribed';
  return 'none';
};

/** A reply in a thread that another person began. */
const goesOnWithPerson = (here: Here, message: Message): boolean =>
  message.thread_ts !== undefined &&
  message.thread_ts !== message.ts &&
  message.parent_user_id !== undefined &&
  message.parent_user_id !== here.self &&
  message.parent_user_id !== message.user;

export const attachmentsOf = (message: Pick<Message, 'files'>): readonly Attachment[] =>
  (message.files ?? []).map((entry) => ({
    name: entry.name ?? entry.title ?? 'file',
    ...(entry.mimetype === undefined ? {} : { mediaType: entry.mimetype }),
    ...(entry.size === undefined ? {} : { bytes: entry.size }),
    ...(entry.url_private_download === undefined ? {} : { url: entry.url_private_download }),
  }));

const messageEvent = (
  here: Here,
  message: Message,
  ts: string,
): Omit<InboundEvent, 'kind' | 'dedupeKeys' | 'orderKey'> => ({
  platform: 'slack',
  workspaceId: here.team,
  channelId: here.channel,
  threadId: threadOf(here, message, ts),
  messageId: ts,
  scope: scopeOf(here),
  addressed: addressedOf(here, message),
  author: authorOf(here, message),
  ...(here.body.is_ext_shared_channel === true ? { shared: true } : {}),
  ...(goesOnWithPerson(here, message) ? { repliesToPerson: true } : {}),
  text: parseSlackText(message.text, here.self),
  ...mentionedIn(message.text, here.self),
  attachments: attachmentsOf(message),
  receivedAt: here.context.receivedAt,
  handle: handleOf(here, message, ts),
});

/** The message's own key leads: both deliveries of a mention then have one row id, today and in a week. */
const keysOf = (here: Here, own: string): readonly string[] => [
  `slack:${here.team}:${here.channel}:${own}`,
  `slack:${here.team}:event:${here.body.event_id}`,
];

const asked = (here: Here): Normalised => {
  const { event } = here.body;
  if (event.ts === undefined) return ignored('no-ts');
  // Without our own user id a mention cannot be told from a mention of somebody else; its `app_mention` twin will say.
  const unsure =
    here.self === null &&
    event.type === 'message' &&
    scopeOf(here) !== 'dm' &&
    event.bot_id === undefined &&
    mentionsAnybody(event.text);
  if (unsure) return ignored('mention-without-own-id');
  const message = messageEvent(here, event, event.ts);
  // Whoever opens a direct conversation with "help" asks about the bot, not about the documents.
  const help = message.scope === 'dm' && /^help[.!?]?$/i.test(message.text);
  return {
    kind: 'event',
    event: {
      ...message,
      ...(help ? { kind: 'command', command: { name: 'help' }, text: '' } : { kind: 'message' }),
      dedupeKeys: keysOf(here, event.ts),
      orderKey: event.ts,
    },
  };
};

const changed = (here: Here): Normalised => {
  const { event } = here.body;
  const { message, previous_message: before } = event;
  if (message?.ts === undefined) return ignored('no-ts');
  // Deleting a message that has replies (and an answered question has) leaves a tombstone instead of a deletion.
  if (message.subtype === 'tombstone') return deleted(here, message.ts, before);
  if (message.bot_id !== undefined || (here.self !== null && message.user === here.self)) return ignored('edit-by-bot');
  if (message.edited === undefined || before?.text === message.text) return ignored('unfurl-only');
  const edit = { ...messageEvent(here, message, message.ts), kind: 'edit' as const, targetMessageId: message.ts };
  return {
    kind: 'event',
    event: {
      ...edit,
      dedupeKeys: keysOf(here, `${message.ts}:edit:${message.edited.ts}`),
      orderKey: event.event_ts ?? message.edited.ts,
    },
  };
};

const deleted = (here: Here, ts: string, before: Message | undefined): Normalised => {
  const message: Message = before ?? { text: '' };
  if (message.bot_id !== undefined || (here.self !== null && message.user === here.self))
    return ignored('delete-of-bot-message');
  const gone = {
    ...messageEvent(here, message, ts),
    kind: 'delete' as const,
    text: '',
    attachments: [],
    targetMessageId: ts,
  };
  return {
    kind: 'event',
    event: { ...gone, dedupeKeys: keysOf(here, `${ts}:deleted`), orderKey: here.body.event.event_ts ?? ts },
  };
};

const uninstall = (body: Envelope, team: string, context: NormaliseContext): Normalised => ({
  kind: 'event',
  event: {
    platform: 'slack',
    workspaceId: team,
    channelId: 'workspace',
    threadId: 'workspace',
    messageId: body.event_id,
    dedupeKeys: [`slack:${team}:event:${body.event_id}`],
    orderKey: body.event.event_ts ?? '0',
    kind: 'uninstall',
    scope: 'channel',
    addressed: 'none',
    author: { id: 'slack', isBot: false, isSelf: false },
    text: '',
    attachments: [],
    receivedAt: context.receivedAt,
    handle: { team },
  },
});
