import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeCore, footnote } from './surroundings.ts';

let folder = '';
const put = (name: string, text: string): void => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'footnote-ingest-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('ingest', () => {
  it('takes documents by their usual names and leaves out hidden files, links and node_modules', async () => {
    for (const name of [
      'a.md',
      'b/c.HTML',
      'b/README',
      'd.txt',
      'code.js',
      '.hidden.md',
      '.git/x.md',
      'node_modules/p/README.md',
    ])
      put(name, name);
    symlinkSync('/etc', join(folder, 'elsewhere'));
    const fake = createFakeCore();
    const { code, out } = await footnote(['ingest', folder], { core: fake.core });
    expect({ code, out }).toEqual({ code: 0, out: '4 seen: 4 new or changed, 0 unchanged\n' });
    expect([...fake.documents.keys()]).toEqual(['a.md', 'b/README', 'b/c.HTML', 'd.txt']);
    expect(fake.sources).toMatchObject([{ kind: 'upload', name: folder }]);
  });

  it('looks inside node_modules on request, and obeys --include and --exclude', async () => {
    for (const name of [
      'node_modules/p/README.md',
      'node_modules/p/docs/deep.md',
      'node_modules/q/LICENSE.md',
      'main.ts',
    ])
      put(name, name);
    const fake = createFakeCore();
    await footnote(['ingest', folder, '--include-node-modules', '--exclude', 'LICENSE*'], { core: fake.core });
    expect([...fake.documents.keys()]).toEqual(['node_modules/p/README.md', 'node_modules/p/docs/deep.md']);
    await footnote(['ingest', folder, '--include', '*.ts'], { core: fake.core });
    expect(fake.documents.has('main.ts')).toBe(true);
  });

  it('fills the same source again, counts what did not change, and removes what is gone with --prune', async () => {
    put('a.md', 'one');
    put('b.md', 'two');
    const fake = createFakeCore();
    await footnote(['ingest', folder], { core: fake.core });
    put('a.md', 'changed');
    rmSync(join(folder, 'b.md'));
    put('c.md', 'three');
    put('d.md', 'four');
    const { out } = await footnote(['ingest', folder, '--prune', '--json'], { core: fake.core });
    expect(JSON.parse(out)).toEqual({ seen: 3, upserted: 3, unchanged: 0, removed: 1, failed: 0, errors: [] });
    expect(fake.sources).toHaveLength(1);
    expect(JSON.parse((await footnote(['ingest', folder, '--json'], { core: fake.core })).out)).toMatchObject({
      unchanged: 3,
    });
  });

  it('goes on after a bad document, names it, and exits 1', async () => {
    put('bad.md', '');
    put('good.md', 'text');
    const { code, out, err } = await footnote(['ingest', folder]);
    expect(code).toBe(1);
    expect(out).toBe('2 seen: 1 new or changed, 0 unchanged, 1 failed\n');
    expect(err).toBe('bad.md: The document is empty.\n');
  });

  it('takes one file, and draws progress only on a terminal', async () => {
    put('a.md', 'one');
    expect((await footnote(['ingest', join(folder, 'a.md')])).err).toBe('');
    expect((await footnote(['ingest', join(folder, 'a.md')], { isTerminal: true })).err).toContain('\r');
  });
});
