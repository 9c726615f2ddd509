import { guessLanguage } from '../text/analyse.ts';

/** The few sentences that we say ourselves, in the languages we can say them in; English where we cannot. */
export type Texts = {
  readonly quoted: string;
  readonly notFound: string;
  readonly empty: string;
  readonly tooLong: string;
  /** Said when stop was pressed before there was a word. */
  readonly stopped: string;
  /** Said after an answer of each file that came with the question and was not read. */
  unread(name: string, reason: string): string;
};

const texts: Readonly<Record<string, Texts>> = {
  en: {
    quoted: 'Quoted from your documents:',
    notFound: 'I could not find an answer to this in your documents.',
    empty: 'There was no question in this message. Ask me anything about your documents.',
    tooLong: 'This question is too long for me. Please ask it in at most 8,000 characters.',
    stopped: 'Stopped.',
    unread: (name, reason) => `I could not read ${name}: ${reason}`,
  },
  de: {
    quoted: 'Aus Ihren Dokumenten zitiert:',
    notFound: 'Dazu habe ich in Ihren Dokumenten nichts gefunden.',
    empty: 'In dieser Nachricht war keine Frage. Fragen Sie mich etwas zu Ihren Dokumenten.',
    tooLong: 'Diese Frage ist zu lang für mich. Bitte stellen Sie sie in höchstens 8.000 Zeichen.',
    stopped: 'Angehalten.',
    unread: (name, reason) => `Nicht gelesen habe ich ${name}: ${reason}`,
  },
  fr: {
    quoted: 'Extrait de vos documents :',
    notFound: 'Je n’ai rien trouvé à ce sujet dans vos documents.',
    empty: 'Il n’y avait pas de question dans ce message. Posez-moi une question sur vos documents.',
    tooLong: 'Cette question est trop longue pour moi. Posez-la en 8 000 caractères au plus.',
    stopped: 'Arrêté.',
    unread: (name, reason) => `Je n’ai pas pu lire ${name}: ${reason}`,
  },
  es: {
    quoted: 'Citado de sus documentos:',
    notFound: 'No he encontrado nada sobre esto en sus documentos.',
    empty: 'No había ninguna pregunta en este mensaje. Pregúnteme algo sobre sus documentos.',
    tooLong: 'Esta pregunta es demasiado larga para mí. Hágala en 8.000 caracteres como máximo.',
    stopped: 'Detenido.',
    unread: (name, reason) => `No he podido leer ${name}: ${reason}`,
  },
};

/** By the wish of channel or tenant (`de`, `de-AT`, `German`), else by the question's own language. */
export const textsFor = (question: string, language?: string): Texts => {
  const wished =
    language === undefined ? undefined : (names[language.toLowerCase()] ?? language.toLowerCase().slice(0, 2));
  return texts[wished ?? guessLanguage(question)] ?? (texts.en as Texts);
};

const names: Readonly<Record<string, string>> = {
  english: 'en',
  german: 'de',
  deutsch: 'de',
  french: 'fr',
  français: 'fr',
  spanish: 'es',
  español: 'es',
};
