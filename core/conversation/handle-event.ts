import type { EffectiveRules } from '../core.ts';
import type { InboundEvent, PlatformName, ReasonCode, Receipt, Tenant } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import { answerIdOf } from '../ids.ts';
import type { Platform, Workspaces } from '../ports/platform.ts';
import type { InboxRow, OutboxRecord } from '../ports/state.ts';
import {
  type Assignment,
  conversationOf,
  type Delivering,
  deliverAnswer,
  keepReceiptOfDeleted,
  pairIdOf,
} from './deliver.ts';
import { decideReply } from './reply-policy.ts';

export type Handling = Delivering & {
  platformOf(name: PlatformName): Platform | null;
  resolveTenant(event: InboundEvent): Promise<Tenant | null>;
  rules(tenant: Tenant, platform: PlatformName, channelId: string): Promise<EffectiveRules>;
  readonly workspaces: Workspaces;
};

/** The hold that a worker has on a row while it works on it. */
export type Hold = {
  readonly signal: AbortSignal;
  confirmLease(): Promise<void>;
  /** Settles another row of the same thread; rejects with `lease-lost`. */
  settle(rowId: string, reason: ReasonCode, tenantId?: string): Promise<void>;
};

export type Handled =
  | {
      readonly outcome: 'settle';
      readonly reason: ReasonCode;
      readonly tenantId?: string;
      readonly answerId?: string;
      readonly receipt?: Receipt;
    }
  | { readonly outcome: 'later'; readonly afterMs: number; readonly error: AppError };

