import { z } from 'zod';
import type { Addressed, Attachment, InboundEvent, Scope } from '../../core/domain.ts';
import type { ChannelKind } from './channels.ts';
import { padded, snowflakeAt } from './snowflake.ts';
import { mentionsIn, mentionsSelf, type Named, parseDiscordText, type Self } from './text.ts';

/** A payload either is an event in our words, or is accepted and ignored for a reason that goes into the log. */
export type Normalised =
  | { readonly kind: 'event'; readonly event: InboundEvent }
  | { readonly kind: 'ignored'; readonly why: string };

/** Where an answer goes; serialisable, stored with the event. An interaction's token lives 15 minutes and opens only its own reply. */
export const discordHandle = z.object({
  /** Absent: a direct message. */
  guild: z.string().optional(),
  /** Where the message or interaction stands: a channel, a thread, a direct message. */
  channel: z.string(),
  /** The message that is answered; absent for commands. */
  message: z.string().optional(),
  user: z.string(),
  /** A message of a channel from which a thread can be started for the answer. */
  startable: z.boolean().optional(),
  /** The message that it replies to. */
  replyTo: z.string().optional(),
  interaction: z
    .object({
      id: z.string(),
      token: z.string(),
      application: z.string(),
      /** `deferred`: a reply of ours is awaited; `update`: a button, nothing is awaited. */
      kind: z.enum(['deferred', 'update']),
      /** Whether the awaited reply is for the asker's eyes. */
      ephemeral: z.boolean(),
      until: z.number(),
    })
    .optional(),
});
export type DiscordHandle = z.output<typeof discordHandle>;

/** What the driver knows beyond the payload. */
export type Surroundings = {
  readonly receivedAt: number;
  readonly self: Self;
  readonly channel: ChannelKind;
  /** The workspace that a direct message belongs to; see Home. */
  readonly workspaceId: string;
  readonly homes?: InboundEvent['homes'];
  /** In a direct message: the author is known to be a member of that workspace. */
  readonly isMember: boolean;
  /** Who wrote it; of a deletion, whose direct messages these are. */
  readonly person?: string;
  /** Messages that do not mention us come with their text. */
  readonly readsContent: boolean;
  /** One of our own messages; Discord does not always send the message that is replied to. */
  isOurs(messageId: string): boolean;
  /** See Channels. */
  originOf(threadId: string): string | null;
};

export const id = z.string().regex(/^\d{1,20}$/);
export const maybeId = id.optional().catch(undefined);
const text = z.string().catch('');
const maybe = z.string().min(1).optional().catch(undefined);

export const person = z.object({
  id,
  username: maybe,
  global_name: maybe,
  bot: z.boolean().optional().catch(undefined),
  system: z.boolean().optional().catch(undefined),
});
export const file = z.object({
  filename: maybe,
  content_type: maybe,
  size: z.number().optional().catch(undefined),
  url: maybe,
});
const message = z.object({
  id,
  channel_id: id,
  guild_id: maybeId,
  type: z.number().catch(0),
  author: person,
  member: z.object({ nick: maybe }).optional().catch(undefined),
  webhook_id: maybe,
  application_id: maybe,
  nonce: z.union([z.string(), z.number()]).optional().catch(undefined),
  content: text,
  edited_timestamp: maybe,
  mentions: z
    .array(person.extend({ member: z.object({ nick: maybe }).optional().catch(undefined) }))
    .max(200)
    .catch([]),
  mention_roles: z.array(id).max(200).catch([]),
  attachments: z.array(file).max(50).catch([]),
  message_reference: z
    .object({ message_id: maybeId, type: z.number().optional().catch(undefined) })
    .optional()
    .catch(undefined),
  referenced_message: z
    .object({
      author: z.object({ id }),
      interaction_metadata: z.object({ id }).optional().catch(undefined),
    })
    .nullish()
    .catch(undefined),
  message_snapshots: z
    .array(z.object({ message: z.object({ content: text }) }))
    .max(10)
    .optional()
    .catch(undefined),
});
type Message = z.output<typeof message>;

/** A message of a person: plain, or a reply. All other types are Discord's own announcements. */
const written = new Set([0, 19]);
/** Written by us on somebody's command. */
const replies = new Set([20, 23]);

export const nonceMark = 'fn';

const ignored = (why: string): Normalised => ({ kind: 'ignored', why });

const address = z.object({
  channel_id: id,
  guild_id: maybeId,
  author: z.object({ id }).optional().catch(undefined),
});

/** The channel, author and guild that a message payload claims; null when it is none. */
export const addressOf = (
  payload: unknown,
): { readonly channel: string; readonly guild: string | null; readonly author: string | null } | null => {
  const parsed = address.safeParse(payload);
  if (!parsed.success) return null;
  return {
    channel: parsed.data.channel_id,
    guild: parsed.data.guild_id ?? null,
    author: parsed.data.author?.id ?? null,
  };
};

