import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Peers that are none of our dependencies: whoever wants them beside us in a bench installs them elsewhere and names that
 * folder in BENCH_PEERS (`npm install chat @chat-adapter/slack @chat-adapter/discord @chat-adapter/teams
 * @chat-adapter/state-memory`).
 */

// biome-ignore lint/suspicious/noExplicitAny: what is not among our dependencies has no types here
type Untyped = any;

type Peers = {
  load(name: string): Promise<Untyped>;
  /** As a package of the folder would get it that is no module. */
  require(name: string): Untyped;
};

/** Null: no folder is named. */
const peersHere = (): Peers | null => {
  const folder = process.env.BENCH_PEERS;
  if (folder === undefined) return null;
  const entry = (name: string): string => {
    const at = join(folder, 'node_modules', name);
    const { exports } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as {
      readonly exports: Readonly<Record<string, { readonly import: string | { readonly default: string } }>>;
    };
    const main = exports['.']?.import ?? '';
    return join(at, typeof main === 'string' ? main : main.default);
  };
  return {
    load: (name) => import(pathToFileURL(entry(name)).href),
    require: createRequire(join(folder, 'package.json')),
  };
};

/** What a peer makes of its folder; null, with a line that says so, when there is none or it cannot be started. */
export const startPeer = async <T>(name: string, start: (peers: Peers) => Promise<T>): Promise<T | null> => {
  const peers = peersHere();
  if (peers === null) return null;
  try {
    return await start(peers);
  } catch (error) {
    console.error(`${name}: not run (${error instanceof Error ? error.message : String(error)})`);
    return null;
  }
};
