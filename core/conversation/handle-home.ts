import type { InboundEvent, Tenant } from '../domain.ts';
import { type Handled, type Handling, type Hold, settle } from './handling.ts';
import { bounded, tell } from './tell.ts';

const which =
  'You share several servers with me, and their documents are not the same people’s. Which of them do you mean in direct messages? I remember it; `switch` changes it later.';
const nowhere = 'I do not know yet in which server we met. Ask me something there first, then write to me here again.';

/**
 * Somebody writes to us directly and may mean one of several tenants: they are asked, and their question waits for the
 * button. Null: there is nothing to choose from.
 */
export const askHome = async (
  { homes, platformOf }: Handling,
  event: InboundEvent,
  { signal }: Hold,
): Promise<Handled | null> => {
  const platform = platformOf(event.platform);
  const choices = await homes.choices(event);
  if (platform?.askHome === undefined || choices.length === 0) return null;
  await platform.askHome(event, which, choices, bounded(signal));
  return settle('which-workspace');
};

/** The words for somebody who shares no workspace with us; null for everybody else. */
export const wordsForNobody = ({ homes }: InboundEvent): string | null => (homes?.length === 0 ? nowhere : null);

/** The button under the question: remembered, and what was asked before it is answered now. */
export const handleChoice = async (parts: Handling, event: InboundEvent, { signal }: Hold): Promise<Handled> => {
  const platform = parts.platformOf(event.platform);
  const { workspaceId, messageId } = event.action ?? {};
  if (platform === null || workspaceId === undefined || event.author.isBot) return settle('unsupported');
  const home = await parts.homes.choose(event, workspaceId);
  if (home === null) {
    await tell(parts, platform, event, 'That server is none any more that we both are in.', signal);
    return settle('not-allowed');
  }
  const waiting = messageId === undefined ? null : await questionOf(parts, event, messageId);
  if (waiting !== null)
    await parts.receive({
      ...waiting,
      ...(event.homes === undefined ? {} : { homes: event.homes }),
      dedupeKeys: [`${waiting.dedupeKeys[0] ?? waiting.messageId}:for:${workspaceId}`],
      receivedAt: event.receivedAt,
    });
  const name = home.name === undefined ? 'that server' : `“${home.name}”`;
  await tell(parts, platform, event, `From now on I answer you here from the documents of ${name}.`, signal);
  return settle('action-done', home.tenant);
};

/** What was asked and not answered, because nobody could say whose documents were meant. */
const questionOf = async (
  { state }: Handling,
  { platform, workspaceId, channelId, author }: InboundEvent,
  messageId: string,
): Promise<InboundEvent | null> => {
  const rows = await state.inbox.byMessage(platform, workspaceId, channelId, messageId);
  const asked = rows.findLast((row) => row.reason === 'which-workspace' && row.event.author.id === author.id)?.event;
  // After some days the words are no longer kept.
  return asked === undefined || (asked.text === '' && asked.attachments.length === 0) ? null : asked;
};

/** Another choice, for whoever has one. */
export const handleSwitch = async (
  parts: Handling,
  tenant: Tenant | null,
  event: InboundEvent,
  hold: Hold,
): Promise<Handled> => {
  const platform = parts.platformOf(event.platform);
  if (platform === null || event.author.isBot) return settle('unsupported', tenant);
  const asked = await askHome(parts, event, hold);
  if (asked === null)
    await tell(
      parts,
      platform,
      event,
      event.scope === 'dm'
        ? 'There is only one server here whose documents I can answer from.'
        : 'That is for direct messages. Here I answer from this server’s documents.',
      hold.signal,
    );
  return settle('command-done', tenant);
};
