import type { InboundEvent } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Manner } from '../../core/ports/platform.ts';
import { codes, type DiscordApi, type DiscordRefusal, type DiscordResult, refusal } from './api.ts';
import type { Channels } from './channels.ts';
import { textOf } from './fields.ts';
import { type Body, payloadOf } from './messages.ts';
import { discordHandle } from './normalise.ts';

/**
 * Where an answer's messages go. `reply`: a channel, a thread or a direct message, by the bot's token. `interaction`: the
 * reply that a command awaits, by the interaction's own token.
 */
export type Place =
  | { readonly kind: 'reply'; readonly channel: string; readonly replyTo?: string; readonly ephemeral: false }
  | {
      readonly kind: 'interaction';
      readonly channel: string;
      /** `/webhooks/{application}/{token}` */
      readonly path: `/webhooks/${string}`;
      readonly ephemeral: boolean;
      /** The awaited reply is still to be given, by editing it. */
      readonly awaited: boolean;
    };

export type Posted =
  | { readonly ok: true; readonly id: string /** What stands there now. */; readonly content: string }
  | DiscordRefusal;

/** By which door a message was posted: the bot's own (`b`), a command's token (`i`), or that, for one person's eyes (`e`). */
type Door = 'b' | 'i' | 'e';

/** A message's name in the outbox: where it is, which it is, and by which door it can be changed. */
export const postedId = (channel: string, message: string, door: Door): string =>
  `${channel}/${message}${door === 'b' ? '' : `/${door}`}`;
export const parsePostedId = (
  text: string,
): { readonly channel: string; readonly message: string; readonly door: Door } | null => {
  const found = /^(\d{1,20})\/(\d{1,20})(?:\/([ie]))?$/.exec(text);
  if (found === null) return null;
  return { channel: found[1] ?? '', message: found[2] ?? '', door: (found[3] ?? 'b') as Door };
};

export type PlaceParts = {
  readonly api: DiscordApi;
  readonly channels: Pick<Channels, 'started' | 'learn'>;
  /** Opens the direct message with a person; its channel's id. Throws `platform-failed`. */
  direct(userId: string, signal: AbortSignal): Promise<string>;
  readonly now: () => number;
};

/**
 * Finds the place, making it where needed: a thread from the question, a direct message. Throws `platform-failed` when
 * there is none.
 */
export const findPlace = async (
  parts: PlaceParts,
  event: InboundEvent,
  manner: Manner | undefined,
  signal: AbortSignal,
): Promise<Place> => {
  const handle = discordHandle.parse(event.handle);
  const { interaction } = handle;
  if (interaction !== undefined && interaction.until > parts.now()) {
    const path = `/webhooks/${interaction.application}/${encodeURIComponent(interaction.token)}` as const;
    const awaited = interaction.kind === 'deferred';
    if (manner?.private && awaited && !interaction.ephemeral) {
      // It was announced to all before anybody knew; the announcement goes, and what follows can be private.
      await parts.api.call('delete', `${path}/messages/@original`, { open: true, signal });
      return { kind: 'interaction', channel: handle.channel, path, ephemeral: true, awaited: false };
    }
    if (awaited)
      return { kind: 'interaction', channel: handle.channel, path, ephemeral: interaction.ephemeral, awaited: true };
    if (manner?.private) return { kind: 'interaction', channel: handle.channel, path, ephemeral: true, awaited: false };
  }
  const ephemeral = manner?.private === true || event.command?.private === true;
  if (ephemeral && event.scope !== 'dm')
    return { kind: 'reply', channel: await parts.direct(handle.user, signal), ephemeral: false };
  if (handle.startable && handle.message !== undefined)
    return startThread(parts, event, handle.channel, handle.message, signal);
  return {
    kind: 'reply',
    channel: handle.channel,
    ...(handle.message === undefined ? {} : { replyTo: handle.message }),
    ephemeral: false,
  };
};

/** Where a thread cannot be started the answer is a reply in the channel. */
const startThread = async (
  parts: PlaceParts,
  event: InboundEvent,
  channel: string,
  message: string,
  signal: AbortSignal,
): Promise<Place> => {
  const result = await parts.api.call('post', `/channels/${channel}/messages/${message}/threads`, {
    body: { name: threadName(event.text) },
    signal,
  });
  if (result.ok) {
    const thread = textOf(result.data, 'id') ?? message;
    parts.channels.learn(result.data);
    parts.channels.started(message, thread);
    return { kind: 'reply', channel: thread, ephemeral: false };
  }
  if (result.code === codes.threadExists) return { kind: 'reply', channel: message, ephemeral: false };
  const gone =
    result.code === codes.unknownChannel || result.code === codes.unknownMessage || result.code === codes.missingAccess;
  if (gone || result.status === 0 || result.status === 401 || result.status === 429 || result.status >= 500)
    throw refusal(result);
  return { kind: 'reply', channel, replyTo: message, ephemeral: false };
};

