import type { PlaceNames } from '../../core/ports/platform.ts';
import type { SlackApi } from './api.ts';

/** One call for the workspace and one for each channel and person; those that the bot may not see stay without a name. */
export const namesInSlack = async (
  api: SlackApi,
  channelIds: readonly string[],
  userIds: readonly string[],
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
  const people: Record<string, string> = {};
  for (const user of userIds) {
    const found = await api.call('users.info', { user }, how);
    const name = found.ok ? nameOf(found.data.user) : null;
    if (name !== null) people[user] = name;
  }
  const workspace = who.ok ? who.data.team : undefined;
  return {
    channels,
    ...(userIds.length === 0 ? {} : { people }),
    ...(typeof workspace === 'string' && workspace !== '' ? { workspace } : {}),
  };
};

type User = {
  readonly name?: unknown;
  readonly real_name?: unknown;
  readonly profile?: { readonly display_name?: unknown; readonly real_name?: unknown };
};

/** As Slack shows somebody: the name that they chose, else their real one. */
const nameOf = (user: unknown): string | null => {
  const { profile, real_name, name } = (user ?? {}) as User;
  const names = [profile?.display_name, profile?.real_name, real_name, name];
  return names.find((each): each is string => typeof each === 'string' && each !== '') ?? null;
};