/** MESSAGE_CREATE and MESSAGE_UPDATE in our words. Never throws; what cannot be read is ignored with its reason. */
export const normaliseMessage = (payload: unknown, kind: 'message' | 'edit', around: Surroundings): Normalised => {
  const parsed = message.safeParse(payload);
  // Updates may be partial (a preview was added); those without an author are never edits by a person.
  if (!parsed.success) return ignored('unreadable');
  const body = parsed.data;
  if (replies.has(body.type)) return ignored('reply-to-command');
  if (!written.has(body.type)) return ignored(`type:${body.type}`);
  const author = authorOf(body, around);
  // What we sent comes back to us: by the bot's token it carries our nonce, by a command's it comes as from a webhook.
  const sentByUs = String(body.nonce ?? '').startsWith(nonceMark) || body.webhook_id !== undefined;
  if (author.isSelf && sentByUs) return ignored('own-answer');
  if (kind === 'edit') {
    if (author.isBot || author.isSelf) return ignored('edit-by-bot');
    const at = Date.parse(body.edited_timestamp ?? '');
    if (Number.isNaN(at)) return ignored('unfurl-only');
    // Without the privileged intent an edit that no longer mentions us comes without its words.
    if (!around.readsContent && body.content === '' && body.attachments.length === 0)
      return ignored('content-withheld');
    return {
      kind: 'event',
      event: {
        ...common(body, around, author),
        kind: 'edit',
        // An update that only adds a preview repeats the time of the edit before: the same key.
        dedupeKeys: [keyOf(around, `message:${body.id}:edit:${at}`)],
        orderKey: padded(snowflakeAt(at)),
        targetMessageId: body.id,
      },
    };
  }
  return {
    kind: 'event',
    event: {
      ...common(body, around, author),
      kind: 'message',
      dedupeKeys: [keyOf(around, `message:${body.id}`)],
      orderKey: padded(body.id),
    },
  };
};

const keyOf = (around: Pick<Surroundings, 'workspaceId'>, rest: string): string =>
  `discord:${around.workspaceId}:${rest}`;

const authorOf = (body: Message, around: Surroundings): InboundEvent['author'] => {
  const isSelf = around.self.userId !== null && body.author.id === around.self.userId;
  const inGuild = body.guild_id !== undefined || around.isMember;
  const name = body.member?.nick ?? body.author.global_name ?? body.author.username;
  return {
    id: body.author.id,
    isBot: body.author.bot === true || body.author.system === true || body.webhook_id !== undefined,
    isSelf,
    ...(name === undefined ? {} : { name }),
    standing: inGuild ? 'member' : 'outsider',
  };
};

const common = (
  body: Message,
  around: Surroundings,
  author: InboundEvent['author'],
): Omit<InboundEvent, 'kind' | 'dedupeKeys' | 'orderKey'> => {
  const { channel } = around;
  const named: readonly Named[] = body.mentions.map((entry) => ({
    id: entry.id,
    name: entry.member?.nick ?? entry.global_name ?? entry.username ?? 'someone',
  }));
  const content = body.content === '' ? (body.message_snapshots?.[0]?.message.content ?? '') : body.content;
  const replyTo = body.message_reference?.type === 1 ? undefined : body.message_reference?.message_id;
  // The answer to a command stands in the channel; who replies to it goes on with that conversation.
  const command =
    body.referenced_message?.author.id === around.self.userId
      ? body.referenced_message?.interaction_metadata?.id
      : undefined;
  const startable = channel.startable && body.guild_id !== undefined && command === undefined;
  const mentions = mentionsIn(content, around.self, named);
  const handle: DiscordHandle = {
    ...(body.guild_id === undefined ? {} : { guild: body.guild_id }),
    channel: body.channel_id,
    message: body.id,
    user: body.author.id,
    ...(startable ? { startable: true } : {}),
    ...(replyTo === undefined ? {} : { replyTo }),
  };
  return {
    platform: 'discord',
    workspaceId: around.workspaceId,
    ...homesOf(around),
    channelId: ruleChannelOf(body.channel_id, channel),
    threadId: threadOf(body.channel_id, body.id, channel, around, command),
    messageId: body.id,
    scope: scopeOf(channel),
    addressed: addressedOf(body, around),
    author,
    ...goesOn(body, around, replyTo),
    text: parseDiscordText(content, around.self, named),
    ...(mentions.length === 0 ? {} : { mentions }),
    attachments: attachmentsOf(body.attachments),
    receivedAt: around.receivedAt,
    handle,
  };
};

const homesOf = ({ homes }: Surroundings): Pick<InboundEvent, 'homes'> => (homes === undefined ? {} : { homes });

export const scopeOf = (channel: ChannelKind): Scope =>
  channel.kind === 'dm' ? 'dm' : channel.kind === 'group' ? 'group' : 'channel';

