import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { isAppError } from '../../core/errors.ts';
import { renderAnswer } from '../text.ts';
import { renderJson, tenantOf, tenantOption, type Verb } from '../verb.ts';

export const chat: Verb = {
  name: 'chat',
  about: 'Ask question after question; each may lean on the ones before. /new begins afresh, /quit or Ctrl-D ends.',
  options: tenantOption,
  async run(call) {
    const { terminal } = call;
    const { core } = await call.open();
    const tenant = await tenantOf(call, core);
    let conversationId: string | undefined;
    // The prompt goes to standard error, so that answers alone can be piped.
    const prompt = (): void => {
      if (terminal.isTerminal) terminal.err('> ');
    };
    const lines = createInterface({ input: terminal.input, terminal: false, signal: terminal.signal });
    prompt();
    for await (const line of lines) {
      const question = line.trim();
      if (question === '/quit' || question === '/exit') break;
      if (question === '/new') {
        conversationId = undefined;
        terminal.err('A new conversation.\n');
      } else if (question !== '') {
        try {
          const receipt = await core.ask(
            tenant.id,
            {
              question,
              platform: 'api',
              traceId: randomUUID(),
              ...(conversationId === undefined ? {} : { conversationId }),
            },
            { signal: terminal.signal },
          );
          conversationId = receipt.conversationId;
          terminal.out(call.json ? renderJson(receipt) : `\n${renderAnswer(receipt, terminal.columns)}\n`);
        } catch (error) {
          // One failed question does not end the conversation; anything that is not ours to explain does.
          if (!isAppError(error) || error.code === 'cancelled' || error.code === 'store-unavailable') throw error;
          terminal.err(`${error.message}\n`);
        }
      }
      prompt();
    }
    return terminal.signal.aborted ? 130 : 0;
  },
};
