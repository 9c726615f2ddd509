import type { Dirent } from 'node:fs';
import { opendir, open as openFile, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { Change, SourceConnector, SourceDriver } from '../../ports/source.ts';
import { matchesGlob } from '../../text/glob.ts';

const settings = z.strictObject({
  /** An absolute path on the machine that Footnote runs on, inside one of the folders the operator allows. */
  path: z
    .string()
    .min(1)
    .max(4_096)
    .meta({ title: 'Folder', description: 'Absolute path on the machine that Footnote runs on, inside FOLDER_ROOTS.' }),
  /** Glob patterns over paths inside the folder, with forward slashes. Absent: the formats that can be read. */
  include: z.array(z.string().min(1).max(500)).max(100).optional().meta({
    title: 'Only these files',
    description: 'Patterns such as handbook/**/*.md, one a line. Empty: every format that can be read.',
  }),
  exclude: z
    .array(z.string().min(1).max(500))
    .max(100)
    .optional()
    .meta({ title: 'Not these files', description: 'Patterns such as **/drafts/**, one a line.' }),
  /** Names that begin with a dot, and `node_modules`. */
  hidden: z.boolean().optional().meta({
    title: 'Hidden files too',
    description: 'Names that begin with a dot, and node_modules.',
  }),
});
type Settings = z.output<typeof settings>;

export type FolderOptions = {
  /** Only what truly lies inside one of these is read. */
  readonly roots: readonly string[];
  /** Never read, wherever it lies: the data of this deployment. */
  readonly forbidden: readonly string[];
  /** Larger files are reported instead of being read. */
  readonly maxBytes?: number;
};

const readable = ['md', 'markdown', 'mdx', 'txt', 'text', 'html', 'htm', 'xhtml', 'pdf', 'docx'];

/** A folder of this machine. Changes are noticed by time and size; a path that leads out of the folder is refused. */
export const createFolderSource = (options: FolderOptions): SourceDriver => ({
  kind: 'folder',
  label: 'Folder on the server',
  settings,
  open: async (given) => {
    const parsed = settings.parse(given);
    const root = await allowedFolder(parsed.path, options);
    return connect(root, parsed, options);
  },
});

const outside = (path: string): AppError =>
  new AppError('invalid', `The folder ${path} is not inside a folder that this deployment may read (FOLDER_ROOTS).`, {
    at: 'settings.path',
  });

const allowedFolder = async (path: string, options: FolderOptions): Promise<string> => {
  if (!isAbsolute(path))
    throw new AppError('invalid', 'The folder must be given as an absolute path.', { at: 'settings.path' });
  // A folder outside is refused alike whether it exists or not: nobody may probe the machine's file system.
  const roots = await Promise.all(options.roots.map((root) => realpath(root).catch(() => null)));
  const real = await realpath(path).catch(() => null);
  const named = resolve(path);
  if (real === null) {
    const within = [...options.roots.map((root) => resolve(root)), ...roots].some(
      (root) => root !== null && isWithin(named, root),
    );
    throw within
      ? new AppError('invalid', `The folder ${path} does not exist or may not be read.`, { at: 'settings.path' })
      : outside(path);
  }
  if (!roots.some((root) => root !== null && isWithin(real, root))) throw outside(path);
  if (await isForbidden(real, options)) throw outside(path);
  if (!(await stat(real)).isDirectory())
    throw new AppError('invalid', `${path} is not a folder.`, { at: 'settings.path' });
  return real;
};

const isForbidden = async (path: string, options: FolderOptions): Promise<boolean> => {
  for (const forbidden of options.forbidden) {
    if (isWithin(path, await realpath(forbidden).catch(() => resolve(forbidden)))) return true;
  }
  return false;
};

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

const connect = (root: string, given: Settings, options: FolderOptions): SourceConnector => ({
  async *changes({ cursor, signal }) {
    const place = await identityOf(root, given.path);
    let files = 0;
    for await (const change of walk(root, given, options, signal)) {
      if (change.type === 'upsert') files++;
      yield change;
    }
    if (files === 0 && cursor !== undefined && cursor !== place) {
      // An unmounted disk leaves an empty folder behind: another one than last time, with nothing in it.
      yield {
        type: 'problem',
        problem: `The folder ${given.path} is empty and not the one of the last sync; perhaps a disk is not mounted. Nothing was removed.`,
      };
      return;
    }
    yield { type: 'cursor', cursor: place };
    yield { type: 'complete' };
  },
});

const identityOf = async (root: string, path: string): Promise<string> => {
  const found = await stat(root).catch(() => null);
  if (found === null)
    throw new AppError(
      'unreadable-document',
      `The folder ${path} does not exist any more or may not be read. Nothing was removed.`,
    );
  return `${found.dev}:${found.ino}`;
};

/** Folder by folder, never the whole tree in memory; deeper ones wait as paths. */
async function* walk(
  root: string,
  given: Settings,
  options: FolderOptions,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const waiting = [root];
  while (waiting.length > 0) {
    const folder = waiting.pop() ?? root;
    const below = idOf(root, folder);
    try {
      for await (const entry of await opendir(folder, { bufferSize: 128 })) {
        if (signal.aborted) throw new AppError('cancelled', 'The sync was stopped.');
        const path = join(folder, entry.name);
        const found = await look(root, path, entry, given, options);
        if (found === 'folder') waiting.push(path);
        else if (found !== null) yield found;
      }
    } catch (error) {
      if (error instanceof AppError) throw error;
      // The folder itself going away mid-way is no reason to forget what was in it.
      if (below === '') yield { type: 'problem', problem: `The folder ${given.path} cannot be listed.` };
      else
        yield {
          type: 'problem',
          externalId: below,
          problem: `The folder ${below} cannot be listed; its documents stay as they are.`,
        };
    }
  }
}

const idOf = (root: string, path: string): string => relative(root, path).split(sep).join('/');

const look = async (
  root: string,
  path: string,
  entry: Dirent,
  given: Settings,
  options: FolderOptions,
): Promise<Change | 'folder' | null> => {
  const externalId = idOf(root, path);
  if (given.hidden !== true && (entry.name.startsWith('.') || entry.name === 'node_modules')) return null;
  if (given.exclude?.some((pattern) => matchesGlob(externalId, pattern)) === true) return null;
  if (entry.isDirectory()) return (await isForbidden(path, options)) ? null : 'folder';
  if (!isWanted(externalId, given)) return null;
  if (!entry.isFile() && !entry.isSymbolicLink()) return null;
  try {
    // Links to files inside the folder are followed; links to folders never, they may lead in circles.
    const real = await realpath(path);
    if (!isWithin(real, root) || (await isForbidden(real, options))) {
      return { type: 'problem', externalId, problem: `${externalId} leads out of the folder and is not read.` };
    }
    const found = await stat(real);
    return found.isFile() ? upsertOf(root, real, externalId, found, options) : null;
  } catch (error) {
    // Gone between the listing and the look: it is simply not there any more.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && entry.isFile()) return null;
    return { type: 'problem', externalId, problem: `${externalId} cannot be read.` };
  }
};

const isWanted = (externalId: string, given: Settings): boolean => {
  if (given.include !== undefined) return given.include.some((pattern) => matchesGlob(externalId, pattern));
  const ending = /\.([a-z0-9]+)$/i.exec(externalId)?.[1]?.toLowerCase();
  return ending !== undefined && readable.includes(ending);
};

const upsertOf = (
  root: string,
  real: string,
  externalId: string,
  found: { readonly mtimeMs: number; readonly size: number },
  options: FolderOptions,
): Change => ({
  type: 'upsert',
  externalId,
  version: `${found.mtimeMs}:${found.size}`,
  read: async (signal) => {
    const limit = options.maxBytes ?? 50 * 1024 * 1024;
    // Opened first and looked at then: what is read is what was judged, even when the name is re-linked meanwhile.
    const file = await openFile(real, 'r').catch(() => {
      throw new AppError('unreadable-document', 'The file cannot be opened.');
    });
    try {
      if (!isWithin(await realpath(real), root))
        throw new AppError('unreadable-document', 'The file leads out of the folder and is not read.');
      const { size } = await file.stat();
      if (size > limit)
        throw new AppError('unreadable-document', `The file is larger than ${Math.round(limit / 1024 / 1024)} MB.`);
      signal.throwIfAborted();
      return await file.readFile({ signal });
    } finally {
      await file.close();
    }
  },
});
