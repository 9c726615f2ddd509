import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const rows = readFileSync(join(root, 'docs/platforms.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| feature'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

/** What a cell calls a file, before the titles that are in it. */
const label =
  /(?<![\w“])(?:contract|conversation|crash|e2e|interactions|gateway|speak|normalise|verify)(?=:? “)|`[\w./-]+\.test\.ts`/g;

/** Where that file is, seen from a platform's column; several where one is named for what they share. */
const filesOf = (name: string, platform: string): readonly string[] => {
  const file = name.replaceAll('`', '');
  if (file.includes('/')) return [file];
  const own = `test/bots/${platform}/`;
  if (file.endsWith('.test.ts')) return [`${own}${file}`, `test/cli/${file}`];
  if (file === 'contract') return ['test/contracts/platform.ts', `${own}contract.test.ts`];
  if (file === 'conversation' || file === 'crash') return [`test/contracts/${file}.ts`];
  return [file === 'e2e' ? `${own}end-to-end.test.ts` : `${own}${file}.test.ts`];
};

/** The titles in a stretch of a cell. One may quote something itself. */
const titlesIn = (text: string): readonly string[] => {
  const titles: string[] = [];
  let depth = 0;
  let begun = 0;
  for (const { 0: mark, index } of text.matchAll(/[“”]/g)) {
    if (mark === '“' && depth === 0) begun = index + 1;
    depth += mark === '“' ? 1 : -1;
    if (depth === 0) titles.push(text.slice(begun, index));
  }
  return titles;
};

type Named = { readonly feature: string; readonly file: string; readonly titles: readonly string[] };

const namedIn = (feature: string, cell: string): readonly Named[] => {
  const labels = [...cell.matchAll(label)];
  return labels.map(({ 0: file, index }, at) => ({
    feature,
    file,
    titles: titlesIn(cell.slice(index + file.length, labels[at + 1]?.index)),
  }));
};

/** In a title of the table “…” stands for anything, as it does for what a test varies. */
const isIn = (source: string, title: string): boolean => {
  const pieces = title.split('…').map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(pieces.join('[^\\n]{0,160}?')).test(source);
};

/** A title as a test file writes it: with its placeholders, and quotation marks escaped where they must be. */
const sourceOf = (files: readonly string[]): string =>
  files
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n')
    .replaceAll("\\'", "'")
    .replaceAll('%s', '…');

describe('the table of features and platforms', () => {
  it.each([
    ['slack', 2],
    ['discord', 3],
    ['teams', 4],
  ] as const)(
    'every test that the column of %s names is in the file that it names, and no cell is empty',
    (platform, at) => {
      const cells = rows.map((row) => ({ feature: row[1] ?? '', cell: row[at] ?? '' }));
      expect(cells.filter(({ cell }) => cell === '').map(({ feature }) => feature)).toEqual([]);
      const named = cells.flatMap(({ feature, cell }) => namedIn(feature, cell));
      expect(named.flatMap(({ titles }) => titles).length).toBeGreaterThan(70);
      const missing = named.flatMap(({ feature, file, titles }) => {
        const files = filesOf(file, platform).filter((path) => existsSync(join(root, path)));
        if (files.length === 0) return [{ feature, file }];
        const source = sourceOf(files);
        return titles
          .filter((title) => !isIn(source, title) && !isIn(source, title.replace(/“(\w+)”/g, '“…”')))
          .map((title) => ({ feature, file, title }));
      });
      expect(missing).toEqual([]);
    },
  );
});
