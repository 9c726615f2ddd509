import { isRecord, textOf } from './fields.ts';

/** Discord's bits, those that matter here. https://docs.discord.com/developers/topics/permissions */
const bits = {
  administrator: 1n << 3n,
  manageChannels: 1n << 4n,
  manageServer: 1n << 5n,
  viewChannel: 1n << 10n,
  sendMessages: 1n << 11n,
  readHistory: 1n << 16n,
  createThreads: 1n << 35n,
  sendInThreads: 1n << 38n,
} as const;

/** The least that the bot needs, each with what is lost without it. */
export const needed: readonly { readonly bit: bigint; readonly name: string; readonly loss: string }[] = [
  { bit: bits.viewChannel, name: 'View Channels', loss: 'the bot hears nothing there' },
  { bit: bits.sendMessages, name: 'Send Messages', loss: 'the bot cannot answer' },
  {
    bit: bits.createThreads,
    name: 'Create Public Threads',
    loss: 'answers stand in the channel instead of in a thread',
  },
  {
    bit: bits.sendInThreads,
    name: 'Send Messages in Threads',
    loss: 'the bot cannot answer in threads and forum posts',
  },
  {
    bit: bits.readHistory,
    name: 'Read Message History',
    loss: 'the bot does not know what was said before it was mentioned, and cannot reply to a message',
  },
];

/** Without one of these nothing works in a channel. */
export const neededToSpeak = bits.viewChannel | bits.sendMessages;

const parse = (text: string | null | undefined): bigint => (text && /^\d{1,30}$/.test(text) ? BigInt(text) : 0n);
const has = (permissions: bigint, any: bigint): boolean => (permissions & (any | bits.administrator)) !== 0n;

export const mayManageChannel = (permissions: string | undefined): boolean =>
  has(parse(permissions), bits.manageChannels | bits.manageServer);
export const mayManageServer = (permissions: string | undefined): boolean => has(parse(permissions), bits.manageServer);

/** What a member may do in the whole server, from the payloads of guild and member. */
export const serverPermissions = (guild: unknown, member: unknown): bigint => {
  const user = isRecord(member) ? textOf(member.user, 'id') : null;
  if (user !== null && user === textOf(guild, 'owner_id')) return ~0n;
  const roles = new Set([
    textOf(guild, 'id'),
    ...(isRecord(member) && Array.isArray(member.roles) ? member.roles : []),
  ]);
  const all = isRecord(guild) && Array.isArray(guild.roles) ? (guild.roles as readonly unknown[]) : [];
  return all
    .filter((role) => roles.has(textOf(role, 'id')))
    .reduce<bigint>((sum, role) => sum | parse(textOf(role, 'permissions')), 0n);
};

/** The same in one channel: everybody's overwrite, then those of the roles, then the member's own. */
export const channelPermissions = (base: bigint, channel: unknown, guildId: string, member: unknown): bigint => {
  if (has(base, 0n)) return ~0n;
  const overwrites =
    isRecord(channel) && Array.isArray(channel.permission_overwrites) ? channel.permission_overwrites : [];
  const roles = new Set<unknown>(isRecord(member) && Array.isArray(member.roles) ? member.roles : []);
  const user = isRecord(member) ? textOf(member.user, 'id') : null;
  const apply = (permissions: bigint, which: (id: string | null) => boolean): bigint => {
    const hit = (overwrites as readonly unknown[]).filter((one) => which(textOf(one, 'id')));
    const deny = hit.reduce<bigint>((sum, one) => sum | parse(textOf(one, 'deny')), 0n);
    const allow = hit.reduce<bigint>((sum, one) => sum | parse(textOf(one, 'allow')), 0n);
    return (permissions & ~deny) | allow;
  };
  return apply(
    apply(
      apply(base, (id) => id === guildId),
      (id) => id !== guildId && roles.has(id),
    ),
    (id) => id === user,
  );
};

export const isAllowed = (permissions: bigint, bit: bigint): boolean =>
  has(permissions, 0n) || (permissions & bit) === bit;

/** The address with which somebody who manages a server takes the bot in, with the least permissions. */
export const inviteUrl = (application: string, server?: string): string => {
  const permissions = needed.reduce((sum, { bit }) => sum | bit, 0n);
  const only = server === undefined ? '' : `&guild_id=${server}&disable_guild_select=true`;
  return `https://discord.com/oauth2/authorize?client_id=${application}&scope=bot+applications.commands&permissions=${permissions}${only}`;
};
