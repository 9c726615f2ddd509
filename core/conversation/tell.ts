import type { InboundEvent } from '../domain.ts';
import { toAppError } from '../errors.ts';
import type { Managed, Platform } from '../ports/platform.ts';
import type { Handling } from './handling.ts';

const withinMs = 20_000;

export const bounded = (signal: AbortSignal, ms = withinMs): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(ms)]);

/**
 * A few words for the event's author alone: a whisper where the platform can, else a direct message. Best effort and not
 * repeated: what was done stands whether or not the person could be told. Resolves with whether they were.
 */
export const tell = async (
  { runtime }: Pick<Handling, 'runtime'>,
  platform: Platform,
  event: InboundEvent,
  markdown: string,
  signal: AbortSignal,
): Promise<boolean> => {
  try {
    if (platform.whisper !== undefined) await platform.whisper(event, markdown, bounded(signal));
    else if (platform.say !== undefined) {
      const to = { workspaceId: event.workspaceId, userId: event.author.id };
      await platform.say(to, { id: `tell:${event.dedupeKeys[0] ?? event.messageId}`, markdown }, bounded(signal));
    } else return false;
    return true;
  } catch (thrown) {
    // The thread was lost or the process is stopping: somebody else will tell them.
    signal.throwIfAborted();
    runtime.log.warn('tell-failed', { platform: event.platform, code: toAppError(thrown).code });
    return false;
  }
};

/**
 * The event with whether outsiders read its channel, for what a platform tells only when it is asked: commands and buttons,
 * because messages say it themselves. Where nobody can say who reads along, everybody may.
 */
export const withReaders = async (
  { runtime }: Pick<Handling, 'runtime'>,
  platform: Platform,
  event: InboundEvent,
  signal: AbortSignal,
): Promise<InboundEvent> => {
  const isTold = event.shared !== undefined || (event.kind !== 'command' && event.kind !== 'action');
  if (isTold || event.scope === 'dm' || platform.isShared === undefined) return event;
  try {
    return (await platform.isShared(event, bounded(signal))) ? { ...event, shared: true } : event;
  } catch (thrown) {
    signal.throwIfAborted();
    runtime.log.warn('readers-unknown', { platform: event.platform, code: toAppError(thrown).code });
    return { ...event, shared: true };
  }
};

/**
 * How the event's author belongs to the organisation, asked of the platform where the event does not say. Undefined: the
 * platform does not tell its people apart. Throws what the platform throws.
 */
export const standingOf = async (
  platform: Platform,
  { author, ...event }: InboundEvent,
  signal: AbortSignal,
): Promise<InboundEvent['author']['standing']> =>
  platform.standing === undefined || author.standing !== undefined || author.isBot
    ? author.standing
    : ((await platform.standing({ ...event, author }, bounded(signal))) ?? 'guest');

/** Whether the event's author may change this channel's rules, or connect the workspace; who cannot be asked about may not. */
export const mayManage = async (
  { runtime }: Pick<Handling, 'runtime'>,
  platform: Platform,
  event: InboundEvent,
  signal: AbortSignal,
  what: Managed = 'channel',
): Promise<boolean> => {
  const { standing, mayManage: told, isBot } = event.author;
  if (isBot || standing === 'guest' || standing === 'outsider') return false;
  // Who owns a channel owns no workspace.
  if (told !== undefined && (what === 'channel' || event.command?.name === 'connect')) return told;
  if (platform.mayManage === undefined) return false;
  try {
    return await platform.mayManage(event, bounded(signal), what);
  } catch (thrown) {
    signal.throwIfAborted();
    runtime.log.warn('may-manage-failed', { platform: event.platform, code: toAppError(thrown).code });
    return false;
  }
};
