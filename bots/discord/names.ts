import type { PlaceNames } from '../../core/ports/platform.ts';
import type { DiscordApi } from './api.ts';
import { isRecord, textOf } from './fields.ts';

/** Two calls, however many channels: the server, and all of its channels. Threads are no channels of the list. */
export const namesInDiscord = async (api: DiscordApi, guildId: string, signal: AbortSignal): Promise<PlaceNames> => {
  if (guildId === 'dm') return { channels: {} };
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
  return { channels, ...(workspace === null ? {} : { workspace }) };
};
