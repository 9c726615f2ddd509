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

describe('the table of features and platforms', () => {
  it.each([
    ['slack', 2],
    ['teams', 4],
  ] as const)('every test that the column of %s names exists, and no cell is empty', (platform, at) => {
    const titles = plain(
      `${sourceIn(`test/bots/${platform}`)}\n${sourceIn('test/cli')}\n${readFileSync(join(root, 'test/contracts/platform.ts'), 'utf8')}`,
    );
    const cells = rows.map((row) => ({ feature: row[1] ?? '', cell: row[at] ?? '' }));
    expect(cells.filter(({ cell }) => cell === '').map(({ feature }) => feature)).toEqual([]);
    const named = cells.flatMap(({ feature, cell }) =>
      [...cell.matchAll(/(?:contract|\.test\.ts`): “([\s\S]*?)”(?:;|\.|$)/g)].map(([, title = '']) => ({
        feature,
        title,
      })),
    );
    expect(named.length).toBeGreaterThan(20);
    expect(
      named.filter(({ title }) => !titles.includes(title.replace(/“(\w+)”/g, '“…”')) && !titles.includes(title)),
    ).toEqual([]);
  });
});
