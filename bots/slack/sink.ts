import { AppError } from '../../core/errors.ts';
import type { AnswerSink } from '../../core/ports/platform.ts';
import { endedBy } from '../ended-by.ts';
import { createDraft, over, type SinkParts } from './draft.ts';
import { createGrowth } from './growth.ts';
import { markdownLimit, neutralise, type Offered, offeredBy, splitFor, withFootnotes } from './messages.ts';
import { createStopButton, noStopButton } from './stop-button.ts';
import { writeAll } from './write.ts';

/**
 * One answer on its way into Slack: `open` until something stands, then either a native stream or a posted message that
 * is edited, at last `sealed`. Whatever goes wrong on the way, the end is the same: each part of the answer in exactly
 * one message, by editing what stands before posting anything new.
 */
export const openSlackSink = async (parts: SinkParts): Promise<AnswerSink> => {
  const { api, where, delivery, runtime, signal, pace } = parts;
  const { clock, log } = runtime;
  const draft = createDraft(parts);
  if (delivery.uncertain) await draft.adopt();
  const growth = createGrowth(parts, draft);
  const stopButton = parts.stoppable ? createStopButton(parts) : noStopButton;

  const closing = endedBy(signal);
  /** The first words are here: no announcement any more. */
  const begun = endedBy(closing.signal);
  let latest = '';
  let offered = '';
  let nextAt = 0;
  let pumping: Promise<void> | null = null;
  /** Shows the newest text, never faster than the pace; what came meanwhile is taken together. */
  const pump = async (): Promise<void> => {
    await signs;
    // An answer that is whole in a moment (quoted, or from the cache) is one message, not a stream of one piece.
    if (!growth.begun && pace.firstAfterMs > 0) await clock.sleep(pace.firstAfterMs, closing.signal);
    while (!closing.signal.aborted && latest !== offered && latest.length <= markdownLimit) {
      const wait = nextAt - clock.now();
      if (wait > 0) await clock.sleep(wait, closing.signal);
      if (closing.signal.aborted) return;
      offered = latest;
      await growth.show(offered);
      nextAt = clock.now() + growth.restMs;
    }
  };
  const quietly = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (thrown) {
      // Signs of life may fail; the end of the answer is where failures count.
      if (!closing.signal.aborted)
        log.debug('slack-update-failed', { code: thrown instanceof AppError ? thrown.code : 'internal' });
    }
  };

  /** One after the other, and all of them before the answer: a status that overtakes it would stand for two minutes. */
  let signs: Promise<void> = Promise.resolve();
  const sign = async (text: string): Promise<void> => {
    // An answer that is there in a blink needs no announcement, and Slack's allowance is spared.
    if (pace.statusAfterMs > 0) await clock.sleep(pace.statusAfterMs, begun.signal);
    if (closing.signal.aborted || growth.begun) return;
    // Without a thread there is no status line; a first message that the answer will replace is the sign of life there.
    if (where.thread === undefined) return growth.announce(`${parts.preface}_${text}_`);
    await api.call(
      'assistant.threads.setStatus',
      { channel_id: where.channel, thread_ts: where.thread, status: text },
      { signal, hurried: true },
    );
  };

  const conclude = async (markdown: string, offers: Offered | null): Promise<void> => {
    closing.abort(over);
    // Beside the end of the answer, not before it: nobody waits for a button to go.
    const cleared = stopButton.remove();
    await signs;
    if (pumping !== null) await pumping;
    const texts = splitFor('blocks', `${parts.preface}${markdown}`);
    const queue = texts.length === 0 ? [' '] : texts;
    try {
      const firstStands = await growth.seal(queue[0] ?? '', queue.length, offers);
      await writeAll(parts, draft, queue, offers, firstStands);
    } finally {
      await cleared;
    }
  };

  return {
    status: async (text) => {
      signs = signs.then(() => quietly(sign(neutralise(text))));
      await signs;
    },
    update: async (full) => {
      latest = `${parts.preface}${neutralise(full)}`;
      begun.abort(over);
      if (closing.signal.aborted || pumping !== null) return;
      pumping = quietly(pump()).finally(() => {
        pumping = null;
      });
    },
    finish: (answer) => conclude(withFootnotes(answer), offeredBy(answer, where.thread)),
    fail: (sentence) => conclude(neutralise(sentence), null),
    // A press of the stop button comes in as an event; the core ends the answer.
    cancelled: new AbortController().signal,
  };
};
