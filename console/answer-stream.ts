import type { Context } from 'hono';
import type { AskHooks } from '../core/core.ts';
import type { Receipt } from '../core/domain.ts';
import { AppError } from '../core/errors.ts';
import { type AnswerEvent, answerEvents } from './answer-events.ts';
import { openEvents, type Send } from './events.ts';
import type { Env, HttpParts } from './guard.ts';
import type { Problem } from './problem.ts';

/** An answer in the words of one door. */
type Words = {
  tell(event: Exclude<AnswerEvent, { readonly type: 'failed' }>, send: Send): Promise<void>;
  fail(problem: Problem, send: Send): Promise<void>;
};

/**
 * An answer as server-sent events. An error before the first of them is thrown, so that it gets its own status. The answer
 * is given up when its reader is gone or would no longer be let in.
 */
export const streamAnswer = async (
  c: Context<Env>,
  { runtime }: Pick<HttpParts, 'runtime'>,
  ask: (hooks: AskHooks) => Promise<Receipt>,
  signal: AbortSignal,
  { tell, fail }: Words,
): Promise<Response> => {
  const { over, close, respond } = openEvents(c, runtime);
  const events = answerEvents((hooks) => ask({ ...hooks, signal: AbortSignal.any([signal, over]) }), over);
  const first = await events.next();
  if (first.done || first.value.type === 'failed') close();
  if (first.done) throw new AppError('internal', 'The answer ended before it began.');
  if (first.value.type === 'failed') throw first.value.error;
  return respond(async (send) => {
    for (let next: IteratorResult<AnswerEvent, void> = first; !next.done; next = await events.next()) {
      const event = next.value;
      if (event.type === 'failed') throw event.error;
      await tell(event, send);
    }
  }, fail);
};