/** What becomes of one row of the inbox. */
export const handleRow = async (parts: Handling, row: InboxRow, hold: Hold): Promise<Handled> => {
  const { event } = row;
  // Our own words and other bots' need no tenant, no rules and no look at the thread.
  if (event.kind === 'message' && (event.author.isSelf || event.author.isBot)) {
    return settle(event.author.isSelf ? 'own-message' : 'bot-author');
  }
  const tenant = await parts.resolveTenant(event);
  if (event.kind === 'install' || event.kind === 'uninstall') return handleInstallation(parts, tenant, event);
  if (tenant === null) return settle('unknown-workspace');
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

const settle = (
  reason: ReasonCode,
  tenant?: Tenant,
  more: { readonly answerId?: string; readonly receipt?: Receipt } = {},
): Handled => ({
  outcome: 'settle',
  reason,
  ...(tenant === undefined ? {} : { tenantId: tenant.id }),
  ...more,
});

const handleQuestion = async (parts: Handling, tenant: Tenant, row: InboxRow, hold: Hold): Promise<Handled> => {
  const related = await relatedRows(parts, row.event);
  if (related.some((other) => other.event.kind === 'delete')) {
    await keepReceiptOfDeleted(parts, tenant, row.id);
    return settle('superseded', tenant);
  }
  const edits = related.filter((other) => other.event.kind === 'edit');
  // The newest words count. The edits are settled first: after a crash in between they still lend their text here.
  for (const edit of edits)
    if (edit.state === 'ready' && edit.threadKey === row.threadKey) await hold.settle(edit.id, 'superseded', tenant.id);
  const newest = edits.at(-1)?.event;
  const event =
    newest === undefined
      ? row.event
      : { ...row.event, text: newest.text, attachments: newest.attachments, addressed: stronger(row.event, newest) };
  return reply(parts, tenant, { ...row, event }, hold, []);
};

/** Answered: answered again, in place. Heard but not answered: looked at again with its new words. Never heard: silence. */
const handleEdit = async (parts: Handling, tenant: Tenant, row: InboxRow, hold: Hold): Promise<Handled> => {
  const related = await relatedRows(parts, row.event);
  if (related.some((other) => other.event.kind === 'delete')) return settle('superseded', tenant);
  const later = related.some(
    (other) => other.id !== row.id && other.event.kind === 'edit' && other.event.orderKey > row.event.orderKey,
  );
  if (later) return settle('superseded', tenant);
  const question = related.find((other) => other.event.kind === 'message');
  // Not heard yet, or not worked off yet: the question will be answered with these words when its turn comes.
  if (question === undefined || question.state === 'ready') return settle('superseded', tenant);
  const replaces = (
    await deliveriesOf(
      parts,
      tenant,
      related.filter((other) => other.id !== row.id),
    )
  ).flatMap((record) => record.postedIds);
  const event: InboundEvent = {
    ...row.event,
    // The handle of the question says where the answer stands; the edit's words and time count.
    handle: question.event.handle,
    addressed: replaces.length > 0 ? stronger(question.event, row.event) : row.event.addressed,
  };
  return reply(parts, tenant, { ...row, event }, hold, unique(replaces));
};

const reply = async (
  parts: Handling,
  tenant: Tenant,
  row: InboxRow,
  hold: Hold,
  replaces: readonly string[],
): Promise<Handled> => {
  const { event } = row;
  const platform = parts.platformOf(event.platform);
  if (platform === null) return settle('unsupported', tenant);
  const rules = await parts.rules(tenant, event.platform, event.channelId);
  const needsThread = event.addressed === 'none' || event.addressed === 'subscribed';
  const subscribed = needsThread && (await parts.state.conversations.exists(tenant.id, conversationOf(event)));
  const verdict = decideReply(event, { known: true, rules, subscribed });
  if (verdict.decision === 'silent') return settle(verdict.reason, tenant);
  const answerId = answerIdOf(row.id);
  const assignment: Assignment = {
    tenant,
    platform,
    event,
    rules,
    deliveryId: row.id,
    answerId,
    ...(verdict.decision === 'say' ? { say: { reason: verdict.reason, sentence: verdict.sentence } } : {}),
    replaces,
    claims: row.attempts,
    signal: hold.signal,
    confirmLease: hold.confirmLease,
  };
  try {
    const delivered = await deliverAnswer(parts, assignment);
    if (delivered.outcome === 'later') return delivered;
    return settle(delivered.reason, tenant, {
      answerId,
      ...(delivered.receipt === null ? {} : { receipt: delivered.receipt }),
    });
  } catch (thrown) {
    if (!isDeleted(thrown)) throw thrown;
    await retractAll(parts, tenant, platform, event, [{ id: row.id }]);
    await keepReceiptOfDeleted(parts, tenant, row.id);
    return settle('cancelled', tenant, { answerId });
  }
};

const handleDelete = async (parts: Handling, tenant: Tenant, row: InboxRow, hold: Hold): Promise<Handled> => {
  const related = await relatedRows(parts, row.event);
  for (const other of related) {
    // A deletion whose thread the platform did not name stands in a thread of its own; what it makes void sees it there.
    if (other.id !== row.id && other.state === 'ready' && other.threadKey === row.threadKey)
      await hold.settle(other.id, 'superseded', tenant.id);
  }
  const platform = parts.platformOf(row.event.platform);
  if (platform !== null) await retractAll(parts, tenant, platform, row.event, related);
  await parts.state.conversations.removePair(tenant.id, conversationOf(row.event), pairIdOf(row.event));
  return settle('question-deleted', tenant);
};

/** Best effort: the question is gone, and an answer that cannot be removed must not hold up the thread. */
const retractAll = async (
  parts: Handling,
  tenant: Tenant,
  platform: Platform,
  event: InboundEvent,
  rows: readonly { readonly id: string }[],
): Promise<void> => {
  const posted = unique((await deliveriesOf(parts, tenant, rows)).flatMap((record) => record.postedIds));
  if (posted.length === 0 || platform.retract === undefined) return;
  try {
    await platform.retract(event, posted, AbortSignal.timeout(30_000));
  } catch (thrown) {
    parts.runtime.log.warn('retract-failed', { platform: event.platform, code: toAppError(thrown).code });
  }
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

/** The question, its edits and its deletion, in the platform's order. */
const relatedRows = async (parts: Handling, event: InboundEvent): Promise<readonly InboxRow[]> => {
  const rows = await parts.state.inbox.byMessage(event.platform, event.workspaceId, event.channelId, event.messageId);
  return [...rows]
    .filter((row) => row.event.kind !== 'feedback')
    .sort((a, b) => (a.event.orderKey < b.event.orderKey ? -1 : a.event.orderKey > b.event.orderKey ? 1 : 0));
};

const deliveriesOf = async (
  parts: Handling,
  tenant: Tenant,
  rows: readonly { readonly id: string }[],
): Promise<readonly OutboxRecord[]> => {
  const records = await Promise.all(rows.map((row) => parts.state.outbox.get(tenant.id, row.id)));
  return records.filter((record) => record !== null);
};

const stronger = (one: InboundEvent, other: InboundEvent): InboundEvent['addressed'] =>
  one.addressed === 'none' ? other.addressed : one.addressed;
const unique = (ids: readonly string[]): readonly string[] => [...new Set(ids)];

/** Reason with which a running answer is stopped when its question disappears. */
export const questionDeleted = (): AppError =>
  new AppError('cancelled', 'The question was deleted while it was being answered.', { at: 'question-deleted' });
const isDeleted = (thrown: unknown): boolean =>
  thrown instanceof AppError && thrown.code === 'cancelled' && thrown.at === 'question-deleted';
