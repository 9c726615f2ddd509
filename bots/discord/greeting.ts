import type { Clock, Log } from '../../core/ports/runtime.ts';
import type { DiscordApi } from './api.ts';
import { isRecord, textOf } from './fields.ts';
import { channelPermissions, isAllowed, neededToSpeak, serverPermissions } from './permissions.ts';

export type GreetingParts = {
  readonly api: DiscordApi;
  readonly clock: Clock;
  readonly log: Log;
  selfId(signal: AbortSignal): Promise<string>;
  /** The words of whoever the server belongs to; null: ours. */
  wordsIn(guild: string): Promise<string | null>;
  say(guild: string, channel: string, words: { readonly id: string; readonly markdown: string }): Promise<unknown>;
};

/** What somebody joined longer ago than this is no news, whatever made Discord tell it now. */
const newForMs = 3_600_000;
const withinMs = 15_000;

const hello =
  'Hello! Mention me with a question, or use `/ask`, and I answer from our documents and say where it stands. `/footnote help` tells what else I can do. If nobody has said yet whose documents are meant here, somebody who manages this server does so with `/footnote connect`.';

/**
 * A hello where Discord says hello to everybody: the server's system channel, if there is one and we may write there. For a
 * joining that was heard for the first time, as Discord describes the server in it. Never worth a failure.
 */
export const createGreeting = (parts: GreetingParts): ((guild: unknown) => Promise<void>) => {
  const { api, clock, log } = parts;

  /** Null: there is none, or we may not write there. */
  const systemChannel = async (guild: unknown, id: string): Promise<string | null> => {
    const channel = textOf(guild, 'system_channel_id');
    const channels = isRecord(guild) && Array.isArray(guild.channels) ? (guild.channels as readonly unknown[]) : [];
    const described = channels.find((one) => textOf(one, 'id') === channel);
    if (channel === null || described === undefined) return null;
    const signal = AbortSignal.timeout(withinMs);
    const member = await api.call('get', `/guilds/${id}/members/${await parts.selfId(signal)}`, { signal });
    if (!member.ok) return null;
    const allowed = channelPermissions(serverPermissions(guild, member.data), described, id, member.data);
    return isAllowed(allowed, neededToSpeak) ? channel : null;
  };

  return async (guild) => {
    const id = textOf(guild, 'id');
    const joinedAt = textOf(guild, 'joined_at');
    if (id === null || joinedAt === null || !(clock.now() - Date.parse(joinedAt) < newForMs)) return;
    try {
      const channel = await systemChannel(guild, id);
      if (channel === null) return;
      const markdown = (await parts.wordsIn(id)) ?? hello;
      await parts.say(id, channel, { id: `hello:${id}:${joinedAt}`, markdown });
    } catch (error) {
      log.debug('discord-greeting-failed', { error: String(error) });
    }
  };
};
