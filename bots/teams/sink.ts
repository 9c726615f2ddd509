import { AppError } from '../../core/errors.ts';
import type { AnswerSink, Delivery, FinishedAnswer, Manner } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { endedBy } from '../ended-by.ts';
import type { TeamsApi, TeamsResult } from './api.ts';
import type { OutgoingActivity, Place } from './connector/connector.ts';
import {
  type MessageParts,
  messageActivity,
  offersCard,
  type Part,
  partsOf,
  renderTeamsStream,
  renderTeamsText,
  stopCard,
  textLimit,
} from './messages.ts';
import { openTeamsStream } from './stream.ts';

export type SinkPace = {
  /** Answers that are quicker get no sign of life. */
  readonly signAfterMs: number;
  /** How long the first words wait for the rest before a stream is begun. */
  readonly firstAfterMs: number;
  /** Least time between two steps of a stream; Teams takes one a second. */
  readonly streamMs: number;
  /** Least time between two edits of a message; Teams takes few. */
  readonly editMs: number;
  /** A typing sign fades after a few seconds. */
  readonly typingMs: number;
};

export type SinkParts = {
  readonly api: TeamsApi;
  readonly place: Place & { readonly kind: 'personal' | 'group' | 'channel' };
  readonly delivery: Delivery;
  readonly manner: Manner;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** Whether Teams is known not to stream for this organisation; kept over answers. */
  readonly streaming: { isOff(): boolean; turnOff(): void };
  readonly pace: SinkPace;
};

/**
 * One answer on its way into Teams. A personal chat is streamed to; elsewhere a typing sign or a placeholder stands until
 * the one final message. Whatever goes wrong on the way, the end is the same: each part of the answer in exactly one
 * message, by sealing or editing what stands before posting anything new.
 */