/** Names of threads are read in a list: one line, not the whole question. */
const threadName = (text: string): string => {
  const line = text
    .replace(/[*_`~|>#]/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  const characters = [...line];
  const name = characters.length > 90 ? `${characters.slice(0, 89).join('').trimEnd()}…` : line;
  return name === '' ? 'Question' : name;
};

/** The bot may not write in the channel of a command; the command's own token still may. */
const closedToUs: ReadonlySet<number> = new Set([codes.missingAccess, codes.missingPermissions, codes.unknownChannel]);

/**
 * Puts a new message there. Part 0 of a command's reply is edited into being, which can be repeated; what follows in public
 * is an ordinary message with its nonce. Only what follows a private reply has no such guard.
 */
export const postAt = async (
  api: DiscordApi,
  place: Place,
  body: Body,
  how: { readonly part: number; readonly nonce: string; readonly signal: AbortSignal },
): Promise<Posted> => {
  const { signal } = how;
  if (place.kind === 'interaction') {
    const door = place.ephemeral ? 'e' : 'i';
    if (place.awaited && how.part === 0)
      return posted(
        place,
        door,
        await api.call('patch', `${place.path}/messages/@original`, { open: true, signal, body: payloadOf(body) }),
      );
    const open = place.ephemeral ? null : await postInChannel(api, place.channel, body, how);
    if (open !== null && (open.ok || !closedToUs.has(open.code))) return posted(place, 'b', open);
    return posted(
      place,
      door,
      await api.call('post', place.path, {
        open: true,
        once: true,
        signal,
        query: { wait: 'true' },
        body: payloadOf(body, { ephemeral: place.ephemeral }),
      }),
    );
  }
  const replyTo = how.part === 0 ? place.replyTo : undefined;
  return posted(
    place,
    'b',
    await postInChannel(api, place.channel, body, { ...how, ...(replyTo === undefined ? {} : { replyTo }) }),
  );
};

const postInChannel = (
  api: DiscordApi,
  channel: string,
  body: Body,
  how: { readonly nonce: string; readonly replyTo?: string; readonly signal: AbortSignal },
) =>
  api.call('post', `/channels/${channel}/messages`, {
    signal: how.signal,
    body: payloadOf(body, { nonce: how.nonce, ...(how.replyTo === undefined ? {} : { replyTo: how.replyTo }) }),
  });

const posted = (place: Place, door: Door, result: DiscordResult): Posted => {
  if (!result.ok) return result;
  const id = textOf(result.data, 'id');
  if (id === null) return { ok: false, code: 0, status: 502, certain: false };
  // A command's reply may stand in another channel than we believe; Discord says in which.
  const channel = textOf(result.data, 'channel_id') ?? place.channel;
  return { ok: true, id: postedId(channel, id, door), content: textOf(result.data, 'content') ?? '' };
};

/** Changes a message of ours: by the command's token while it lives, else as one of the bot's own. */
export const editAt = (
  api: DiscordApi,
  place: Place | null,
  id: string,
  body: Body,
  how: { readonly hurried?: boolean; readonly signal: AbortSignal },
): Promise<DiscordResult> => {
  const { path, open } = pathOf(place, id);
  return api.call('patch', path, { open, body: payloadOf(body), ...how });
};

export const removeAt = (
  api: DiscordApi,
  place: Place | null,
  id: string,
  signal: AbortSignal,
): Promise<DiscordResult> => {
  const { path, open } = pathOf(place, id);
  return api.call('delete', path, { open, signal });
};

const pathOf = (place: Place | null, id: string): { readonly path: `/${string}`; readonly open: boolean } => {
  const at = parsePostedId(id);
  if (at === null) throw new AppError('internal', 'This is no message of ours on Discord.');
  return place?.kind === 'interaction' && at.door !== 'b'
    ? { path: `${place.path}/messages/${at.message}`, open: true }
    : { path: `/channels/${at.channel}/messages/${at.message}`, open: false };
};
