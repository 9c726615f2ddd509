import type { AskHooks } from '../core/core.ts';
import type { Receipt } from '../core/domain.ts';

/** One answer under way, as a sequence: at any number of `status` and `delta`, then exactly one `done` or `failed`. */
export type AnswerEvent =
  | { readonly type: 'status'; readonly text: string }
  | { readonly type: 'delta'; readonly text: string }
  | { readonly type: 'done'; readonly receipt: Receipt }
  | { readonly type: 'failed'; readonly error: unknown };

/**
 * Turns the core's hooks into a sequence, so that a door can look at the first event before it chooses a status. When
 * `stop` fires the sequence ends with its reason at once, whether the core has heeded it yet or not.
 */
export const answerEvents = async function* (
  ask: (hooks: Omit<AskHooks, 'signal'>) => Promise<Receipt>,
  stop?: AbortSignal,
): AsyncGenerator<AnswerEvent, void> {
  const waiting: AnswerEvent[] = [];
  let wake = (): void => undefined;
  const push = (event: AnswerEvent): void => {
    waiting.push(event);
    wake();
  };
  stop?.addEventListener('abort', () => push({ type: 'failed', error: stop.reason }), { once: true });
  ask({ status: (text) => push({ type: 'status', text }), delta: (text) => push({ type: 'delta', text }) }).then(
    (receipt) => push({ type: 'done', receipt }),
    (error: unknown) => push({ type: 'failed', error }),
  );
  for (;;) {
    const event = waiting.shift();
    if (event === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    yield event;
    if (event.type === 'done' || event.type === 'failed') return;
  }
};
