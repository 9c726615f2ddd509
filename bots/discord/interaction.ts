import { z } from 'zod';
import type { InboundEvent, Scope } from '../../core/domain.ts';
import type { Channels } from './channels.ts';
import type { Home, HomeOf } from './homes.ts';
import { type DiscordHandle, file, id, maybeId, person, ruleChannelOf, scopeOf } from './normalise.ts';
import { padded, timeOfSnowflake } from './snowflake.ts';
import type { Self } from './text.ts';

/** What Discord is told within three seconds, after the event is stored. */
export type Reply = { readonly type: number; readonly data?: Readonly<Record<string, unknown>> };

export type Heard = {
  /** Null: nothing to store (a ping, a command that we do not know). */
  readonly event: InboundEvent | null;
  readonly reply: Reply;
  readonly why?: string;
};

/** Discord's numbers for replies. */
export const replies = {
  pong: 1,
  message: 4,
  deferredMessage: 5,
  deferredUpdate: 6,
  choices: 8,
  modal: 9,
} as const;

export const ephemeralFlag = 64;

/** The token lives 15 minutes; the last of them is kept for what is under way. */
const tokenForMs = 14 * 60_000;

const option = z.object({ name: z.string(), type: z.number().catch(0), value: z.unknown().optional() });
export const interaction = z.object({
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
export type Interaction = z.output<typeof interaction>;

export type InteractionSurroundings = {
  readonly receivedAt: number;
  readonly self: (guild: string | null) => Self;
  readonly channels: Pick<Channels, 'learn' | 'of' | 'originOf'>;
  readonly homeOf: HomeOf;
};

/** Something that we do not know, or know no more. */
export const unknown = (why: string): Heard => ({
  event: null,
  reply: {
    type: replies.message,
    data: { content: 'I do not know this command any more. Please try `/footnote help`.', flags: ephemeralFlag },
  },
  why,
});

/** Where an interaction stands, and who it is of. */
export type Place = {
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
    | 'homes'
  >;
  readonly author: InboundEvent['author'];
  readonly permissions: string | undefined;
  /** The thread that the interaction stands in; null: the top of a channel. */
  readonly thread: string | null;
  readonly handle: DiscordHandle;
  readonly self: Self;
};

export const placeOf = async (
  body: Interaction,
  userId: string,
  at: { readonly guild: string | undefined; readonly channel: string; readonly message?: string },
  around: InteractionSurroundings,
): Promise<Place> => {
  around.channels.learn(body.channel);
  const { guild, channel: channelId } = at;
  const channel = await around.channels.of(channelId);
  const home: Home = guild === undefined ? await around.homeOf(userId) : { workspaceId: guild, isMember: true };
  const user = body.member?.user ?? body.user;
  const name = body.member?.nick ?? user?.global_name ?? user?.username;
  const scope: Scope = guild === undefined && channel.kind === 'channel' ? 'dm' : scopeOf(channel);
  return {
    base: {
      platform: 'discord',
      workspaceId: home.workspaceId,
      ...(home.homes === undefined ? {} : { homes: home.homes }),
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

export const withToken = (
  body: Interaction,
  here: Place,
  kind: 'deferred' | 'update',
  ephemeral: boolean,
): DiscordHandle => ({
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
