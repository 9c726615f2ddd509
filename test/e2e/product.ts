import { Readable } from 'node:stream';
import { run } from '../../cli/main.ts';
import { openDoor } from '../../cli/open.ts';
import type { Running } from '../../main.ts';

export const operatorToken = 'an-operator-token-for-tests';

type Options = {
  readonly body?: unknown;
  readonly bearer?: string;
  /** In place of the bearer token. */
  readonly headers?: Record<string, string>;
};

/** A request to a running service; JSON comes back parsed. */
export const callOn = async (running: Pick<Running, 'url'>, method: string, path: string, options: Options = {}) => {
  const response = await fetch(`${running.url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(options.headers === undefined
        ? { authorization: `Bearer ${options.bearer ?? operatorToken}` }
        : options.headers),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
};

/** One verb of the command line, over the real stores. */
export const footnote = async (env: Readonly<Record<string, string>>, ...words: readonly string[]) => {
  let out = '';
  let err = '';
  const code = await run(words, {
    env,
    openDoor,
    terminal: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      isTerminal: false,
      columns: 80,
      input: Readable.from([]),
      signal: new AbortController().signal,
    },
  });
  return { code, out, err };
};
