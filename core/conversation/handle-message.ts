import { textsFor } from '../answer/texts.ts';
import type { EffectiveRules } from '../core.ts';
import type { InboundEvent, ReasonCode, Tenant } from '../domain.ts';
import { toAppError } from '../errors.ts';
import { answerIdOf } from '../ids.ts';
import type { Manner, Platform } from '../ports/platform.ts';
import type { InboxRow } from '../ports/state.ts';
import { allowedSources, readersOf } from './allowed-sources.ts';
import type { Assignment } from './assignment.ts';
import { conversationOf, deliverAnswer, keepReceiptOfDeleted, pairIdOf } from './deliver.ts';
import {
  byOrder,
  deliveriesOf,
  type Handled,
  type Handling,
  type Hold,
  isDeleted,
  isGone,
  settle,
} from './handling.ts';
import { asKept, happeningOf, memberIdOf } from './receipts.ts';
import { decideReply, maxBotsInARow } from './reply-policy.ts';
import { standingOf, withReaders } from './tell.ts';

export const handleQuestion = async (parts: Handling, tenant: Tenant, row: InboxRow, hold: Hold): Promise<Handled> => {
  const related = await relatedRows(parts, row, hold);
  if (isGone(related)) {
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
export const handleEdit = async (parts: Handling, tenant: Tenant, row: InboxRow, hold: Hold): Promise<Handled> => {
  const related = await relatedRows(parts, row, hold);
  if (isGone(related)) return settle('superseded', tenant);
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
  // What was taken away with the question is not edited but said anew.
  const again = row.event.restored === true;
  const event: InboundEvent = {
    ...row.event,
    // The handle of the question says where the answer stands; the edit's words and time count.
    handle: question.event.handle,
    addressed: replaces.length > 0 || again ? stronger(question.event, row.event) : row.event.addressed,
  };
  return reply(parts, tenant, { ...row, event }, hold, again ? [] : unique(replaces));
};

const reply = async (
  parts: Handling,
  tenant: Tenant,
  given: InboxRow,
  hold: Hold,
  replaces: readonly string[],
): Promise<Handled> => {
  const platform = parts.platformOf(given.event.platform);
  if (platform === null) return settle('unsupported', tenant);
  const personOf = () => parts.people.personOf(tenant.id, memberIdOf(given.event));
  const [rules, sources, person] = await Promise.all([
    parts.rules(tenant, given.event.platform, given.event.channelId),
    parts.sources(tenant),
    // Elsewhere it is asked for with the rest that the answer needs.
    given.event.scope === 'dm' ? personOf() : undefined,
  ]);
  const row = { ...given, event: await withBeginner(parts, rules, given.event) };
  const isPrivate = isAnsweredPrivately(row.event, rules);
  const conversationId = conversationOf(row.event, { isPrivate, person: person ?? null });
  const thread = await threadOf(parts, tenant, row.event, conversationId);
  const asIfMember = decideReply(row.event, { known: true, rules, ...thread });
  if (asIfMember.decision === 'silent') return settle(asIfMember.reason, tenant);
  // Asked only for what would be answered: talk between people costs no call of the platform's API.
  const known = await withStanding(parts, platform, row, hold.signal);
  if ('outcome' in known) return known;
  const { event } = known;
  const verdict = event === row.event ? asIfMember : decideReply(event, { known: true, rules, ...thread });
  if (verdict.decision === 'silent') return settle(verdict.reason, tenant);
  if (event.author.isBot && !(await mayBotAskAgain(parts, event))) return settle('bot-author', tenant);
  const read = isPrivate ? event : await withReaders(parts, platform, event, hold.signal);
  const sourceIds = allowedSources(sources, rules, readersOf(read, rules, isPrivate));
  const say = verdict.decision === 'say' ? verdict : sourceIds?.length === 0 ? noSources : null;
  if (say !== null && !isCalled(event)) return settle(say.reason, tenant);
  const answerId = answerIdOf(row.id);
  const assignment: Assignment = {
    tenant,
    platform,
    event,
    rules,
    conversationId,
    person: person === undefined ? personOf : async () => person,
    deliveryId: row.id,
    answerId,
    ...(say === null ? {} : { say: { reason: say.reason, sentence: worded(tenant, event, rules, say) } }),
    ...(sourceIds === undefined ? {} : { sourceIds }),
    manner: mannerOf(platform, event, isPrivate),
    replaces,
    claims: row.attempts,
    signal: hold.signal,
    stopped: hold.stopped,
    confirmLease: hold.confirmLease,
    awake: hold.awake,
  };
  hold.writing(tenant.id);
  try {
    const delivered = await deliverAnswer(parts, assignment);
    if (delivered.outcome === 'later') return delivered;
    // Before the row is settled: what a crash leaves out is told when the row is worked on again, and it is told once.
    const happening = delivered.receipt === null ? null : happeningOf(tenant, delivered.receipt);
    if (happening !== null) await parts.happened(happening);
    return settle(delivered.reason, tenant, {
      answerId,
      // From here on it is only counted and logged.
      ...(delivered.receipt === null ? {} : { receipt: asKept(tenant, delivered.receipt) }),
      ...(delivered.closing === undefined ? {} : { closing: delivered.closing }),
    });
  } catch (thrown) {
    if (!isDeleted(thrown)) throw thrown;
    await retractAll(parts, tenant, platform, event, [{ id: row.id }]);
    await keepReceiptOfDeleted(parts, tenant, row.id);
    return settle('cancelled', tenant, { answerId });
  }
};

/** The event with whether it goes on in somebody else's talk, where that matters and only our inbox can tell. */
const withBeginner = async ({ state }: Handling, rules: EffectiveRules, event: InboundEvent): Promise<InboundEvent> => {
  const { rootMessageId, repliesToPerson, platform, workspaceId, channelId, author } = event;
  const matters = event.addressed === 'none' && rules.answerWhen.value === 'question';
  if (rootMessageId === undefined || repliesToPerson === true || !matters) return event;
  const rows = await state.inbox.byMessage(platform, workspaceId, channelId, rootMessageId);
  const root = rows.find((row) => row.event.kind === 'message' || row.event.kind === 'edit')?.event;
  return root?.author.id === author.id ? event : { ...event, repliesToPerson: true };
};

/** How long a platform that does not say who somebody is may hold up their question. */
const standingWithinMs = 10 * 60_000;

/**
 * The event with its author's standing, where the platform tells it only when asked. A member's sources are for members:
 * whoever cannot be told from a guest, or not in time, is treated as one.
 */
const withStanding = async (
  { runtime }: Handling,
  platform: Platform,
  { event }: InboxRow,
  signal: AbortSignal,
): Promise<{ readonly event: InboundEvent } | Extract<Handled, { readonly outcome: 'later' }>> => {
  try {
    const standing = await standingOf(platform, event, signal);
    if (standing === undefined || standing === event.author.standing) return { event };
    return { event: { ...event, author: { ...event.author, standing } } };
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toAppError(thrown);
    if (error.retryable && runtime.clock.now() - event.receivedAt < standingWithinMs)
      return { outcome: 'later', afterMs: error.retryAfterMs ?? 5000, error };
    runtime.log.warn('standing-unknown', { platform: event.platform, code: error.code, at: error.at ?? '' });
    return { event: { ...event, author: { ...event.author, standing: 'guest' } } };
  }
};

const noSources = {
  reason: 'no-sources',
  sentence:
    'There are no documents that I may use for an answer here. Somebody who manages this channel can say which ones I may, or you can ask me in a direct message.',
} as const;

/** Sentences that a tenant may have worded itself. */
const rewordable: Partial<Record<ReasonCode, 'empty' | 'tooLong' | 'noSources'>> = {
  empty: 'empty',
  'too-long': 'tooLong',
  'no-sources': 'noSources',
};
const worded = (
  tenant: Tenant,
  event: InboundEvent,
  rules: EffectiveRules,
  { reason, sentence }: { readonly reason: ReasonCode; readonly sentence: string },
): string => {
  const name = rewordable[reason];
  if (name === undefined) return sentence;
  return textsFor(tenant, event.text, rules.language.value).reworded(name) ?? sentence;
};

const isCalled = ({ addressed, author }: InboundEvent): boolean =>
  !author.isBot && (addressed === 'mention' || addressed === 'dm' || addressed === 'command');

/** A direct message is private by itself. */
const isAnsweredPrivately = (event: InboundEvent, rules: EffectiveRules): boolean =>
  event.scope !== 'dm' && (event.command?.private === true || rules.replies.value === 'private');

const mannerOf = (platform: Platform, event: InboundEvent, isPrivate: boolean): Manner => ({
  ...(isPrivate ? { private: true } : {}),
  ...(platform.capabilities(event.scope).stop === true ? { stoppable: true } : {}),
});

/** What went on in this thread, as far as the decision needs it. */
const threadOf = async (
  { state, runtime }: Handling,
  tenant: Tenant,
  event: InboundEvent,
  conversationId: string,
): Promise<{ readonly subscribed: boolean; readonly botsInARow?: number }> => {
  if (event.author.isBot) {
    const turns = await state.conversations.turns(tenant.id, conversationId, 2 * maxBotsInARow + 2);
    const asked = turns.filter((turn) => turn.role === 'user' && turn.at > runtime.clock.now() - botChainForMs);
    const sincePerson = asked.length - 1 - asked.findLastIndex((turn) => turn.bot !== true);
    return { subscribed: turns.length > 0, botsInARow: sincePerson };
  }
  const needsThread = event.addressed === 'none' || event.addressed === 'subscribed';
  return { subscribed: needsThread && (await state.conversations.exists(tenant.id, conversationId)) };
};

/** The second net under the count of turns: a refusal leaves no turn, and may be the other bot's next cue all the same. */
const mayBotAskAgain = async ({ state, runtime }: Handling, event: InboundEvent): Promise<boolean> => {
  const key = `bot:${event.platform}:${event.workspaceId}:${event.channelId}:${event.threadId}`;
  return (await state.metering.hit(key, 10, 3_600_000, runtime.clock.now())).ok;
};

/** Questions of a bot that lie further apart are no talk between machines. */
const botChainForMs = 10 * 60_000;

export const handleDelete = async (parts: Handling, tenant: Tenant, row: InboxRow, hold: Hold): Promise<Handled> => {
  const related = await relatedRows(parts, row, hold);
  for (const other of related) {
    // A deletion whose thread the platform did not name stands in a thread of its own; what it makes void sees it there.
    if (other.id !== row.id && other.state === 'ready' && other.threadKey === row.threadKey)
      await hold.settle(other.id, 'superseded', tenant.id);
  }
  const platform = parts.platformOf(row.event.platform);
  if (platform !== null) await retractAll(parts, tenant, platform, row.event, related);
  // Whoever deletes may be another than who asked, and where the turns are depends on who asked.
  const asked = related.find((other) => other.event.kind === 'message')?.event ?? row.event;
  const person = await parts.people.personOf(tenant.id, memberIdOf(asked));
  const places = [{}, { isPrivate: true }, { person }].map((place) => conversationOf(asked, place));
  for (const place of new Set(places))
    await parts.state.conversations.removePair(tenant.id, place, pairIdOf(row.event));
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

/** The question, its edits and its deletion, in the platform's order. */
const relatedRows = async (parts: Handling, row: InboxRow, hold: Hold): Promise<readonly InboxRow[]> => {
  if (hold.alone) return [row];
  const { event } = row;
  const rows = await parts.state.inbox.byMessage(event.platform, event.workspaceId, event.channelId, event.messageId);
  return rows.filter((row) => row.event.kind !== 'feedback').toSorted(byOrder);
};

const stronger = (one: InboundEvent, other: InboundEvent): InboundEvent['addressed'] =>
  one.addressed === 'none' ? other.addressed : one.addressed;
const unique = (ids: readonly string[]): readonly string[] => [...new Set(ids)];
