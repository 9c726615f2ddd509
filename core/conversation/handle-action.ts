import type { InboundEvent, Receipt, Tenant } from '../domain.ts';
import { toAppError } from '../errors.ts';
import { attachedSourceId, hashOf } from '../ids.ts';
import type { Destination, Platform } from '../ports/platform.ts';
import type { InboxRow } from '../ports/state.ts';
import { allowedSources, readersOf } from './allowed-sources.ts';
import { conversationOf } from './deliver.ts';
import { answerOf, judge, tooSoonOr } from './handle-feedback.ts';
import { type Handled, type Handling, type Hold, settle } from './handling.ts';
import { memberIdOf } from './receipts.ts';
import { bounded, mayManage, tell, withReaders } from './tell.ts';

type Press = {
  readonly parts: Handling;
  readonly tenant: Tenant;
  readonly platform: Platform;
  readonly event: InboundEvent;
  readonly hold: Hold;
  /** How often this press was taken up. */
  readonly claims: number;
};

/** A button under an answer, or beside one that is being written. */
export const handleAction = async (parts: Handling, tenant: Tenant, row: InboxRow, hold: Hold): Promise<Handled> => {
  const { event } = row;
  const platform = parts.platformOf(event.platform);
  const { action } = event;
  if (platform === null || action === undefined || event.author.isBot) return settle('unsupported', tenant);
  const press: Press = { parts, tenant, platform, event, hold, claims: row.attempts };
  if (action.name === 'stop') return stop(press, action.deliveryId);
  const answerId = await answerOf(parts, tenant, event, action.answerId);
  const receipt = answerId === null ? null : await parts.state.receipts.get(tenant.id, answerId);
  if (receipt === null) return tooSoonOr(parts, tenant, event);
  switch (action.name) {
    case 'publish':
      return publish(press, receipt);
    case 'solved':
      await judge(parts, tenant, event, receipt.answerId, { rating: 'up', mark: 'solved' });
      await tell(parts, platform, event, 'Glad to hear it. I noted that this is solved.', hold.signal);
      return settle('action-done', tenant, { answerId: receipt.answerId });
    case 'human':
      return callHuman(press, receipt);
    case 'choose':
      // Needs no tenant: see handle-home.ts.
      return settle('unsupported', tenant);
  }
};

// ── stop ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Only the asker or somebody who manages the place. The holder ends the answer with what is written of it. */
const stop = async ({ parts, tenant, platform, event, hold }: Press, given?: string): Promise<Handled> => {
  const { inbox, outbox } = parts.state;
  const deliveryId =
    given ??
    (event.targetMessageId === undefined ? undefined : (await outbox.byPostedId(tenant.id, event.targetMessageId))?.id);
  if (deliveryId === undefined || (await outbox.get(tenant.id, deliveryId)) === null)
    return settle('unsupported', tenant);
  const asked = (await inbox.get(deliveryId))?.event;
  const isAsker = asked !== undefined && asked.author.id === event.author.id;
  if (!isAsker && !(await mayManage(parts, platform, event, hold.signal))) {
    await tell(parts, platform, event, 'Only the person who asked can stop this answer.', hold.signal);
    return settle('not-allowed', tenant);
  }
  if (await outbox.stop(tenant.id, deliveryId)) parts.stopHere(deliveryId);
  return settle('action-done', tenant);
};

// ── publish ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const publicationIdOf = (answerId: string): string => `b_${hashOf('publish', answerId).slice(0, 32)}`;

