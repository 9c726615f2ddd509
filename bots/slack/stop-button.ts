import { endedBy } from '../ended-by.ts';
import { over, placeOf, type SinkParts } from './draft.ts';
import { stopMessage } from './messages.ts';

/** A message of its own beside the answer, because a stream takes no buttons before its end. */
export type StopButton = { remove(): Promise<void> };

/**
 * Put up when the answer takes its time, taken down whatever becomes of the answer: also when the worker is called off.
 * Not ephemeral, because nobody can take such a message back.
 */
export const createStopButton = ({ api, where, delivery, runtime, signal, pace, stopTitle }: SinkParts): StopButton => {
  const done = endedBy(signal);
  const put = async (): Promise<string | null> => {
    await runtime.clock.sleep(pace.stopAfterMs, done.signal);
    const result = await api.call(
      'chat.postMessage',
      { ...placeOf(where), ...stopMessage(delivery.id, stopTitle) },
      { hurried: true },
    );
    return result.ok && typeof result.data.ts === 'string' ? result.data.ts : null;
  };
  const standing = put().catch(() => null);
  let removed: Promise<void> | null = null;
  const takeDown = async (): Promise<void> => {
    done.abort(over);
    const ts = await standing;
    if (ts === null) return;
    const result = await api.call('chat.delete', { channel: where.channel, ts }, { repeatable: true });
    if (!result.ok) runtime.log.warn('slack-stop-button-stands', { deliveryId: delivery.id, code: result.error });
  };
  const remove = (): Promise<void> => {
    removed ??= takeDown().catch(() => undefined);
    return removed;
  };
  signal.addEventListener('abort', () => void remove(), { once: true });
  return { remove };
};

export const noStopButton: StopButton = { remove: async () => undefined };
