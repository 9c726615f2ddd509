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
  readonly timeoutMs: number;
  timer?: NodeJS.Timeout;
};

export type CallOptions = {
  readonly signal?: AbortSignal;
  readonly transfer?: readonly ArrayBuffer[];
  readonly abandonable?: boolean;
  /** For the wait and, counted anew, for the work itself. */
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

const workerProgram = new URL(`./worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/**
 * A worker thread with a queue before it. The thread starts at the first call and again after it died; it keeps the
 * process alive only while somebody waits for it. `program` is for tests.
 */
export const createWorkerClient = (
  name: string,
  settings: WorkerSettings,
  log: Log,
  program: URL = workerProgram,
): WorkerClient => {
  const queue: Waiting[] = [];
  /** In the order they were sent: the first is the one that the thread works on. */
  const inFlight = new Map<number, Waiting>();
  let watched: Waiting | undefined;
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
    const started = new Worker(program, { name: `chunks-${name}`, workerData: settings });
    started.on('message', onReply);
    started.on('error', (error) => onDeath(started, error instanceof Error ? error.message : String(error)));
    started.on('exit', (code) => onDeath(started, `exit ${code}`));
    return started;
  };

  const pump = (): void => {
    for (let next = queue[0]; next && inFlight.size < maxInFlight; next = queue[0]) {
      queue.shift();
      worker ??= start();
      worker.ref();
      inFlight.set(next.question.id, next);
      worker.postMessage(next.question, [...next.transfer]);
    }
    watch();
  };

  /**
   * Only what the thread works on can show that it is stuck, whether or not somebody still waits for that. What stands
   * behind it may have waited long because the one before it is a long write.
   */
  const watch = (): void => {
    const [working] = inFlight.values();
    if (working === watched) return;
    watched = working;
    if (!working) return;
    clearTimeout(working.timer);
    working.timer = setTimeout(() => onStuck(working), working.timeoutMs).unref();
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
        if (at < 0 && !abandonable) return;
        if (at >= 0) {
          queue.splice(at, 1);
          clearTimeout(waiting.timer);
        }
        waiting.stopListening();
        reject(cancelled());
      };
      const waiting: Waiting = {
        question,
        transfer,
        abandonable,
        timeoutMs,
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

  const onTimeout = (waiting: Waiting): void => {
    const at = queue.indexOf(waiting);
    if (at >= 0) queue.splice(at, 1);
    waiting.stopListening();
    waiting.reject(
      new AppError('store-unavailable', 'The search index took too long. Try again in a moment.', { retryable: true }),
    );
  };

  /** A thread that is stuck in a call cannot be asked to stop; it is ended, and the next call starts another. */
  const onStuck = (working: Waiting): void => {
    onTimeout(working);
    if (!worker) return;
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
