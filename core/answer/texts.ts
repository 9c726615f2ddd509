import type { ButtonName, MessageName, Tenant } from '../domain.ts';
import { guessLanguage } from '../text/analyse.ts';
import { isReworded, sayMessage, titleOf } from '../text/messages.ts';

/** The few sentences that we say ourselves: the tenant's, or ours in the languages we can say them in, or English. */
export type Texts = {
  readonly quoted: string;
  readonly notFound: string;
  readonly empty: string;
  readonly tooLong: string;
  readonly noSources: string;
  readonly greeting: string;
  /** Said when stop was pressed before there was a word. */
  readonly stopped: string;
  /** Present: said instead of what is being done. */
  readonly thinking?: string;
  /** `until`: milliseconds. */
  quota(reason: string, until?: number): string;
  /** `reason`: a sentence for people; absent: ours does not say more than that it went wrong. */
  failed(reason?: string): string;
  /** The tenant's own words for it, if it has some. */
  reworded(name: 'empty' | 'tooLong' | 'noSources'): string | undefined;
  /** What stands on a button, where it is not said in the English of the platform's driver. */
  title(name: ButtonName): string | undefined;
  /** Said after an answer of each file that came with the question and was not read. */
  unread(name: string, reason: string): string;
};

type Own = Pick<Texts, 'quoted' | 'stopped' | 'unread'>;

const own: Readonly<Record<string, Own>> & { readonly en: Own } = {
  en: {
    quoted: 'Quoted from your documents:',
    stopped: 'Stopped.',
    unread: (name, reason) => `I could not read ${name}: ${reason}`,
  },
  de: {
    quoted: 'Aus Ihren Dokumenten zitiert:',
    stopped: 'Angehalten.',
    unread: (name, reason) => `Nicht gelesen habe ich ${name}: ${reason}`,
  },
  fr: {
    quoted: 'Extrait de vos documents :',
    stopped: 'Arrêté.',
    unread: (name, reason) => `Je n’ai pas pu lire ${name}: ${reason}`,
  },
  es: {
    quoted: 'Citado de sus documentos:',
    stopped: 'Detenido.',
    unread: (name, reason) => `No he podido leer ${name}: ${reason}`,
  },
};

const wentWrong = 'Something went wrong on my side, so I could not answer. Please ask again in a moment.';
const characters = '8,000';

/** By the wish of channel or tenant (`de`, `de-AT`, `German`), else by the question's own language. */
export const textsFor = (tenant: Pick<Tenant, 'name' | 'settings'>, question: string, wish?: string): Texts => {
  const { messages } = tenant.settings;
  const language = languageOf(wish ?? tenant.settings.language) ?? guessLanguage(question);
  const say = (name: MessageName, values: Readonly<Record<string, string>> = {}): string =>
    sayMessage(messages, name, language, { organisation: tenant.name, ...values });
  return {
    ...(own[language] ?? own.en),
    notFound: say('notFound'),
    empty: say('empty'),
    tooLong: say('tooLong', { characters }),
    noSources: say('noSources'),
    greeting: say('greeting'),
    ...(isReworded(messages, 'thinking', language) ? { thinking: say('thinking') } : {}),
    quota: (reason, until) => say('quota', { reason, ...(until === undefined ? {} : { until: momentInWords(until) }) }),
    failed: (reason) =>
      reason === undefined && !isReworded(messages, 'failed', language)
        ? wentWrong
        : say('failed', { reason: reason ?? '' }),
    title: (name) => titleOf(messages, name, language) ?? undefined,
    reworded: (name) => (isReworded(messages, name, language) ? say(name, { characters }) : undefined),
  };
};

const momentInWords = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

const languageOf = (wish: string | undefined): string | undefined =>
  wish === undefined ? undefined : (names[wish.toLowerCase()] ?? wish.toLowerCase().slice(0, 2));

const names: Readonly<Record<string, string>> = {
  english: 'en',
  german: 'de',
  deutsch: 'de',
  french: 'fr',
  français: 'fr',
  spanish: 'es',
  español: 'es',
};
