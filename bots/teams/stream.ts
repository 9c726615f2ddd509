import type { Clock } from '../../core/ports/runtime.ts';
import type { TeamsApi, TeamsResult } from './api.ts';
import type { OutgoingActivity, Place } from './connector/connector.ts';
import { streamActivity } from './messages.ts';

/** Why a stream does not go on. `stopped`: the person pressed Teams' own stop button. */
export type StreamEnd = 'stopped' | 'expired' | 'completed' | 'not-allowed';

export type TeamsStream = {
  /** Of the message that it will be; null until it was begun. */
  id(): string | null;
  /** The words of the answer that stand; informative lines do not count. */
  shown(): string;
  /** How it ended, if it did; an open one must be sealed. */
  ended(): StreamEnd | null;
  /** Too near to Teams' limit of two minutes to go on. */
  isOld(): boolean;
  /** A line above the answer, or the answer so far; each text holds the one before. Resolves when Teams has taken it. */
  step(text: string, informative: boolean): Promise<void>;
  /** The finished message in its place. */
  seal(message: OutgoingActivity): Promise<TeamsResult>;
};

/** Teams ends a stream two minutes after it began; the rest is for the sealing. */
const oldAfterMs = 105_000;

/**
 * Teams' own streaming in a personal chat: typing activities that carry a growing text, one after the other.
 * https://learn.microsoft.com/microsoftteams/platform/bots/streaming-ux
 */
export const openTeamsStream = (parts: {
  readonly api: TeamsApi;
  readonly place: Place;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Recorded as soon as Teams has given it. */
  begun(streamId: string): Promise<void>;
}): TeamsStream => {
  const { api, place, clock, signal } = parts;
  let id: string | null = null;
  let sequence = 0;
  let shown = '';
  let startedAt = 0;
  let ended: StreamEnd | null = null;

  return {
    id: () => id,
    shown: () => shown,
    ended: () => ended,
    isOld: () => id !== null && clock.now() - startedAt > oldAfterMs,
    step: async (text, informative) => {
      if (ended !== null) return;
      sequence += 1;
      if (id === null) startedAt = clock.now();
      const result = await api.post(place, streamActivity({ text, informative, streamId: id, sequence }), {
        signal,
        hurried: true,
      });
      if (result.ok) {
        if (!informative) shown = text;
        if (id === null && result.id !== null) {
          id = result.id;
          await parts.begun(result.id);
        } else if (id === null) ended = 'not-allowed';
        return;
      }
      // Not taken, so the next text has this number. What may have been taken keeps it: a gap does no harm, a repeat does.
      if (result.certain) sequence -= 1;
      ended = endOf(result) ?? (id === null && result.status !== 429 ? 'not-allowed' : null);
    },
    seal: async (message) => {
      const result = await api.post(place, message, { signal, repeatable: true });
      ended = result.ok ? 'completed' : (endOf(result) ?? ended);
      // A reply that was lost and a second attempt: it stands.
      return !result.ok && ended === 'completed' ? { ok: true, id } : result;
    },
  };
};

/** What a 403 on a stream means stands in its message only. */
const endOf = (result: Extract<TeamsResult, { readonly ok: false }>): StreamEnd | null => {
  if (result.status !== 403 && result.status !== 400) return null;
  if (/cancel|stopped by/i.test(result.message)) return 'stopped';
  if (/exceeded streaming time/i.test(result.message)) return 'expired';
  if (/already completed/i.test(result.message)) return 'completed';
  return result.status === 403 || /stream/i.test(`${result.code} ${result.message}`) ? 'not-allowed' : null;
};
