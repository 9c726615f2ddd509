import { AppError } from '../../core/errors.ts';
import type { AnswerSink, Delivery, FinishedAnswer } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { renderFootnotes } from '../markdown.ts';
import type { SlackApi, SlackResult } from './api.ts';
import {
  type Dialect,
  feedbackBlocks,
  markdownLimit,
  metadataOf,
  neutralise,
  renderPart,
  splitFor,
} from './messages.ts';
import type { SlackHandle } from './normalise.ts';
import { findStanding, type Standing } from './reconcile.ts';

export type SinkParts = {
  readonly api: SlackApi;
  readonly where: SlackHandle;
  readonly delivery: Delivery;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** Our user id in that workspace, or null when Slack would not say. */
  self(): Promise<string | null>;
  /** Whether Slack's own streaming is known not to work there; kept over answers. */
  readonly streaming: { isOff(): boolean; turnOff(): void };
  readonly pace: {
    readonly appendMs: number;
    readonly editMs: number;
    readonly statusAfterMs: number;
    readonly firstAfterMs: number;
  };
};

/**
 * One answer on its way into Slack: `open` until something stands, then either a native stream or a posted message that
 * is edited, at last `sealed`. Whatever goes wrong on the way, the end is the same: each part of the answer in exactly
 * one message, by editing what stands before posting anything new.
 */
