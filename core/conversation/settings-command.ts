import type { EffectiveRules } from '../core.ts';
import type { ChannelRules, InboundEvent, Source } from '../domain.ts';

/** One wish about a channel's rules; null takes the channel's own value away, so that the tenant's shows again. */
export type RulesChange = { readonly [K in keyof ChannelRules]?: ChannelRules[K] | null };
export type SettingsWish =
  | { readonly wish: 'show' }
  | { readonly wish: 'change'; readonly change: RulesChange }
  | { readonly wish: 'unclear'; readonly sentence: string };

/** What people call the rules, with the words that they type. */
const words = {
  enabled: 'on',
  answerWhen: 'when',
  replies: 'replies',
  sources: 'sources',
  language: 'language',
  instructions: 'instructions',
  audience: 'audience',
  guests: 'guests',
  whoMayAsk: 'who',
  bots: 'bots',
  humans: 'humans',
} as const satisfies Readonly<Record<keyof ChannelRules, string>>;

/** One word is enough for these. */
const switches: Readonly<Record<string, RulesChange>> = {
  on: { enabled: true },
  off: { enabled: false },
  mention: { answerWhen: 'mention' },
  question: { answerWhen: 'question' },
  every: { answerWhen: 'every' },
  private: { replies: 'private' },
  public: { replies: 'public' },
};

export const isSwitch = (word: string): boolean => Object.hasOwn(switches, word.trim().toLowerCase());

/** Words that begin a wish about a rule. */
const verbs: ReadonlySet<string> = new Set([...Object.values(words), 'when', 'replies', 'reset']);

/** Whether it reads like a wish and not like a question that begins with the same word. */
export const isWish = (text: string): boolean => {
  const [verb = '', ...rest] = text.trim().toLowerCase().split(/\s+/);
  return isSwitch(text) || (verbs.has(verb) && verb !== 'on' && rest.length > 0 && !/[?？]$/.test(text.trim()));
};

/** What follows `settings`. Sources are told by name or id; people and channels by mention. */
export const parseSettings = (
  event: Pick<InboundEvent, 'mentions'>,
  text: string,
  sources: readonly Source[],
): SettingsWish => {
  const [, verb = '', rest = ''] = /^\s*(\S*)\s*([\s\S]*)$/.exec(text) ?? [];
  const word = verb.toLowerCase();
  const value = rest.trim();
  if (word === '') return { wish: 'show' };
  const simple = Object.hasOwn(switches, word) ? switches[word] : undefined;
  if (simple !== undefined && value === '') return changed(simple);
  switch (word) {
    case 'when':
    case 'replies':
      return isSwitch(value) ? changed(switches[value.toLowerCase()] ?? {}) : unclear(value, word);
    case 'sources':
      return sourcesNamed(value, sources);
    case 'language':
      return value === '' || value.length > 35 ? unclear(value, word) : changed({ language: value });
    case 'instructions':
      return value === '' || value.length > 4000
        ? { wish: 'unclear', sentence: 'Say in at most 4,000 characters how I shall answer here.' }
        : changed({ instructions: value });
    case 'audience':
      return value === 'everybody' || value === 'members' ? changed({ audience: value }) : unclear(value, word);
    case 'guests':
      return value === 'refuse' || value === 'limit' ? changed({ guests: value }) : unclear(value, word);
    case 'who':
      return people(event, value, (whoMayAsk) => ({ whoMayAsk }));
    case 'bots':
      return people(event, value, (bots) => ({ bots }));
    case 'humans':
      return humansNamed(event, value);
    case 'reset':
      return reset(value.toLowerCase());
    default:
      return unclear(verb, 'settings');
  }
};

const changed = (change: RulesChange): SettingsWish => ({ wish: 'change', change });
const unclear = (value: string, word: string): SettingsWish => ({
  wish: 'unclear',
  sentence: `I do not understand ${value === '' ? 'that' : `“${value.slice(0, 60)}”`} after “${word}”.`,
});

const listed = (value: string): readonly string[] =>
  value
    .split(/[,\n]/)
    .map((item) => item.trim())
    .filter((item) => item !== '');

