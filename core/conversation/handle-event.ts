import type { InboundEvent, Tenant } from '../domain.ts';
import type { InboxRow } from '../ports/state.ts';
import { commandOf } from './command.ts';
import { handleAction } from './handle-action.ts';
import { handleCommand, handleUnknownWorkspace } from './handle-command.ts';
import { handleFeedback } from './handle-feedback.ts';
import { handleDelete, handleEdit, handleQuestion } from './handle-message.ts';
import { type Handled, type Handling, type Hold, settle } from './handling.ts';

/** Of a command, a button or a thumb. */
const mostClaims = 40;

/** What becomes of one row of the inbox. */
export const handleRow = async (parts: Handling, row: InboxRow, hold: Hold): Promise<Handled> => {
  const { event } = row;
  // Our own words need no tenant, no rules and no look at the thread.
  if (event.author.isSelf && (event.kind === 'message' || event.kind === 'edit')) return settle('own-message');
  const tenant = await parts.resolveTenant(event);
  if (event.kind === 'install' || event.kind === 'uninstall') return handleInstallation(parts, tenant, event);
  const command = commandOf(event);
  if (tenant === null)
    return event.author.isBot ? settle('bot-author') : handleUnknownWorkspace(parts, event, command, hold);
  const isQuestion =
    command === null && (event.kind === 'message' || event.kind === 'command' || event.kind === 'edit');
  // Questions end in a sentence by themselves; what else fails time and again must not hold its thread up for ever.
  if (!isQuestion && row.attempts > mostClaims) return settle('failed', tenant);
  if (command !== null) return handleCommand(parts, tenant, event, command, hold);
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

/** A workspace that nobody has claimed yet is remembered too: its installation may have brought credentials. */
const handleInstallation = async (
  { workspaces }: Handling,
  tenant: Tenant | null,
  { kind, platform, workspaceId }: InboundEvent,
): Promise<Handled> => {
  if (platform !== 'slack' && platform !== 'discord' && platform !== 'teams') return settle('unsupported');
  if (kind === 'install') await workspaces.install({ platform, workspaceId });
  else await workspaces.uninstall(platform, workspaceId);
  return settle(kind === 'install' ? 'installed' : 'uninstalled', tenant);
};
