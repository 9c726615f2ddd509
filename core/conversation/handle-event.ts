import type { InboundEvent, Tenant } from '../domain.ts';
import type { InboxRow } from '../ports/state.ts';
import { handleDelete, handleEdit, handleQuestion } from './handle-message.ts';
import { type Handled, type Handling, type Hold, settle } from './handling.ts';

/** What becomes of one row of the inbox. */
export const handleRow = async (parts: Handling, row: InboxRow, hold: Hold): Promise<Handled> => {
  const { event } = row;
  // Our own words need no tenant, no rules and no look at the thread.
  if (event.author.isSelf && (event.kind === 'message' || event.kind === 'edit')) return settle('own-message');
  const tenant = await parts.resolveTenant(event);
  if (event.kind === 'install' || event.kind === 'uninstall') return handleInstallation(parts, tenant, event);
  if (tenant === null) return settle(event.author.isBot ? 'bot-author' : 'unknown-workspace');
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
      return settle('unsupported', tenant);
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
  return settle(kind === 'install' ? 'installed' : 'uninstalled', tenant ?? undefined);
};

const handleFeedback = async (parts: Handling, tenant: Tenant, event: InboundEvent): Promise<Handled> => {
  if (event.feedback === undefined) return settle('unsupported', tenant);
  const answerId =
    event.feedback.answerId ??
    (event.targetMessageId === undefined
      ? undefined
      : (await parts.state.outbox.byPostedId(tenant.id, event.targetMessageId))?.answerId);
  if (answerId === undefined) return settle('unsupported', tenant);
  const stored = await parts.state.receipts.addFeedback(tenant.id, answerId, {
    rating: event.feedback.rating,
    ...(event.feedback.comment === undefined ? {} : { comment: event.feedback.comment }),
    user: `${event.platform}:${event.author.id}`,
    at: event.receivedAt,
  });
  if (!stored) return settle('unsupported', tenant);
  parts.runtime.metrics.count('feedback_total', { rating: event.feedback.rating });
  return settle('feedback-stored', tenant, { answerId });
};
