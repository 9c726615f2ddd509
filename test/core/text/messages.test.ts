import { describe, expect, test } from 'vitest';
import {
  messageNames,
  ourMessage,
  placeholdersOf,
  problemOfMessage,
  sayMessage,
  titleOf,
} from '../../../core/text/messages.ts';

describe('a sentence of the bot', () => {
  const values = { organisation: 'Acme', reason: 'No {organisation}.' };

  test('is the tenant’s in its language, ours in ours, and else the tenant’s English before our own', () => {
    const messages = { en: { notFound: 'Nope.', greeting: 'Hi from {organisation}!' }, it: { empty: 'Niente.' } };
    expect(sayMessage(messages, 'notFound', 'en', values)).toBe('Nope.');
    expect(sayMessage(messages, 'notFound', 'de', values), 'we can say it in German').toContain('nichts gefunden');
    expect(sayMessage(messages, 'greeting', 'de', values)).toBe('Hi from Acme!');
    expect(sayMessage(messages, 'notFound', 'it', values)).toBe('Nope.');
    expect(sayMessage(messages, 'empty', 'it', values)).toBe('Niente.');
    expect(sayMessage(undefined, 'notFound', 'pl', values)).toBe(
      'I could not find an answer to this in your documents.',
    );
  });

  test('is filled once: what is filled in is not filled again', () => {
    expect(sayMessage(undefined, 'quota', 'en', values)).toBe('No {organisation}.');
    expect(sayMessage({ en: { quota: 'Until {until}: {reason}' } }, 'quota', 'en', { reason: 'x' })).toBe('Until : x');
  });

  test.each(messageNames)('%s: our own words fit their own rule', (name) => {
    for (const language of ['en', 'de', 'fr', 'es', 'xx'])
      expect(problemOfMessage(name, ourMessage(name, language))).toBeNull();
    for (const key of placeholdersOf[name]) expect(problemOfMessage(name, `{${key}}`)).toBeNull();
  });

  test.each([
    ['{nobody}', '{nobody} is not known here'],
    ['{Organisation}', 'is not known here'],
    ['{}', 'is not known here'],
    ['{organisation', 'A brace stands alone'],
    ['}{', 'A brace stands alone'],
    ['{{organisation}}', 'A brace stands alone'],
    ['x'.repeat(1_001), 'At most 1,000 characters.'],
  ])('%s cannot be said', (text, problem) => {
    expect(problemOfMessage('notFound', text)).toContain(problem);
  });

  test.each([
    ['x'.repeat(41), 'At most 40 characters.'],
    ['two\nlines', 'one line'],
    ['{organisation}', 'nothing is filled in'],
    ['a {brace', 'no use for a brace'],
  ])('%s cannot stand on a button', (text, problem) => {
    expect(problemOfMessage('buttonSolved', text)).toContain(problem);
  });

  test('what stands on a button is the tenant’s, ours in ours, and else for the platform to say', () => {
    const messages = { en: { buttonSolved: 'That was it' }, it: { buttonStop: 'Ferma' } };
    expect(titleOf(messages, 'buttonSolved', 'en')).toBe('That was it');
    expect(titleOf(messages, 'buttonSolved', 'de')).toBe('Gelöst');
    expect(titleOf(messages, 'buttonSolved', 'it')).toBe('That was it');
    expect(titleOf(messages, 'buttonStop', 'it')).toBe('Ferma');
    expect(titleOf(messages, 'buttonStop', 'en')).toBeNull();
    expect(titleOf(undefined, 'buttonStop', 'pl')).toBeNull();
  });
});
