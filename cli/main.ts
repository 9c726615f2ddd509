import { parseArgs } from 'node:util';
import { isAppError } from '../core/errors.ts';
import { type Call, type Door, renderJson, type Terminal, UsageError, type Verb, type VerbOption } from './verb.ts';
import { ask } from './verbs/ask.ts';
import { backup } from './verbs/backup.ts';
import { chat } from './verbs/chat.ts';
import { discordInviteVerb } from './verbs/discord-invite.ts';
import { doctor } from './verbs/doctor.ts';
import { ingest } from './verbs/ingest.ts';
import { keyCreate } from './verbs/key-create.ts';
import { reindex } from './verbs/reindex.ts';
import { restore } from './verbs/restore.ts';
import { serve } from './verbs/serve.ts';
import { signIn } from './verbs/sign-in.ts';
import { slackManifestVerb } from './verbs/slack-manifest.ts';
import { teamsPackageVerb } from './verbs/teams-package.ts';
import { tenantCreate } from './verbs/tenant-create.ts';
import { usage } from './verbs/usage.ts';

/** Every verb of `footnote`. Adding one is a file in verbs/ and a line here. */
export const verbs: readonly Verb[] = [
  serve,
  ask,
  chat,
  ingest,
  doctor,
  usage,
  backup,
  restore,
  reindex,
  tenantCreate,
  keyCreate,
  signIn,
  slackManifestVerb,
  discordInviteVerb,
  teamsPackageVerb,
];

const common = {
  json: { type: 'boolean', about: 'print JSON for programs' },
  help: { type: 'boolean', short: 'h', about: 'show this help' },
} as const satisfies Record<string, VerbOption>;

export type Surroundings = {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Opens the stores; with its own way to close them. */
  openDoor(env: Readonly<Record<string, string | undefined>>): Promise<Door>;
};

/** Runs one verb. Answers the exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted. */
export const run = async (argv: readonly string[], { terminal, env, openDoor }: Surroundings): Promise<number> => {
  const [first, second] = argv;
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    terminal.out(renderOverview());
    return first === undefined ? 2 : 0;
  }
  const verb = verbs.find(({ name }) => name === first || name === `${first} ${second}`);
  if (verb === undefined) {
    terminal.err(`There is no verb “${first}”. The verbs are: ${verbs.map(({ name }) => name).join(', ')}.\n`);
    return 2;
  }
  let opened: Promise<Door> | undefined;
  let json = argv.includes('--json');
  try {
    const { values, positionals }: Parsed = parse(verb, argv.slice(verb.name.split(' ').length));
    json = values.json === true;
    if (values.help === true) {
      terminal.out(renderHelp(verb));
      return 0;
    }
    const call: Call = {
      args: positionals,
      text: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
      texts: (name) => (Array.isArray(values[name]) ? values[name].filter((value) => typeof value === 'string') : []),
      flag: (name) => values[name] === true,
      json,
      terminal,
      env,
      open: () => {
        opened ??= openDoor(env);
        return opened;
      },
    };
    return await verb.run(call);
  } catch (error) {
    return explain(error, verb, json, terminal);
  } finally {
    await opened?.then(
      ({ core }) => core.close(),
      () => {},
    );
  }
};

type Parsed = {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
};

const parse = (verb: Verb, args: readonly string[]): Parsed => {
  try {
    return parseArgs({
      args: [...args],
      options: { ...verb.options, ...common },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.replace(/\. To specify.*$/s, '.') : String(error));
  }
};

/** The one place where the command line turns errors into words. */
const explain = (error: unknown, verb: Verb, json: boolean, terminal: Terminal): number => {
  if (terminal.signal.aborted) return 130;
  if (error instanceof UsageError) {
    terminal.err(`${error.message}\nSee: footnote ${verb.name} --help\n`);
    return 2;
  }
  const known = isAppError(error);
  const sentence = known ? error.message : 'Something went wrong on our side.';
  if (json) terminal.out(renderJson({ error: { code: known ? error.code : 'internal', message: sentence } }));
  terminal.err(`${sentence}\n`);
  if (!known) terminal.err(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
};

const renderOverview = (): string => {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  const lines = verbs.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`);
  return `Footnote answers from your documents, with footnotes.\n\nUsage: footnote <verb> [options]\n\n${lines.join('\n')}\n\nfootnote <verb> --help shows the options of a verb. Settings come from the environment: see .env.example.\nExit codes: 0 done, 1 failed, 2 used wrongly, 130 interrupted.\n`;
};

const renderHelp = (verb: Verb): string => {
  const options = Object.entries<VerbOption>({ ...verb.options, ...common }).map(([name, option]) => {
    const left = `${option.short === undefined ? '    ' : `-${option.short}, `}--${name}${option.type === 'string' ? ' <value>' : ''}`;
    return `  ${left.padEnd(30)}  ${option.about}${option.multiple ? ' (may be repeated)' : ''}`;
  });
  return `${verb.about}\n\nUsage: footnote ${[verb.name, verb.args, '[options]'].filter(Boolean).join(' ')}\n\n${options.join('\n')}\n`;
};

/** The process around `run`: streams, signals, exit code. Called by bin/footnote.js. */
export const runCommandLine = async (): Promise<void> => {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A second Ctrl-C is a person who has lost patience.
      if (interrupted.signal.aborted && signal === 'SIGINT') process.exit(130);
      interrupted.abort();
    });
  }
  // `footnote ask … | head` closes the pipe early; that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const { openDoor } = await import('./open.ts');
  process.exitCode = await run(process.argv.slice(2), {
    terminal: {
      out: (text) => process.stdout.write(text),
      err: (text) => process.stderr.write(text),
      isTerminal: process.stderr.isTTY === true,
      columns: Math.min(process.stdout.columns ?? 100, 100),
      input: process.stdin,
      signal: interrupted.signal,
    },
    env: process.env,
    openDoor,
  });
};