const sourcesNamed = (value: string, sources: readonly Source[]): SettingsWish => {
  const wanted = listed(value);
  if (wanted.length === 0) return unclear(value, 'sources');
  // What wants to be named is not named by whoever may manage a channel: that is for the tenant's administrators.
  const open = sources.filter(({ audience }) => audience !== 'named');
  const ids: string[] = [];
  for (const item of wanted) {
    const found = open.find(({ id, name }) => id === item || name.toLowerCase() === item.toLowerCase());
    if (found === undefined)
      return {
        wish: 'unclear',
        sentence: `I know no source called “${item.slice(0, 60)}” that can be chosen here. There are: ${open.map(({ name }) => name).join(', ') || 'none'}.`,
      };
    ids.push(found.id);
  }
  return changed({ sources: [...new Set(ids)] });
};

/** By mention; by id for those whose platform has none to give. */
const people = (
  { mentions = [] }: Pick<InboundEvent, 'mentions'>,
  value: string,
  change: (ids: readonly string[]) => RulesChange,
): SettingsWish => {
  const mentioned = mentions.filter(({ kind }) => kind === 'person').map(({ id }) => id);
  const ids = mentioned.length > 0 ? mentioned : listed(value.replace(/\s+/g, ','));
  return ids.length === 0 || ids.some((id) => id.startsWith('@') || id.length > 200)
    ? { wish: 'unclear', sentence: 'Mention the people, like “@anna @ben”.' }
    : changed(change([...new Set(ids)].slice(0, 200)));
};

const humansNamed = (event: Pick<InboundEvent, 'mentions'>, value: string): SettingsWish => {
  const channel = event.mentions?.find(({ kind }) => kind === 'channel');
  if (channel !== undefined) return changed({ humans: [`#${channel.id}`] });
  return people(event, value, (humans) => ({ humans }));
};

const reset = (word: string): SettingsWish => {
  const keys = Object.keys(words) as (keyof ChannelRules)[];
  if (word === 'all') return changed(Object.fromEntries(keys.map((key) => [key, null])));
  const key = keys.find((each) => words[each] === word || each.toLowerCase() === word);
  return key === undefined
    ? { wish: 'unclear', sentence: `Say what to reset: ${Object.values(words).join(', ')} or all.` }
    : changed({ [key]: null });
};

/** The channel's own rules after the change. */
export const withChange = (rules: ChannelRules | null, change: RulesChange): ChannelRules =>
  Object.fromEntries(
    Object.entries({ ...rules, ...change }).filter(([, value]) => value !== null && value !== undefined),
  );

/** Each rule, its value and where it comes from. */
export const renderSettings = (rules: EffectiveRules, sources: readonly Source[]): string => {
  const named = (ids: readonly string[]): string =>
    ids.map((id) => sources.find((source) => source.id === id)?.name ?? id).join(', ') || 'none';
  const shown: Readonly<Record<keyof ChannelRules, string>> = {
    enabled: rules.enabled.value === false ? 'off' : 'on',
    answerWhen: `${rules.answerWhen.value ?? 'mention'}`,
    replies: `${rules.replies.value ?? 'public'}`,
    sources: rules.sources.value === undefined ? 'all' : named(rules.sources.value),
    language: rules.language.value ?? 'that of the question',
    instructions: rules.instructions.value === undefined ? 'none' : `“${rules.instructions.value.slice(0, 200)}”`,
    audience: `${rules.audience.value ?? 'members'}`,
    guests: `${rules.guests.value ?? 'limit'}`,
    whoMayAsk: rules.whoMayAsk.value === undefined ? 'everybody' : `${rules.whoMayAsk.value.length} people`,
    bots: `${rules.bots.value?.length ?? 0}`,
    humans: rules.humans.value === undefined ? 'nobody' : rules.humans.value.join(', '),
  };
  const origins = { channel: 'set here', tenant: 'from your organisation', default: 'default' } as const;
  const lines = (Object.keys(words) as (keyof ChannelRules)[]).map(
    (key) => `- **${words[key]}**: ${shown[key]} (${origins[rules[key].origin]})`,
  );
  return `Settings of this channel:\n${lines.join('\n')}`;
};

export const settingsHelp =
  'Change them with `settings mention|question|every`, `settings on|off`, `settings private|public`, `settings sources A, B`, ' +
  '`settings language de`, `settings instructions …`, `settings audience everybody|members`, `settings guests refuse|limit`, ' +
  '`settings humans @anna` or `#channel`, `settings who @anna`, `settings bots @robot`, `settings reset sources` or `all`.';
