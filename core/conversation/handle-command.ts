import { textsFor } from '../answer/texts.ts';
import type { Connection, InboundEvent, Tenant } from '../domain.ts';
import { toAppError } from '../errors.ts';
import type { Platform } from '../ports/platform.ts';
import type { Command } from './command.ts';
import { askHome, wordsForNobody } from './handle-home.ts';
import { type Handled, type Handling, type Hold, settle } from './handling.ts';
import { memberIdOf } from './receipts.ts';
import { isFromOutside } from './reply-policy.ts';
import { parseSettings, renderSettings, settingsHelp, withChange } from './settings-command.ts';
import { bounded, mayManage, standingOf, tell } from './tell.ts';

/** `switch` needs no tenant: see handle-home.ts. */
export type AnsweredCommand = Command & { readonly name: Exclude<Command['name'], 'switch'> };

type Order = {
  readonly platform: Platform;
  readonly event: InboundEvent;
  readonly tenant: Tenant;
  readonly text: string;
  readonly signal: AbortSignal;
};

const commands =
  '- `settings`: how I behave in this channel\n' +
  '- `link`: make your accounts on several platforms one person\n' +
  '- `forget-me`: I forget what you asked\n' +
  '- `connect`, `check-up`: for those who manage this workspace';

const help = async (parts: Handling, { event, tenant }: Order): Promise<string> => {
  const { language } = await parts.rules(tenant, event.platform, event.channelId);
  return `${textsFor(tenant, event.text, language.value ?? 'en').greeting}\n${commands}`;
};

const onlyManagers = 'Only somebody who manages this channel or workspace can do that.';

/** Words about the bot itself, for a workspace that belongs to somebody. What is said is for their author alone. */
export const handleCommand = async (
  parts: Handling,
  tenant: Tenant,
  event: InboundEvent,
  { name, text }: AnsweredCommand,
  { signal }: Hold,
): Promise<Handled> => {
  const platform = parts.platformOf(event.platform);
  if (platform === null || event.author.isBot) return settle('unsupported', tenant);
  const order: Order = { platform, event, tenant, text, signal };
  let words: string;
  try {
    words = await answers[name](parts, order);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toAppError(thrown);
    if (error.code === 'store-unavailable' || error.code === 'lease-lost') throw error;
    parts.runtime.log.warn('command-failed', { platform: event.platform, code: error.code });
    words = 'I could not do that right now. Please try again in a moment.';
  }
  await tell(parts, platform, event, words, signal);
  return settle('command-done', tenant);
};

/** They name sources, and say how they are to be used: nothing for people from outside. Who cannot be asked about is one. */
const mayReadSettings = async (
  { runtime }: Handling,
  { platform, event, signal }: Pick<Order, 'platform' | 'event' | 'signal'>,
): Promise<boolean> => {
  try {
    const standing = await standingOf(platform, event, signal);
    return !isFromOutside({ author: standing === undefined ? {} : { standing } });
  } catch (thrown) {
    signal.throwIfAborted();
    runtime.log.warn('standing-unknown', { platform: event.platform, code: toAppError(thrown).code });
    return false;
  }
};

const settings = async (parts: Handling, { platform, event, tenant, text, signal }: Order): Promise<string> => {
  const { state, runtime } = parts;
  const sources = await state.sources.list(tenant.id);
  const shown = async (): Promise<string> =>
    renderSettings(await parts.rules(tenant, event.platform, event.channelId), sources);
  const wish = parseSettings(await withAuthorIds(platform, event, signal), text, sources);
  if (wish.wish === 'show' && !(await mayReadSettings(parts, { platform, event, signal })))
    return 'Only members of this organisation can see how I am set up.';
  if (wish.wish === 'show') return `${await shown()}\n\n${settingsHelp}`;
  if (event.scope === 'dm') return 'Settings are a channel’s. Say that in the channel which it is about.';
  if (!(await mayManage(parts, platform, event, signal))) return onlyManagers;
  if (wish.wish === 'unclear') return `${wish.sentence}\n\n${settingsHelp}`;
  const before = await state.channels.get(tenant.id, event.platform, event.channelId);
  await state.channels.put(tenant.id, event.platform, event.channelId, withChange(before, wish.change));
  await state.audit.append({
    id: `u_${runtime.random.hex(12)}`,
    tenantId: tenant.id,
    at: runtime.clock.now(),
    actor: memberIdOf(event),
    action: `channel.rules ${Object.keys(wish.change).join(',')}`,
    subject: `${event.platform}:${event.channelId}`,
  });
  return `Done. ${await shown()}`;
};

