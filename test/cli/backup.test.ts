import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