/** A private answer for all to read: once, by the asker, and only what all may read. */
const publish = async (press: Press, receipt: Receipt): Promise<Handled> => {
  const { parts, tenant, platform, event, hold } = press;
  const { state, runtime } = parts;
  const { signal } = hold;
  const at = await whereAsked(press, receipt);
  const refuse = async (sentence: string): Promise<Handled> => {
    await tell(parts, platform, event, sentence, signal);
    return settle('not-allowed', tenant, { answerId: receipt.answerId });
  };
  if (receipt.memberId !== memberIdOf(event))
    return refuse('Only the person who asked can show this answer to others.');
  if (at === null || receipt.answer === '' || receipt.kind === 'refused')
    return refuse('I no longer have the text of this answer. Please ask again.');
  const [rules, sources, read, drawnOn] = await Promise.all([
    parts.rules(tenant, at.platform, at.channelId),
    state.sources.list(tenant.id),
    withReaders(parts, platform, at, signal),
    sourcesDrawnOn(parts, tenant, receipt),
  ]);
  const allowed = allowedSources(sources, rules, readersOf(read, rules, false));
  if (allowed !== undefined && drawnOn.some((id) => id !== attachedSourceId && !allowed.includes(id)))
    return refuse(
      'This answer draws on documents that not everybody in this channel may read, so I cannot show it here.',
    );

  const id = publicationIdOf(receipt.answerId);
  const record = await state.outbox.open(tenant.id, id, receipt.answerId, runtime.clock.now());
  if (record.state === 'sent') {
    await tell(parts, platform, event, 'This answer stands in the channel already.', signal);
    return settle('action-done', tenant, { answerId: receipt.answerId });
  }
  const who = event.author.name === undefined ? 'Somebody' : event.author.name;
  const asked = receipt.question === '' ? '' : `> ${receipt.question.replace(/\s+/g, ' ').slice(0, 300)}\n\n`;
  try {
    const delivery = {
      id,
      postedIds: record.postedIds,
      uncertain: record.attempts > 1 || press.claims > 1,
      posted: (messageId: string) => state.outbox.posted(tenant.id, id, messageId),
    };
    const sink = await platform.openAnswer(at, delivery, signal, {});
    await hold.confirmLease();
    await sink.finish({
      markdown: `_${plain(who)} asked:_\n\n${asked}${receipt.answer}`,
      citations: receipt.citations,
      ...(platform.capabilities(at.scope).feedback ? { feedbackId: receipt.answerId, offers: ['thumbs'] } : {}),
    });
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toAppError(thrown);
    if (error.code === 'lease-lost' || error.code === 'store-unavailable') throw error;
    if (error.retryable && record.attempts < 5)
      return { outcome: 'later', afterMs: error.retryAfterMs ?? 1000 * 3 ** (record.attempts - 1), error };
    return refuse('I could not post this answer to the channel. Please try again later.');
  }
  await state.outbox.sent(tenant.id, id, runtime.clock.now());
  // From now on the thread remembers it, so that others can go on from there.
  await state.conversations.append(tenant.id, conversationOf(at), id, [
    { role: 'user', text: receipt.question, at: runtime.clock.now() },
    { role: 'assistant', text: receipt.answer, at: runtime.clock.now(), answerId: receipt.answerId },
  ]);
  return settle('action-done', tenant, { answerId: receipt.answerId });
};

/**
 * The press as if it had been made where the question was asked: a private answer may stand in a direct message, and who
 * reads along, or who is called, is the channel's business. Null: where that was is not kept any more.
 */
const whereAsked = async (
  { parts, event }: Press,
  { channelId, messageId = '' }: Receipt,
): Promise<InboundEvent | null> => {
  if (event.scope !== 'dm' || channelId === undefined || channelId === event.channelId) return event;
  const rows = await parts.state.inbox.byMessage(event.platform, event.workspaceId, channelId, messageId);
  const asked = rows.find((row) => row.event.kind === 'message' || row.event.kind === 'command')?.event;
  if (asked === undefined || Object.keys(asked.handle).length === 0) return null;
  const { command: _, ...place } = asked;
  return { ...place, author: event.author };
};

/** More than any prompt holds: what stands before these has left the conversation. */
const turnsLookedAt = 24;

/** The sources whose words may stand in an answer: those that it was given, and those of the answers before it in its talk. */
const sourcesDrawnOn = async ({ state }: Handling, tenant: Tenant, receipt: Receipt): Promise<readonly string[]> => {
  const turns = await state.conversations.turns(tenant.id, receipt.conversationId, turnsLookedAt);
  const own = turns.findIndex(({ answerId }) => answerId === receipt.answerId);
  const before = turns.slice(0, own === -1 ? undefined : own).flatMap(({ answerId }) => answerId ?? []);
  const receipts = await Promise.all(before.map((answerId) => state.receipts.get(tenant.id, answerId)));
  return [receipt, ...receipts.filter((found) => found !== null)].flatMap(({ inPrompt, citations, retrieved }) => {
    const used = new Set([...inPrompt, ...citations.map(({ chunkId }) => chunkId)]);
    return retrieved.filter(({ chunkId }) => used.has(chunkId)).map(({ sourceId }) => sourceId);
  });
};

