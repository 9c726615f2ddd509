import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const binary = fileURLToPath(new URL('../../bin/footnote.js', import.meta.url));

/** The command as a process of its own, as far as it gets with this environment. */
const footnote = (line: readonly string[], env: Readonly<Record<string, string>>, program = binary) =>
  spawnSync(process.execPath, [program, ...line], {
    env: { PATH: process.env.PATH ?? '', ...env },
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

describe('a file .env beside the program', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'footnote-env-'));
    mkdirSync(join(folder, 'bin'));
    copyFileSync(binary, join(folder, 'bin', 'footnote.js'));
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    symlinkSync(fileURLToPath(new URL('../../dist', import.meta.url)), join(folder, 'dist'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const invite = (env: Readonly<Record<string, string>> = {}) =>
    footnote(['discord-invite'], env, join(folder, 'bin', 'footnote.js'));

  it('holds settings; what the environment says counts more', () => {
    const lines = ['# the bot', 'DISCORD_BOT_TOKEN="a.b.c"', 'DISCORD_APPLICATION_ID=111111111111111111\r', ''];
    writeFileSync(join(folder, '.env'), lines.join('\n'));
    expect(invite().stdout).toContain('client_id=111111111111111111');
    expect(invite({ DISCORD_APPLICATION_ID: '222222222222222222' }).stdout).toContain('client_id=222222222222222222');
  });

  it('that is none ends in a sentence', () => {
    mkdirSync(join(folder, '.env'));
    const { status, stderr } = invite();
    expect({ status, stderr }).toEqual({ status: 1, stderr: `${join(folder, '.env')} cannot be read.\n` });
  });
});
