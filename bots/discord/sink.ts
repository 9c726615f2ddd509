import type { InboundEvent } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { AnswerSink, Delivery, Manner } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { endedBy } from '../ended-by.ts';
import { renderDiscord } from '../markdown.ts';
import { codes, type DiscordApi, deadToken, refusal, tokenSettlesMs } from './api.ts';
import type { Origin } from './buttons.ts';
import { type Body, nonceOf, offerRow, renderAnswer, splitForDiscord, stopRow } from './messages.ts';
import { discordHandle } from './normalise.ts';
import { editAt, findPlace, type Place, type PlaceParts, parsePostedId, postAt, removeAt } from './place.ts';
import { findStanding } from './reconcile.ts';

export type SinkPace = {
  /** Least time between two edits of an answer that is being written. */
  readonly editMs: number;
  /** Answers that are quicker are not announced. */
  readonly typingAfterMs: number;
  /** Discord shows "is typing" for ten seconds. */
  readonly typingMs: number;
  /** How long the first words wait for the rest: an answer that is whole in a moment is one message. */
  readonly firstAfterMs: number;
  /** After this a message stands in for the answer, so that there is something to stop. */
  readonly placeholderAfterMs: number;
};

export type SinkParts = PlaceParts & {
  readonly api: DiscordApi;
  readonly event: InboundEvent;
  readonly delivery: Delivery;
  readonly manner: Manner | undefined;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** Our user id. */
  self(signal: AbortSignal): Promise<string>;
  readonly pace: SinkPace;
};

/**
 * One answer on its way into Discord: typing, then messages that are edited as the text grows, at last their final text.
 * Whatever goes wrong on the way, the end is the same: each part of the answer in exactly one message, by editing what
 * stands before posting anything new, with a nonce that makes one message of two.
 */
