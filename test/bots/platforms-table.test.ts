import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const rows = readFileSync(join(root, 'docs/platforms.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| feature'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

const sourceIn = (folder: string): string =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, folder, name), 'utf8'))
    .join('\n');

/** A title as a test file writes it: with its placeholders, and quotation marks escaped where they must be. */
const plain = (text: string): string => text.replaceAll("\\'", "'").replaceAll('%s', '…');

/** Where titles are looked for beside a platform's own folder. */
const shared = plain(
  ['test/cli', 'test/core/conversation', 'test/contracts'].map(sourceIn).join('\n') +
    ['test/e2e/slack-install.test.ts', 'test/core/tenancy.test.ts']
      .map((file) => readFileSync(join(root, file), 'utf8'))
      .join('\n'),
);

/** In a title of the table “…” stands for anything, as it does for what a test varies. */
const isIn = (titles: string, title: string): boolean => {
  const pieces = title.split('…').map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(pieces.join('[^\\n]{0,160}?')).test(titles);
};

/** Files of tests, contracts and Discord's short names, each with the titles that follow it. */
const reference =
  /(?:contract|conversation|e2e|interactions|gateway|speak|crash|normalise|verify|\.test\.ts`)(:? )“([\s\S]*?)”(?=;|,|\.|:| \(| \||$)/g;

describe('the table of features and platforms', () => {
  it.each([
    ['slack', 2],
    ['discord', 3],
    ['teams', 4],
  ] as const)('every test that the column of %s names exists, and no cell is empty', (platform, at) => {
    const titles = plain(sourceIn(`test/bots/${platform}`)) + shared;
    const cells = rows.map((row) => ({ feature: row[1] ?? '', cell: row[at] ?? '' }));
    expect(cells.filter(({ cell }) => cell === '').map(({ feature }) => feature)).toEqual([]);
    const named = cells.flatMap(({ feature, cell }) =>
      [...cell.matchAll(reference)].map(([, , title = '']) => ({ feature, title })),
    );
    expect(named.length).toBeGreaterThan(40);
    const missing = named.filter(
      ({ title }) => !isIn(titles, title) && !isIn(titles, title.replace(/“(\w+)”/g, '“…”')),
    );
    expect(missing).toEqual([]);
  });
});
