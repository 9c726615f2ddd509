import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const binary = fileURLToPath(new URL('../../bin/footnote.js', import.meta.url));

/** The command as a process of its own, as far as it gets with this environment. */
const footnote = (line: readonly string[], env: Readonly<Record<string, string>>) =>
  spawnSync(process.execPath, [binary, ...line], {
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
