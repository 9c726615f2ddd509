import type { Clock } from '../../core/ports/runtime.ts';
import type { SlackApi } from './api.ts';
import { askCommand, ownCommand } from './commands.ts';
import type { Courtesy } from './handle.ts';
import { suggestedPrompts } from './manifest.ts';
import { noPreviews } from './messages.ts';

const onceADayMs = 24 * 3_600_000;

/** Manners: a hello where the bot was invited, a suggestion where a conversation begins. Once, and never worth a failure. */
export const createCourtesies = (clock: Clock, greetingIn?: (team: string) => Promise<string | null>) => {
  const done = new Map<string, number>();
  const isFirst = (key: string): boolean => {
    const before = done.get(key);
    if (before !== undefined && clock.now() - before < onceADayMs) return false;
    done.delete(key);
    done.set(key, clock.now());
    const oldest = done.keys().next();
    if (done.size > 10_000 && !oldest.done) done.delete(oldest.value);
    return true;
  };
  return async (courtesy: Courtesy, api: SlackApi): Promise<void> => {
    const about = courtesy.name === 'hello' ? courtesy.channel : courtesy.user;
    if (!isFirst(`${courtesy.name}:${courtesy.team}:${about}`)) return;
    if (courtesy.name === 'prompts') {
      await api.call('assistant.threads.setSuggestedPrompts', {
        channel_id: courtesy.channel,
        title: 'Ask me anything that our documents answer',
        prompts: suggestedPrompts,
      });
      return;
    }
    const own = (await greetingIn?.(courtesy.team)) ?? null;
    await api.call('chat.postMessage', {
      channel: courtesy.channel,
      ...hello(own === null ? words : escaped(own)),
      ...noPreviews,
    });
  };
};

const words = `Hello! Mention me with a question, or type \`${askCommand} your question\`, and I will answer from our documents and say where it stands. \`${ownCommand} help\` tells more.`;
/** Labelled, so that it is never taken for the beginning of an answer. */
const hello = (text: string) => ({
  text,
  blocks: [{ type: 'section', text: { type: 'mrkdwn', text } }],
  metadata: { event_type: 'footnote_hello', event_payload: {} },
});
/** Nobody is called by a greeting. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