export const openSlackSink = async (parts: SinkParts): Promise<AnswerSink> => {
  const { api, where, delivery, runtime, signal } = parts;
  const { clock, log } = runtime;
  const posted: string[] = [...delivery.postedIds];
  const sealed = new Map<string, Standing>();
  const cancelled = new AbortController();
  /** Text that stands in the first message; null when we cannot know (a lost reply, an earlier attempt). */
  let shown: string | null = posted.length > 0 ? null : '';
  /** Streams are replies, by Slack's rule, so a direct message without a thread has none; and what stands is edited. */
  let manner: 'stream' | 'edit' =
    where.thread !== undefined && posted.length === 0 && !parts.streaming.isOff() ? 'stream' : 'edit';
  let streamOpen = false;
  let dialect: Dialect = 'blocks';

  const place = { channel: where.channel, ...(where.thread === undefined ? {} : { thread_ts: where.thread }) };

  const keep = async (ts: string, index: number, last = false): Promise<void> => {
    posted[index] = ts;
    await delivery.posted(ts, last);
  };

  const standing = async (): Promise<readonly Standing[]> => {
    const found = await findStanding(api, where, delivery.id, await parts.self(), signal);
    if (found !== 'not-allowed') return found;
    log.warn('slack-cannot-reconcile', { deliveryId: delivery.id });
    return [];
  };

  /** After a crash: what an earlier attempt left is ours to finish. */
  const adopt = async (): Promise<void> => {
    for (const message of await standing()) {
      if (!posted.includes(message.ts)) await keep(message.ts, posted.length);
      if (message.sealed) sealed.set(message.ts, message);
    }
    if (posted.length === 0) return;
    manner = 'edit';
    shown = null;
    // It may still be streaming, and Slack does not let such a message be edited. When it is not, this says so and no harm is done.
    const first = posted[0];
    if (first !== undefined && !sealed.has(first) && where.thread !== undefined)
      await api.call('chat.stopStream', { channel: where.channel, ts: first }, { signal, hurried: true });
  };
  if (delivery.uncertain) await adopt();

  // ── while the answer is being written ─────────────────────────────────────────────────────────────────────────────

  const begin = async (text: string): Promise<void> => {
    const started = await api.call(
      'chat.startStream',
      { ...place, markdown_text: text, ...recipient(where) },
      { signal },
    );
    if (started.ok && typeof started.data.ts === 'string') {
      streamOpen = true;
      shown = text;
      return keep(started.data.ts, 0);
    }
    manner = 'edit';
    if (!started.ok && started.certain) {
      if (started.error === 'unknown_method' || started.error === 'http_404' || started.error === 'missing_scope')
        parts.streaming.turnOff();
      log.debug('slack-stream-refused', { code: started.error });
      return;
    }
    // Perhaps it began after all. What stands is found again and edited.
    await adopt();
  };

  const append = async (text: string): Promise<void> => {
    if (shown === null || !text.startsWith(shown)) return;
    const result = await api.call(
      'chat.appendStream',
      { channel: where.channel, ts: posted[0], markdown_text: text.slice(shown.length) },
      { signal, hurried: true },
    );
    if (result.ok) shown = text;
    else if (result.error !== 'ratelimited') shown = null;
  };

  const editFirst = async (text: string): Promise<void> => {
    const body = renderPart(dialect, delivery.id, { markdown: text, index: 0, of: 1, sealed: false });
    if (posted[0] === undefined) {
      const result = await api.call('chat.postMessage', { ...place, ...body }, { signal });
      if (result.ok && typeof result.data.ts === 'string') {
        shown = text;
        await keep(result.data.ts, 0);
      } else if (!result.ok && !result.certain) await adopt();
    } else {
      const result = await api.call(
        'chat.update',
        { channel: where.channel, ts: posted[0], ...body },
        { signal, hurried: true },
      );
      shown = result.ok ? text : null;
    }
  };

  const show = async (text: string): Promise<void> => {
    if (manner === 'stream') await (streamOpen ? append(text) : begin(text));
    if (manner === 'edit') await editFirst(text);
  };

  const closing = new AbortController();
  /** The first words are here: no announcement any more. */
  const begun = new AbortController();
  let latest = '';
  let offered = '';
  let nextAt = 0;
  let pumping: Promise<void> | null = null;
  /** Shows the newest text, never faster than the pace; what came meanwhile is taken together. */
  const pump = async (): Promise<void> => {
    await signs;
    // An answer that is whole in a moment (quoted, or from the cache) is one message, not a stream of one piece.
    if (posted.length === 0 && !streamOpen && parts.pace.firstAfterMs > 0)
      await clock.sleep(parts.pace.firstAfterMs, AbortSignal.any([closing.signal, signal]));
    while (!closing.signal.aborted && latest !== offered && latest.length <= markdownLimit) {
      const wait = nextAt - clock.now();
      if (wait > 0) await clock.sleep(wait, AbortSignal.any([closing.signal, signal]));
      if (closing.signal.aborted) return;
      offered = latest;
      await show(offered);
      nextAt = clock.now() + (manner === 'stream' ? parts.pace.appendMs : parts.pace.editMs);
    }
  };
  const quietly = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (thrown) {
      // Signs of life may fail; the end of the answer is where failures count.
      if (!closing.signal.aborted && !signal.aborted)
        log.debug('slack-update-failed', { code: thrown instanceof AppError ? thrown.code : 'internal' });
    }
  };

  /** One after the other, and all of them before the answer: a status that overtakes it would stand for two minutes. */
  let signs: Promise<void> = Promise.resolve();
  const sign = async (text: string): Promise<void> => {
    // An answer that is there in a blink needs no announcement, and Slack's allowance is spared.
    if (parts.pace.statusAfterMs > 0)
      await clock.sleep(parts.pace.statusAfterMs, AbortSignal.any([closing.signal, begun.signal, signal]));
    if (closing.signal.aborted || posted.length > 0) return;
    // Without a thread there is no status line; a first message that the answer will replace is the sign of life there.
    if (where.thread === undefined) return editFirst(`_${text}_`);
    await api.call(
      'assistant.threads.setStatus',
      { channel_id: where.channel, thread_ts: where.thread, status: text },
      { signal, hurried: true },
    );
  };

  // ── the end of the answer ─────────────────────────────────────────────────────────────────────────────────────────

  const post = async (
    body: Readonly<Record<string, unknown>>,
    index: number,
    last: boolean,
  ): Promise<'done' | 'blocks-refused'> => {
    for (let attempt = 1; ; attempt += 1) {
      const result = await api.call('chat.postMessage', { ...place, ...body }, { signal });
      if (result.ok) {
        await keep(String(result.data.ts), index, last);
        return 'done';
      }
      if (isBlockRefusal(result) && dialect === 'blocks') return 'blocks-refused';
      if (result.certain || attempt >= 3) throw refusal(result);
      await clock.sleep(500 * attempt, signal);
      const found = (await standing()).find((message) => message.part === index && !posted.includes(message.ts));
      if (found !== undefined) {
        await keep(found.ts, index, last);
        return 'done';
      }
    }
  };

  const replace = async (
    ts: string,
    body: Readonly<Record<string, unknown>>,
  ): Promise<'done' | 'blocks-refused' | 'gone'> => {
    for (let attempt = 1; ; attempt += 1) {
      const result = await api.call(
        'chat.update',
        { channel: where.channel, ts, ...body },
        { signal, repeatable: true },
      );
      if (result.ok) return 'done';
      if (isBlockRefusal(result) && dialect === 'blocks') return 'blocks-refused';
      if (goneMessage.has(result.error)) return 'gone';
      if (!result.error.includes('streaming') || attempt > 1) throw refusal(result);
      await api.call('chat.stopStream', { channel: where.channel, ts }, { signal });
    }
  };

  /** Each text in one message: the standing ones are edited, the missing ones posted, the superfluous ones removed. */
  const writeAll = async (
    texts: readonly string[],
    feedbackId: string | undefined,
    firstStands: boolean,
  ): Promise<void> => {
    let queue = texts;
    for (let index = firstStands ? 1 : 0; index < queue.length; ) {
      const ts = posted[index];
      const before = ts === undefined ? undefined : sealed.get(ts);
      if (before !== undefined && before.part === index && before.of === queue.length) {
        index += 1;
        continue;
      }
      const last = index === queue.length - 1;
      const body = renderPart(dialect, delivery.id, {
        markdown: queue[index] ?? '',
        index,
        of: queue.length,
        sealed: true,
        ...(last && feedbackId !== undefined ? { feedbackId } : {}),
      });
      const result = ts === undefined ? await post(body, index, last) : await replace(ts, body);
      if (result === 'blocks-refused') {
        dialect = 'mrkdwn';
        queue = [...queue.slice(0, index), ...queue.slice(index).flatMap((text) => splitFor('mrkdwn', text))];
        log.info('slack-blocks-refused', { deliveryId: delivery.id });
      } else if (result === 'gone') posted.splice(index, 1);
      else index += 1;
    }
    for (const ts of posted.slice(queue.length))
      await api.call('chat.delete', { channel: where.channel, ts }, { signal, repeatable: true });
  };

  /** Whether the open stream could be brought to exactly this text and sealed. */
  const sealStream = async (text: string, of: number, feedbackId: string | undefined): Promise<boolean> => {
    const ts = posted[0];
    if (!streamOpen || ts === undefined) return false;
    streamOpen = false;
    const fits = shown !== null && text.startsWith(shown);
    const rest = fits && shown !== null ? text.slice(shown.length) : '';
    const result = await api.call(
      'chat.stopStream',
      {
        channel: where.channel,
        ts,
        ...(rest === '' ? {} : { markdown_text: rest }),
        ...(fits && of === 1 && feedbackId !== undefined ? { blocks: feedbackBlocks(feedbackId) } : {}),
        metadata: metadataOf(delivery.id, { index: 0, of, sealed: fits }),
      },
      { signal },
    );
    return fits && result.ok;
  };

  const conclude = async (markdown: string, feedbackId: string | undefined): Promise<void> => {
    closing.abort(over);
    await signs;
    if (pumping !== null) await pumping;
    const texts = splitFor('blocks', markdown);
    const queue = texts.length === 0 ? [' '] : texts;
    const firstStands = await sealStream(queue[0] ?? '', queue.length, feedbackId);
    await writeAll(queue, feedbackId, firstStands);
  };

  return {
    status: async (text) => {
      signs = signs.then(() => quietly(sign(text)));
      await signs;
    },
    update: async (full) => {
      latest = neutralise(full);
      begun.abort(over);
      if (closing.signal.aborted || pumping !== null) return;
      pumping = quietly(pump()).finally(() => {
        pumping = null;
      });
    },
    finish: (answer) => conclude(withFootnotes(answer), answer.feedbackId),
    fail: (sentence) => conclude(neutralise(sentence), undefined),
    cancelled: cancelled.signal,
  };
};

