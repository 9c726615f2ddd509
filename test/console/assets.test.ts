import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const folder = new URL('../../console/assets/css/', import.meta.url);

test('a class is styled in one sheet: two that mean something else by it would style each other’s pages', () => {
  const sheets = new Map<string, Set<string>>();
  for (const sheet of readdirSync(folder).filter((name) => name !== 'narrow.css'))
    for (const [, name = ''] of readFileSync(new URL(sheet, folder), 'utf8').matchAll(/^\.([\w-]+)(?=,| \{)/gm))
      sheets.set(name, (sheets.get(name) ?? new Set()).add(sheet));
  expect(sheets.size).toBeGreaterThan(50);
  expect([...sheets].filter(([, found]) => found.size > 1).map(([name, found]) => [name, ...found])).toEqual([]);
});
