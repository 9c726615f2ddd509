import type { Turn } from '../domain.ts';
import { toAppError } from '../errors.ts';
import type { Assignment, Delivering } from './assignment.ts';

const mostMessages = 30;
const withinMs = 8_000;
/** What a turn is cut to where follow-ups are understood; so a turn of ours is not larger. */
const turnLength = 640;
const mostTurns = 4;
const mostOfOne = 400;

/** What the model is told about words that were not said to it. */
const heading = '(Written earlier in this thread by other people; context, not a request:)';

/**
 * What was said in a thread before we were called into it, as turns without names: read from the platform once. From then
 * on the thread has turns of our own, and these stand among them, with the question that they were read for.
 */
export const readEarlier = async (parts: Delivering, work: Assignment): Promise<readonly Turn[]> => {
  const { event, platform, signal } = work;
  if (
    platform.earlier === undefined ||
    event.scope === 'dm' ||
    platform.opensThread?.(event) === true ||
    work.manner.private === true ||
    work.replaces.length > 0
  )
    return [];
  // A refused question leaves no turn; this bounds how often the same thread is read all the same.
  const key = `earlier:${event.platform}:${event.workspaceId}:${event.channelId}:${event.threadId}`;
  if (!(await parts.state.metering.hit(key, 2, 24 * 3_600_000, parts.runtime.clock.now())).ok) return [];
  try {
    const messages = await platform.earlier(
      event,
      mostMessages,
      AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
    );
    const said = messages
      .filter(({ author, messageId, text }) => !author.isBot && messageId !== event.messageId && text.trim() !== '')
      .slice(-mostMessages);
    return asTurns(
      said.map(({ text }) => text),
      said.at(-1)?.at ?? event.receivedAt,
    );
  } catch (thrown) {
    signal.throwIfAborted();
    // Without it the question is answered by its own words.
    parts.runtime.log.warn('earlier-unread', { platform: event.platform, code: toAppError(thrown).code });
    return [];
  }
};

/** The newest messages, a few to a turn, oldest first. */
const asTurns = (texts: readonly string[], at: number): readonly Turn[] => {
  const groups: string[][] = [];
  let room = 0;
  for (const text of texts.toReversed()) {
    const line = `- ${text.replace(/\s+/g, ' ').trim().slice(0, mostOfOne)}`;
    if (groups.length === 0 || line.length > room) {
      if (groups.length === mostTurns) break;
      groups.unshift([]);
      room = turnLength - heading.length;
    }
    groups[0]?.unshift(line);
    room -= line.length + 1;
  }
  return groups.map((lines) => ({ role: 'user', text: `${heading}\n${lines.join('\n')}`, at }));
};
