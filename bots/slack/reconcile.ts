import { AppError } from '../../core/errors.ts';
import type { SlackApi } from './api.ts';
import type { SlackHandle } from './handle.ts';
import { answerMetadata, stopMetadata } from './messages.ts';

/** A message of ours that stands on Slack. */
export type Standing = {
  readonly ts: string;
  /** Absent: a stream that was begun and never sealed; Slack takes no metadata at its start. */
  readonly part?: number;
  readonly of?: number;
  /** Holds its final text. */
  readonly sealed: boolean;
  /** A stop button that an earlier attempt left; no part of the answer. */
  readonly button?: true;
};

/**
 * What of this delivery stands on Slack already, oldest first. Asked only after a crash or a lost reply, because Slack
 * allows few such reads. Threads are worked off in order, so an unlabelled message of ours after the question can only
 * be this delivery's own unfinished stream. When Slack cannot say now, nothing may be sent: throws, to be tried later.
 */
export const findStanding = async (
  api: SlackApi,
  where: SlackHandle,
  deliveryId: string,
  self: string | null,
  signal: AbortSignal,
): Promise<readonly Standing[] | 'not-allowed'> => {
  const place = where.thread === undefined ? { oldest: where.ts } : { ts: where.thread, oldest: where.ts };
  const result = await api.call(
    where.thread === undefined ? 'conversations.history' : 'conversations.replies',
    { channel: where.channel, ...place, inclusive: false, limit: 100, include_all_metadata: true },
    { signal, repeatable: true },
  );
  if (!result.ok) {
    if (result.certain && result.retryAfterMs === undefined && result.error !== 'unreachable') return 'not-allowed';
    throw new AppError('platform-failed', 'Slack could not tell whether the answer already stands.', {
      retryable: true,
      at: result.error,
      ...(result.retryAfterMs === undefined ? {} : { retryAfterMs: result.retryAfterMs }),
    });
  }
  const messages = Array.isArray(result.data.messages) ? (result.data.messages as readonly unknown[]) : [];
  return messages
    .map((message) => standingOf(message, where, deliveryId, self))
    .filter((standing) => standing !== null)
    .sort((a, b) => (a.part ?? 0) - (b.part ?? 0) || (a.ts < b.ts ? -1 : 1));
};

const standingOf = (message: unknown, where: SlackHandle, deliveryId: string, self: string | null): Standing | null => {
  if (!isRecord(message) || typeof message.ts !== 'string' || message.ts <= where.ts) return null;
  const metadata = isRecord(message.metadata) ? message.metadata : null;
  if (metadata === null || metadata.event_type === undefined) {
    // Streams are replies: at the top level of a direct message what has no label is some other word of ours.
    const ours = self !== null && message.user === self && where.thread !== undefined;
    return ours ? { ts: message.ts, sealed: false } : null;
  }
  const payload = isRecord(metadata.event_payload) ? metadata.event_payload : {};
  if (payload.delivery !== deliveryId) return null;
  if (metadata.event_type === stopMetadata) return { ts: message.ts, sealed: true, button: true };
  if (metadata.event_type !== answerMetadata) return null;
  return {
    ts: message.ts,
    part: Number(payload.part ?? 0),
    of: Number(payload.of ?? 1),
    sealed: payload.sealed === true,
  };
};

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
