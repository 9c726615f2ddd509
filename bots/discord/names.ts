import type { PlaceNames } from '../../core/ports/platform.ts';
import type { DiscordApi } from './api.ts';
import { isRecord, textOf } from './fields.ts';
import { isSnowflake } from './snowflake.ts';

/**
 * Two calls, however many channels: the server, and all of its channels; one more for each person. Threads are no channels
 * of the list, and people are called as they are in the server.
 */
export const namesInDiscord = async (
  api: DiscordApi,
  guildId: string,
  userIds: readonly string[],
  signal: AbortSignal,
): Promise<PlaceNames> => {
  const people: Record<string, string> = {};
  for (const id of userIds) {
    if (!isSnowflake(id)) continue;
    const member = guildId === 'dm' ? null : await api.call('get', `/guilds/${guildId}/members/${id}`, { signal });
    // Who has left the server, or only wrote to us, still has a name.
    const found = member?.ok === true ? member : await api.call('get', `/users/${id}`, { signal });
    const name = found.ok ? nameOf(found.data) : null;
    if (name !== null) people[id] = name;
  }
  const known = userIds.length === 0 ? {} : { people };
  if (guildId === 'dm') return { channels: {}, ...known };
  const [guild, listed] = await Promise.all([
    api.call('get', `/guilds/${guildId}`, { signal }),
    api.call('get', `/guilds/${guildId}/channels`, { signal }),
  ]);
  const channels: Record<string, string> = {};
  for (const channel of listed.ok && Array.isArray(listed.data) ? (listed.data as readonly unknown[]) : []) {
    const [id, name] = isRecord(channel) ? [textOf(channel, 'id'), textOf(channel, 'name')] : [null, null];
    if (id !== null && name !== null) channels[id] = name;
  }
  const workspace = guild.ok ? textOf(guild.data, 'name') : null;
  return { channels, ...known, ...(workspace === null ? {} : { workspace }) };
};

/** Of a member of a server, or of a user alone. */
const nameOf = (found: unknown): string | null => {
  const user = isRecord(found) && isRecord(found.user) ? found.user : found;
  return textOf(found, 'nick') ?? textOf(user, 'global_name') ?? textOf(user, 'username');
};
