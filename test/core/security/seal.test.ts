import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSealer } from '../../../core/security/seal.ts';
import { loadSecretKey } from '../../../core/security/secret-key.ts';

describe('sealed credentials', () => {
  const sealer = createSealer(Buffer.alloc(32, 7));

  it('open under the context they were sealed for', () => {
    const sealed = sealer.seal('xoxb-secret', 'connection:t_1:slack:T1');
    expect(sealed).not.toContain('xoxb-secret');
    expect(sealer.open(sealed, 'connection:t_1:slack:T1')).toBe('xoxb-secret');
  });

  it('do not open when moved to another tenant', () => {
    const sealed = sealer.seal('xoxb-secret', 'connection:t_1:slack:T1');
    expect(() => sealer.open(sealed, 'connection:t_2:slack:T1')).toThrow('does not open');
  });

  it('name the key when it is another one', () => {
    const sealed = sealer.seal('xoxb-secret', 'context');
    expect(() => createSealer(Buffer.alloc(32, 8)).open(sealed, 'context')).toThrow('another FOOTNOTE_SECRET_KEY');
  });

  it.each([0, 1, 2, 3, 4])('do not open when part %i was changed', (part) => {
    const parts = sealer.seal('xoxb-secret', 'context').split('.');
    const first = parts[part]!.slice(0, 1);
    parts[part] = (first === 'A' ? 'B' : 'A') + parts[part]!.slice(1);
    expect(() => sealer.open(parts.join('.'), 'context')).toThrow();
  });

  it('never seal the same text into the same bytes', () => {
    expect(sealer.seal('a', 'context')).not.toBe(sealer.seal('a', 'context'));
  });
});

describe('the sealing key', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'footnote-key-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is made once, readable by the owner only, and kept', () => {
    const key = loadSecretKey(undefined, folder);
    expect(key).toHaveLength(32);
    expect(statSync(join(folder, 'secret.key')).mode & 0o777).toBe(0o600);
    expect(Buffer.from(loadSecretKey(undefined, folder))).toEqual(Buffer.from(key));
  });

  it('stops the start when its file is damaged, and leaves the file alone', () => {
    writeFileSync(join(folder, 'secret.key'), 'half');
    expect(() => loadSecretKey(undefined, folder)).toThrow('damaged');
    expect(readFileSync(join(folder, 'secret.key'), 'utf8')).toBe('half');
  });

  it('comes from the environment when it is given there', () => {
    const given = Buffer.alloc(32, 9).toString('base64');
    expect(Buffer.from(loadSecretKey(given, join(folder, 'absent'))).toString('base64')).toBe(given);
  });
});
