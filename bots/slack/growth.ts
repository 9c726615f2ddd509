import { type Draft, placeOf, type SinkParts } from './draft.ts';
import type { SlackHandle } from './handle.ts';
import { metadataOf, type Offered, offerBlocks, renderPart } from './messages.ts';

/** The answer while it is being written: a native stream, or where there is none a message that is edited. */
export type Growth = {
  /** Shows the whole text so far; never fails the answer, at worst it shows nothing. */
  show(text: string): Promise<void>;
  /** A first message that the answer will replace, where a thread's status line is not to be had. */
  announce(text: string): Promise<void>;
  /** Brings the open stream to exactly this text and seals it; false when there is none or it could not be. */
  seal(text: string, of: number, offered: Offered | null): Promise<boolean>;
  /** Something of the answer stands. */
  readonly begun: boolean;
  /** Least time until the next `show`. */
  readonly restMs: number;
};

export const createGrowth = (parts: SinkParts, draft: Draft): Growth => {
  const { api, where, delivery, signal } = parts;
  const { posted } = draft;
  /** Text that stands in the first message; null when we cannot know (a lost reply, an earlier attempt). */
  let shown: string | null = posted.length > 0 ? null : '';
  /** Streams are replies, by Slack's rule, so a direct message without a thread has none; and what stands is edited. */
  let manner: 'stream' | 'edit' =
    where.thread !== undefined && posted.length === 0 && !parts.streaming.isOff() ? 'stream' : 'edit';
  let streamOpen = false;

  /** Perhaps it began after all. What stands is found again and edited. */
  const lookAgain = async (): Promise<void> => {
    manner = 'edit';
    await draft.adopt();
    if (posted.length > 0) shown = null;
  };

  const begin = async (text: string): Promise<void> => {
    const started = await api.call(
      'chat.startStream',
      { ...placeOf(where), markdown_text: text, ...recipient(where) },
      { signal },
    );
    if (started.ok && typeof started.data.ts === 'string') {
      streamOpen = true;
      shown = text;
      return draft.keep(started.data.ts, 0);
    }
    if (started.ok || !started.certain) return lookAgain();
    manner = 'edit';
    if (started.error === 'unknown_method' || started.error === 'http_404' || started.error === 'missing_scope')
      parts.streaming.turnOff();
    parts.runtime.log.debug('slack-stream-refused', { code: started.error });
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

  const edit = async (text: string): Promise<void> => {
    const body = renderPart(draft.dialect, delivery.id, { markdown: text, index: 0, of: 1, sealed: false });
    if (posted[0] !== undefined) {
      const args = { channel: where.channel, ts: posted[0], ...body };
      shown = (await api.call('chat.update', args, { signal, hurried: true })).ok ? text : null;
      return;
    }
    const result = await api.call('chat.postMessage', { ...placeOf(where), ...body }, { signal });
    if (result.ok && typeof result.data.ts === 'string') {
      shown = text;
      await draft.keep(result.data.ts, 0);
    } else if (result.ok || !result.certain) await lookAgain();
  };

  return {
    show: async (text) => {
      if (manner === 'stream') await (streamOpen ? append(text) : begin(text));
      if (manner === 'edit') await edit(text);
    },
    announce: edit,
    seal: async (text, of, offered) => {
      const ts = posted[0];
      if (!streamOpen || ts === undefined) return false;
      streamOpen = false;
      const fits = shown !== null && text.startsWith(shown);
      const rest = fits && shown !== null ? text.slice(shown.length) : '';
      const blocks = fits && of === 1 ? offerBlocks('blocks', offered) : [];
      const result = await api.call(
        'chat.stopStream',
        {
          channel: where.channel,
          ts,
          ...(rest === '' ? {} : { markdown_text: rest }),
          ...(blocks.length === 0 ? {} : { blocks }),
          metadata: metadataOf(delivery.id, { index: 0, of, sealed: fits }),
        },
        { signal },
      );
      return fits && result.ok;
    },
    get begun() {
      return posted.length > 0 || streamOpen;
    },
    get restMs() {
      return manner === 'stream' ? parts.pace.appendMs : parts.pace.editMs;
    },
  };
};

/** Slack wants to know whose stream it is, outside of direct messages at least. */
const recipient = (where: SlackHandle): Readonly<Record<string, unknown>> =>
  where.user === undefined ? {} : { recipient_user_id: where.user, recipient_team_id: where.userTeam ?? where.team };
