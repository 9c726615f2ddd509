import type { Attachment, Home, InboundEvent } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Destination, Earlier } from '../../core/ports/platform.ts';
import type { Clock } from '../../core/ports/runtime.ts';
import { readBounded } from '../../core/security/read-bounded.ts';
import { renderDiscord } from '../markdown.ts';
import { codes, type DiscordApi, type DiscordResult, deadToken, refusal, tokenSettlesMs } from './api.ts';
import { isRecord, textOf } from './fields.ts';
import { type Body, homeRows, nonceOf, payloadOf, splitForDiscord } from './messages.ts';
import { type DiscordHandle, discordHandle } from './normalise.ts';
import { postedId } from './place.ts';
import { isSnowflake, timeOfSnowflake } from './snowflake.ts';
import { parseDiscordText, type Self } from './text.ts';

/** Whoever is written to first: their direct message is opened, and its channel kept. */
export const createDirect = (api: DiscordApi): ((userId: string, signal: AbortSignal) => Promise<string>) => {
  const known = new Map<string, string>();
  return async (userId, signal) => {
    const before = known.get(userId);
    if (before !== undefined) return before;
    const result = await api.call('post', '/users/@me/channels', { body: { recipient_id: userId }, signal });
    if (!result.ok) throw refusal(result);
    const channel = textOf(result.data, 'id');
    if (channel === null)
      throw new AppError('platform-failed', 'Discord opened no direct message.', { retryable: true });
    const oldest = known.keys().next();
    if (known.size >= 10_000 && !oldest.done) known.delete(oldest.value);
    known.set(userId, channel);
    return channel;
  };
};

export type SpeakParts = {
  readonly api: DiscordApi;
  direct(userId: string, signal: AbortSignal): Promise<string>;
  readonly clock: Clock;
  readonly self: (guild: string | null) => Self;
};

/** A message of our own. A thread that is none of Discord's (a command's) means its channel. The id of its first part. */
export const sayOnDiscord = async (
  { api, direct }: SpeakParts,
  to: Destination,
  words: { readonly id: string; readonly markdown: string; readonly people?: readonly string[] },
  signal: AbortSignal,
): Promise<string> => {
  const people = (words.people ?? []).filter(isSnowflake);
  const called = people.map((id) => `<@${id}>`).join(' ');
  const texts = splitForDiscord(renderDiscord(words.markdown));
  const post = async (channel: string): Promise<string | 'no-thread'> => {
    let first: string | null = null;
    for (const [part, text] of texts.entries()) {
      const content = part === 0 && called !== '' ? `${called} ${text}` : text;
      const result = await api.call('post', `/channels/${channel}/messages`, {
        body: payloadOf(
          { content, components: [] },
          { nonce: nonceOf(words.id, part), ...(part === 0 ? { people } : {}) },
        ),
        signal,
      });
      if (!result.ok) {
        if (result.code === codes.unknownChannel && first === null) return 'no-thread';
        throw refusal(result);
      }
      first ??= postedId(channel, textOf(result.data, 'id') ?? '0', 'b');
    }
    return first ?? 'no-thread';
  };
  const candidates =
    to.userId === undefined
      ? [to.threadId, to.channelId].filter((id) => id !== undefined && isSnowflake(id))
      : [await direct(to.userId, signal)];
  for (const channel of candidates) {
    const id = await post(channel ?? '');
    if (id !== 'no-thread') return id;
  }
  throw refusal({ ok: false, code: codes.unknownChannel, status: 404, certain: true });
};

/** Which of the servers is meant: a button for each, under the words. */
export const askHomeOnDiscord = (
  parts: SpeakParts,
  event: InboundEvent,
  markdown: string,
  homes: readonly Home[],
  signal: AbortSignal,
): Promise<void> => whisperOnDiscord(parts, event, markdown, signal, homeRows(homes, event.messageId));

/**
 * For the author's eyes: the reply that a command awaits, else an ephemeral message beside the button, else a direct
 * message. Repeating it after a crash changes the same reply.
 */
export const whisperOnDiscord = async (
  parts: SpeakParts,
  event: InboundEvent,
  markdown: string,
  signal: AbortSignal,
  /** Stand under the first message. */
  components: Body['components'] = [],
): Promise<void> => {
  const { api } = parts;
  const { interaction, user } = discordHandle.parse(event.handle);
  const [first = '…', ...rest] = splitForDiscord(renderDiscord(markdown));
  if (interaction !== undefined && interaction.until > parts.clock.now()) {
    const path = `/webhooks/${interaction.application}/${encodeURIComponent(interaction.token)}` as const;
    const followUp = (content: string, under: Body['components'] = []) =>
      api.call('post', path, {
        open: true,
        once: true,
        signal,
        body: payloadOf({ content, components: under }, { ephemeral: true }),
      });
    const awaited = interaction.kind === 'deferred' && interaction.ephemeral;
    if (interaction.kind === 'deferred' && !awaited)
      await api.call('delete', `${path}/messages/@original`, { open: true, signal });
    const result = await onceTokenSettles(parts.clock, event, signal, () =>
      awaited
        ? api.call('patch', `${path}/messages/@original`, {
            open: true,
            signal,
            body: payloadOf({ content: first, components }),
          })
        : followUp(first, components),
    );
    if (result.ok) {
      for (const content of rest) await followUp(content);
      return;
    }
    // The token is over: a direct message says it instead.
  }
  const channel = await parts.direct(user, signal);
  for (const [part, content] of [first, ...rest].entries()) {
    const nonce = nonceOf(`${event.messageId}:whisper:${content}`, part);
    const result = await api.call('post', `/channels/${channel}/messages`, {
      signal,
      body: payloadOf({ content, components: part === 0 ? components : [] }, { nonce }),
    });
    if (!result.ok) throw refusal(result);
  }
};

