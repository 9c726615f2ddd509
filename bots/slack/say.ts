import { AppError } from '../../core/errors.ts';
import type { Destination } from '../../core/ports/platform.ts';
import type { SlackApi } from './api.ts';
import { neutralise, noPreviews, renderBody, splitFor } from './messages.ts';
import { isBlockRefusal, refusal } from './refusals.ts';
import { openConversation } from './whisper.ts';

export const messageMetadata = 'footnote_message';

type Message = { readonly id: string; readonly markdown: string; readonly people?: readonly string[] };

/**
 * A message of our own. Only `people` are pinged, by a line of their own. The id travels in the metadata, so that nobody
 * takes it for an answer; Slack knows no idempotent post, so a message whose reply was lost is not sent again here.
 */
export const sayInSlack = async (
  api: SlackApi,
  to: Destination,
  message: Message,
  signal: AbortSignal,
): Promise<string> => {
  const channel = to.channelId ?? (to.userId === undefined ? null : await openConversation(api, to.userId, signal));
  if (channel === null) throw new AppError('platform-failed', 'There is nobody to write to.', { at: 'nowhere' });
  const thread = to.threadId !== undefined && /^\d+\.\d+$/.test(to.threadId) ? { thread_ts: to.threadId } : {};
  const metadata = { event_type: messageMetadata, event_payload: { id: message.id } };
  const called = (message.people ?? []).filter((id) => /^[UW][A-Z0-9]{2,20}$/.test(id)).map((id) => `<@${id}>`);
  const post = (body: Readonly<Record<string, unknown>>) =>
    api.call('chat.postMessage', { channel, ...thread, ...body, metadata, ...noPreviews }, { signal });
  let first: string | null = null;
  const [head = ' ', ...rest] = splitFor('blocks', neutralise(message.markdown));
  for (const [index, markdown] of [head, ...rest].entries()) {
    const people = index === 0 ? called.join(' ') : '';
    let result = await post(withPeople(renderBody('blocks', { markdown }), people));
    if (!result.ok && isBlockRefusal(result)) {
      const plain = renderBody('text', { markdown });
      result = await post({ ...plain, text: people === '' ? plain.text : `${people} ${String(plain.text)}` });
    }
    if (!result.ok) throw refusal(result);
    first ??= String(result.data.ts);
  }
  return first ?? '';
};

const withPeople = (body: Readonly<Record<string, unknown>>, people: string): Readonly<Record<string, unknown>> =>
  people === ''
    ? body
    : {
        text: `${people} ${String(body.text)}`,
        blocks: [
          { type: 'section', text: { type: 'mrkdwn', text: people } },
          ...(Array.isArray(body.blocks) ? body.blocks : []),
        ],
      };
