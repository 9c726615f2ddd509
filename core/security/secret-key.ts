import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

/**
 * The deployment's sealing key: given in base64, else the one kept in DATA_DIR, else a new one written there with mode
 * 0600. Without a DATA_DIR (null) it has to be given. Hard-linking a finished temporary file makes the first of several processes win and all read the same key.
 */
export const loadSecretKey = (given: string | undefined, dataDir: string | null): Uint8Array => {
  if (given !== undefined) return Buffer.from(given, 'base64');
  if (dataDir === null)
    throw new AppError('config', 'FOOTNOTE_SECRET_KEY is needed: there is no DATA_DIR to keep a key in.');
  const path = join(dataDir, 'secret.key');
  const kept = read(path);
  if (kept !== null) return kept;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(temporary, randomBytes(32).toString('base64'), { mode: 0o600 });
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  const made = read(path);
  if (made === null) throw new AppError('config', `The key file ${path} disappeared while it was read.`);
  return made;
};

const read = (path: string): Uint8Array | null => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new AppError(
      'config',
      `The key file ${path} cannot be read; give the process the right to, or set FOOTNOTE_SECRET_KEY.`,
      { cause: error },
    );
  }
  const key = Buffer.from(text, 'base64');
  if (key.length !== 32)
    throw new AppError(
      'config',
      `The key file ${path} is damaged: it must hold 32 bytes in base64. Restore it from the backup; what it sealed cannot be opened without it.`,
    );
  return key;
};
