import type { Passage } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { ChatEvent } from '../ports/model.ts';
import { countTokens } from '../text/tokens.ts';
import { createPrompt } from './prompt.ts';
import { type Outcome, reserve, says, type Work } from './work.ts';
import { createWriter } from './writer.ts';

/** The answer by the chat model: prompt, stream, checked footnotes. */
export const compose = async (work: Work, meaning: string, found: readonly Passage[]): Promise<Outcome> => {
  const { parts, settings, request, question, texts, hooks, steps, account, signal } = work;
  const { chat, runtime } = parts;
  if (chat === null) throw new AppError('internal', 'Something went wrong on our side.');
  const prompt = createPrompt({
    tenant: request.tenant,
    question,
    condensed: meaning,
    turns: request.turns.slice(-settings.turns),
    passages: found,
    instructions: request.instructions,
    language: request.language,
    budget: settings.promptTokens,
    random: runtime.random,
  });
  if (hooks.stop?.aborted === true) return says('refused', 'cancelled', texts.stopped);
  const refusal = await reserve(work, prompt.tokens, settings.maxTokens);
  if (refusal !== null) return refusal;

  hooks.status?.(texts.thinking ?? 'Writing the answer…');
  const writer = createWriter({
    passages: prompt.passages,
    question: `${question} ${meaning}`,
    onText: (markdown) => hooks.update?.(markdown),
  });
  const lost = account.lost();
  const { stop } = hooks;
  const within = AbortSignal.any([signal, ...(lost === null ? [] : [lost]), ...(stop === undefined ? [] : [stop])]);
  const begun = runtime.clock.now();
  let end: Extract<ChatEvent, { type: 'end' }> | null = null;
  let raw = '';
  const streaming = steps.time('compose', async () => {
    const stream = chat.stream(
      {
        messages: prompt.messages,
        maxTokens: settings.maxTokens,
        temperature: 0.1,
        size: 'main',
        tenantId: request.tenant.id,
      },
      { signal: within },
    );
    for await (const event of stream) {
      if (event.type === 'end') end = event;
      else {
        if (raw === '') runtime.metrics.observe('first_token_seconds', (runtime.clock.now() - begun) / 1_000);
        raw += event.text;
        writer.push(event.text);
      }
    }
  });
  await streaming.catch((error: unknown) => {
    if (stop?.aborted !== true || signal.aborted) throw error;
  });
  const last = end as Extract<ChatEvent, { type: 'end' }> | null;
  if (last === null && stop?.aborted === true) {
    if (raw === '') return says('refused', 'cancelled', texts.stopped);
    // A provider bills what it has written, and says nothing of it on a line that was cut: so it is counted here.
    account.add({
      kind: 'chat',
      model: chat.name,
      promptTokens: prompt.tokens,
      completionTokens: countTokens(raw),
      embeddingTokens: 0,
    });
    const { markdown, citations } = writer.finish(true);
    if (citations.length === 0) return says('refused', 'cancelled', texts.stopped, false);
    return {
      kind: 'answered',
      reasonCode: 'cancelled',
      answer: markdown,
      citations,
      retrieved: found,
      inPrompt: prompt.passages.map((passage) => passage.chunkId),
      free: false,
    };
  }
  if (last === null)
    throw new AppError('model-failed', 'The language model broke off in the middle of its answer. Please try again.', {
      retryable: true,
    });
  account.add({
    kind: 'chat',
    model: last.model,
    promptTokens: last.usage.promptTokens,
    completionTokens: last.usage.completionTokens,
    embeddingTokens: 0,
  });

  const written = await steps.time('check', async () => writer.finish(last.finish === 'length'));
  const inPrompt = prompt.passages.map((passage) => passage.chunkId);
  // The model was asked and said that the documents do not tell, or could not show where they do. It was paid for.
  if (written.citations.length === 0) return { ...says('not-found', 'not-found', texts.notFound, false), inPrompt };
  return {
    kind: 'answered',
    reasonCode: 'answered',
    answer: written.markdown,
    citations: written.citations,
    retrieved: found,
    inPrompt,
    free: false,
  };
};
