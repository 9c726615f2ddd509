import { z } from 'zod';
import type { CommandName, InboundEvent } from '../../core/domain.ts';
import { ignored, maybe, type NormaliseContext, type Normalised, respondOf, stampOf } from './handle.ts';
import { mentionedIn, parseSlackText } from './mrkdwn.ts';

const slashCommand = z.object({
  command: z.string(),
  text: z.string().catch(''),
  team_id: z.string().min(1),
  channel_id: z.string().min(1),
  user_id: z.string().min(1),
  user_name: maybe,
  trigger_id: z.string().min(1).max(200),
  response_url: maybe,
});

/** The names under which the manifest registers them. */
export const askCommand = '/ask';
export const ownCommand = '/footnote';

export const workspaceOfCommand = (payload: unknown): string | null => {
  const parsed = slashCommand.safeParse(payload);
  return parsed.success ? parsed.data.team_id : null;
};

/**
 * `/ask …` and `/footnote …` in our words. Each command is a conversation of its own: what one person types must not
 * become the context of what another asks.
 */
export const normaliseCommand = (payload: unknown, context: NormaliseContext): Normalised => {
  const parsed = slashCommand.safeParse(payload);
  if (!parsed.success) return ignored('command');
  const body = parsed.data;
  const said = saidBy(body.command, parseSlackText(body.text, context.botUserId(body.team_id)));
  if (said === null) return ignored('command-name');
  const dm = body.channel_id.startsWith('D');
  // A direct conversation may be one of two people that we are no part of; only the asker's own view is safe there.
  const command = said.name === 'ask' && dm ? { ...said.command, private: true } : said.command;
  // A replayed request has the same trigger, and the trigger is nobody else's.
  const own = `command:${body.trigger_id}`;
  const event: InboundEvent = {
    platform: 'slack',
    workspaceId: body.team_id,
    channelId: body.channel_id,
    threadId: own,
    messageId: own,
    dedupeKeys: [`slack:${body.team_id}:${body.channel_id}:${own}`],
    orderKey: stampOf(context.receivedAt),
    kind: 'command',
    scope: dm ? 'dm' : 'channel',
    addressed: 'command',
    author: {
      id: body.user_id,
      isBot: false,
      isSelf: false,
      ...(body.user_name === undefined ? {} : { name: body.user_name }),
    },
    text: said.text,
    ...mentionedIn(body.text, context.botUserId(body.team_id)),
    attachments: [],
    receivedAt: context.receivedAt,
    command,
    handle: {
      team: body.team_id,
      channel: body.channel_id,
      // Our clock against Slack's: what answers this is certainly no older than that.
      ts: stampOf(context.receivedAt - 300_000),
      user: body.user_id,
      ...respondOf(body.response_url, context.receivedAt),
    },
  };
  return {
    kind: 'event',
    event,
    // The acknowledgement itself is the sign of life; Slack shows it to the asker alone.
    ...(command.name === 'ask' ? { reply: { response_type: 'ephemeral', text: 'Looking it up …' } } : {}),
  };
};

type Said = {
  readonly name: CommandName;
  readonly command: NonNullable<InboundEvent['command']>;
  readonly text: string;
};

/** `--private` anywhere at the front, or `private:`; the marker is no part of the question. */
const privateMark = /^(?:(?:--|—|–)private\b|private:)\s*/i;

const ownNames: Readonly<Record<string, CommandName>> = {
  help: 'help',
  settings: 'settings',
  connect: 'connect',
  'check-up': 'check-up',
  checkup: 'check-up',
  link: 'link',
  'forget-me': 'forget-me',
};

const saidBy = (command: string, text: string): Said | null => {
  // Workspaces that have another `/ask` already rename ours; whatever ends in its name is it.
  if (command === askCommand || /^\/[\w-]*ask$/.test(command)) {
    const marked = privateMark.test(text);
    const question = text.replace(privateMark, '').trim();
    if (question === '') return { name: 'help', command: { name: 'help' }, text: '' };
    return { name: 'ask', command: { name: 'ask', ...(marked ? { private: true } : {}) }, text: question };
  }
  if (command !== ownCommand && !/^\/[\w-]*footnote[\w-]*$/.test(command)) return null;
  const [, word = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec(text) ?? [];
  const name = ownNames[word.toLowerCase()];
  return name === undefined
    ? { name: 'help', command: { name: 'help' }, text }
    : { name, command: { name }, text: rest.trim() };
};
