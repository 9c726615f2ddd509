import type { Runtime } from '../../core/ports/runtime.ts';
import type { SlackApi } from './api.ts';

/** Slack takes about one message a second in a channel and lets short bursts pass. */
export type PostingPace = { readonly postMs: number; readonly burst: number };

const posting = new Set(['chat.postMessage', 'chat.postEphemeral']);

/**
 * The same API, with posts to one channel spread out before Slack has to say 429. What has waited keeps its turn; a
 * channel that was silent may be written to several times at once.
 */
export const paced = (
  api: SlackApi,
  { clock, metrics }: Pick<Runtime, 'clock' | 'metrics'>,
  { postMs, burst }: PostingPace,
): SlackApi => {
  /** Channel → when its last taken turn would be due if there were no bursts. */
  const due = new Map<string, number>();
  return {
    call: async (method, args, how = {}) => {
      if (!posting.has(method) || postMs === 0) return api.call(method, args, how);
      const channel = String(args.channel);
      const now = clock.now();
      const turn = Math.max(due.get(channel) ?? 0, now - postMs * (burst - 1)) + postMs;
      due.delete(channel);
      due.set(channel, turn);
      forget(due, now);
      const wait = turn - postMs - now;
      if (wait > 0) {
        metrics.observe('platform_wait_seconds', wait / 1000, { platform: 'slack' });
        await clock.sleep(wait, how.signal);
      }
      return api.call(method, args, how);
    },
  };
};

/** Bounded: channels that may be written to freely again need no memory, and they stand first. */
const forget = (due: Map<string, number>, now: number): void => {
  for (const [channel, turn] of due) {
    if (turn > now || due.size < 1000) return;
    due.delete(channel);
  }
};
