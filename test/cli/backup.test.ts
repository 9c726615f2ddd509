import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { footnote } from './surroundings.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'footnote-backup-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const backup = async (target: string): Promise<void> => {
  mkdirSync(join(target, 'chunks'));
  writeFileSync(join(target, 'state.sqlite'), 'state');
  writeFileSync(join(target, 'chunks', 't_1.sqlite'), 'chunks');
};

describe('backup and restore', () => {
  it('brings every file back into an empty DATA_DIR', async () => {
    const [copy, data] = [join(folder, 'copy'), join(folder, 'data')];
    expect(await footnote(['backup', copy, '--json'], { backup })).toMatchObject({ code: 0, err: '' });
    expect(statSync(join(copy, 'state.sqlite')).mode & 0o777).toBe(0o600);
    mkdirSync(join(data, 'lost+found'), { recursive: true });
    const { code, out } = await footnote(['restore', copy, '--json'], { env: { DATA_DIR: data } });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ dataDir: data, files: 2 });
    expect(readFileSync(join(data, 'chunks', 't_1.sqlite'), 'utf8')).toBe('chunks');
    expect(existsSync(join(data, '.restoring'))).toBe(false);
  });

  it('says where the key of sealed credentials is', async () => {
    expect((await footnote(['backup', join(folder, 'one')], { backup })).err).toContain('holds the key');
    const env = { FOOTNOTE_SECRET_KEY: Buffer.alloc(32).toString('base64') };
    expect((await footnote(['backup', join(folder, 'two')], { backup, env })).err).toContain('not part of the backup');
  });

  it('taken by a timer goes into a folder named by the time, and the newest so many are kept', async () => {
    const base = join(folder, 'backups');
    const old = ['footnote-2026-01-01T02-00-00Z', 'footnote-2026-01-02T02-00-00Z', 'footnote-2026-01-03T02-00-00Z'];
    for (const name of [...old, 'footnote-2026-01-04T02-00-00Z', 'mine', 'footnote-by-hand'])
      mkdirSync(join(base, name), { recursive: true });
    // The fourth was cut short.
    for (const name of [...old, 'footnote-by-hand']) writeFileSync(join(base, name, 'footnote-backup.json'), '{}');
    const { code, out } = await footnote(['backup', base, '--keep', '2', '--json'], { backup });
    expect(code).toBe(0);
    const taken = JSON.parse(out);
    expect(taken.folder).toMatch(/footnote-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z$/);
    expect(taken.removed).toEqual([old[0], old[1], 'footnote-2026-01-04T02-00-00Z']);
    expect(readdirSync(base).sort()).toEqual(
      [old[2], taken.folder.slice(base.length + 1), 'footnote-by-hand', 'mine'].sort(),
    );
    expect(await footnote(['restore', taken.folder], { env: { DATA_DIR: join(folder, 'data') } })).toMatchObject({
      code: 0,
    });
  });

  it('that fails takes no older one with it', async () => {
    const base = join(folder, 'backups');
    mkdirSync(join(base, 'footnote-2026-01-01T02-00-00Z'), { recursive: true });
    writeFileSync(join(base, 'footnote-2026-01-01T02-00-00Z', 'footnote-backup.json'), '{}');
    const failing = async () => {
      throw new AppError('store-unavailable', 'The disk is full.');
    };
    expect(await footnote(['backup', base, '--keep', '1'], { backup: failing })).toMatchObject({ code: 1 });
    expect(readdirSync(base)).toContain('footnote-2026-01-01T02-00-00Z');
    for (const keep of ['0', 'all', '1.5'])
      expect(await footnote(['backup', base, '--keep', keep], { backup })).toMatchObject({ code: 2 });
  });

  it('never overwrites: neither a backup nor a DATA_DIR', async () => {
    const copy = join(folder, 'copy');
    await footnote(['backup', copy], { backup });
    expect(await footnote(['backup', copy], { backup })).toMatchObject({ code: 2 });
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data', 'state.sqlite'), 'mine');
    const { code, err } = await footnote(['restore', copy], { env: { DATA_DIR: join(folder, 'data') } });
    expect(code).toBe(2);
    expect(err).toContain('not empty');
    expect(readFileSync(join(folder, 'data', 'state.sqlite'), 'utf8')).toBe('mine');
  });

  it('refuses a backup that was cut short or damaged, before it touches DATA_DIR', async () => {
    const [copy, data] = [join(folder, 'copy'), join(folder, 'data')];
    await footnote(['backup', copy], { backup });
    truncateSync(join(copy, 'state.sqlite'), 2);
    expect(await footnote(['restore', copy], { env: { DATA_DIR: data } })).toMatchObject({
      code: 1,
      err: expect.stringContaining('another size'),
    });
    rmSync(join(copy, 'footnote-backup.json'));
    expect(await footnote(['restore', copy], { env: { DATA_DIR: data } })).toMatchObject({ code: 2 });
    expect(existsSync(data)).toBe(false);
  });

  it('refuses a manifest that points out of its folder', async () => {
    const copy = join(folder, 'copy');
    await footnote(['backup', copy], { backup });
    writeFileSync(join(folder, 'outside'), 'x');
    writeFileSync(
      join(copy, 'footnote-backup.json'),
      JSON.stringify({ format: 1, takenAt: 'now', files: [{ path: '../outside', bytes: 1 }] }),
    );
    const { code, err } = await footnote(['restore', copy], { env: { DATA_DIR: join(folder, 'data') } });
    expect({ code, err }).toEqual({ code: 1, err: 'The backup names a file outside its folder: ../outside\n' });
  });
});
