import type { AnswerSink, Delivery } from '../../core/ports/platform.ts';
import { type Dialect, neutralise, type Offered, offeredBy, renderBody, splitFor, withFootnotes } from './messages.ts';
import { createWhisperer, type WhisperParts } from './whisper.ts';

export type PrivateSinkParts = WhisperParts & {
  readonly delivery: Delivery;
  /** What is put before the answer where it comes as a direct message, away from its question. */
  readonly preface: string;
};

/**
 * An answer that only the asker sees. An ephemeral message can neither be edited nor streamed nor taken back, so that it
 * is sent once, whole. After a crash what was recorded is not sent again; what was sent and not recorded is, once.
 */
export const openPrivateSink = ({ delivery, preface, ...parts }: PrivateSinkParts): AnswerSink => {
  const { api, where, signal } = parts;
  const whisperer = createWhisperer(parts);
  let announced = false;

  const conclude = async (markdown: string, offered: Offered | null): Promise<void> => {
    let dialect: Dialect = 'blocks';
    let queue = splitFor(dialect, markdown);
    if (queue.length === 0) queue = [' '];
    // Not edits: an answer to new words is whispered anew, and the old one stays where it is.
    const done = delivery.uncertain ? delivery.postedIds.filter((id) => id.includes('/')).length : 0;
    for (let index = Math.min(done, queue.length); index < queue.length; ) {
      const last = index === queue.length - 1;
      const sent = await whisperer.send((way) => {
        const first = way === 'direct' && index === 0 ? preface : '';
        return renderBody(dialect, {
          markdown: `${first}${queue[index] ?? ''}`,
          offered: last ? offeredIn(way, offered) : null,
        });
      });
      if (sent !== 'blocks-refused') {
        await delivery.posted(sent.id);
        index += 1;
      } else if (dialect === 'blocks') {
        dialect = 'sections';
        queue = [...queue.slice(0, index), ...queue.slice(index).flatMap((text) => splitFor('sections', text))];
      } else dialect = 'text';
    }
    await clear();
    await removePublic();
  };

  /** A status line goes by itself only when a message follows that everybody sees. */
  const clear = async (): Promise<void> => {
    if (announced) await setStatus('');
  };
  const setStatus = async (status: string): Promise<void> => {
    if (where.thread === undefined) return;
    await api.call(
      'assistant.threads.setStatus',
      { channel_id: where.channel, thread_ts: where.thread, status },
      { signal, hurried: true },
    );
  };

  /** The question was edited after the channel's rule became "private": the old answer must not stay public. */
  const removePublic = async (): Promise<void> => {
    for (const ts of delivery.postedIds.filter((id) => !id.includes('/')))
      await api.call('chat.delete', { channel: where.channel, ts }, { signal, repeatable: true });
  };

  return {
    status: async (text) => {
      // A command was told so by its acknowledgement.
      if (announced || where.respond !== undefined) return;
      announced = true;
      await setStatus(neutralise(text)).catch(() => undefined);
    },
    update: async () => undefined,
    finish: (answer) => conclude(withFootnotes(answer), offeredBy(answer, where.thread)),
    fail: (sentence) => conclude(neutralise(sentence), null),
    cancelled: new AbortController().signal,
  };
};

/** From a direct message there is no telling which channel was meant. */
const offeredIn = (way: 'ephemeral' | 'direct', offered: Offered | null): Offered | null =>
  offered === null || way === 'ephemeral'
    ? offered
    : { ...offered, offers: offered.offers.filter((offer) => offer !== 'publish') };
