import type { Tenant } from '../domain.ts';
import { hashOf } from '../ids.ts';
import type { InboxRow } from '../ports/state.ts';
import { commandOf } from './command.ts';
import { handleAction } from './handle-action.ts';
import { handleCommand, handleUnknownWorkspace } from './handle-command.ts';
import { handleFeedback } from './handle-feedback.ts';
import { handleChoice, handleSwitch } from './handle-home.ts';
import { handleDelete, handleEdit, handleQuestion } from './handle-message.ts';
import { type Handled, type Handling, type Hold, settle } from './handling.ts';
import { isKnown, leave } from './strange.ts';

/** Of a command, a button or a thumb. */
const mostClaims = 40;

/** What becomes of one row of the inbox. */
export const handleRow = async (parts: Handling, row: InboxRow, hold: Hold): Promise<Handled> => {
  const { event } = row;
  // Our own words need no tenant, no rules and no look at the thread.
  if (event.author.isSelf && (event.kind === 'message' || event.kind === 'edit')) return settle('own-message');
  if (!isKnown(event)) return leave(row) ?? settle('unsupported');
  if (parts.platformOf(event.platform) === null) {
    const left = leave(row);
    if (left !== null) return left;
  }
  if (event.action?.name === 'choose') return handleChoice(parts, event, hold);
  const tenant = await parts.resolveTenant(event);
  if (event.kind === 'install' || event.kind === 'uninstall') return handleInstallation(parts, tenant, row);
  const command = commandOf(event);
  const name = command?.name;
  if (name === 'switch') return handleSwitch(parts, tenant, event, hold);
  if (tenant === null)
    return event.author.isBot ? settle('bot-author') : handleUnknownWorkspace(parts, event, command, hold);
  const isQuestion =
    command === null && (event.kind === 'message' || event.kind === 'command' || event.kind === 'edit');
  // Questions end in a sentence by themselves; what else fails time and again must not hold its thread up for ever.
  if (!isQuestion && row.attempts > mostClaims) return settle('failed', tenant);
  if (command !== null && name !== undefined)
    return handleCommand(parts, tenant, event, { name, text: command.text }, hold);
  switch (event.kind) {
    case 'message':
    case 'command':
      return handleQuestion(parts, tenant, row, hold);
    case 'edit':
      return handleEdit(parts, tenant, row, hold);
    case 'delete':
      return handleDelete(parts, tenant, row, hold);
    case 'feedback':
      return handleFeedback(parts, tenant, event);
    case 'action':
      return handleAction(parts, tenant, row, hold);
  }
};

/**
 * A workspace that nobody has claimed yet is remembered too: its installation may have brought credentials. Where the bot
 * came into or left one place of a workspace only (a team of an organisation), that is told by its channel and written
 * down, and the workspace stays as it is.
 */
const handleInstallation = async (parts: Handling, tenant: Tenant | null, row: InboxRow): Promise<Handled> => {
  const { kind, platform, workspaceId, channelId, scope, author } = row.event;
  if (platform !== 'slack' && platform !== 'discord' && platform !== 'teams') return settle('unsupported');
  const isWhole = channelId === 'workspace';
  if (kind === 'install') await parts.workspaces.install({ platform, workspaceId });
  else if (isWhole) await parts.workspaces.uninstall(platform, workspaceId);
  // Whoever adds the bot for themselves changes nothing for others.
  if (scope !== 'dm')
    await parts.state.audit.append({
      id: `u_${hashOf('installation', row.id).slice(0, 24)}`,
      tenantId: tenant?.id ?? null,
      at: row.event.receivedAt,
      actor: `${platform}:${author.id}`,
      action: `workspace.${kind}`,
      subject: isWhole ? `${platform}:${workspaceId}` : `${platform}:${workspaceId}:${channelId}`,
    });
  return settle(kind === 'install' ? 'installed' : 'uninstalled', tenant);
};
