import { renderJson, type Verb } from '../verb.ts';

export const serve: Verb = {
  name: 'serve',
  about: 'Start everything in one process: console, API, chat platforms.',
  options: {},
  async run({ args, env, json, terminal }) {
    if (args.length > 0) terminal.err(`serve takes no arguments; “${args.join(' ')}” is ignored.\n`);
    const { startFootnote } = await import('../../main.ts');
    const running = await startFootnote(env, {
      announce: ({ url, signInUrl }) =>
        terminal.out(
          json
            ? renderJson({ url, signInUrl })
            : [url, signInUrl].flatMap((line) => (line === null ? [] : `${line}\n`)).join(''),
        ),
    });
    await new Promise<void>((resolve) => {
      if (terminal.signal.aborted) resolve();
      terminal.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await running.stop();
    return 0;
  },
};
