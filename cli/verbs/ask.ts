import { randomUUID } from 'node:crypto';
import type { Receipt } from '../../core/domain.ts';
import { createProgress } from '../progress.ts';
import { renderAnswer } from '../text.ts';
import { renderJson, tenantOf, tenantOption, UsageError, type Verb } from '../verb.ts';

export const ask: Verb = {
  name: 'ask',
  about: 'Ask one question and print the answer with its footnotes.',
  args: '<question…>',
  options: {
    ...tenantOption,
    conversation: { type: 'string', about: 'continue the conversation with this id' },
    source: { type: 'string', multiple: true, about: 'answer from this source only' },
    passages: { type: 'boolean', about: 'also print the retrieved passages with their scores' },
  },
  async run(call) {
    const question = call.args.join(' ').trim();
    if (question === '') throw new UsageError('What is the question?');
    const { core } = await call.open();
    const tenant = await tenantOf(call, core);
    const conversationId = call.text('conversation');
    const sources = call.texts('source');
    const progress = createProgress(call.terminal);
    const receipt = await core
      .ask(
        tenant.id,
        {
          question,
          platform: 'api',
          traceId: randomUUID(),
          ...(conversationId === undefined ? {} : { conversationId }),
          ...(sources.length === 0 ? {} : { sources }),
        },
        { signal: call.terminal.signal, status: (text) => progress.show(text) },
      )
      .finally(() => progress.clear());
    if (call.json) call.terminal.out(renderJson(receipt));
    else {
      call.terminal.out(renderAnswer(receipt, call.terminal.columns));
      if (call.flag('passages')) call.terminal.out(`\n${renderPassages(receipt)}`);
    }
    return 0;
  },
};

const renderPassages = ({ retrieved }: Receipt): string =>
  retrieved
    .map(({ title, headingPath, score, text }, index) => {
      const place = [title, ...headingPath].join(' › ');
      return `${index + 1}. ${score.toFixed(3)}  ${place}\n   ${text.replace(/\s+/g, ' ').slice(0, 160)}\n`;
    })
    .join('');
