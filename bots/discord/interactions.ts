import { z } from 'zod';
import type { ActionName, CommandName, InboundEvent, Scope } from '../../core/domain.ts';
import type { Channels } from './channels.ts';
import { aboutName, askName, commandNames, footnoteName } from './commands.ts';
import { attachmentsOf, type DiscordHandle, file, id, maybeId, person, ruleChannelOf, scopeOf } from './normalise.ts';
import { mayManageChannel, mayManageServer } from './permissions.ts';
import { padded, timeOfSnowflake } from './snowflake.ts';
import { mentionsIn, parseDiscordText, type Self } from './text.ts';

/** What Discord is told within three seconds, after the event is stored. */
export type Reply = { readonly type: number; readonly data?: Readonly<Record<string, unknown>> };

export type Heard = {
  /** Null: nothing to store (a ping, a command that we do not know). */
  readonly event: InboundEvent | null;
  readonly reply: Reply;
  readonly why?: string;
};

const pong = 1;
const message = 4;
const deferredMessage = 5;
const deferredUpdate = 6;
const choices = 8;
const modal = 9;

export const ephemeralFlag = 64;

/** The token lives 15 minutes; the last of them is kept for what is under way. */
const tokenForMs = 14 * 60_000;

const option = z.object({ name: z.string(), type: z.number().catch(0), value: z.unknown().optional() });
const interaction = z.object({
  id,
  application_id: id,
  type: z.number(),
  token: z.string().min(1).max(1000),
  guild_id: maybeId,
  channel_id: maybeId,
  channel: z.record(z.string(), z.unknown()).optional().catch(undefined),
  member: z
    .object({
      user: person,
      nick: z.string().min(1).optional().catch(undefined),
      permissions: z.string().optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
  user: person.optional().catch(undefined),
  message: z
    .object({
      id,
      interaction_metadata: z.object({ id }).optional().catch(undefined),
      message_reference: z.object({ message_id: maybeId }).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
  data: z
    .object({
      name: z.string().optional().catch(undefined),
      type: z.number().optional().catch(undefined),
      custom_id: z.string().optional().catch(undefined),
      target_id: maybeId,
      options: z
        .array(option.extend({ options: z.array(option).max(25).optional().catch(undefined) }))
        .max(25)
        .optional()
        .catch(undefined),
      resolved: z
        .object({
          attachments: z.record(z.string(), file).optional().catch(undefined),
          messages: z
            .record(
              z.string(),
              z.object({ content: z.string().catch(''), attachments: z.array(file).max(50).catch([]) }),
            )
            .optional()
            .catch(undefined),
        })
        .optional()
        .catch(undefined),
      components: z.array(z.unknown()).max(10).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});
type Interaction = z.output<typeof interaction>;

export type InteractionSurroundings = {
  readonly receivedAt: number;
  readonly self: (guild: string | null) => Self;
  readonly channels: Pick<Channels, 'learn' | 'of' | 'originOf'>;
  /** The workspace of a direct message, and whether the person is known to be a member of it. */
  readonly homeOf: (userId: string) => Promise<{ readonly workspaceId: string; readonly isMember: boolean }>;
};

type ButtonName = ActionName | 'up' | 'down' | 'why';

/** The question's place, for a button that stands elsewhere: a private answer in a direct message. */
export type Origin = { readonly guild: string; readonly channel: string; readonly message: string };

/**
 * Buttons and forms of ours; what is in them was written by us and comes back as it was. At most 100 characters, so that
 * the ids of an origin are shortened.
 */
export const customId = {
  of: (name: ButtonName, subject: string, origin?: Origin): string =>
    `fn:${name}:${subject}${origin === undefined ? '' : `:${[origin.guild, origin.channel, origin.message].map((one) => BigInt(one).toString(36)).join('.')}`}`,
  parse: (
    text: string,
  ): { readonly name: ButtonName; readonly subject: string; readonly origin: Origin | null } | null => {
    const found =
      /^fn:(stop|publish|solved|human|up|down|why):([\w-]{1,80})(?::([0-9a-z]{1,14})\.([0-9a-z]{1,14})\.([0-9a-z]{1,14}))?$/.exec(
        text,
      );
    if (found === null) return null;
    const [guild = '', channel = '', message = ''] = found
      .slice(3)
      .map((one) => (one === undefined ? '' : fromShort(one)));
    return {
      name: found[1] as ButtonName,
      subject: found[2] ?? '',
      origin: guild === '' ? null : { guild, channel, message },
    };
  },
};

const fromShort = (text: string): string =>
  [...text].reduce((sum, digit) => sum * 36n + BigInt(Number.parseInt(digit, 36)), 0n).toString();

/**
 * An interaction in our words, whether it came over the gateway or by HTTP: both doors carry the same payload, and its id
 * is the dedupe key. Null: it cannot be read at all.
 */
export const hearInteraction = async (payload: unknown, around: InteractionSurroundings): Promise<Heard | null> => {
  const parsed = interaction.safeParse(payload);
  if (!parsed.success) return null;
  const body = parsed.data;
  switch (body.type) {
    case 1:
      return { event: null, reply: { type: pong } };
    case 4:
      return { event: null, reply: { type: choices, data: { choices: [] } }, why: 'autocomplete' };
    case 2:
    case 3:
    case 5: {
      const user = body.member?.user ?? body.user;
      if (user === undefined || body.channel_id === undefined) return unknown('no-user');
      const origin = body.type === 3 ? (customId.parse(body.data?.custom_id ?? '')?.origin ?? null) : null;
      const at = origin === null ? { guild: body.guild_id, channel: body.channel_id } : origin;
      const here = await placeOf(body, user.id, at, around);
      if (body.type === 2) return command(body, here);
      return body.type === 3 ? press(body, here) : reasonGiven(body, here);
    }
    default:
      return unknown(`type:${body.type}`);
  }
};

const unknown = (why: string): Heard => ({
  event: null,
  reply: {
    type: message,
    data: { content: 'I do not know this command any more. Please try `/footnote help`.', flags: ephemeralFlag },
  },
  why,
});

type Place = {
  readonly base: Pick<
    InboundEvent,
    | 'platform'
    | 'workspaceId'
    | 'channelId'
    | 'scope'
    | 'attachments'
    | 'receivedAt'
    | 'dedupeKeys'
    | 'orderKey'
    | 'messageId'
    | 'deadline'
  >;
  readonly author: InboundEvent['author'];
  readonly permissions: string | undefined;
  /** The thread that the interaction stands in; null: the top of a channel. */
  readonly thread: string | null;
  readonly handle: DiscordHandle;
  readonly self: Self;
};

const placeOf = async (
  body: Interaction,
  userId: string,
  at: { readonly guild: string | undefined; readonly channel: string; readonly message?: string },
  around: InteractionSurroundings,
): Promise<Place> => {
  around.channels.learn(body.channel);
  const { guild, channel: channelId } = at;
  const channel = await around.channels.of(channelId);
  const home = guild === undefined ? await around.homeOf(userId) : { workspaceId: guild, isMember: true };
  const user = body.member?.user ?? body.user;
  const name = body.member?.nick ?? user?.global_name ?? user?.username;
  const scope: Scope = guild === undefined && channel.kind === 'channel' ? 'dm' : scopeOf(channel);
  return {
    base: {
      platform: 'discord',
      workspaceId: home.workspaceId,
      channelId: ruleChannelOf(channelId, channel),
      messageId: body.id,
      dedupeKeys: [`discord:${home.workspaceId}:interaction:${body.id}`],
      orderKey: padded(body.id),
      scope,
      attachments: [],
      receivedAt: around.receivedAt,
      deadline: timeOfSnowflake(body.id) + tokenForMs,
    },
    author: {
      id: userId,
      isBot: user?.bot === true,
      isSelf: false,
      ...(name === undefined ? {} : { name }),
      standing: home.isMember ? 'member' : 'outsider',
    },
    permissions: body.member?.permissions,
    thread:
      channel.kind === 'channel' && scope !== 'dm'
        ? (at.message ?? null)
        : (around.channels.originOf(channelId) ?? channelId),
    handle: {
      ...(guild === undefined ? {} : { guild }),
      channel: channelId,
      user: userId,
      ...(at.message === undefined ? {} : { message: at.message, startable: channel.startable }),
    },
    self: around.self(guild ?? null),
  };
};

const withToken = (body: Interaction, here: Place, kind: 'deferred' | 'update', ephemeral: boolean): DiscordHandle => ({
  ...here.handle,
  interaction: {
    id: body.id,
    token: body.token,
    application: body.application_id,
    kind,
    ephemeral,
    until: timeOfSnowflake(body.id) + tokenForMs,
  },
});

// ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

const command = (body: Interaction, here: Place): Heard => {
  const said = spoken(body, here.self);
  if (said === null) return unknown('command');
  const isQuestion = said.name === 'ask';
  const ephemeral = said.private || !isQuestion;
  // Connecting is the server's business, not one channel's.
  const mayManage = said.name === 'connect' ? mayManageServer(here.permissions) : mayManageChannel(here.permissions);
  return {
    event: {
      ...here.base,
      kind: 'command',
      addressed: 'command',
      threadId: here.thread ?? `command:${body.id}`,
      author: { ...here.author, mayManage },
      text: said.text,
      ...(said.mentions.length === 0 ? {} : { mentions: said.mentions }),
      attachments: said.attachments,
      command: { name: said.name, ...(said.private ? { private: true } : {}) },
      ...(body.data?.target_id === undefined ? {} : { targetMessageId: body.data.target_id }),
      handle: withToken(body, here, 'deferred', ephemeral),
    },
    reply: { type: deferredMessage, data: { flags: ephemeral ? ephemeralFlag : 0 } },
  };
};

type Spoken = {
  readonly name: CommandName;
  readonly text: string;
  readonly mentions: NonNullable<InboundEvent['mentions']>;
  readonly private: boolean;
  readonly attachments: InboundEvent['attachments'];
};

const spoken = (body: Interaction, self: Self): Spoken | null => {
  const { data } = body;
  const words = (content: string): Pick<Spoken, 'text' | 'mentions'> => ({
    text: parseDiscordText(content, self, []),
    mentions: mentionsIn(content, self, []),
  });
  if (data?.name === aboutName) {
    const target = data.resolved?.messages?.[data.target_id ?? ''];
    if (target === undefined) return null;
    // Private, because it is somebody else's message; the answer can be posted from there.
    return { name: 'ask', ...words(target.content), private: true, attachments: attachmentsOf(target.attachments) };
  }
  if (data?.name === askName) {
    const value = (name: string): unknown => data.options?.find((entry) => entry.name === name)?.value;
    const attached = data.resolved?.attachments?.[String(value('file') ?? '')];
    return {
      name: 'ask',
      ...words(String(value('question') ?? '')),
      private: value('private') === true,
      attachments: attached === undefined ? [] : attachmentsOf([attached]),
    };
  }
  const [first] = data?.options ?? [];
  if (data?.name !== footnoteName || first === undefined || !commandNames.has(first.name)) return null;
  const given = (first.options ?? []).map((entry) => String(entry.value ?? '')).join(' ');
  return { name: first.name as CommandName, ...words(given), private: false, attachments: [] };
};

// ── buttons and the form behind the thumb ───────────────────────────────────────────────────────────────────────────

/** The thread of the answer under which a button stands: that of the question. */
const threadUnder = (body: Interaction, here: Place): string => {
  if (here.thread !== null) return here.thread;
  const asked = body.message?.interaction_metadata?.id;
  return asked === undefined
    ? (body.message?.message_reference?.message_id ?? body.message?.id ?? body.id)
    : `command:${asked}`;
};

const pressed = (body: Interaction, here: Place): Omit<InboundEvent, 'kind'> => ({
  ...here.base,
  addressed: 'none',
  threadId: threadUnder(body, here),
  author: { ...here.author, mayManage: mayManageChannel(here.permissions) },
  text: '',
  ...(body.message === undefined ? {} : { targetMessageId: `${here.handle.channel}/${body.message.id}` }),
  handle: withToken(body, here, 'update', true),
});

const press = (body: Interaction, here: Place): Heard => {
  const button = customId.parse(body.data?.custom_id ?? '');
  if (button === null || button.name === 'why') return unknown('button');
  const event = pressed(body, here);
  const seen: Reply = { type: deferredUpdate };
  switch (button.name) {
    case 'stop':
      return { event: { ...event, kind: 'action', action: { name: 'stop', deliveryId: button.subject } }, reply: seen };
    case 'up':
      return {
        event: { ...event, kind: 'feedback', feedback: { rating: 'up', answerId: button.subject } },
        reply: seen,
      };
    case 'down':
      return {
        event: { ...event, kind: 'feedback', feedback: { rating: 'down', answerId: button.subject } },
        reply: { type: modal, data: whyForm(button.subject) },
      };
    default:
      return {
        event: { ...event, kind: 'action', action: { name: button.name, answerId: button.subject } },
        reply: seen,
      };
  }
};

const reasonField = 'reason';

/** Asked at once, because a form can only be the first reply. The verdict itself is stored before it is shown. */
const whyForm = (answerId: string): Readonly<Record<string, unknown>> => ({
  custom_id: customId.of('why', answerId),
  title: 'What was wrong?',
  components: [
    {
      type: 1,
      components: [
        {
          type: 4,
          custom_id: reasonField,
          style: 2,
          label: 'It helps to make the answers better',
          required: false,
          max_length: 1000,
        },
      ],
    },
  ],
});

const reasonGiven = (body: Interaction, here: Place): Heard => {
  const form = customId.parse(body.data?.custom_id ?? '');
  if (form?.name !== 'why') return unknown('form');
  const comment =
    fieldOf(body.data?.components ?? [], reasonField)
      ?.trim()
      .slice(0, 2000) ?? '';
  return {
    event: {
      ...pressed(body, here),
      kind: 'feedback',
      feedback: { rating: 'down', answerId: form.subject, ...(comment === '' ? {} : { comment }) },
    },
    reply: { type: message, data: { content: 'Thank you, I have noted that.', flags: ephemeralFlag } },
  };
};

/** In rows of old and in labels of late: wherever the field stands, three levels deep. */
const fieldOf = (components: readonly unknown[], field: string, depth = 0): string | null => {
  for (const component of components) {
    const found = z
      .object({
        custom_id: z.string().optional(),
        value: z.string().optional(),
        components: z.array(z.unknown()).optional(),
        component: z.unknown().optional(),
      })
      .safeParse(component);
    if (!found.success) continue;
    if (found.data.custom_id === field && found.data.value !== undefined) return found.data.value;
    if (depth >= 3) continue;
    const inner = fieldOf(
      [...(found.data.components ?? []), found.data.component].filter((one) => one !== undefined),
      field,
      depth + 1,
    );
    if (inner !== null) return inner;
  }
  return null;
};