/** A name is a person's own choice: nothing in it is formatting, a link or a mention. */
const plain = (name: string): string => name.replace(/[^\p{L}\p{N} .'-]/gu, '').slice(0, 80) || 'Somebody';

// ── human ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const callHuman = async (press: Press, receipt: Receipt): Promise<Handled> => {
  const { parts, tenant, platform, event, hold } = press;
  const { answerId } = receipt;
  const { signal } = hold;
  const at = (await whereAsked(press, receipt)) ?? event;
  await judge(parts, tenant, event, answerId, { rating: 'down', mark: 'human' });
  const { humans } = await parts.rules(tenant, at.platform, at.channelId);
  const called = humans.value ?? [];
  const reply = async (sentence: string): Promise<Handled> => {
    await tell(parts, platform, event, sentence, signal);
    return settle('action-done', tenant, { answerId });
  };
  if (called.length === 0 || platform.say === undefined)
    return reply(
      `I noted that you need a human. Nobody is named to be called here yet: ${at.scope === 'dm' ? 'an administrator of your organisation can do that in the console' : 'somebody who manages this channel can do that with `settings humans @anna`'}.`,
    );
  const channel = called.find((one) => one.startsWith('#'))?.slice(1);
  const people = called.filter((one) => !one.startsWith('#'));
  const here: Destination = { workspaceId: at.workspaceId, channelId: at.channelId, threadId: at.threadId };
  const question = receipt.question === '' ? 'a question' : `“${receipt.question.replace(/\s+/g, ' ').slice(0, 500)}”`;
  const link = await linkTo(platform, at, receipt, signal);
  const asker = plain(event.author.name ?? 'Somebody');
  const id = `h_${hashOf('human', answerId, event.author.id).slice(0, 32)}`;
  // A question that was asked in private is not told in its channel: those who are called hear of it directly.
  const isDirect = channel === undefined && (at.scope === 'dm' || wasPrivate(receipt, at));
  const places: readonly Destination[] =
    channel !== undefined
      ? [{ workspaceId: event.workspaceId, channelId: channel }]
      : isDirect
        ? people.map((userId) => ({ workspaceId: event.workspaceId, userId }))
        : [here];
  // In its own thread it stands above; and nobody else can open somebody's direct message.
  const where =
    at.scope === 'dm' ? '_Asked in a direct message to me._' : places.includes(here) || link === null ? null : link;
  const markdown = `${asker} needs a human: ${question}${where === null ? '' : `\n${where}`}`;
  let reached = 0;
  for (const [n, place] of places.entries())
    try {
      // Where they are written to themselves, a mention would only be in the way.
      const words = { id: n === 0 ? id : `${id}:${n}`, markdown, ...(isDirect ? {} : { people }) };
      await platform.say(place, words, bounded(signal));
      reached += 1;
    } catch (thrown) {
      signal.throwIfAborted();
      parts.runtime.log.warn('human-not-called', { platform: event.platform, code: toAppError(thrown).code });
    }
  if (reached === 0)
    return reply(
      'I noted that you need a human, but I could not reach those who are named for it. Please ask them yourself.',
    );
  return reply('I called somebody for you.');
};

const wasPrivate = (receipt: Receipt, event: InboundEvent): boolean => receipt.conversationId !== conversationOf(event);

const linkTo = async (
  platform: Platform,
  event: InboundEvent,
  receipt: Receipt,
  signal: AbortSignal,
): Promise<string | null> => {
  const messageId = receipt.messageId ?? event.targetMessageId;
  if (messageId === undefined || platform.permalink === undefined) return null;
  try {
    return await platform.permalink(event, messageId, bounded(signal, 5000));
  } catch {
    signal.throwIfAborted();
    return null;
  }
};
