import { renderJson, type Verb } from '../verb.ts';

export const serve: Verb = {
  name: 'serve',
  about: 'Start everything in one process: console, API, chat platforms.',
  options: {},
  async run({ args, env, json, terminal }) {
    if (args.length > 0) terminal.err(`serve takes no arguments; “${args.join(' ')}” is ignored.\n`);
    const { startFootnote } = await import('../../main.ts');
    const running = await startFootnote(env);
    if (json) terminal.out(renderJson({ url: running.url, signInUrl: running.signInUrl }));
    else {
      terminal.out(`${running.url}\n`);
      if (running.signInUrl !== null) terminal.out(`${running.signInUrl}\n`);
    }
    await new Promise<void>((resolve) => {
      if (terminal.signal.aborted) resolve();
      terminal.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await running.stop();
    return 0;
  },
};
