import { Worker } from 'node:worker_threads';
import { AppError } from '../../../errors.ts';
import type { Log } from '../../../ports/runtime.ts';
import type { Question, Reply, Requests, Verb, WorkerSettings } from './protocol.ts';

type Waiting = {
  readonly question: Question;
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: AppError) => void;
  readonly stopListening: () => void;
  /** A search that nobody waits for any more is not worth its answer; a write is, because it may have happened. */
  readonly abandonable: boolean;
  timer?: NodeJS.Timeout;
};

export type CallOptions = {
  readonly signal?: AbortSignal;
  readonly transfer?: readonly ArrayBuffer[];
  readonly abandonable?: boolean;
  readonly timeoutMs?: number;
};

export type WorkerClient = {
  call<V extends Verb>(verb: V, asked: Requests[V]['asked'], options?: CallOptions): Promise<Requests[V]['answer']>;
  /** Whether the thread was ever started. */
  readonly started: boolean;
  close(): Promise<void>;
};

/** Two at a time: one that is worked on and one that is there when it ends. The rest can still be cancelled. */
const maxInFlight = 2;
const maxWaiting = 2_000;

const cancelled = (): AppError => new AppError('cancelled', 'The work was stopped before it was finished.');

/**
 * A worker thread with a queue before it. The thread starts at the first call and again after it died; it keeps the
 * process alive only while somebody waits for it.
 */
export const createWorkerClient = (name: string, settings: WorkerSettings, log: Log): WorkerClient => {
  const queue: Waiting[] = [];
  const inFlight = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let nextId = 1;
  let closed = false;

  const settle = (id: number): Waiting | undefined => {
    const waiting = inFlight.get(id);
    inFlight.delete(id);
    clearTimeout(waiting?.timer);
    waiting?.stopListening();
    if (inFlight.size === 0) worker?.unref();
    return waiting;
  };

  const onReply = (reply: Reply): void => {
    const waiting = settle(reply.id);
    if ('failure' in reply) {
      const { code, message, retryable, detail } = reply.failure;
      if (code === 'store-unavailable')
        log.error('chunks.failed', { verb: waiting?.question.verb ?? name, error: detail });
      waiting?.reject(new AppError(code, message, { retryable }));
    } else waiting?.resolve(reply.answer);
    pump();
  };

  const onDeath = (dead: Worker, why: string): void => {
    if (worker !== dead) return;
    worker = undefined;
    if (!closed) log.error('chunks.worker-died', { worker: name, error: why });
    for (const id of [...inFlight.keys()]) {
      settle(id)?.reject(
        new AppError(
          'store-unavailable',
          'The search index stopped working on this and was started again. Try once more.',
          { retryable: true },
        ),
      );
    }
    pump();
  };

  const start = (): Worker => {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const started = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
      name: `chunks-${name}`,
      workerData: settings,
    });
    started.on('message', onReply);
    started.on('error', (error) => onDeath(started, error instanceof Error ? error.message : String(error)));
    started.on('exit', (code) => onDeath(started, `exit ${code}`));
    return started;
  };

  const pump = (): void => {
    while (inFlight.size < maxInFlight) {
      const waiting = queue.shift();
      if (!waiting) return;
      worker ??= start();
      worker.ref();
      inFlight.set(waiting.question.id, waiting);
      worker.postMessage(waiting.question, [...waiting.transfer]);
    }
  };

  const call = <V extends Verb>(
    verb: V,
    asked: Requests[V]['asked'],
    options: CallOptions = {},
  ): Promise<Requests[V]['answer']> => {
    const { signal, transfer = [], abandonable = true, timeoutMs = 60_000 } = options;
    if (closed) return Promise.reject(new AppError('store-unavailable', 'The search index is closed.'));
    if (signal?.aborted) return Promise.reject(cancelled());
    if (queue.length >= maxWaiting) {
      return Promise.reject(
        new AppError('store-unavailable', 'Too much is waiting for the search index. Try again in a moment.', {
          retryable: true,
          retryAfterMs: 1_000,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      const question = { id: nextId++, verb, asked } as Question;
      const onAbort = (): void => {
        const at = queue.indexOf(waiting);
        if (at >= 0) queue.splice(at, 1);
        else if (!abandonable) return;
        clearTimeout(waiting.timer);
        waiting.stopListening();
        reject(cancelled());
      };
      const waiting: Waiting = {
        question,
        transfer,
        abandonable,
        resolve: (answer) => resolve(answer as Requests[V]['answer']),
        reject,
        stopListening: () => signal?.removeEventListener('abort', onAbort),
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      waiting.timer = setTimeout(() => onTimeout(waiting), timeoutMs).unref();
      queue.push(waiting);
      pump();
    });
  };

  /** A thread that is stuck in a call cannot be asked to stop; it is ended, and the next call starts another. */
  const onTimeout = (waiting: Waiting): void => {
    const at = queue.indexOf(waiting);
    if (at >= 0) queue.splice(at, 1);
    waiting.stopListening();
    waiting.reject(
      new AppError('store-unavailable', 'The search index took too long. Try again in a moment.', { retryable: true }),
    );
    if (at >= 0 || !worker) return;
    const stuck = worker;
    onDeath(stuck, 'timeout');
    void stuck.terminate();
  };

  return {
    call,
    get started() {
      return worker !== undefined;
    },
    close: async () => {
      if (worker) await call('close', {}).catch(() => {});
      closed = true;
      for (const waiting of queue.splice(0)) {
        clearTimeout(waiting.timer);
        waiting.stopListening();
        waiting.reject(new AppError('store-unavailable', 'The search index is closed.'));
      }
      await worker?.terminate();
    },
  };
};
