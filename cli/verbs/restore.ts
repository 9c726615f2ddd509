import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { type Config, parseConfig } from '../../core/config.ts';
import type { Core } from '../../core/core.ts';
import { AppError } from '../../core/errors.ts';
import { createLog } from '../../core/observe/log.ts';
import { createProgress } from '../progress.ts';
import { type Call, renderJson, UsageError, type Verb } from '../verb.ts';
import { manifestName } from './backup.ts';
import { everyTenant, type Outcome, reindexEach, withoutIndex } from './reindex.ts';

const stagingName = '.restoring';
/** What tells the two kinds of state apart, and passages that a file store can take as they are. */
const fileState = 'state.sqlite';
const serverState = 'manifest.json';
const passages = 'chunks/';
const key = 'secret.key';

const manifestSchema = z.object({
  format: z.literal(1),
  takenAt: z.string(),
  files: z.array(z.object({ path: z.string(), bytes: z.number().int().nonnegative() })),
});
type Manifest = z.output<typeof manifestSchema>;

export const restore: Verb = {
  name: 'restore',
  about: 'Put a backup back: state first, then whatever the search index lacks. The service must be stopped.',
  args: '<folder>',
  options: {},
  async run(call) {
    const [name, ...rest] = call.args;
    if (name === undefined || rest.length > 0) throw new UsageError('Give the folder that holds the backup.');
    const folder = resolve(name);
    const manifest = await readManifest(folder);
    const config = parseConfig(call.env);
    const main = await import('../../stores.ts');
    refuseOtherKind(manifest, config);
    const dataDir = main.dataDirOf(config);
    if (dataDir !== null) await refuseUnlessEmpty(dataDir);

    const begun = performance.now();
    const progress = createProgress(call.terminal);
    const { signal } = call.terminal;
    const isOnServer = await main
      .restoreServerState(config, {
        folder,
        signal,
        log: createLog({ level: 'silent' }),
        progress: (collection, documents) => progress.show(`${collection}: ${documents}`),
      })
      .finally(progress.clear);
    const files = manifest.files.filter(({ path }) => isWanted(path, config, isOnServer));
    if (dataDir !== null) await copyFiles(folder, files, dataDir, signal);

    // Opening the stores checks every file; a damaged one ends here with its sentence.
    const { core } = await call.open();
    const problems = await core.problems(signal);
    if (problems.length > 0)
      throw new AppError('store-unavailable', `Restored, but not fit to serve: ${problems.join(' ')}`);
    const stateMs = Math.round(performance.now() - begun);
    const rebuilt = await rebuildIndexes(call, core);
    const indexMs = Math.round(performance.now() - begun) - stateMs;
    const failed = rebuilt.filter(({ problem }) => problem !== null).length;
    const where = isOnServer ? 'MongoDB' : (dataDir ?? '');
    call.terminal.out(
      call.json
        ? renderJson({
            dataDir,
            takenAt: manifest.takenAt,
            files: manifest.files.length,
            stateMs,
            reindexed: rebuilt,
            indexMs,
          })
        : `${manifest.files.length} files of ${manifest.takenAt} are in ${where} after ${inSeconds(stateMs)}${rebuilt.length === 0 ? '' : `; ${rebuilt.length - failed} of ${rebuilt.length} indexes built anew in ${inSeconds(indexMs)}`}.\n`,
    );
    return failed === 0 ? 0 : 1;
  },
};

const inSeconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** Passages are derived data: whatever index is gone, or does not match the restored documents, is built from their kept texts. */
const rebuildIndexes = async (call: Call, core: Core): Promise<readonly Outcome[]> => {
  const tenants = await withoutIndex(core, await everyTenant(core), call.terminal.signal);
  return tenants.length === 0 ? [] : reindexEach(call, core, tenants);
};

const refuseOtherKind = ({ files }: Manifest, { MONGODB_URI }: Config): void => {
  const has = (name: string): boolean => files.some(({ path }) => path === name);
  if (MONGODB_URI === undefined && !has(fileState) && has(serverState))
    throw new UsageError('This backup holds the state of a MongoDB server. Set MONGODB_URI to an empty database.');
  if (MONGODB_URI !== undefined && has(fileState))
    throw new UsageError('This backup holds the state of the embedded default. Restore it without MONGODB_URI.');
};

const isWanted = (path: string, { WEAVIATE_URL }: Config, isOnServer: boolean): boolean => {
  if (path === fileState || path === key) return !isOnServer;
  if (path.startsWith(passages)) return WEAVIATE_URL === undefined;
  return false;
};

const copyFiles = async (
  folder: string,
  files: Manifest['files'],
  dataDir: string,
  signal: AbortSignal,
): Promise<void> => {
  // Within the target, because DATA_DIR may be a mounted volume; then moved up, which takes no time and no space.
  const staging = join(dataDir, stagingName);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: 0o700 });
  for (const { path } of files) {
    signal.throwIfAborted();
    const target = join(staging, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await cp(join(folder, path), target, { preserveTimestamps: true });
  }
  for (const entry of await readdir(staging)) await rename(join(staging, entry), join(dataDir, entry));
  await rm(staging, { recursive: true });
};

const readManifest = async (folder: string): Promise<Manifest> => {
  const text = await readFile(join(folder, manifestName), 'utf8').catch(() => null);
  if (text === null) throw new UsageError(`${folder} is no complete backup: ${manifestName} is missing.`);
  const parsed = manifestSchema.safeParse(jsonOf(text));
  if (!parsed.success) throw new AppError('invalid', `${manifestName} cannot be read. Was it made by a newer version?`);
  for (const { path, bytes } of parsed.data.files) {
    if (!join(folder, path).startsWith(folder + sep))
      throw new AppError('invalid', `The backup names a file outside its folder: ${path}`);
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
