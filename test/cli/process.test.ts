import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const binary = fileURLToPath(new URL('../../bin/footnote.js', import.meta.url));

/** The command as a process of its own, as far as it gets with this environment. */
const footnote = (line: readonly string[], env: Readonly<Record<string, string>>, cwd?: string) =>
  spawnSync(process.execPath, [binary, ...line], {
    env: { PATH: process.env.PATH ?? '', ...env },
    ...(cwd === undefined ? {} : { cwd }),
    encoding: 'utf8',
    timeout: 25_000,
    killSignal: 'SIGKILL',
  });

describe('a DATA_DIR that cannot be', () => {
  // In /proc the system denies a folder with ENOENT, on which Node's own recursive mkdir turns in circles for ever.
  it.each([
    ['/proc/footnote', 'cannot be created'],
    ['/dev/null', '/dev/null'],
  ])('%s ends in a sentence', (folder, sentence) => {
    const { status, stderr, stdout } = footnote(['ask', 'why?'], { DATA_DIR: folder });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(sentence);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('a file .env in the folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'footnote-env-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const invite = (env: Readonly<Record<string, string>> = {}) => footnote(['discord-invite'], env, folder);

  it('holds settings; what the environment says counts more', () => {
    writeFileSync(
      join(folder, '.env'),
      '# the bot\nDISCORD_BOT_TOKEN="a.b.c"\nDISCORD_APPLICATION_ID=111111111111111111\r\n',
    );
    expect(invite().stdout).toContain('client_id=111111111111111111');
    expect(invite({ DISCORD_APPLICATION_ID: '222222222222222222' }).stdout).toContain('client_id=222222222222222222');
  });

  it('that is none ends in a sentence', () => {
    mkdirSync(join(folder, '.env'));
    const { status, stderr } = invite();
    expect(status).toBe(1);
    expect(stderr).toBe('The file .env in this folder cannot be read.\n');
  });
});
