import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFolderSource } from '../../../../core/drivers/sources/folder.ts';
import type { Change } from '../../../../core/ports/source.ts';
import { sourceContract } from '../../../contracts/source.ts';

const write = async (root: string, path: string, text: string): Promise<void> => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
};

sourceContract('folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'footnote-folder-'));
  const driver = createFolderSource({ roots: [root], forbidden: [] });
  return {
    open: async () => (await driver.open?.({ path: root }))!,
    put: (externalId, text) => write(root, externalId, text),
    remove: (externalId) => rm(join(root, externalId)),
    close: () => rm(root, { recursive: true, force: true }),
  };
});

describe('the folder source', () => {
  let base: string;
  let root: string;
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'footnote-folder-'));
    root = join(base, 'docs');
    await mkdir(root);
  });
  afterEach(async () => {
    await rm(base, { recursive: true, force: true });
  });

  const open = async (
    settings: Record<string, unknown> = {},
    options: { roots?: string[]; forbidden?: string[]; maxBytes?: number } = {},
  ) => {
    const driver = createFolderSource({ roots: [root], forbidden: [], ...options });
    return (await driver.open?.({ path: root, ...settings }))!;
  };
  const list = async (
    settings: Record<string, unknown> = {},
    options: Parameters<typeof open>[1] & { cursor?: string } = {},
  ): Promise<Change[]> => {
    const seen: Change[] = [];
    const { cursor, ...rest } = options;
    const connector = await open(settings, rest);
    for await (const change of connector.changes({
      signal: new AbortController().signal,
      ...(cursor === undefined ? {} : { cursor }),
    }))
      seen.push(change);
    return seen;
  };
  const ids = (seen: readonly Change[]) =>
    seen
      .filter((change) => change.type === 'upsert')
      .map((change) => change.externalId)
      .sort();

  it('refuses a folder outside its roots, whether it exists or not, alike', async () => {
    const wordsOf = async (path: string) => {
      const message = await open({ path }).then(
        () => 'opened',
        (error: Error & { code: string; at: string }) => `${error.code} ${error.at} ${error.message}`,
      );
      return message.replace(path, 'PATH');
    };
    const existing = await wordsOf(base);
    expect(existing).toContain('invalid settings.path');
    expect(await wordsOf('/does/not/exist')).toBe(existing);
    expect(await wordsOf(`${root}/../..`)).toBe(existing);
    await expect(open({ path: 'relative' })).rejects.toMatchObject({ code: 'invalid' });
    await expect(open({}, { roots: [] })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('refuses a root’s neighbour with the same beginning', async () => {
    await mkdir(join(base, 'docs-secret'));
    await expect(open({ path: join(base, 'docs-secret') })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('refuses a link that leads out, and says so, without naming where it leads', async () => {
    await write(base, 'secret.md', 'secret');
    await symlink(join(base, 'secret.md'), join(root, 'link.md'));
    await symlink(base, join(root, 'loop'));
    await write(root, 'real.md', 'x');
    await symlink(join(root, 'real.md'), join(root, 'inside.md'));
    const seen = await list();
    expect(ids(seen)).toEqual(['inside.md', 'real.md']);
    const problem = seen.find((change) => change.type === 'problem');
    expect(problem).toMatchObject({ externalId: 'link.md' });
    expect(JSON.stringify(problem)).not.toContain('secret');
    await symlink(base, join(root, 'out'));
    await expect(open({ path: join(root, 'out') })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('does not read a file that became a link out between listing and reading', async () => {
    await write(base, 'secret.md', 'secret');
    await write(root, 'a.md', 'fine');
    const seen = await list();
    await rm(join(root, 'a.md'));
    await symlink(join(base, 'secret.md'), join(root, 'a.md'));
    const change = seen.find((one) => one.type === 'upsert');
    await expect(change?.type === 'upsert' ? change.read(new AbortController().signal) : null).rejects.toMatchObject({
      code: 'unreadable-document',
    });
  });

  it('never reads the deployment’s own data', async () => {
    await write(root, 'data/state.md', 'secret');
    await write(root, 'a.md', 'x');
    expect(ids(await list({}, { forbidden: [join(root, 'data')] }))).toEqual(['a.md']);
    await expect(open({ path: join(root, 'data') }, { forbidden: [join(root, 'data')] })).rejects.toMatchObject({
      code: 'invalid',
    });
  });

  it('skips hidden files, node_modules and what it cannot read, unless asked', async () => {
    for (const path of ['a.md', '.git/b.md', 'node_modules/c/README.md', '.hidden.md', 'image.png', 'sub/d.txt'])
      await write(root, path, 'x');
    expect(ids(await list())).toEqual(['a.md', 'sub/d.txt']);
    expect(ids(await list({ hidden: true }))).toEqual([
      '.git/b.md',
      '.hidden.md',
      'a.md',
      'node_modules/c/README.md',
      'sub/d.txt',
    ]);
    expect(ids(await list({ include: ['**/*.md'], exclude: ['a.*'] }))).toEqual([]);
    expect(ids(await list({ include: ['*.png'] }))).toEqual(['image.png']);
  });

  it('tells of a folder that cannot be listed, and goes on', async () => {
    await write(root, 'closed/a.md', 'x');
    await write(root, 'b.md', 'x');
    const seen: Change[] = [];
    for await (const change of (await open()).changes({ signal: new AbortController().signal })) {
      seen.push(change);
      // Refusal by mode does not bind the superuser, so the folder is gone by the time it is entered.
      if (change.type === 'upsert') await rm(join(root, 'closed'), { recursive: true });
    }
    expect(ids(seen)).toEqual(['b.md']);
    expect(seen).toContainEqual(expect.objectContaining({ type: 'problem', externalId: 'closed' }));
  });

  it('does not call an unmounted disk an emptied folder', async () => {
    await write(root, 'a.md', 'x');
    const cursor = (await list()).find((change) => change.type === 'cursor');
    await rename(root, join(base, 'was-mounted'));
    await mkdir(root);
    const seen = await list({}, { cursor: cursor?.type === 'cursor' ? cursor.cursor : '' });
    expect(seen.map((change) => change.type)).toEqual(['problem']);
    // The same folder, really emptied, is complete.
    await rm(root, { recursive: true });
    await rename(join(base, 'was-mounted'), root);
    await rm(join(root, 'a.md'));
    const emptied = await list({}, { cursor: cursor?.type === 'cursor' ? cursor.cursor : '' });
    expect(emptied.at(-1)?.type).toBe('complete');
  });

  it('refuses to read a file above its limit', async () => {
    await write(root, 'a.md', 'x'.repeat(3 * 1024 * 1024));
    const change = (await list({}, { maxBytes: 1024 * 1024 })).find((one) => one.type === 'upsert');
    await expect(change?.type === 'upsert' ? change.read(new AbortController().signal) : null).rejects.toMatchObject({
      code: 'unreadable-document',
    });
  });
});
