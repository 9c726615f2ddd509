import type { Connection } from '../../core/domain.ts';
import type { CheckUpLine } from '../../core/ports/platform.ts';
import { type DiscordApi, refusal } from './api.ts';
import { missingCommands } from './commands.ts';
import { isRecord, textOf } from './fields.ts';
import type { Gateway } from './gateway.ts';
import { channelPermissions, inviteUrl, isAllowed, needed, neededToSpeak, serverPermissions } from './permissions.ts';

export type CheckUpParts = {
  readonly api: DiscordApi;
  readonly gateway: ReturnType<Gateway['state']>;
  readonly applicationId: string | undefined;
  readonly publicKey: string | undefined;
  readonly messageContent: boolean;
  readonly now: number;
};

/** Flags of an application: the message content intent, granted or granted below the review threshold. */
const contentFlags = (1 << 18) | (1 << 19);

const good = (item: string, advice?: string): CheckUpLine => ({
  item,
  ok: true,
  ...(advice === undefined ? {} : { advice }),
});
const bad = (item: string, advice: string): CheckUpLine => ({ item, ok: false, advice });

/** What works and what is missing for one server, in words for those who can change it. */
export const checkUpOnDiscord = async (
  parts: CheckUpParts,
  connection: Connection,
  signal: AbortSignal,
): Promise<readonly CheckUpLine[]> => {
  const { api } = parts;
  const application = await api.call('get', '/applications/@me', { signal });
  if (!application.ok)
    return [
      bad('token', `${refusal(application).message} Check DISCORD_BOT_TOKEN (Developer Portal, Bot, Reset Token).`),
    ];
  const applicationId = textOf(application.data, 'id') ?? '';
  const registered = await api.call('get', `/applications/${applicationId}/commands`, { signal });
  return [
    good('token'),
    ...applicationLines(parts, application.data, applicationId),
    gatewayLine(parts),
    contentLine(parts, application.data),
    commandLine(registered.ok && Array.isArray(registered.data) ? registered.data : null),
    ...(await serverLines(parts, connection.workspaceId, applicationId, signal)),
    connection.lastEventAt === undefined
      ? good('last event', 'Nothing was heard from this server yet.')
      : good('last event', new Date(connection.lastEventAt).toISOString()),
    ...(connection.lastError === undefined ? [] : [bad('last error', connection.lastError)]),
  ];
};

const applicationLines = (parts: CheckUpParts, application: unknown, id: string): readonly CheckUpLine[] => {
  const lines: CheckUpLine[] = [];
  if (parts.applicationId !== undefined)
    lines.push(
      parts.applicationId === id
        ? good('application id')
        : bad('application id', `DISCORD_APPLICATION_ID is ${parts.applicationId}, but the token belongs to ${id}.`),
    );
  const endpoint = textOf(application, 'interactions_endpoint_url');
  const key = textOf(application, 'verify_key');
  if (parts.publicKey !== undefined && key !== null && /^[0-9a-f]{64}$/.test(key) && key !== parts.publicKey)
    lines.push(
      bad('public key', 'DISCORD_PUBLIC_KEY is not the one of this application; every command by HTTP is refused.'),
    );
  if (endpoint !== null)
    lines.push(
      parts.publicKey === undefined
        ? bad(
            'commands by HTTP',
            `Discord sends commands to ${endpoint}, but DISCORD_PUBLIC_KEY is not set. Set it, or clear the Interactions Endpoint URL.`,
          )
        : good('commands by HTTP', endpoint),
    );
  return lines;
};

const gatewayLine = ({ gateway, now }: CheckUpParts): CheckUpLine => {
  const last =
    gateway.lastEventAt === null
      ? ''
      : `, last event ${Math.max(0, Math.round((now - gateway.lastEventAt) / 1000))} s ago`;
  switch (gateway.state) {
    case 'connected':
      return good(
        'gateway',
        `connected here with ${gateway.shards} ${gateway.shards === 1 ? 'shard' : 'shards'}${last}`,
      );
    case 'standing-by':
      return gateway.problem === null
        ? good('gateway', 'another instance holds the connection; this one takes over when it stops')
        : bad('gateway', `${gateway.problem} The bot hears nothing but commands by HTTP.`);
    case 'connecting':
      return bad('gateway', `${gateway.problem ?? 'Connecting.'} Until it is connected the bot hears no message.`);
    case 'refused':
      return bad('gateway', `${gateway.problem ?? 'Discord refuses the connection.'} The bot hears no message.`);
  }
};

const contentLine = (parts: CheckUpParts, application: unknown): CheckUpLine => {
  const item = 'message content';
  const flags = isRecord(application) && typeof application.flags === 'number' ? application.flags : 0;
  if (!parts.messageContent)
    return good(
      item,
      'Not asked for (DISCORD_MESSAGE_CONTENT=off): the bot hears mentions, replies to it, direct messages and commands, but no follow-up without a mention and no question that is not addressed to it.',
    );
  return (flags & contentFlags) !== 0 && !parts.gateway.contentRefused
    ? good(item)
    : bad(
        item,
        'Switch on “Message Content Intent” in the Developer Portal (Bot, Privileged Gateway Intents) and restart; without it the bot hears no follow-up without a mention and no question that is not addressed to it.',
      );
};

const commandLine = (registered: readonly unknown[] | null): CheckUpLine => {
  if (registered === null) return bad('commands', 'Discord did not say which commands are registered.');
  const missing = missingCommands(registered);
  return missing.length === 0
    ? good('commands')
    : bad(
        'commands',
        `Not registered yet: ${missing.join(', ')}. They are registered when the bot starts; look into its log.`,
      );
};

const serverLines = async (
  { api }: CheckUpParts,
  guildId: string,
  applicationId: string,
  signal: AbortSignal,
): Promise<readonly CheckUpLine[]> => {
  if (guildId === 'dm') return [];
  const guild = await api.call('get', `/guilds/${guildId}`, { signal });
  if (!guild.ok) return [bad('server', `The bot is not in this server. Take it in: ${inviteUrl(applicationId)}`)];
  const me = await api.call('get', '/users/@me', { signal });
  const userId = me.ok ? (textOf(me.data, 'id') ?? applicationId) : applicationId;
  const [member, channels] = await Promise.all([
    api.call('get', `/guilds/${guildId}/members/${userId}`, { signal }),
    api.call('get', `/guilds/${guildId}/channels`, { signal }),
  ]);
  const lines: CheckUpLine[] = [good('server', textOf(guild.data, 'name') ?? undefined)];
  if (!member.ok) return lines;
  const base = serverPermissions(guild.data, member.data);
  for (const { bit, name, loss } of needed)
    lines.push(
      isAllowed(base, bit)
        ? good(name)
        : bad(
            name,
            `Give the bot's role the permission “${name}”; without it ${loss}. Or take it in again: ${inviteUrl(applicationId)}`,
          ),
    );
  const closed = (channels.ok && Array.isArray(channels.data) ? (channels.data as readonly unknown[]) : [])
    .filter((channel) => isRecord(channel) && (channel.type === 0 || channel.type === 5 || channel.type === 15))
    .filter((channel) => !isAllowed(channelPermissions(base, channel, guildId, member.data), neededToSpeak))
    .map((channel) => `#${textOf(channel, 'name') ?? 'channel'}`);
  if (closed.length > 0 && isAllowed(base, neededToSpeak))
    lines.push(
      good(
        'closed channels',
        `The bot cannot hear or answer in ${closed.slice(0, 10).join(', ')}${closed.length > 10 ? ` and ${closed.length - 10} more` : ''}. That may be meant so.`,
      ),
    );
  return lines;
};
