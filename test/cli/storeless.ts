import { run } from '../../cli/main.ts';

/** Runs a verb that needs no stores: asking for them is a failure of the test. */
export const runStoreless = async (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const said = { out: '', err: '' };
  const code = await run([...args], {
    terminal: {
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
      },
      isTerminal: false,
      columns: 100,
      input: process.stdin,
      signal: new AbortController().signal,
    },
    env,
    openDoor: async () => {
      throw new Error(`footnote ${args[0]} needs no stores`);
    },
  });
  return { code, ...said };
};
