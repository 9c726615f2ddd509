import type { Connection } from '../core/domain.ts';

/** A message as its platform's link names it. */
export type MessageLink = {
  readonly platform: Connection['platform'];
  readonly channelId: string;
  readonly messageId: string;
  /** Slack's links do not tell. */
  readonly workspaceId?: string;
};

/** Reads a link that somebody copied from a message; null for what is none. Nothing is fetched. */
export const parseMessageLink = (text: string): MessageLink | null => {
  const url = URL.parse(text.trim());
  if (url === null || url.protocol !== 'https:') return null;
  const parts = url.pathname.split('/').slice(1).map(decoded);
  const { hostname } = url;
  if (isOf(hostname, 'slack.com') || isOf(hostname, 'slack-gov.com')) return slackLink(parts);
  if (isOf(hostname, 'discord.com') || isOf(hostname, 'discordapp.com')) return discordLink(parts);
  if (teamsHosts.some((host) => isOf(hostname, host))) return teamsLink(parts, url.searchParams);
  return null;
};

const teamsHosts = ['teams.microsoft.com', 'teams.cloud.microsoft', 'teams.microsoft.us'];
const isOf = (hostname: string, host: string): boolean => hostname === host || hostname.endsWith(`.${host}`);
const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** `/archives/C024BE91L/p1700000000123456`: the point before the last six digits is left out. */
const slackLink = ([archives, channelId = '', message = '']: readonly string[]): MessageLink | null => {
  const stamp = /^p(\d{1,16})(\d{6})$/.exec(message);
  if (archives !== 'archives' || stamp === null || !/^[A-Z0-9]{2,32}$/.test(channelId)) return null;
  return { platform: 'slack', channelId, messageId: `${stamp[1]}.${stamp[2]}` };
};

/** `/channels/{server or @me}/{channel or thread}/{message}`. */
const discordLink = ([channels, guild = '', channelId = '', messageId = '']: readonly string[]): MessageLink | null => {
  const isId = (text: string): boolean => /^\d{1,20}$/.test(text);
  if (channels !== 'channels' || !isId(channelId) || !isId(messageId)) return null;
  if (guild !== '@me' && !isId(guild)) return null;
  return { platform: 'discord', workspaceId: guild === '@me' ? 'dm' : guild, channelId, messageId };
};

/** `/l/message/{channel}/{message}?tenantId=…`. */
const teamsLink = (
  [l, message, channelId = '', messageId = '']: readonly string[],
  query: URLSearchParams,
): MessageLink | null => {
  if (l !== 'l' || message !== 'message' || channelId === '' || !/^\d{1,20}$/.test(messageId)) return null;
  const workspaceId = query.get('tenantId');
  return {
    platform: 'teams',
    channelId: channelId.slice(0, 300),
    messageId,
    ...(workspaceId === null || workspaceId === '' ? {} : { workspaceId: workspaceId.slice(0, 100) }),
  };
};