/** An abort without a reason makes one, with its stack, each time. */
const over = new AppError('cancelled', 'The answer is here.');

const withFootnotes = (answer: FinishedAnswer): string =>
  neutralise(
    answer.citations.length === 0
      ? answer.markdown
      : `${answer.markdown.trimEnd()}\n\n**Sources**\n${renderFootnotes(answer.citations)}`,
  );

/** Slack wants to know whose stream it is, outside of direct messages at least. */
const recipient = (where: SlackHandle): Readonly<Record<string, unknown>> =>
  where.user === undefined ? {} : { recipient_user_id: where.user, recipient_team_id: where.userTeam ?? where.team };

type Refused = Extract<SlackResult, { readonly ok: false }>;

const blockRefusals = new Set([
  'invalid_blocks',
  'invalid_blocks_format',
  'msg_blocks_too_long',
  'msg_too_long',
  'invalid_arguments',
  'block_mismatch',
  'markdown_text_too_long',
]);
const isBlockRefusal = (result: Refused): boolean => blockRefusals.has(result.error);
const goneMessage = new Set(['message_not_found', 'cant_update_message', 'edit_window_closed']);

/** Why Slack will never take it, in words for the operator. */
const hopeless: Readonly<Record<string, string>> = {
  channel_not_found: 'The channel no longer exists, or the bot cannot see it.',
  is_archived: 'The channel is archived.',
  not_in_channel: 'The bot is no longer a member of the channel.',
  thread_not_found: 'The thread was deleted.',
  message_not_found: 'The thread was deleted.',
  token_revoked: 'The Slack token was revoked.',
  token_expired: 'The Slack token has expired.',
  invalid_auth: 'Slack does not accept the token.',
  account_inactive: 'The Slack app was removed from the workspace.',
  missing_scope: 'The Slack app lacks a permission.',
  restricted_action: 'The workspace does not let the bot post in this channel.',
};

const refusal = (result: Refused): AppError => {
  const retryable = !result.certain || result.error === 'ratelimited' || result.error === 'unreachable';
  return new AppError(
    'platform-failed',
    hopeless[result.error] ?? (retryable ? 'Slack could not be reached.' : 'Slack refused the message.'),
    {
      retryable,
      at: result.error,
      ...(result.retryAfterMs === undefined ? {} : { retryAfterMs: result.retryAfterMs }),
    },
  );
};
