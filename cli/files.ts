import { opendir, realpath, stat } from 'node:fs/promises';
import { basename, join, matchesGlob, relative } from 'node:path';

/** What people write documents in; anything else needs --include. */
const usualNames = [
  '**/*.{md,markdown,mdx,txt,text,html,htm,xhtml,pdf,docx}',
  '**/{README,CHANGELOG,HISTORY,CONTRIBUTING,GUIDE}',
];

export type FoundFile = { readonly path: string; readonly externalId: string; readonly bytes: number };

export type FindOptions = {
  /** Globs on the path below the folder; absent: the usual names. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly includeNodeModules: boolean;
  readonly signal: AbortSignal;
};

const maxDepth = 64;

/**
 * The files below a folder, or the one file itself, sorted by name within each folder. Hidden entries are left out, and
 * so are symbolic links: they lead out of the folder or in circles.
 */
export async function* findFiles(path: string, options: FindOptions): AsyncGenerator<FoundFile> {
  const top = await realpath(path);
  const info = await stat(top);
  if (!info.isDirectory()) {
    yield { path: top, externalId: basename(top), bytes: info.size };
    return;
  }
  yield* walk(top, top, 0, options);
}

async function* walk(top: string, folder: string, depth: number, options: FindOptions): AsyncGenerator<FoundFile> {
  options.signal.throwIfAborted();
  if (depth > maxDepth) return;
  const entries = [];
  for await (const entry of await opendir(folder)) entries.push(entry);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    // A tool would show `\` on Windows; ids look alike everywhere.
    const externalId = relative(top, path).replaceAll('\\', '/');
    if (entry.isDirectory()) {
      const isSkipped = entry.name.startsWith('.') || (entry.name === 'node_modules' && !options.includeNodeModules);
      if (!isSkipped && !matches(externalId, options.exclude)) yield* walk(top, path, depth + 1, options);
    } else if (entry.isFile() && isWanted(externalId, entry.name, options)) {
      yield { path, externalId, bytes: (await stat(path)).size };
    }
  }
}

const isWanted = (externalId: string, name: string, { include, exclude }: FindOptions): boolean => {
  if (matches(externalId, exclude)) return false;
  if (include.length > 0) return matches(externalId, include);
  return !name.startsWith('.') && matches(externalId, usualNames, true);
};

/** `*.md` alone means "wherever it lies", as people expect. */
const matches = (path: string, globs: readonly string[], ignoreCase = false): boolean =>
  globs.some((glob) => {
    const whole = glob.includes('/') ? glob : `**/${glob}`;
    return (
      matchesGlob(path, whole) ||
      (ignoreCase && (matchesGlob(path.toLowerCase(), whole) || matchesGlob(path.toUpperCase(), whole)))
    );
  });