/** Rules name people as the events of a platform name their author; mentions may call them otherwise. */
const withAuthorIds = async (
  platform: Platform,
  event: InboundEvent,
  signal: AbortSignal,
): Promise<Pick<InboundEvent, 'mentions'>> =>
  platform.mentioned === undefined || event.mentions === undefined || event.mentions.length === 0
    ? event
    : { mentions: await platform.mentioned(event, bounded(signal)) };

const checkUp = async (parts: Handling, { platform, event, tenant, signal }: Order): Promise<string> => {
  if (!(await mayManage(parts, platform, event, signal))) return onlyManagers;
  const connection = await connectionOf(parts, event, tenant);
  const lines = await platform.checkUp(connection, bounded(signal));
  const said = lines.map(
    ({ item, ok, advice }) => `- ${ok ? '✓' : '✗'} ${item}${advice === undefined ? '' : `: ${advice}`}`,
  );
  return [
    'What I found:',
    ...said,
    `- Last event heard: ${timeOf(connection.lastEventAt)}`,
    `- Last error: ${connection.lastError === undefined ? 'none' : `${connection.lastError} (${timeOf(connection.lastErrorAt)})`}`,
  ].join('\n');
};

const timeOf = (at: number | undefined): string =>
  at === undefined ? 'unknown' : `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/**
 * A workspace of the default tenant has no row of its own. Whoever asks was heard just now, though that may not be written
 * down yet.
 */
const connectionOf = async (
  { workspaces, runtime }: Handling,
  event: InboundEvent,
  tenant: Tenant,
): Promise<Connection> => {
  const platform = event.platform as Connection['platform'];
  const known = (await workspaces.byWorkspace(platform, event.workspaceId)) ?? {
    id: '',
    tenantId: tenant.id,
    platform,
    workspaceId: event.workspaceId,
    createdAt: runtime.clock.now(),
  };
  return { ...known, lastEventAt: Math.max(known.lastEventAt ?? 0, event.receivedAt) };
};

const link = async (parts: Handling, { platform, event, tenant, text, signal }: Order): Promise<string> => {
  const { people, state, runtime } = parts;
  const memberId = memberIdOf(event);
  if (text.toLowerCase() === 'off')
    return (await people.unlink(tenant.id, memberId))
      ? 'Done: this account is a person by itself again.'
      : 'This account is linked to no other.';
  if (text === '') {
    const address = await addressOf(parts, platform, event, signal);
    if (address !== null && (await people.linkByAddress(tenant.id, memberId, address)) === 'linked')
      return 'Done: your accounts with the same verified e-mail address are one person now. `link off` undoes that for this one.';
    const { code } = await people.offerCode(tenant.id, memberId);
    const byCode = `On the other platform, send me within 15 minutes: \`link ${code}\`. From then on both accounts share one allowance and one history of direct messages. Give the code to nobody.`;
    return address === null
      ? byCode
      : `${byCode}\nWhere your other account has the same verified e-mail address, \`link\` alone is enough there, within a day.`;
  }
  const tries = await state.metering.hit(`link:${tenant.id}:${memberId}`, 5, 15 * 60_000, runtime.clock.now());
  if (!tries.ok) return 'That was tried too often. Please wait a quarter of an hour.';
  switch (await people.redeem(tenant.id, text, memberId)) {
    case 'linked':
      return 'Done: your accounts are one person now. If you did not ask for this code yourself, undo it with `link off`.';
    case 'own':
      return 'That is the code that you got here. Ask for a new one with `link`, and use it on the other platform.';
    case 'unknown':
      return 'This code is not valid any more. Ask me for a new one with `link`, on your other platform.';
  }
};

