import { Worker } from 'node:worker_threads';
import { AppError } from '../../../errors.ts';
import type { Log } from '../../../ports/runtime.ts';
import type { Refusal } from './faults.ts';
import type { Call, FromWorker, Reply, ToWorker, WorkerSettings } from './sync.ts';
import { packCalls } from './wire.ts';

/** More waiting calls than this, and a new one is refused at once: the store cannot keep up, and a queue would only hide it. */
const maxWaiting = 20_000;
const answerWithinMs = 10_000;
const restart = { firstMs: 100, lastMs: 5_000 } as const;

/** One worker thread and the calls on their way through it. */
export type Lane = {
  /** Rejects with AppError `store-unavailable`, or with what the verb itself refuses. */
  call(group: string, verb: string, args: readonly unknown[]): Promise<unknown>;
  /** Answers what was asked before, then ends the thread. */
  close(): Promise<void>;
};

type Waiting = {
  readonly call: Call;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: AppError) => void;
};

const unavailable = (sentence: string, retryable: boolean, cause?: unknown) =>
  new AppError('store-unavailable', sentence, { retryable, ...(cause === undefined ? {} : { cause }) });

const refused = (sentence: string, { code, at }: Refusal) =>
  new AppError(code, sentence, at === undefined ? {} : { at });

const workerProgram = new URL(`./worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/** Resolves when the file is open; rejects with the sentence that stops the start. `program` is for tests. */
export const openLane = async (settings: WorkerSettings, log: Log, program: URL = workerProgram): Promise<Lane> => {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | null = null;
  let unsent: Call[] = [];
  let flushing = false;
  let lastId = 0;
  let closed = false;
  let restarts = 0;
  let restarting: NodeJS.Timeout | undefined;

  const send = (message: ToWorker) => worker?.postMessage(message);

  /** One message for all the calls of a turn of the event loop. */
  const flush = () => {
    flushing = false;
    if (worker === null || unsent.length === 0) return;
    const calls = unsent;
    unsent = [];
    try {
      send({ calls: packCalls(calls) });
    } catch {
      for (const call of calls) sendAlone(call);
    }
  };

  /** Something among the arguments was no plain data: only its own call fails. */
  const sendAlone = (call: Call) => {
    try {
      send({ calls: [call] });
    } catch (error) {
      log.error('state.unsendable', { verb: `${call.group}.${call.verb}`, error: String(error) });
      take(call.id)?.reject(unavailable('The state store could not carry out what was asked.', false, error));
    }
  };

  const take = (id: number): Waiting | undefined => {
    const entry = waiting.get(id);
    if (entry === undefined) return undefined;
    clearTimeout(entry.timer);
    waiting.delete(id);
    if (waiting.size === 0) worker?.unref();
    return entry;
  };

  const settle = (reply: Reply) => {
    const entry = take(reply.id);
    if (entry === undefined) return;
    if (!('problem' in reply)) return entry.resolve(reply.value);
    if (reply.refusal !== undefined) return entry.reject(refused(reply.problem, reply.refusal));
    log.error('state.failed', { verb: `${entry.call.group}.${entry.call.verb}`, error: reply.detail });
    entry.reject(unavailable(reply.problem, reply.retryable, new Error(reply.detail)));
  };

  const failAll = (sentence: string) => {
    unsent = [];
    for (const id of [...waiting.keys()]) take(id)?.reject(unavailable(sentence, true));
  };

  const begin = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const fresh = new Worker(program, { workerData: settings });
      let opened = false;
      fresh.on('message', (message: FromWorker) => {
        if ('replies' in message) {
          for (const reply of message.replies) settle(reply);
        } else if ('refused' in message) {
          log.error('state.refused', { error: `${message.refused} ${message.detail}`.trim() });
          reject(new AppError(message.code, message.refused, { cause: new Error(message.detail) }));
        } else {
          opened = true;
          restarts = 0;
          worker = fresh;
          if (waiting.size === 0) fresh.unref();
          else fresh.ref();
          flush();
          resolve();
        }
      });
      fresh.on('error', (error) => {
        log.error('state.worker_failed', { error: String(error) });
      });
      fresh.on('exit', () => {
        if (worker === fresh) worker = null;
        reject(unavailable('The state store could not be started.', true));
        if (!opened) return;
        failAll('The state store stopped unexpectedly and is being started again.');
        if (!closed) again();
      });
    });

  /** Calls that come meanwhile wait for the new worker within their own time. */
  const again = () => {
    const afterMs = Math.min(restart.firstMs * 2 ** restarts, restart.lastMs);
    restarts += 1;
    log.warn('state.restarting', { afterMs });
    restarting = setTimeout(() => {
      begin().catch(() => {
        if (!closed) again();
      });
    }, afterMs);
  };

  await begin();

  return {
    call: (group, verb, args) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(unavailable('The state store is closed.', false));
        if (waiting.size >= maxWaiting)
          return reject(unavailable('The state store has more work than it can take.', true));
        lastId += 1;
        const call: Call = { id: lastId, group, verb, args, until: Date.now() + answerWithinMs };
        const timer = setTimeout(() => {
          log.error('state.timeout', { verb: `${group}.${verb}` });
          take(call.id)?.reject(unavailable('The state store did not answer in time.', true));
        }, answerWithinMs);
        // An idle store keeps no process alive, one that was asked does.
        if (waiting.size === 0) worker?.ref();
        waiting.set(call.id, { call, timer, resolve, reject });
        unsent.push(call);
        if (flushing) return;
        flushing = true;
        // After all that has come in meanwhile: one reply makes several callers go on, and events come several at a time.
        setImmediate(flush);
      }),
    close: async () => {
      if (closed) return;
      closed = true;
      clearTimeout(restarting);
      const ending = worker;
      if (ending === null) return failAll('The state store is closed.');
      flush();
      const exited = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
      ending.ref();
      send({ close: true });
      const patience = setTimeout(() => void ending.terminate(), answerWithinMs);
      await exited;
      clearTimeout(patience);
    },
  };
};
