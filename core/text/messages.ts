import type { ButtonName, MessageName, TenantSettings } from '../domain.ts';

/** The sentences that the bot says by itself: ours, in the languages we can say them in, and a tenant's in their place. */

/** What may stand in braces in each of them. `reason` is a sentence of ours, `until` a moment in words. */
export const placeholdersOf = {
  notFound: ['organisation'],
  quota: ['organisation', 'reason', 'until'],
  failed: ['organisation', 'reason'],
  greeting: ['organisation'],
  thinking: ['organisation'],
  noSources: ['organisation'],
  empty: ['organisation'],
  tooLong: ['organisation', 'characters'],
  buttonStop: [],
  buttonSolved: [],
  buttonHuman: [],
  buttonPublish: [],
} as const satisfies Readonly<Record<MessageName, readonly string[]>>;

export const messageNames = Object.keys(placeholdersOf) as readonly MessageName[];

/** Characters of one sentence. */
export const longestMessage = 1_000;
/** Of what stands on a button: Discord takes 80 and Slack 75, and Teams cuts what is longer than this in a narrow window. */
const longestButton = 40;

const buttonNames = [
  'buttonStop',
  'buttonSolved',
  'buttonHuman',
  'buttonPublish',
] as const satisfies readonly ButtonName[];
const isButton = (name: MessageName): boolean => (buttonNames as readonly MessageName[]).includes(name);
export const longestOf = (name: MessageName): number => (isButton(name) ? longestButton : longestMessage);

type Ours = Readonly<Record<string, { readonly [K in MessageName]?: string }>>;

/** What is missing in a language is said in English. `reason` and `until` are English everywhere. */
const ours: Ours & { readonly en: Readonly<Record<MessageName, string>> } = {
  en: {
    notFound: 'I could not find an answer to this in your documents.',
    quota: '{reason}',
    failed: 'I could not answer: {reason} Nothing was charged; please ask again in a moment.',
    greeting:
      'Ask me a question, and I answer it from the documents of your organisation, with footnotes. In a thread that I answered in, just go on asking.',
    thinking: 'Reading the documents …',
    noSources:
      'There are no documents that I may use for an answer here. Somebody who manages this channel can say which ones I may, or you can ask me in a direct message.',
    empty: 'There was no question in this message. Ask me anything about your documents.',
    tooLong: 'This question is too long for me. Please ask it in at most {characters} characters.',
    buttonStop: 'Stop',
    buttonSolved: 'Solved',
    buttonHuman: 'I need a human',
    buttonPublish: 'Post to the channel',
  },
  de: {
    notFound: 'Dazu habe ich in Ihren Dokumenten nichts gefunden.',
    empty: 'In dieser Nachricht war keine Frage. Fragen Sie mich etwas zu Ihren Dokumenten.',
    tooLong: 'Diese Frage ist zu lang für mich. Bitte stellen Sie sie in höchstens 8.000 Zeichen.',
    buttonStop: 'Anhalten',
    buttonSolved: 'Gelöst',
    buttonHuman: 'Ich brauche einen Menschen',
    buttonPublish: 'In den Kanal stellen',
  },
  fr: {
    notFound: 'Je n’ai rien trouvé à ce sujet dans vos documents.',
    empty: 'Il n’y avait pas de question dans ce message. Posez-moi une question sur vos documents.',
    tooLong: 'Cette question est trop longue pour moi. Posez-la en 8 000 caractères au plus.',
    buttonStop: 'Arrêter',
    buttonSolved: 'Résolu',
    buttonHuman: 'J’ai besoin d’une personne',
    buttonPublish: 'Publier dans le canal',
  },
  es: {
    notFound: 'No he encontrado nada sobre esto en sus documentos.',
    empty: 'No había ninguna pregunta en este mensaje. Pregúnteme algo sobre sus documentos.',
    tooLong: 'Esta pregunta es demasiado larga para mí. Hágala en 8.000 caracteres como máximo.',
    buttonStop: 'Detener',
    buttonSolved: 'Resuelto',
    buttonHuman: 'Necesito a una persona',
    buttonPublish: 'Publicar en el canal',
  },
};

/** Our words, before anything is filled in. */
export const ourMessage = (name: MessageName, language: string): string => ours[language]?.[name] ?? ours.en[name];

/** The tenant's words in this language, else in English when we have none of our own; undefined: ours are said. */
const theirs = (messages: TenantSettings['messages'], name: MessageName, language: string): string | undefined =>
  messages?.[language]?.[name] ?? (ours[language]?.[name] === undefined ? messages?.en?.[name] : undefined);

/** Whether the tenant has worded this one itself. */
export const isReworded = (messages: TenantSettings['messages'], name: MessageName, language: string): boolean =>
  theirs(messages, name, language) !== undefined;

/** Null: neither the tenant nor we have words for it in this language, and the platform's driver says it in English. */
export const titleOf = (messages: TenantSettings['messages'], name: ButtonName, language: string): string | null =>
  theirs(messages, name, language) ?? (language === 'en' ? null : (ours[language]?.[name] ?? null));

/** A sentence as it is said. What is not given is left out; values are never read as placeholders themselves. */
export const sayMessage = (
  messages: TenantSettings['messages'],
  name: MessageName,
  language: string,
  values: Readonly<Record<string, string>>,
): string => fillMessage(theirs(messages, name, language) ?? ourMessage(name, language), values);

export const fillMessage = (text: string, values: Readonly<Record<string, string>>): string =>
  text
    .replace(/\{([a-z]+)\}/gi, (_, key: string) => (Object.hasOwn(values, key) ? (values[key] ?? '') : ''))
    .replace(/[ \t]{2,}/g, ' ')
    .trim();

/** Why a text cannot be said in this place, as a sentence; null when it can. */
export const problemOfMessage = (name: MessageName, text: string): string | null => {
  const longest = longestOf(name);
  if (text.length > longest) return `At most ${longest.toLocaleString('en')} characters.`;
  if (isButton(name) && /[\n\r]/.test(text)) return 'What stands on a button is one line.';
  const known: readonly string[] = placeholdersOf[name];
  const unknown = [...text.matchAll(/\{([^{}]*)\}/g)]
    .map((match) => match[1] ?? '')
    .find((key) => !known.includes(key));
  if (unknown !== undefined)
    return known.length === 0
      ? `{${unknown}} is not known here: nothing is filled in.`
      : `{${unknown}} is not known here. What can be filled in: ${known.map((key) => `{${key}}`).join(', ')}.`;
  return /[{}]/.test(text.replace(/\{[a-z]+\}/gi, ''))
    ? known.length === 0
      ? 'Nothing is filled in here, so that there is no use for a brace.'
      : 'A brace stands alone: write {organisation}, for example.'
    : null;
};
