import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * The rules of the house, asserted on the sources: who may import whom, one reader of the environment, no cycles.
 * The compiler has no API to ask, so a scanner of our own reads the imports; Biome's formatting (each statement begins
 * a line) is what makes that safe, and a line in a string that looks like an import errs on the loud side.
 */

type Files = Readonly<Record<string, string>>;
type Import = { readonly from: string; readonly to: string; readonly typeOnly: boolean; readonly lazy?: true };

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const staticImport = /^(?:import|export)\s+(type\s+)?(?:[^'"`;=()]*?\bfrom\s+)?(['"])([^'"\n]+)\2/gm;
const dynamicImport = /\bimport\(\s*(['"`])([^'"`\n]+)\1/g;

const importsOf = (path: string, text: string): Import[] => [
  ...[...text.matchAll(staticImport)].map((match) => ({
    from: path,
    to: resolve(path, match[3] ?? ''),
    typeOnly: match[1] !== undefined,
  })),
  ...[...text.matchAll(dynamicImport)].map((match) => ({
    from: path,
    to: resolve(path, match[2] ?? ''),
    typeOnly: false,
    lazy: true as const,
  })),
];

const resolve = (from: string, specifier: string): string =>
  specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), specifier)) : specifier;

const isOurs = (path: string): boolean => /\.tsx?$/.test(path);

// ── rooms ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The leaves that everybody may lean on. */
const nouns = ['domain', 'errors', 'ids', 'text'];
const edges = [...nouns, 'core', 'ports', 'security', 'observe'];
const path = [...nouns, 'ports'];

/** Who may import whom; a room may always import itself. `room?` allows types only. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  errors: [],
  ids: [],
  text: ['domain', 'errors', 'ids'],
  config: ['errors'],
  ports: nouns,
  security: [...nouns, 'ports'],
  observe: [...nouns, 'ports'],
  metering: [...path, 'core?'],
  answer: [...path, 'metering', 'core?'],
  ingest: [...path, 'metering', 'core?'],
  conversation: [...path, 'answer', 'metering?', 'core?'],
  insight: [...path, 'metering', 'core?'],
  notices: [...path, 'security', 'metering?', 'core?'],
  tenancy: [...path, 'security', 'ingest?', 'metering?', 'core?'],
  core: [...path, 'security', 'metering', 'answer', 'ingest', 'conversation', 'insight', 'tenancy', 'notices'],
  drivers: [...nouns, 'ports', 'security', 'observe'],
  // platforms.ts picks what the configuration sets up.
  bots: [...edges, 'config?'],
  console: edges,
  // Manifests of the platforms' apps; nothing that hears or speaks.
  cli: [...edges, 'config', 'main', 'bots'],
  demo: [...nouns, 'core', 'ports'],
  main: [
    'demo',
    'cli?',
    'bots',
    'console',
    'config',
    'drivers',
    'metering',
    'answer',
    'ingest',
    'conversation',
    'insight',
    'tenancy',
    'notices',
    ...edges,
  ],
};

/** `core/answer/compose.ts` → `answer`; loose files of core/ that are no leaf belong to its door, `core`. */
const roomOf = (file: string): string => {
  const [top = '', second = '', third] = file.split('/');
  // The composition root is four files: stores.ts opens what main.ts puts together, listener.ts is the port it serves on,
  // checks.ts looks at the whole.
  if (['main.ts', 'stores.ts', 'listener.ts', 'checks.ts'].includes(top)) return 'main';
  if (top === 'demo.ts') return 'demo';
  if (top !== 'core') return top;
  if (third !== undefined) return second;
  const name = second.replace(/\.tsx?$/, '');
  return name in allowed ? name : 'core';
};

/** Chat platforms and driver kinds are neighbours that never look into each other's rooms. */
const flatOf = (file: string): string | null => {
  const [top = '', second = '', third, fourth] = file.split('/');
  if (top === 'bots' && third !== undefined) return `bots/${second}`;
  if (top === 'core' && second === 'drivers' && fourth !== undefined) return `core/drivers/${third}`;
  return null;
};

// ── rules ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const linesWhere = (files: Files, pattern: RegExp, isExempt: (file: string) => boolean): string[] =>
  Object.entries(files).flatMap(([file, text]) =>
    isExempt(file)
      ? []
      : text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  );

const all = (files: Files): Import[] => Object.entries(files).flatMap(([file, text]) => importsOf(file, text));

