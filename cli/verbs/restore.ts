import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { parseConfig } from '../../core/config.ts';
import { AppError } from '../../core/errors.ts';
import { renderJson, UsageError, type Verb } from '../verb.ts';
import { manifestName } from './backup.ts';

const stagingName = '.restoring';

const manifestSchema = z.object({
  format: z.literal(1),
  takenAt: z.string(),
  files: z.array(z.object({ path: z.string(), bytes: z.number().int().nonnegative() })),
});

export const restore: Verb = {
  name: 'restore',
  about: 'Put a backup into DATA_DIR. The service must be stopped, and DATA_DIR empty or absent.',
  args: '<folder>',
  options: {},
  async run(call) {
    const [name, ...rest] = call.args;
    if (name === undefined || rest.length > 0) throw new UsageError('Give the folder that holds the backup.');
    const folder = resolve(name);
    const manifest = await readManifest(folder);
    const dataDir = resolve(parseConfig(call.env).DATA_DIR);
    await refuseUnlessEmpty(dataDir);
    // Within the target, because DATA_DIR may be a mounted volume; then moved up, which takes no time and no space.
    const staging = join(dataDir, stagingName);
    await rm(staging, { recursive: true, force: true });
    for (const { path } of manifest.files) {
      call.terminal.signal.throwIfAborted();
      const target = join(staging, path);
      if (!target.startsWith(staging + sep))
        throw new AppError('invalid', `The backup names a file outside its folder: ${path}`);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await cp(join(folder, path), target, { preserveTimestamps: true });
    }
    for (const entry of await readdir(staging)) await rename(join(staging, entry), join(dataDir, entry));
    await rm(staging, { recursive: true });
    // Opening the stores checks every file; a damaged one ends here with its sentence.
    const { core } = await call.open();
    const problems = await core.problems(call.terminal.signal);
    if (problems.length > 0)
      throw new AppError('store-unavailable', `Restored, but not fit to serve: ${problems.join(' ')}`);
    call.terminal.out(
      call.json
        ? renderJson({ dataDir, takenAt: manifest.takenAt, files: manifest.files.length })
        : `${manifest.files.length} files of ${manifest.takenAt} are in ${dataDir}.\n`,
    );
    return 0;
  },
};

const readManifest = async (folder: string) => {
  const text = await readFile(join(folder, manifestName), 'utf8').catch(() => null);
  if (text === null) throw new UsageError(`${folder} is no complete backup: ${manifestName} is missing.`);
  const parsed = manifestSchema.safeParse(jsonOf(text));
  if (!parsed.success) throw new AppError('invalid', `${manifestName} cannot be read. Was it made by a newer version?`);
  for (const { path, bytes } of parsed.data.files) {
    const found = await stat(join(folder, path)).catch(() => null);
    if (found?.size !== bytes)
      throw new AppError(
        'invalid',
        `The backup is damaged: ${path} is ${found === null ? 'missing' : 'of another size'}.`,
      );
  }
  return parsed.data;
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const refuseUnlessEmpty = async (dataDir: string): Promise<void> => {
  // A fresh volume holds lost+found; a restore that was cut short left its staging folder.
  const present = (await readdir(dataDir).catch(() => [])).filter(
    (name) => name !== 'lost+found' && name !== stagingName,
  );
  if (present.length > 0) {
    throw new UsageError(
      `${dataDir} is not empty. Stop the service and move the folder away first; nothing is overwritten.`,
    );
  }
};
