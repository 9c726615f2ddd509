import { z } from 'zod';
import type { Earlier } from '../../core/ports/platform.ts';
import type { Log } from '../../core/ports/runtime.ts';
import type { SlackApi } from './api.ts';
import { maybe, type SlackHandle, stamp } from './handle.ts';
import { parseSlackText } from './mrkdwn.ts';

const reply = z.object({
  ts: stamp,
  subtype: maybe,
  text: z.string().catch(''),
  user: maybe,
  bot_id: maybe,
  user_profile: z.object({ display_name: maybe, real_name: maybe }).optional().catch(undefined),
});

const heard = new Set([undefined, 'file_share', 'thread_broadcast', 'bot_message']);

/**
 * The thread before the question: its first message and the newest before the question, oldest first. One call, and none
 * for a question that opened its thread. Apps outside of Slack's marketplace get 15 messages a minute of this, so a
 * refusal is no failure: the question is answered without.
 */
export const readEarlier = async (
  api: SlackApi,
  where: SlackHandle,
  self: string | null,
  limit: number,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Log },
): Promise<readonly Earlier[]> => {
  if (where.thread === undefined || where.thread === where.ts || limit < 1) return [];
  const result = await api.call(
    'conversations.replies',
    { channel: where.channel, ts: where.thread, latest: where.ts, inclusive: false, limit: 200 },
    { signal, hurried: true },
  );
  if (!result.ok) {
    log.info('slack-thread-not-read', { code: result.error });
    return [];
  }
  const messages = Array.isArray(result.data.messages) ? result.data.messages.slice(0, 1000) : [];
  const before = messages
    .map((message) => reply.safeParse(message))
    .flatMap((parsed) => (parsed.success ? [parsed.data] : []))
    .filter((message) => message.ts < where.ts && heard.has(message.subtype) && message.text !== '')
    .map((message): Earlier => {
      const name = message.user_profile?.display_name ?? message.user_profile?.real_name;
      return {
        messageId: message.ts,
        author: {
          id: message.user ?? message.bot_id ?? 'unknown',
          isBot: message.bot_id !== undefined,
          isSelf: self !== null && message.user === self,
          ...(name === undefined ? {} : { name }),
        },
        text: parseSlackText(message.text, self),
        at: Math.floor(Number(message.ts) * 1000),
      };
    });
  const [root, ...rest] = before;
  if (root === undefined) return [];
  return limit === 1 ? before.slice(-1) : [root, ...rest.slice(-(limit - 1))];
};
