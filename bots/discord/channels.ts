import { bounded } from '../bounded.ts';
import type { DiscordApi } from './api.ts';
import { isRecord, textOf } from './fields.ts';

/** What must be known of a channel to know where a message stands. */
export type ChannelKind = {
  readonly kind: 'dm' | 'group' | 'thread' | 'channel';
  /** Of a thread: the channel that it belongs to. */
  readonly parent?: string;
  /** Of a thread: who began it. */
  readonly owner?: string;
  /** A thread can be started from a message in it: text and announcements, not voice. */
  readonly startable: boolean;
};

export type Channels = {
  of(channelId: string): Promise<ChannelKind>;
  /** A channel as Discord describes it, from an event or an interaction. */
  learn(channel: unknown): void;
  forget(channelId: string): void;
  /** Discord gives a thread the id of the message it was started from; a server that does not is remembered here. */
  started(messageId: string, threadId: string): void;
  /** The message that a thread was started from, where its id does not say. */
  originOf(threadId: string): string | null;
};

const limit = 50_000;
/** Most are so. */
export const textChannel: ChannelKind = { kind: 'channel', startable: true };

/** Told by the gateway, asked for where it did not tell (archived threads, a process without the gateway). */
export const createChannels = (api: DiscordApi): Channels => {
  const known = bounded<ChannelKind>(limit);
  const origins = bounded<string>(limit);

  const learn = (channel: unknown): ChannelKind | null => {
    const id = textOf(channel, 'id');
    const kind = id === null ? null : kindOf(channel);
    if (id !== null && kind !== null) known.set(id, kind);
    return kind;
  };

  return {
    learn,
    forget: (channelId) => void known.delete(channelId),
    of: async (channelId) => {
      const kind = known.get(channelId);
      if (kind !== undefined) return kind;
      const result = await api
        .call('get', `/channels/${channelId}`, { signal: AbortSignal.timeout(5000) })
        .catch(() => null);
      return (result?.ok === true ? learn(result.data) : null) ?? textChannel;
    },
    started: (messageId, threadId) => {
      if (messageId !== threadId) origins.set(threadId, messageId);
    },
    originOf: (threadId) => origins.get(threadId) ?? null,
  };
};

const kindOf = (channel: unknown): ChannelKind | null => {
  if (!isRecord(channel)) return null;
  const parent = textOf(channel, 'parent_id');
  const owner = textOf(channel, 'owner_id');
  switch (channel.type) {
    case 1:
      return { kind: 'dm', startable: false };
    case 3:
      return { kind: 'group', startable: false };
    case 10:
    case 11:
    case 12:
      return {
        kind: 'thread',
        startable: false,
        ...(parent === null ? {} : { parent }),
        ...(owner === null ? {} : { owner }),
      };
    case 0:
    case 5:
      return textChannel;
    default:
      return typeof channel.type === 'number' ? { kind: 'channel', startable: false } : null;
  }
};
