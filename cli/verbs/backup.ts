import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createProgress } from '../progress.ts';
import { renderJson, UsageError, type Verb } from '../verb.ts';

export const manifestName = 'footnote-backup.json';

export const backup: Verb = {
  name: 'backup',
  about: 'Copy every store into a new folder, consistently, while the service runs.',
  args: '<folder>',
  options: {
    keep: {
      type: 'string',
      about: 'for a timer: a new folder in <folder> named by the time; so many of the newest are kept',
    },
  },
  async run(call) {
    const [name, ...rest] = call.args;
    if (name === undefined || rest.length > 0) throw new UsageError('Give the folder to write the backup into.');
    const keep = keepOf(call.text('keep'));
    const takenAt = new Date();
    const folder = keep === null ? resolve(name) : join(resolve(name), nameAt(takenAt));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if ((await readdir(folder)).length > 0)
      throw new UsageError(`${folder} is not empty. A backup goes into a new folder.`);
    const door = await call.open();
    const progress = createProgress(call.terminal);
    progress.show('Copying the stores …');
    await door.backup(folder, call.terminal.signal).finally(progress.clear);
    const files = await describe(folder);
    // Written last: a folder without it is a backup that was cut short.
    const manifest = { format: 1, takenAt: takenAt.toISOString(), files };
    await writeFile(join(folder, manifestName), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
    // Only now: a backup that fails takes no older one with it.
    const removed = keep === null ? [] : await removeOlder(resolve(name), keep, takenAt);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    call.terminal.out(
      call.json
        ? renderJson({ folder, ...manifest, ...(keep === null ? {} : { removed }) })
        : `${files.length} files, ${(bytes / 1e6).toFixed(1)} MB, in ${folder}${removed.length === 0 ? '' : `; removed ${removed.join(', ')}`}\n`,
    );
    const isKeyOutside = door.config.FOOTNOTE_SECRET_KEY !== undefined;
    const hint = isKeyOutside
      ? 'FOOTNOTE_SECRET_KEY is not part of the backup; without it, sealed credentials cannot be opened again.'
      : 'The backup holds the key of the sealed credentials: keep it as safe as DATA_DIR itself.';
    if (!call.json) call.terminal.err(`${hint}\n`);
    return 0;
  },
};

const keepOf = (text: string | undefined): number | null => {
  if (text === undefined) return null;
  const keep = Number(text);
  if (!Number.isInteger(keep) || keep < 1 || keep > 1_000)
    throw new UsageError('--keep takes a number from 1 to 1000.');
  return keep;
};

const nameAt = (at: Date): string => `footnote-${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
/** Only what is named like this is ever removed. */
const ownName = /^footnote-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z$/;
/** What has no manifest after so long was cut short; before, it may be one that is being taken. */
const cutShortAfterMs = 24 * 3_600_000;

/** All but the newest `keep` that are whole, and what earlier ones left that were cut short. Names sort by time. */
const removeOlder = async (base: string, keep: number, now: Date): Promise<readonly string[]> => {
  const names = (await readdir(base)).filter((name) => ownName.test(name)).sort();
  const whole: string[] = [];
  const cutShort: string[] = [];
  for (const name of names) {
    if ((await stat(join(base, name, manifestName)).catch(() => null)) !== null) whole.push(name);
    else if (name < nameAt(new Date(now.getTime() - cutShortAfterMs))) cutShort.push(name);
  }
  const removed = [...whole.slice(0, Math.max(0, whole.length - keep)), ...cutShort];
  for (const name of removed) await rm(join(base, name), { recursive: true });
  return removed;
};

const describe = async (folder: string): Promise<{ readonly path: string; readonly bytes: number }[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(
    files.map(async (file) => {
      await chmod(file, 0o600);
      return { path: file.slice(folder.length + 1).replaceAll('\\', '/'), bytes: (await stat(file)).size };
    }),
  );
  return sizes.sort((a, b) => (a.path < b.path ? -1 : 1));
};