export const openTeamsSink = (parts: SinkParts): AnswerSink => {
  const { api, place, delivery, runtime, signal, pace } = parts;
  const { clock, log } = runtime;
  const posted: string[] = [...delivery.postedIds];
  const cancelled = new AbortController();
  const closing = endedBy(signal);
  /** The first words are here: no announcement any more. */
  const begun = endedBy(closing.signal);
  const stream = openTeamsStream({ api, place, clock, signal, begun: (id) => keep(id, 0) });
  let mode: 'stream' | 'edit' =
    place.kind === 'personal' && posted.length === 0 && !parts.streaming.isOff() ? 'stream' : 'edit';

  const keep = async (id: string, index: number, last = false): Promise<void> => {
    posted[index] = id;
    await delivery.posted(id, last);
  };

  /** After each step of the stream: did the person stop it, does Teams want no more of it? */
  const heed = (): void => {
    const end = stream.ended();
    if (end === null) return;
    mode = 'edit';
    if (end === 'stopped') cancelled.abort(stopped);
    if (end === 'not-allowed' && stream.id() === null) parts.streaming.turnOff();
    if (end !== 'stopped') log.debug('teams-stream-ended', { why: end });
  };

  // ── while the answer is being written ─────────────────────────────────────────────────────────────────────────────

  /** What stands becomes an ordinary message that can be edited: Teams streams for two minutes at most. */
  const handOver = async (): Promise<void> => {
    await stream.seal(messageActivity({ text: stream.shown() || '…', ...streamIdOf() }));
    mode = 'edit';
  };
  const streamIdOf = (): { readonly streamId?: string } => {
    const id = stream.id();
    return id === null ? {} : { streamId: id };
  };

  /** Channels show no typing, and a button needs something to stand under: a first message that the answer replaces. */
  const needsMessage = place.kind === 'channel' || parts.manner.stoppable === true;
  const stopButton = (): { readonly card?: OutgoingActivity } =>
    parts.manner.stoppable ? { card: stopCard(delivery.id, parts.manner.stopTitle) } : {};
  const begin = async (text: string): Promise<void> => {
    const result = await api.post(place, messageActivity({ text, ...stopButton() }), { signal, hurried: true });
    if (result.ok && result.id !== null) await keep(result.id, 0);
  };
  const edit = async (text: string): Promise<void> => {
    const id = posted[0];
    if (id === undefined) return;
    await api.update(place, id, messageActivity({ text, ...stopButton() }), { signal, hurried: true });
  };

  const show = async (markdown: string): Promise<void> => {
    const text = renderTeamsStream(markdown);
    if (text === '' || text.length > textLimit) return;
    if (mode === 'edit') return posted[0] === undefined ? (needsMessage ? begin(text) : undefined) : edit(text);
    if (stream.isOld()) return handOver();
    if (text === stream.shown() || !text.startsWith(stream.shown())) return;
    await stream.step(text, false);
    heed();
  };

  let latest = '';
  let offered = '';
  let nextAt = 0;
  let pumping: Promise<void> | null = null;
  /** Shows the newest text, never faster than the pace; what came meanwhile is taken together. */
  const pump = async (): Promise<void> => {
    await signs;
    // An answer that is whole in a moment (quoted, or from the cache) is one message, not a stream of one piece.
    if (posted.length === 0 && pace.firstAfterMs > 0) await clock.sleep(pace.firstAfterMs, closing.signal);
    while (!closing.signal.aborted && !cancelled.signal.aborted && latest !== offered) {
      const wait = nextAt - clock.now();
      if (wait > 0) await clock.sleep(wait, closing.signal);
      if (closing.signal.aborted) return;
      offered = latest;
      await show(offered);
      nextAt = clock.now() + (mode === 'stream' ? pace.streamMs : pace.editMs);
    }
  };
  const quietly = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (thrown) {
      // Signs of life may fail; the end of the answer is where failures count.
      if (!begun.signal.aborted)
        log.debug('teams-update-failed', { code: thrown instanceof AppError ? thrown.code : 'internal' });
    }
  };

  /** One after the other, and all of them before the answer. */
  let signs: Promise<void> = Promise.resolve();
  let typing: Promise<void> | null = null;
  const sign = async (text: string): Promise<void> => {
    const typed = mode === 'edit' && !needsMessage;
    // The first words of an answer are a sign themselves, unless they are not shown before the last ones.
    const early = typed ? closing.signal : begun.signal;
    if (pace.signAfterMs > 0 && posted.length === 0 && typing === null) await clock.sleep(pace.signAfterMs, early);
    if (early.aborted) return;
    if (mode === 'stream') {
      await stream.step(text, true);
      heed();
    } else if (posted.length > 0 || stream.ended() === 'stopped') return;
    else if (needsMessage) await begin(`_${text}_`);
    else typing ??= quietly(keepTyping());
  };
  const keepTyping = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await api.post(place, { type: 'typing' }, { signal, hurried: true, free: true });
      await clock.sleep(pace.typingMs, closing.signal);
    }
  };

  // ── the end of the answer ─────────────────────────────────────────────────────────────────────────────────────────

  /** The first message where a stream is open, or may be from an earlier attempt. Null: it is none, edit or post. */
  const seal = async (message: MessageParts): Promise<TeamsResult | null> => {
    const open = stream.id() !== null && stream.ended() === null;
    const perhaps = delivery.uncertain && place.kind === 'personal' && posted[0] !== undefined && stream.id() === null;
    if (!open && !perhaps) return null;
    const grows = perhaps || message.text.startsWith(stream.shown());
    const streamId = stream.id() ?? posted[0] ?? '';
    const text = grows ? message.text : stream.shown();
    const result = await stream.seal(messageActivity({ ...message, text, streamId }));
    if (result.ok) return grows && !perhaps ? result : null;
    // An edit is what is left; a text that is too long or has too much with it fails there the same way.
    return null;
  };

  const writeOne = async (message: MessageParts, index: number): Promise<TeamsResult> => {
    const sealed = index === 0 ? await seal(message) : null;
    if (sealed !== null) return sealed;
    const id = posted[index];
    if (id !== undefined) {
      const result = await api.update(place, id, messageActivity(message), { signal });
      if (result.ok || !isGone(result)) return result;
      posted.splice(index, 1);
    }
    return api.post(place, messageActivity(message), { signal });
  };

  const writeAll = async (
    list: readonly Part[],
    more: Omit<MessageParts, 'text' | 'citations' | 'tables'> & { readonly plain: boolean },
  ): Promise<'done' | 'tables-refused' | 'citations-refused'> => {
    const { plain, ...last } = more;
    let queue = list;
    for (let index = 0; index < queue.length; ) {
      const part = queue[index];
      if (part === undefined) break;
      const result = await writeOne(
        {
          text: part.text,
          ...(plain ? {} : { citations: part.citations }),
          tables: part.tables,
          ...(index === queue.length - 1 ? last : {}),
        },
        index,
      );
      if (result.ok) {
        if (result.id !== null && posted[index] !== result.id) await keep(result.id, index, index === queue.length - 1);
        index += 1;
      } else if (part.tables.length > 0 && (result.status === 400 || isTooLarge(result))) return 'tables-refused';
      else if (isTooLarge(result) && part.text.length > 1000) {
        const limit = Math.ceil(part.text.length / 2);
        const halves = partsOf(part.text, part.citations, { native: true, tables: false, limit });
        queue = [...queue.slice(0, index), ...halves, ...queue.slice(index + 1)];
      } else if (result.status === 400 && !plain && part.citations.length > 0) return 'citations-refused';
      else if (stream.ended() === 'stopped') return 'done';
      else throw refusal(result);
    }
    for (const id of posted.splice(queue.length)) await api.remove(place, id, { signal });
    return 'done';
  };

  const conclude = async (write: () => Promise<void>): Promise<void> => {
    closing.abort(over);
    await signs;
    if (pumping !== null) await pumping;
    if (typing !== null) await typing;
    await write();
  };

  return {
    status: async (text) => {
      signs = signs.then(() => quietly(sign(text)));
      await signs;
    },
    update: async (full) => {
      latest = full;
      begun.abort(over);
      if (closing.signal.aborted || cancelled.signal.aborted || pumping !== null) return;
      pumping = quietly(pump()).finally(() => {
        pumping = null;
      });
    },
    finish: (answer) =>
      conclude(async () => {
        const last = { plain: false, ...underAnswer(answer) };
        const how = { native: true, tables: true };
        for (;;) {
          const end = await writeAll(partsOf(answer.markdown, answer.citations, how), last);
          if (end === 'done') return;
          log.info(`teams-${end}`, { deliveryId: delivery.id });
          // What Teams does not take by its own means is in the text then.
          how[end === 'tables-refused' ? 'tables' : 'native'] = false;
        }
      }),
    fail: (sentence) =>
      conclude(
        async () =>
          void (await writeAll([{ text: renderTeamsText(sentence), citations: [], tables: [] }], { plain: true })),
      ),
    cancelled: cancelled.signal,
  };
};

