import type { CommandName } from '../../core/domain.ts';
import type { DiscordApi } from './api.ts';
import { refusal } from './api.ts';
import { isRecord } from './fields.ts';

/** Discord's numbers for kinds of commands and options. */
const slash = 1;
const onMessage = 3;
const subcommand = 1;
const words = 3;
const yesNo = 5;
const attachment = 11;

export const askName = 'ask';
export const footnoteName = 'footnote';
export const aboutName = 'Ask about this';

/** Installed in servers, used there and in direct messages with the bot. */
const everywhere = { integration_types: [0], contexts: [0, 1] };

const about = (
  name: CommandName,
  description: string,
  option?: { readonly name: string; readonly description: string },
) => ({
  type: subcommand,
  name,
  description,
  ...(option === undefined ? {} : { options: [{ type: words, ...option, max_length: 1000 }] }),
});

/** What people see when they type a slash, and in the menu of a message. */
export const commands: readonly Readonly<Record<string, unknown>>[] = [
  {
    type: slash,
    name: askName,
    description: 'Ask a question; the answer comes from the documents, with footnotes',
    options: [
      { type: words, name: 'question', description: 'What you would like to know', required: true, max_length: 4000 },
      { type: yesNo, name: 'private', description: 'Only you see the answer' },
      { type: attachment, name: 'file', description: 'A document to read for this question' },
    ],
    ...everywhere,
  },
  {
    type: slash,
    name: footnoteName,
    description: 'About the bot itself',
    options: [
      about('help', 'What the bot can do here'),
      about('settings', 'Show the rules of this channel, or change them', {
        name: 'change',
        description: 'Such as: question, or humans @anna',
      }),
      about('connect', 'A one-time code that connects this server with a tenant (for those who manage the server)'),
      about('check-up', 'What the bot can hear and do here, and what is missing'),
      about('link', 'Be one person on Slack, Discord and Teams', {
        name: 'code',
        description: 'The code from elsewhere',
      }),
      about('switch', 'In direct messages: which server’s documents I answer from'),
      about('forget-me', 'Forget what you asked', { name: 'confirm', description: 'Say yes if you mean it' }),
    ],
    ...everywhere,
  },
  { type: onMessage, name: aboutName, ...everywhere },
];

export const commandNames: ReadonlySet<string> = new Set<CommandName>([
  'ask',
  'help',
  'settings',
  'connect',
  'check-up',
  'link',
  'switch',
  'forget-me',
]);

/** What Discord does not know yet, or knows differently; empty when nothing is to be done. */
export const missingCommands = (registered: readonly unknown[]): readonly string[] =>
  commands
    .filter(
      (wanted) =>
        !registered.some((one) => isRecord(one) && (one.type ?? slash) === wanted.type && covers(one, wanted)),
    )
    .map((wanted) => (wanted.type === slash ? `/${String(wanted.name)}` : String(wanted.name)));

/** Discord adds fields of its own (ids, versions, defaults); every one of ours must be there. */
const covers = (given: unknown, wanted: unknown): boolean => {
  if (Array.isArray(wanted))
    return Array.isArray(given) && given.length === wanted.length && wanted.every((one, at) => covers(given[at], one));
  if (!isRecord(wanted)) return given === wanted;
  return isRecord(given) && Object.entries(wanted).every(([key, value]) => covers(given[key], value));
};

/** Registers the commands for all servers, only when something changed: there is a limit of 200 creations a day. */
export const registerCommands = async (
  api: DiscordApi,
  application: string,
  signal: AbortSignal,
): Promise<'registered' | 'unchanged'> => {
  const path = `/applications/${application}/commands` as const;
  const known = await api.call('get', path, { signal });
  const list = known.ok && Array.isArray(known.data) ? (known.data as readonly unknown[]) : [];
  if (list.length === commands.length && missingCommands(list).length === 0) return 'unchanged';
  const result = await api.call('put', path, { body: commands, signal });
  if (!result.ok) throw refusal(result);
  return 'registered';
};
