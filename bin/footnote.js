#!/usr/bin/env node
// The command. Plain JavaScript that an old Node can read: it finds a Node that is new enough, then hands over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldest = [22, 13];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const isNewEnough = major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);

const stop = (sentence) => {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
};

/** The Node that `npm ci` put beside us, or null in an installation without dev dependencies. */
const pinnedNode = () => {
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json');
    const binary = join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(binary) ? binary : null;
  } catch {
    return null;
  }
};

const runWith = (binary) => {
  const child = spawn(binary, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // Ctrl-C reaches the whole foreground group by itself; passing it on as well would make it a second, impatient one.
  const passedOn = process.stdin.isTTY ? ['SIGTERM', 'SIGHUP'] : ['SIGTERM', 'SIGHUP', 'SIGINT'];
  for (const signal of passedOn) process.on(signal, () => child.kill(signal));
  if (process.stdin.isTTY) process.on('SIGINT', () => {});
  child.on('error', (error) => stop(`The pinned Node could not be started (${error.message}). Run npm ci again.`));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
};

if (isNewEnough) {
  // Compiled code is kept between starts (in the system's folder for temporary files): a third off every later one.
  module.enableCompileCache();
  const main = new URL('../dist/cli/main.js', import.meta.url);
  if (!existsSync(main)) stop('Footnote is not compiled yet. Run npm ci, or npm run build.');
  // What the environment says counts more. Not that of the folder at hand, which may be another program's.
  const settings = fileURLToPath(new URL('../.env', import.meta.url));
  try {
    if (existsSync(settings)) process.loadEnvFile(settings);
  } catch {
    stop(`${settings} cannot be read.`);
  }
  const { runCommandLine } = await import(main.href);
  await runCommandLine();
} else {
  const binary = pinnedNode();
  if (binary === null) {
    stop(
      `Footnote needs Node ${oldest.join('.')} or newer, and this is ${process.versions.node}. Run npm ci, which brings the right one along, or install a newer Node.`,
    );
  } else {
    runWith(binary);
  }
}
