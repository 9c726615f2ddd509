import { AppError } from '../../core/errors.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import type { SlackApi, SlackResult } from './api.ts';
import type { SlackHandle } from './handle.ts';
import { noPreviews } from './messages.ts';
import { isBlockRefusal, isUnseen, refusal } from './refusals.ts';
import type { Respond } from './respond.ts';

export type WhisperParts = {
  readonly api: SlackApi;
  readonly respond: Respond;
  readonly where: SlackHandle;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
};

type Body = Readonly<Record<string, unknown>>;

/** Messages that one person sees. `id` tells where one stands: `ephemeral/…`, which nobody can take back, or `channel/ts`. */
export type Whisperer = {
  /** Throws AppError `platform-failed`. */
  send(body: (way: Way) => Body): Promise<{ readonly id: string } | 'blocks-refused'>;
};
export type Way = 'ephemeral' | 'direct';

/** Slack takes five replies to one response address. */
const repliesByUrl = 5;

/**
 * To the asker alone: by the response address while it lives (it works where we are no member), else ephemeral in the
 * channel, else as a direct message. What was found to work is kept to, so that the parts of an answer stay together.
 */
export const createWhisperer = ({ api, respond, where, runtime, signal }: WhisperParts): Whisperer => {
  // Slack shows an ephemeral reply only in a thread that has replies: below a fresh question it would be seen by nobody.
  const thread = where.thread === undefined || where.thread === where.ts ? {} : { thread_ts: where.thread };
  let ways: readonly ('respond' | 'ephemeral' | 'direct')[] = where.channel.startsWith('D')
    ? ['respond', 'direct']
    : ['respond', 'ephemeral', 'direct'];
  let responses = 0;
  let directChannel: string | null = where.channel.startsWith('D') ? where.channel : null;

  const openDirect = async (): Promise<string> => {
    if (directChannel !== null) return directChannel;
    if (where.user === undefined)
      throw new AppError('platform-failed', 'There is nobody to write to.', { at: 'no-user' });
    directChannel = await openConversation(api, where.user, signal);
    return directChannel;
  };

  const by = {
    respond: async (body: Body): Promise<SlackResult> => {
      if (where.respond === undefined || where.respond.until < runtime.clock.now() || responses >= repliesByUrl)
        return { ok: false, error: 'no_response_url', certain: true };
      responses += 1;
      const reply = { response_type: 'ephemeral', replace_original: false, ...thread, ...body };
      return respond(where.respond.url, reply, signal);
    },
    ephemeral: async (body: Body): Promise<SlackResult> =>
      where.user === undefined
        ? { ok: false, error: 'user_not_in_channel', certain: true }
        : api.call('chat.postEphemeral', { channel: where.channel, user: where.user, ...thread, ...body }, { signal }),
    direct: async (body: Body): Promise<SlackResult> => {
      const channel = await openDirect();
      const inThread = channel === where.channel && where.thread !== undefined ? { thread_ts: where.thread } : {};
      return api.call('chat.postMessage', { channel, ...inThread, ...body, ...noPreviews }, { signal });
    },
  };

  return {
    send: async (body) => {
      for (;;) {
        const [way, ...rest] = ways;
        if (way === undefined)
          throw new AppError('platform-failed', 'Slack shows the person nothing.', { at: 'unseen' });
        const result = await by[way](body(way === 'direct' ? 'direct' : 'ephemeral'));
        if (result.ok) return { id: idOf(way, result, directChannel, responses) };
        if (isBlockRefusal(result)) return 'blocks-refused';
        const next = way === 'respond' ? result.certain : isUnseen(result);
        if (!next || rest.length === 0) throw refusal(result);
        runtime.log.debug('slack-whisper-by-another-way', { way, code: result.error });
        ways = rest;
      }
    },
  };
};

const idOf = (
  way: 'respond' | 'ephemeral' | 'direct',
  result: Extract<SlackResult, { readonly ok: true }>,
  channel: string | null,
  responses: number,
): string => {
  if (way === 'direct') return `${channel ?? ''}/${String(result.data.ts)}`;
  return `ephemeral/${way === 'respond' ? `r${responses}` : String(result.data.message_ts)}`;
};

/** A direct message's channel. Throws AppError `platform-failed`. */
export const openConversation = async (api: SlackApi, userId: string, signal: AbortSignal): Promise<string> => {
  const opened = await api.call('conversations.open', { users: userId }, { signal, repeatable: true });
  if (!opened.ok) throw refusal(opened);
  const { channel } = opened.data;
  if (typeof channel === 'object' && channel !== null && 'id' in channel && typeof channel.id === 'string')
    return channel.id;
  throw new AppError('platform-failed', 'Slack opened no direct message.', { at: 'conversations.open' });
};