const rules = {
  'imports point the way the house allows': (files) =>
    all(files).flatMap(({ from, to, typeOnly }) => {
      if (!isOurs(to)) return [];
      const [a, b] = [roomOf(from), roomOf(to)];
      const may = allowed[a] ?? [];
      return a === b || may.includes(b) || (typeOnly && may.includes(`${b}?`)) ? [] : [`${from} (${a}) → ${to} (${b})`];
    }),

  'neighbouring platforms and kinds of drivers do not import each other': (files) =>
    all(files).flatMap(({ from, to }) => {
      const [a, b] = [flatOf(from), flatOf(to)];
      return a === null || b === null || a === b ? [] : [`${from} → ${to}`];
    }),

  'every relative import names a file that is there, with its suffix': (files) =>
    Object.keys(files).flatMap((from) =>
      importsOf(from, files[from] ?? '').flatMap(({ to }) =>
        posix.isAbsolute(to) || to.startsWith('../') || (isLocal(to) && !(to in files)) ? [`${from} → ${to}`] : [],
      ),
    ),

  'rooms have no cycles at run time': (files) => {
    const edgesOf = new Map<string, Set<string>>();
    for (const { from, to, typeOnly } of all(files)) {
      const [a, b] = [roomOf(from), roomOf(to)];
      if (typeOnly || !isOurs(to) || a === b) continue;
      edgesOf.set(a, (edgesOf.get(a) ?? new Set()).add(b));
    }
    return cyclesIn(edgesOf);
  },

  'files have no cycles at run time': (files) => {
    const edgesOf = new Map<string, Set<string>>();
    for (const { from, to, typeOnly } of all(files)) {
      if (!typeOnly && isOurs(to)) edgesOf.set(from, (edgesOf.get(from) ?? new Set()).add(to));
    }
    return cyclesIn(edgesOf);
  },

  'the environment is read in main.ts, and passed on by the command line': (files) =>
    linesWhere(files, /\bprocess\.env\b|\bimport\.meta\.env\b/, (file) => file === 'main.ts' || file === 'cli/main.ts'),

  'nothing is exported by default': (files) =>
    linesWhere(files, /^export default\b|\bas default\b/, (file) => file.endsWith('.config.ts')),

  'only the command line writes to the console': (files) =>
    linesWhere(files, /\bconsole\.(?:log|info|warn|error|debug|trace|table|dir)\b/, (file) => file.startsWith('cli/')),

  'the core knows no HTTP framework, no platform and no database': (files) =>
    all(files).flatMap(({ from, to, typeOnly }) =>
      from.startsWith('core/') &&
      !typeOnly &&
      !['drivers', 'security', 'observe'].includes(roomOf(from)) &&
      /^(?:hono|@hono\/|@slack\/|better-auth|openai|undici|prom-client|pino|node:(?:sqlite|https?|net|child_process))(?:$|\/)?/.test(
        to,
      )
        ? [`${from} → ${to}`]
        : [],
    ),

  'no start loads the library of a server or platform that is not configured': (files) => {
    const eager = all(files).filter(({ typeOnly, lazy }) => !typeOnly && lazy !== true);
    const found: string[] = [];
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const { from, to } of eager.filter((one) => one.from === file)) {
        if (heavy.test(to)) found.push(`${from} → ${to}`);
        else visit(to);
      }
    };
    // The command line reads every verb; `serve` reads the rest.
    for (const entry of ['cli/main.ts', 'main.ts']) visit(entry);
    return found;
  },

  'SQL stays with the drivers': (files) =>
    all(files).flatMap(({ from, to }) =>
      to === 'node:sqlite' && roomOf(from) !== 'drivers' && !from.startsWith('console/auth/') && from !== 'main.ts'
        ? [`${from} → ${to}`]
        : [],
    ),
} satisfies Record<string, (files: Files) => string[]>;

/** Each costs every start, and every command, a good part of a second and tens of megabytes. */
const heavy =
  /^(?:discord\.js|@discordjs\/|botbuilder|@slack\/|mongodb|weaviate-client|openai|better-auth|nodemailer|unpdf|mammoth|linkedom)(?:$|\/)?/;

const isLocal = (to: string): boolean => /^(?:core|bots|console|cli)\/|^(?:main|demo)\.ts$/.test(to);

/** Depth first; each cycle once, as `a → b → a`. */
const cyclesIn = (edgesOf: ReadonlyMap<string, ReadonlySet<string>>): string[] => {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (node: string, trail: readonly string[]): void => {
    const at = trail.indexOf(node);
    if (at >= 0) {
      found.push([...trail.slice(at), node].join(' → '));
      return;
    }
    if (done.has(node)) return;
    for (const next of edgesOf.get(node) ?? []) visit(next, [...trail, node]);
    done.add(node);
  };
  for (const node of edgesOf.keys()) visit(node, []);
  return found;
};

// ── the project ─────────────────────────────────────────────────────────────────────────────────────────────────────

const root = new URL('..', import.meta.url).pathname;
const readTree = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .filter(isOurs);

const project: Files = Object.fromEntries(
  ['main.ts', 'stores.ts', 'listener.ts', 'demo.ts', ...['bots', 'console', 'core', 'cli'].flatMap(readTree)].map(
    (file) => [file, readFileSync(join(root, file), 'utf8')],
  ),
);

describe('the project', () => {
  it('is read whole', () => {
    expect(Object.keys(project).length).toBeGreaterThan(40);
    expect(all(project).filter(({ to }) => isOurs(to)).length).toBeGreaterThan(100);
  });

  for (const [rule, check] of Object.entries(rules)) {
    it(rule, () => {
      expect(check(project)).toEqual([]);
    });
  }
});

