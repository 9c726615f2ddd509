import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createProgress } from '../progress.ts';
import { renderJson, UsageError, type Verb } from '../verb.ts';

export const manifestName = 'footnote-backup.json';

export const backup: Verb = {
  name: 'backup',
  about: 'Copy every store into a new folder, consistently, while the service runs.',
  args: '<folder>',
  options: {},
  async run(call) {
    const [name, ...rest] = call.args;
    if (name === undefined || rest.length > 0) throw new UsageError('Give the folder to write the backup into.');
    const folder = resolve(name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if ((await readdir(folder)).length > 0)
      throw new UsageError(`${folder} is not empty. A backup goes into a new folder.`);
    const door = await call.open();
    const progress = createProgress(call.terminal);
    progress.show('Copying the stores …');
    await door.backup(folder, call.terminal.signal).finally(progress.clear);
    const files = await describe(folder);
    // Written last: a folder without it is a backup that was cut short.
    const manifest = { format: 1, takenAt: new Date().toISOString(), files };
    await writeFile(join(folder, manifestName), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    call.terminal.out(
      call.json
        ? renderJson({ folder, ...manifest })
        : `${files.length} files, ${(bytes / 1e6).toFixed(1)} MB, in ${folder}\n`,
    );
    const isKeyOutside = door.config.FOOTNOTE_SECRET_KEY !== undefined;
    const hint = isKeyOutside
      ? 'FOOTNOTE_SECRET_KEY is not part of the backup; without it, sealed credentials cannot be opened again.'
      : 'The backup holds the key of the sealed credentials: keep it as safe as DATA_DIR itself.';
    if (!call.json) call.terminal.err(`${hint}\n`);
    return 0;
  },
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
