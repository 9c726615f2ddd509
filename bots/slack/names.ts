import type { PlaceNames } from '../../core/ports/platform.ts';
import type { SlackApi } from './api.ts';

/** One call for the workspace and one for each channel; those that the bot may not see stay without a name. */
export const namesInSlack = async (
  api: SlackApi,
  channelIds: readonly string[],
  signal: AbortSignal,
): Promise<PlaceNames> => {
  const how = { signal, repeatable: true };
  const who = await api.call('auth.test', {}, how);
  const channels: Record<string, string> = {};
  for (const channel of channelIds) {
    const found = await api.call('conversations.info', { channel }, how);
    const name = found.ok ? (found.data.channel as { readonly name?: unknown } | undefined)?.name : undefined;
    if (typeof name === 'string' && name !== '') channels[channel] = name;
  }
  const workspace = who.ok ? who.data.team : undefined;
  return { channels, ...(typeof workspace === 'string' && workspace !== '' ? { workspace } : {}) };
};
