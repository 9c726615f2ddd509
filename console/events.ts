import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Runtime } from '../core/ports/runtime.ts';
import { noteFailure } from './failure.ts';
import type { Env } from './guard.ts';
import { type Problem, problemOf } from './problem.ts';
import { watchAccess } from './revocation.ts';

export type Send = (event: string, data: unknown) => Promise<void>;

/** Server-sent events that have not begun yet. */
export type Events = {
  /** Fires when nobody reads any more, or when the reader would no longer be let in, with the AppError that says why. */
  readonly over: AbortSignal;
  /** When nothing is sent after all. */
  close(): void;
  /** `tell` sends until it returns; what it throws is noted and told in the words of `fail`. */
  respond(tell: (send: Send) => Promise<void>, fail?: (problem: Problem, send: Send) => Promise<void>): Response;
};

/** The watch over the reader's access begins here and ends with the stream, however that ends. */
export const openEvents = (c: Context<Env>, runtime: Runtime): Events => {
  const gone = new AbortController();
  const access = watchAccess(c, runtime);
  const over = AbortSignal.any([gone.signal, access.revoked]);
  const close = (): void => {
    gone.abort();
    access.stop();
  };
  return {
    over,
    close,
    respond: (tell, fail) => {
      const response = streamSSE(c, async (stream) => {
        stream.onAbort(close);
        const send: Send = (event, data) => stream.writeSSE({ event, data: JSON.stringify(data) });
        try {
          await tell(send);
          over.throwIfAborted();
        } catch (thrown) {
          if (stream.aborted) return;
          const reason = over.aborted ? over.reason : thrown;
          noteFailure(runtime, c, reason);
          await fail?.(problemOf(reason, c.req.path).problem, send);
        } finally {
          close();
        }
      });
      response.headers.set('x-accel-buffering', 'no');
      return response;
    },
  };
};