/** An abort without a reason makes one, with its stack, each time. */
const over = new AppError('cancelled', 'The answer is here.');
const stopped = new AppError('cancelled', 'The person stopped the answer.');

const underAnswer = (answer: FinishedAnswer): { readonly feedback?: boolean; readonly card?: OutgoingActivity } => {
  if (answer.feedbackId === undefined) return {};
  const offers = answer.offers ?? ['thumbs'];
  const card = offersCard(answer.feedbackId, offers, answer.titles);
  return {
    ...(offers.includes('thumbs') ? { feedback: true } : {}),
    ...(card === null ? {} : { card }),
  };
};

type Refused = Extract<TeamsResult, { readonly ok: false }>;

const isTooLarge = (result: Refused): boolean =>
  result.status === 413 || /MessageSizeTooBig|size too large/i.test(`${result.code} ${result.message}`);
/** The message was removed, or Teams does not know it any more. */
const isGone = (result: Refused): boolean =>
  (result.status === 404 && !/conversation/i.test(result.code)) ||
  result.status === 405 ||
  result.code === 'ActivityNotFoundInConversation';

/** Why Teams will never take it, in words for the operator. */
const hopeless: Readonly<Record<string, string>> = {
  BotNotInConversationRoster: 'The bot is no longer in this chat or team.',
  ConversationNotFound: 'The conversation no longer exists, or the bot cannot see it.',
  ConversationBlockedByUser: 'The person has blocked the bot.',
  MessageWritesBlocked: 'The person has blocked the bot, or took it away.',
  BotDisabledByAdmin: 'An administrator has blocked the app in this organisation.',
  ForbiddenOperationException: 'The bot may not write into this conversation.',
};

/** The error of what Teams did not take; `retryable` where the same thing may be taken later. */
export const refusal = (result: Refused): AppError => {
  const retryable = !result.certain || result.status === 429 || result.status === 412 || result.code === 'unreachable';
  return new AppError(
    'platform-failed',
    hopeless[result.code] ??
      (result.status === 401
        ? 'Teams does not accept the app’s credentials.'
        : retryable
          ? 'Teams could not be reached.'
          : 'Teams refused the message.'),
    {
      retryable,
      at: result.code,
      ...(result.retryAfterMs === undefined ? {} : { retryAfterMs: result.retryAfterMs }),
    },
  );
};