// ── each rule can fail ──────────────────────────────────────────────────────────────────────────────────────────────

const broken: readonly [rule: keyof typeof rules, what: string, files: Files][] = [
  [
    'no start loads the library of a server or platform that is not configured',
    'a verb of the command line, by way of a helper',
    {
      'cli/main.ts': "import { a } from './verbs/a.ts';",
      'cli/verbs/a.ts': "import { b } from '../../bots/discord/permissions.ts';",
      'bots/discord/permissions.ts': "import { isRecord } from './api.ts';",
      'bots/discord/api.ts': "import { REST } from 'discord.js';",
    },
  ],
  [
    'imports point the way the house allows',
    'a path imports a driver',
    { 'core/answer/a.ts': "import { x } from '../drivers/models/openai.ts';" },
  ],
  [
    'imports point the way the house allows',
    'a driver imports a path',
    { 'core/drivers/x/y.ts': "export * from '../../answer/a.ts';" },
  ],
  [
    'imports point the way the house allows',
    'a door imports a path',
    { 'console/api.ts': "import type { Answering } from '../core/answer/answering.ts';" },
  ],
  [
    'imports point the way the house allows',
    'the console imports a bot',
    { 'console/app.tsx': "import { a } from '../bots/markdown.ts';" },
  ],
  [
    'imports point the way the house allows',
    'a bot imports the console, lazily',
    { 'bots/slack/a.ts': "const late = await import('../../console/app.tsx');" },
  ],
  [
    'imports point the way the house allows',
    'a port imports the core',
    { 'core/ports/a.ts': "import type { Core } from '../core.ts';" },
  ],
  [
    'imports point the way the house allows',
    'a path imports the door as a value',
    { 'core/ingest/a.ts': "import { createCore } from '../core.ts';" },
  ],
  [
    'imports point the way the house allows',
    'metering imports answer',
    { 'core/metering/a.ts': "import {\n  a,\n  b,\n} from '../answer/b.ts';" },
  ],
  ['imports point the way the house allows', 'something imports main', { 'core/core.ts': "import '../main.ts';" }],
  [
    'neighbouring platforms and kinds of drivers do not import each other',
    'Slack imports Discord',
    { 'bots/slack/a.ts': "import { a } from '../discord/b.ts';" },
  ],
  [
    'neighbouring platforms and kinds of drivers do not import each other',
    'chunks import state',
    { 'core/drivers/chunks/sqlite/a.ts': "import { a } from '../../state/sqlite/b.ts';" },
  ],
  [
    'every relative import names a file that is there, with its suffix',
    'a missing suffix',
    { 'core/core.ts': "import { a } from './errors';" },
  ],
  [
    'every relative import names a file that is there, with its suffix',
    'a way out of the project',
    { 'core/core.ts': "import { a } from '../../elsewhere.ts';" },
  ],
  [
    'rooms have no cycles at run time',
    'two rooms',
    { 'bots/a.ts': "import '../console/b.ts';", 'console/b.ts': "import '../bots/a.ts';" },
  ],
  [
    'files have no cycles at run time',
    'three files',
    {
      'cli/a.ts': "import './b.ts';",
      'cli/b.ts': "export { c } from './c.ts';",
      'cli/c.ts': "await import('./a.ts');",
    },
  ],
  [
    'the environment is read in main.ts, and passed on by the command line',
    'the core',
    { 'core/core.ts': 'const port = process.env.PORT;' },
  ],
  ['nothing is exported by default', 'a function', { 'cli/a.ts': 'export default () => 1;' }],
  ['nothing is exported by default', 'a renamed one', { 'cli/a.ts': 'export { a as default };' }],
  ['only the command line writes to the console', 'a bot', { 'bots/a.ts': "console.log('hello');" }],
  [
    'the core knows no HTTP framework, no platform and no database',
    'Hono',
    { 'core/answer/a.ts': "import { Hono } from 'hono';" },
  ],
  [
    'the core knows no HTTP framework, no platform and no database',
    'a submodule',
    { 'core/core.ts': "import { streamSSE } from 'hono/streaming';" },
  ],
  ['SQL stays with the drivers', 'the command line', { 'cli/a.ts': "import { DatabaseSync } from 'node:sqlite';" }],
];

describe('each rule goes red', () => {
  it.each(broken)('%s: %s', (rule, _what, files) => {
    expect(rules[rule](files)).not.toEqual([]);
  });

  it('for every rule there is a case', () => {
    expect(new Set(broken.map(([rule]) => rule))).toEqual(new Set(Object.keys(rules)));
  });

  it('and stays green on types that vanish', () => {
    const files = {
      'core/core.ts': "import { a } from './answer/a.ts';\nexport type Core = 1;\n",
      'core/answer/a.ts': "import type { Core } from '../core.ts';\nexport const a = 1;\n",
    };
    for (const check of Object.values(rules)) expect(check(files)).toEqual([]);
  });
});