/** A platform that cannot be asked now is one that does not tell: there is the code. */
const addressOf = async (
  { runtime }: Handling,
  platform: Platform,
  event: InboundEvent,
  signal: AbortSignal,
): Promise<string | null> => {
  if (platform.address === undefined || event.author.standing === 'outsider') return null;
  try {
    return await platform.address(event, bounded(signal));
  } catch (thrown) {
    signal.throwIfAborted();
    runtime.log.warn('address-unknown', { platform: event.platform, code: toAppError(thrown).code });
    return null;
  }
};

const forgetMe = async ({ people }: Handling, { event, tenant, text }: Order): Promise<string> => {
  if (text.toLowerCase() !== 'yes')
    return 'I will forget the text of everything that you asked me, here and on accounts that you linked. That cannot be undone. If you mean it, say `forget-me yes`.';
  await people.forget(tenant.id, memberIdOf(event));
  return 'Done: I have forgotten what you asked. Messages that stand in your chats are not mine to remove.';
};

const answers: Readonly<Record<AnsweredCommand['name'], (parts: Handling, order: Order) => Promise<string>>> = {
  ask: help,
  help,
  settings,
  connect: async (parts, { platform, event, signal }) =>
    (await mayManage(parts, platform, event, signal, 'workspace'))
      ? 'This workspace is connected already. To move it elsewhere, disconnect it first in the console.'
      : 'This workspace is connected already.',
  'check-up': checkUp,
  link,
  'forget-me': forgetMe,
};

// ── workspaces of nobody ────────────────────────────────────────────────────────────────────────────────────────────

const notConnected =
  'I am installed here, but not connected to anybody’s documents yet. Somebody who manages this workspace can send me `connect` to get a one-time code.';

/** Who manages the workspace gets a code; anybody else who calls hears once an hour why there is no answer. */
export const handleUnknownWorkspace = async (
  parts: Handling,
  event: InboundEvent,
  command: Command | null,
  hold: Hold,
): Promise<Handled> => {
  const { signal } = hold;
  const platform = parts.platformOf(event.platform);
  const called = event.kind === 'command' || event.addressed === 'mention' || event.addressed === 'dm';
  const heard = event.kind === 'message' || event.kind === 'command';
  if (platform === null || !called || !heard || event.author.isBot) return settle('unknown-workspace');
  const asked = command?.name === 'connect' ? null : await askHome(parts, event, hold);
  if (asked !== null) return asked;
  if (command?.name === 'connect') {
    const may = await mayManage(parts, platform, event, signal, 'workspace');
    const words = may ? await codeFor(parts, event) : onlyAdministrators(event);
    await tell(parts, platform, event, words, signal);
    return settle('command-done');
  }
  const { state, runtime } = parts;
  const nobody = wordsForNobody(event);
  const key = `unconnected:${event.platform}:${event.workspaceId}${nobody === null ? '' : `:${event.author.id}`}`;
  // A command shows as pending until there is a reply.
  if (event.kind === 'command' || (await state.metering.hit(key, 1, 3_600_000, runtime.clock.now())).ok)
    await tell(parts, platform, event, nobody ?? notConnected, signal);
  return settle('unknown-workspace');
};

/** Whoever runs the deployment can connect it without a code, and needs no more than this for it. */
const onlyAdministrators = ({ platform, workspaceId, author }: InboundEvent): string =>
  author.standing === 'guest' || author.standing === 'outsider'
    ? onlyManagers
    : `Only somebody who manages this whole workspace can do that, and I cannot see that you do. Whoever runs this Footnote can connect it too, as \`${platform}\` workspace \`${workspaceId}\`.`;

const codeFor = async ({ workspaces }: Handling, event: InboundEvent): Promise<string> => {
  const { code } = await workspaces.offerCode(event.platform as Connection['platform'], event.workspaceId);
  return [
    `Your one-time code is \`${code}\`. It is good for 15 minutes, and for this workspace only.`,
    'Whoever administers your organisation’s Footnote enters it there: in the console under Connections, or with',
    `\`POST /api/v1/tenants/{slug}/connections\` and \`{"platform": "${event.platform}", "code": "${code}"}\`.`,
    'Whoever has the code can answer for this workspace, so give it to nobody else.',
  ].join('\n');
};