export const openDiscordSink = async (parts: SinkParts): Promise<AnswerSink> => {
  const { api, event, delivery, runtime, signal, pace } = parts;
  const { clock, log } = runtime;
  const where = discordHandle.parse(event.handle);
  const stoppable = parts.manner?.stoppable === true;
  const cancelled = new AbortController();
  const posted: string[] = [...delivery.postedIds];
  /** What each message shows, as far as we know: the body as text. */
  const shown: (string | undefined)[] = [];
  let found: Promise<Place> | null = null;
  /** Grows when a message was deleted under our hands: its nonce is spent. */
  let again = 0;

  /** An answer that is replaced stays where it stands. */
  const standingPlace = (): Promise<Place> | null => {
    const first = parsePostedId(delivery.postedIds[0] ?? '');
    return first?.door === 'b' && where.interaction === undefined
      ? Promise.resolve({
          kind: 'reply',
          channel: first.channel,
          ...(where.message === undefined || first.channel === where.message ? {} : { replyTo: where.message }),
          ephemeral: false,
        })
      : null;
  };
  const place = (): Promise<Place> => {
    found ??= standingPlace() ?? findPlace(parts, event, parts.manner, signal);
    found.catch(() => {
      found = null;
    });
    return found;
  };

  const keep = async (id: string, index: number, last = false): Promise<void> => {
    posted[index] = id;
    await delivery.posted(id, last);
  };

  /** After a crash: what an earlier attempt left is ours to finish. A command's reply needs no search, it is edited. */
  const adopt = async (): Promise<void> => {
    const at = await place();
    if (at.kind === 'interaction') return;
    // In a thread of its own or a direct message nothing is older than the question itself.
    const after = where.message ?? '0';
    const self = await parts.self(signal);
    const standing = await findStanding(api, at, { deliveryId: delivery.id, self, after, signal });
    for (const id of standing) if (!posted.includes(id)) await keep(id, posted.length);
  };
  if (delivery.uncertain) await adopt();

  // ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────────

  const signatureOf = (body: Body): string => JSON.stringify([body.content, body.components]);

  /** The command's time is over: the channel, or for private words the direct message, takes its place. */
  const leaveToken = async (): Promise<Place> => {
    log.info('discord-token-over', { deliveryId: delivery.id });
    const { interaction: _, ...plain } = where;
    posted.length = 0;
    shown.length = 0;
    const hidden =
      parts.manner?.private === true || event.command?.private === true || where.interaction?.ephemeral === true;
    found = findPlace(parts, { ...event, handle: plain }, { private: hidden }, signal);
    return found;
  };

  const post = async (body: Body, index: number, last = false): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      const at = await place();
      const result = await postAt(api, at, body, { part: index, nonce: nonceOf(delivery.id, index, again), signal });
      if (result.ok) {
        await keep(result.id, index, last);
        shown[index] = result.content.trim() === body.content.trim() ? signatureOf(body) : undefined;
        // The nonce found a message of an earlier attempt: it is brought to this text.
        if (shown[index] === undefined) await edit(result.id, body, index, false);
        return;
      }
      if (at.kind === 'interaction' && deadToken.has(result.code)) {
        if (clock.now() < event.receivedAt + tokenSettlesMs) await clock.sleep(200, signal);
        else await leaveToken();
        continue;
      }
      // Only what cannot be repeated comes back undecided; a part that stands twice is better than one that is missing.
      if (!result.certain && attempt === 1 && at.kind === 'interaction') continue;
      throw refusal(result);
    }
  };

  const edit = async (
    id: string,
    body: Body,
    index: number,
    hurried: boolean,
  ): Promise<'done' | 'gone' | 'skipped'> => {
    const result = await editAt(api, await place(), id, body, { signal, hurried });
    if (result.ok) {
      shown[index] = signatureOf(body);
      return 'done';
    }
    if (hurried) return 'skipped';
    if (result.code === codes.unknownMessage) return 'gone';
    if (deadToken.has(result.code)) return editWithoutToken(id, body, index);
    throw refusal(result);
  };

  const editWithoutToken = async (id: string, body: Body, index: number): Promise<'done' | 'gone'> => {
    if (parsePostedId(id)?.door === 'e') {
      await leaveToken();
      return 'gone';
    }
    const result = await editAt(api, null, id, body, { signal });
    if (!result.ok) {
      if (result.code === codes.unknownMessage) return 'gone';
      throw refusal(result);
    }
    shown[index] = signatureOf(body);
    return 'done';
  };

  // ── while the answer is being written ─────────────────────────────────────────────────────────────────────────────

  const closing = endedBy(signal);
  /** The first words are here: no placeholder any more. */
  const begun = endedBy(closing.signal);

  const draft = (text: string): readonly Body[] => {
    const texts = splitForDiscord(renderDiscord(text));
    return texts.map((content, index) => ({
      content,
      components: stoppable && index === texts.length - 1 ? stopRow(delivery.id, parts.manner?.stopTitle) : [],
    }));
  };

  /** One call: the first message that is not yet as it should be. False when all are. */
  const showNext = async (bodies: readonly Body[]): Promise<boolean> => {
    const index = bodies.findIndex((body, at) => shown[at] !== signatureOf(body));
    const body = bodies[index];
    if (body === undefined) return false;
    const id = posted[index];
    if (id === undefined) await post(body, index);
    else if ((await edit(id, body, index, true)) === 'skipped')
      log.debug('discord-edit-skipped', { deliveryId: delivery.id });
    return true;
  };

  const quietly = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (thrown) {
      // Signs of life may fail; the end of the answer is where failures count.
      if (!closing.signal.aborted)
        log.debug('discord-update-failed', { code: thrown instanceof AppError ? thrown.code : 'internal' });
    }
  };

  let latest = '';
  let nextAt = 0;
  let pumping: Promise<void> | null = null;
  /** Shows the newest text, one call at a time and never faster than the pace. */
  const pump = async (): Promise<void> => {
    if (posted.length === 0 && pace.firstAfterMs > 0) await clock.sleep(pace.firstAfterMs, closing.signal);
    while (!closing.signal.aborted) {
      const wait = nextAt - clock.now();
      if (wait > 0) await clock.sleep(wait, closing.signal);
      if (closing.signal.aborted || !(await showNext(draft(latest)))) return;
      nextAt = clock.now() + pace.editMs;
    }
  };
  const startPump = (): void => {
    if (closing.signal.aborted || pumping !== null) return;
    pumping = quietly(pump()).finally(() => {
      pumping = null;
    });
  };

  /** "is typing" until the answer is here; a command's reply has Discord's own "is thinking". */
  const typing = async (): Promise<void> => {
    if (pace.typingAfterMs > 0) await clock.sleep(pace.typingAfterMs, closing.signal);
    if (closing.signal.aborted) return;
    const at = await place();
    if (at.kind === 'interaction') return;
    while (!closing.signal.aborted) {
      await api.call('post', `/channels/${at.channel}/typing`, { signal: closing.signal, hurried: true });
      await clock.sleep(pace.typingMs, closing.signal);
    }
  };
  let typingNow: Promise<void> | null = null;

  const placeholder = async (): Promise<void> => {
    await clock.sleep(pace.placeholderAfterMs, begun.signal);
    if (latest === '' && announced !== '') {
      latest = announced;
      startPump();
    }
  };
  let announced = '';

  // ── the end of the answer ─────────────────────────────────────────────────────────────────────────────────────────

  /** Each body in one message: the standing ones are edited, the missing ones posted, the superfluous ones removed. */
  const writeAll = async (bodies: readonly Body[]): Promise<void> => {
    for (let index = 0; index < bodies.length; ) {
      const body = bodies[index];
      if (body === undefined) break;
      const id = posted[index];
      if (id === undefined) await post(body, index, index === bodies.length - 1);
      else if (shown[index] !== signatureOf(body) && (await edit(id, body, index, false)) === 'gone') {
        again += 1;
        posted.splice(index, 1);
        shown.splice(index, 1);
        // The place may have changed, and with it what stands: from the beginning.
        index = Math.min(index, posted.length);
        continue;
      }
      index += 1;
    }
    for (const id of posted.slice(bodies.length)) await removeAt(api, await place(), id, signal);
  };

  const conclude = async (rendered: string, offers: Body['components']): Promise<void> => {
    closing.abort(over);
    signal.throwIfAborted();
    if (pumping !== null) await pumping;
    await typingNow;
    const texts = splitForDiscord(rendered);
    await writeAll(texts.map((content, index) => ({ content, components: index === texts.length - 1 ? offers : [] })));
  };

  /** A private answer in a direct message has to know its way back to the channel. */
  const origin = (): Origin | undefined => {
    if (parts.manner?.private !== true || where.guild === undefined || where.message === undefined) return undefined;
    return { guild: where.guild, channel: where.channel, message: where.message };
  };

  return {
    status: async (text) => {
      announced = `*${text}*`;
      if (closing.signal.aborted || typingNow !== null || posted.length > 0) return;
      typingNow = quietly(typing());
      if (stoppable) void quietly(placeholder());
    },
    update: async (full) => {
      begun.abort(over);
      latest = full;
      startPump();
    },
    finish: (answer) => conclude(renderAnswer(answer), offerRow(answer, origin())),
    fail: (sentence) => conclude(renderDiscord(sentence), []),
    cancelled: cancelled.signal,
  };
};

/** An abort without a reason makes one, with its stack, each time. */
const over = new AppError('cancelled', 'The answer is here.');