/** A command's token may be used before Discord has taken note of the acknowledgement. */
const onceTokenSettles = async (
  clock: Clock,
  event: InboundEvent,
  signal: AbortSignal,
  call: () => Promise<DiscordResult>,
): Promise<DiscordResult> => {
  for (;;) {
    const result = await call();
    if (result.ok || !deadToken.has(result.code) || clock.now() >= event.receivedAt + tokenSettlesMs) return result;
    await clock.sleep(200, signal);
  }
};

/** What was said before, in one call: the thread, the direct message, or the one message that was replied to. */
export const earlierOnDiscord = async (
  { api, self }: SpeakParts,
  event: InboundEvent,
  limit: number,
  signal: AbortSignal,
): Promise<readonly Earlier[]> => {
  const handle = discordHandle.parse(event.handle);
  if (handle.message === undefined || opensDiscordThread(event)) return [];
  const inThread = isInThread(event, handle);
  const result = inThread
    ? await api.call('get', `/channels/${handle.channel}/messages`, {
        query: { before: handle.message, limit: String(Math.max(1, Math.min(100, limit))) },
        signal,
      })
    : await api.call('get', `/channels/${handle.channel}/messages/${handle.replyTo ?? '0'}`, { signal });
  if (!result.ok) {
    const error = refusal(result);
    // May not read what was said: then there is nothing to tell.
    if (!error.retryable) return [];
    throw error;
  }
  const messages: readonly unknown[] = Array.isArray(result.data) ? result.data : [result.data];
  const us = self(handle.guild ?? null);
  return messages
    .map((message) => earlierFrom(message, us))
    .filter((one) => one !== null)
    .sort((a, b) => a.at - b.at);
};

const isInThread = (event: InboundEvent, handle: DiscordHandle): boolean =>
  event.scope !== 'channel' || event.threadId === handle.channel || handle.channel !== event.channelId;

/** Neither in a thread nor a reply to somebody. */
export const opensDiscordThread = (event: InboundEvent): boolean => {
  const handle = discordHandle.parse(event.handle);
  return handle.message === undefined || (!isInThread(event, handle) && handle.replyTo === undefined);
};

const earlierFrom = (given: unknown, self: Self): Earlier | null => {
  if (!isRecord(given)) return null;
  // The first line of a thread only points at the message that it was started from.
  const message = given.type === 21 && isRecord(given.referenced_message) ? given.referenced_message : given;
  const id = textOf(message, 'id');
  const { author } = message;
  const authorId = textOf(author, 'id');
  const text = parseDiscordText(textOf(message, 'content') ?? '', self, []);
  if (id === null || authorId === null || !isRecord(author) || text === '') return null;
  const name = textOf(author, 'global_name') ?? textOf(author, 'username');
  return {
    messageId: id,
    author: {
      id: authorId,
      isBot: author.bot === true || typeof message.webhook_id === 'string',
      isSelf: authorId === self.userId,
      ...(name === null ? {} : { name }),
    },
    text,
    at: timeOfSnowflake(id),
  };
};

const cdn: ReadonlySet<string> = new Set(['cdn.discordapp.com', 'media.discordapp.net']);

/** The bytes of a file, from Discord's own hosts only: an address in a payload is no reason to go anywhere else. */
export const downloadFromDiscord = async (
  attachment: Attachment,
  maxBytes: number,
  signal: AbortSignal,
  /** DISCORD_API_URL, whose host is trusted as well. */
  apiUrl: string | undefined,
): Promise<Uint8Array> => {
  const url = attachment.url === undefined ? null : URL.parse(attachment.url);
  const trusted =
    url !== null &&
    ((url.protocol === 'https:' && cdn.has(url.host)) ||
      (apiUrl !== undefined && url.origin === new URL(apiUrl).origin));
  if (url === null || !trusted)
    throw new AppError('address-not-allowed', 'The file does not lie with Discord, so I do not fetch it.');
  if ((attachment.bytes ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const within = AbortSignal.any([signal, AbortSignal.timeout(30_000)]);
  try {
    const response = await fetch(url, { redirect: 'error', signal: within });
    if (!response.ok || response.body === null)
      throw new AppError('platform-failed', 'Discord did not hand out the file.', {
        retryable: response.status >= 500,
        at: String(response.status),
      });
    const bytes = await readBounded(response.body, maxBytes);
    if (bytes === null) throw tooLarge(maxBytes);
    return bytes;
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    if (signal.aborted) throw signal.reason;
    throw new AppError('platform-failed', 'Discord did not hand out the file.', { retryable: true, cause: thrown });
  }
};

const tooLarge = (maxBytes: number): AppError =>
  new AppError('too-large', `The file is larger than ${Math.round(maxBytes / 1_048_576)} MB.`);
