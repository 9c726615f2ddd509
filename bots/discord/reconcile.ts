import { type DiscordApi, refusal } from './api.ts';
import { isRecord, textOf } from './fields.ts';
import { nonceOf } from './messages.ts';
import { type Place, postedId } from './place.ts';

/**
 * What of this delivery stands in the channel already, oldest first. Asked only after a crash. Discord keeps no labels on
 * messages, so this goes by what it does keep: the first part replies to the question (or opens the thread that was
 * started from it), the others follow without a reference, and threads are worked off in order. Where Discord still
 * tells a message's nonce, that decides. When it cannot say now, nothing may be sent: throws, to be tried later.
 */
export const findStanding = async (
  api: DiscordApi,
  place: Extract<Place, { readonly kind: 'reply' }>,
  options: { readonly deliveryId: string; readonly self: string; readonly after: string; readonly signal: AbortSignal },
): Promise<readonly string[]> => {
  const result = await api.call('get', `/channels/${place.channel}/messages`, {
    query: { after: options.after, limit: '100' },
    signal: options.signal,
  });
  if (!result.ok) {
    const error = refusal(result);
    // May post, may not read: then the nonce alone guards, for as long as Discord remembers it.
    if (!error.retryable) return [];
    throw error;
  }
  const ours = (Array.isArray(result.data) ? (result.data as readonly unknown[]) : [])
    .filter((message) => isRecord(message) && textOf(message.author, 'id') === options.self)
    .sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  const own = new Set(Array.from({ length: 40 }, (_, part) => nonceOf(options.deliveryId, part)));
  const standing: string[] = [];
  for (const message of ours) {
    const nonce = textOf(message, 'nonce');
    const referenced = isRecord(message) ? textOf(message.message_reference, 'message_id') : null;
    const starts =
      nonce === null
        ? place.replyTo === undefined
          ? standing.length === 0 && referenced === null
          : referenced === place.replyTo
        : own.has(nonce);
    const goesOn = standing.length > 0 && referenced === null && (nonce === null || own.has(nonce));
    if (starts || goesOn) standing.push(postedId(place.channel, textOf(message, 'id') ?? '0', 'b'));
    else if (standing.length > 0) break;
  }
  return standing;
};

const idOf = (message: unknown): bigint => BigInt(textOf(message, 'id') ?? '0');
