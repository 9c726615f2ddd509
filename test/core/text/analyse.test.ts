import { describe, expect, it } from 'vitest';
import { analyse, analyseQuery, guessLanguage } from '../../../core/text/analyse.ts';

describe('analyse', () => {
  it('stems words and leaves stop words out', () => {
    expect(analyse('How are the servers being configured?')).toEqual(['server', 'configur']);
  });

  it.each([
    ['node.js', ['node.js', 'node', 'js']],
    ['C++ and C#', ['c++', 'c#']],
    ['v1.2.3', ['1.2.3', '1.2']],
    ['E1234', ['e1234']],
    ['getUserById', ['getuserbyid', 'get', 'user', 'id']],
    ['max_open_files', ['max_open_files', 'max', 'open', 'file']],
    ['--dry-run', ['--dry-run', 'dry', 'run']],
    ['1,000,000', ['1000000']],
    ["the customer's don't", ['custom']],
  ])('keeps %s findable whole and in parts', (text, terms) => {
    expect(analyse(text)).toEqual(terms);
  });

  it('writes one term for what people type in different ways', () => {
    expect(analyse('Ｃａｆé')).toEqual(analyse('cafe'));
    expect(analyse('naïve')).toEqual(analyse('naive'));
    expect(analyse('الإجازة')).toEqual(analyse('الاجازه'));
    expect(analyse('й')).not.toEqual(analyse('и'));
  });

  it('makes pairs of scripts without spaces', () => {
    expect(analyse('東京都Node版本')).toEqual(['東京', '京都', 'node', '版本']);
  });

  it('guesses a language from its stop words and falls back when they do not tell', () => {
    expect(guessLanguage('Die Konfiguration der Server ist für alle Kunden gleich')).toBe('de');
    expect(guessLanguage('La configuration du serveur est la même pour tous les clients')).toBe('fr');
    expect(guessLanguage('webhook configuration')).toBe('en');
    expect(guessLanguage('Как настроить сервер')).toBe('ru');
  });

  it('lets a short question meet a document of another language', () => {
    const document = analyse('Die Verfügbarkeit der Häuser ist für alle Kunden gleich');
    const word = analyseQuery('Häuser', ['en', 'de'])[0];
    expect(word?.variants.some((variant) => document.includes(variant))).toBe(true);
  });

  it('gives each word of a question once, and none for stop words', () => {
    expect(analyseQuery('server servers the server')).toEqual([{ variants: ['server'], count: 3 }]);
    expect(analyseQuery('the of and')).toEqual([]);
    expect(analyseQuery(Array.from({ length: 2_000 }, (_, at) => `w${at}`).join(' '))).toHaveLength(256);
  });

  it.each([['a'], ['a.'], ['東'], ['aB'], ["'"], ['\u0301'], ['-']])('takes a line of a megabyte of %j', (unit) => {
    const terms = analyse(unit.repeat(1_000_000 / unit.length));
    expect(terms.every((term) => term.length <= 64)).toBe(true);
  });
});