/** A thread keeps its channel's rules. */
export const ruleChannelOf = (channelId: string, channel: ChannelKind): string =>
  channel.kind === 'thread' ? (channel.parent ?? channelId) : channelId;

/**
 * A message of a channel is its own thread: Discord gives a thread that is started from it the message's id. Forum posts
 * and threads are theirs, and a direct message is one long conversation.
 */
const threadOf = (
  channelId: string,
  messageId: string,
  channel: ChannelKind,
  around: Pick<Surroundings, 'originOf'>,
  command: string | undefined,
): string => {
  if (channel.kind !== 'channel') return around.originOf(channelId) ?? channelId;
  return command === undefined ? messageId : `command:${command}`;
};

/** Only people who are named, or ourselves by our own role: `@everyone` and `@here` call nobody in particular. */
const addressedOf = (body: Message, around: Surroundings): Addressed => {
  if (around.channel.kind === 'dm') return 'dm';
  const { self } = around;
  const isNamed =
    body.mentions.some((entry) => entry.id === self.userId) ||
    (self.roleId !== null && body.mention_roles.includes(self.roleId)) ||
    mentionsSelf(body.content, self);
  if (isNamed) return 'mention';
  const replied = body.message_reference?.type === 1 ? undefined : body.message_reference?.message_id;
  const toUs =
    replied !== undefined &&
    (body.referenced_message?.author.id === self.userId ||
      (body.referenced_message === undefined && around.isOurs(replied)));
  return toUs ? 'mention' : 'none';
};

/** Answers somebody else's message, or goes on in a thread or post that somebody else began. */
const goesOn = (
  body: Message,
  around: Surroundings,
  replyTo: string | undefined,
): Pick<InboundEvent, 'repliesToPerson' | 'rootMessageId'> => {
  const replies = replyTo !== undefined && around.channel.kind !== 'dm';
  // Discord may leave out what is replied to.
  if (replies && body.referenced_message === undefined) return around.isOurs(replyTo) ? {} : { rootMessageId: replyTo };
  const whose = replies ? (body.referenced_message?.author.id ?? null) : around.channel.owner;
  return whose === undefined || whose === around.self.userId || whose === body.author.id
    ? {}
    : { repliesToPerson: true };
};

export const attachmentsOf = (files: readonly z.output<typeof file>[]): readonly Attachment[] =>
  files.map((entry) => ({
    name: entry.filename ?? 'file',
    ...(entry.content_type === undefined ? {} : { mediaType: entry.content_type }),
    ...(entry.size === undefined ? {} : { bytes: entry.size }),
    ...(entry.url === undefined ? {} : { url: entry.url }),
  }));

const deletion = z.object({
  id: maybeId,
  ids: z.array(id).max(1000).catch([]),
  channel_id: id,
  guild_id: maybeId,
});

/** MESSAGE_DELETE and MESSAGE_DELETE_BULK: only ids are told. */
export const normaliseDelete = (payload: unknown, around: Surroundings): readonly Normalised[] => {
  const parsed = deletion.safeParse(payload);
  if (!parsed.success) return [ignored('unreadable')];
  const body = parsed.data;
  return [...(body.id === undefined ? [] : [body.id]), ...body.ids].map((gone) => ({
    kind: 'event',
    event: {
      platform: 'discord',
      workspaceId: around.workspaceId,
      ...homesOf(around),
      channelId: ruleChannelOf(body.channel_id, around.channel),
      threadId: threadOf(body.channel_id, gone, around.channel, around, undefined),
      messageId: gone,
      dedupeKeys: [keyOf(around, `message:${gone}:deleted`)],
      orderKey: padded(snowflakeAt(around.receivedAt)),
      kind: 'delete',
      scope: scopeOf(around.channel),
      addressed: 'none',
      author: { id: around.person ?? 'unknown', isBot: false, isSelf: false },
      text: '',
      attachments: [],
      receivedAt: around.receivedAt,
      targetMessageId: gone,
      handle: {
        ...(body.guild_id === undefined ? {} : { guild: body.guild_id }),
        channel: body.channel_id,
        message: gone,
        user: 'unknown',
      } satisfies DiscordHandle,
    },
  }));
};

/** The bot came into a server or left it. `at` tells one time from the next and is the same for all who hear it. */
export const membershipEvent = (
  kind: 'install' | 'uninstall',
  guild: string,
  at: string,
  receivedAt: number,
): InboundEvent => ({
  platform: 'discord',
  workspaceId: guild,
  channelId: 'workspace',
  threadId: 'workspace',
  messageId: `${kind}:${at}`,
  dedupeKeys: [`discord:${guild}:${kind}:${at}`],
  orderKey: padded(snowflakeAt(receivedAt)),
  kind,
  scope: 'channel',
  addressed: 'none',
  author: { id: 'discord', isBot: false, isSelf: false },
  text: '',
  attachments: [],
  receivedAt,
  handle: { guild, channel: guild, user: 'discord' } satisfies DiscordHandle,
});
