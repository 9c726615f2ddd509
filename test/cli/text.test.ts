import { expect, it } from 'vitest';
import { renderTable, wrap } from '../../cli/text.ts';

it('wraps words and keeps list items, quotations, code and tables in shape', () => {
  expect(wrap('one two three four', 9)).toBe('one two\nthree\nfour');
  expect(wrap('- one two three', 9)).toBe('- one two\n  three');
  expect(wrap('> one two three', 9)).toBe('> one two\n> three');
  expect(wrap('```\na line that is long\n```', 9)).toBe('```\na line that is long\n```');
  expect(wrap('| a table | that is wide |', 9)).toBe('| a table | that is wide |');
  expect(wrap('unbreakablylong word', 9)).toBe('unbreakablylong\nword');
});

it('aligns numbers to the right and words to the left', () => {
  expect(
    renderTable(
      ['key', 'n'],
      [
        ['a', '10'],
        ['long', '5'],
      ],
    ),
  ).toBe('key    n\na     10\nlong   5\n');
});
