import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Chunk } from '../domain.ts';
import { AppError } from '../errors.ts';
import { defaultParseLimits, type ParseLimits } from './parse/outline.ts';
import { refusals } from './parse/refusal.ts';

export type ParseRequest = {
  readonly documentId: string;
  readonly sourceId: string;
  readonly externalId: string;
  /** The document's bytes, or, with `kept`, what `packContents` made of it. */
  readonly content: string | Uint8Array;
  readonly kept?: true;
  readonly title?: string;
  readonly mediaType?: string;
  readonly url?: string;
};
export type ParseJob = ParseRequest & { readonly id: number };
export type ParsedDocument = {
  readonly title: string;
  readonly mediaType: string;
  readonly chunks: readonly Chunk[];
  /** To be kept in the state store; empty when too large, or when it came from there. */
  readonly contents: Uint8Array<ArrayBuffer>;
};
export type ParseReply =
  | ({ readonly id: number; readonly ok: true } & ParsedDocument)
  | { readonly id: number; readonly ok: false; readonly problem: string };

export type ParsePool = {
  /** Throws AppError `unreadable-document` (a sentence naming the reason), `cancelled`, or `internal` after `end`. */
  parse(request: ParseRequest, signal: AbortSignal): Promise<ParsedDocument>;
  /** Workers; parse this many documents at once to keep all of them busy. */
  readonly size: number;
  end(): Promise<void>;
};

type Waiting = {
  readonly job: ParseJob;
  readonly since: number;
  readonly signal: AbortSignal;
  resolve(parsed: ParsedDocument): void;
  reject(error: AppError): void;
};
type Slot = { readonly worker: Worker; task: Waiting | null; timer: NodeJS.Timeout | undefined };

/** Idle workers go: their readers would otherwise hold tens of megabytes each. */
const idleMs = 20_000;
/** The last worker starts only for a document that has waited so long: see `createParsePool`. */
const patienceMs = 100;

/**
 * Documents are read in worker threads under limits of size, time and memory. A worker that exceeds them is ended and
 * replaced, so that no document can stop another one or the process. One core is left to those who write what is read,
 * and to the compiler: each further thread compiles the readers anew. So the last worker starts only when documents are
 * slow to read. Timers here are the system's, not the core's clock: they bound real work on a real thread.
 */
export const createParsePool = (
  limits: ParseLimits = defaultParseLimits,
  size = Math.max(1, Math.min(availableParallelism(), 4)),
): ParsePool => {
  const slots = new Set<Slot>();
  const queue: Waiting[] = [];
  let nextId = 0;
  let ended = false;
  let impatient: NodeJS.Timeout | undefined;

  const settle = (slot: Slot, finish: (task: Waiting) => void): void => {
    clearTimeout(slot.timer);
    const task = slot.task;
    slot.task = null;
    if (task !== null) finish(task);
  };

  const discard = (slot: Slot, finish: (task: Waiting) => void): void => {
    slots.delete(slot);
    settle(slot, finish);
    void slot.worker.terminate();
    next();
  };

  const spawn = (): Slot => {
    const file = `./parse-worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`;
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: { limits },
      // Nothing of the environment is needed to read a document, so none is there to leak.
      env: {},
      stdout: true,
      stderr: true,
      // The young generation is left as large as V8 makes it: with 64 MB, trees of documents outlived it by the hundred.
      resourceLimits: { maxOldGenerationSizeMb: limits.maxHeapMb },
    });
    worker.unref();
    const slot: Slot = { worker, task: null, timer: undefined };
    slots.add(slot);
    worker.on('message', (reply: ParseReply) => {
      if (slot.task?.job.id !== reply.id) return;
      settle(slot, (task) =>
        reply.ok ? task.resolve(reply) : task.reject(new AppError('unreadable-document', reply.problem)),
      );
      next();
      if (slot.task === null) slot.timer = setTimeout(() => discard(slot, () => undefined), idleMs).unref();
    });
    worker.on('error', (error: Error & { code?: string }) => {
      const outOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      discard(slot, (task) => task.reject(outOfMemory ? refusals.tooMuchMemory() : refusals.damaged('document')));
    });
    worker.on('exit', () => {
      if (slots.has(slot)) discard(slot, (task) => task.reject(refusals.damaged('document')));
    });
    return slot;
  };

  const give = (slot: Slot, task: Waiting): void => {
    clearTimeout(slot.timer);
    slot.task = task;
    slot.timer = setTimeout(() => discard(slot, (late) => late.reject(refusals.tooSlow(limits.maxMs))), limits.maxMs);
    slot.worker.postMessage(task.job);
  };

  const freeSlot = (waitedMs: number): Slot | null => {
    const idle = [...slots].find((slot) => slot.task === null);
    if (idle !== undefined) return idle;
    const wanted = waitedMs < patienceMs ? Math.max(1, size - 1) : size;
    return slots.size < wanted ? spawn() : null;
  };

  const next = (): void => {
    for (let [task] = queue; task !== undefined && !ended; [task] = queue) {
      const waitedMs = performance.now() - task.since;
      const free = freeSlot(waitedMs);
      if (free === null) {
        if (slots.size < size) impatient ??= setTimeout(lookAgain, patienceMs - waitedMs);
        return;
      }
      queue.shift();
      give(free, task);
    }
  };

  const lookAgain = (): void => {
    impatient = undefined;
    next();
  };

  const cancel = (task: Waiting): void => {
    const at = queue.indexOf(task);
    if (at >= 0) {
      queue.splice(at, 1);
      task.reject(cancelled());
      return;
    }
    for (const slot of slots) if (slot.task === task) discard(slot, (stopped) => stopped.reject(cancelled()));
  };

  return {
    size,
    parse: (request, signal) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(new AppError('internal', 'The document path has been stopped.'));
        if (signal.aborted) return reject(cancelled());
        if (request.kept === undefined && request.content.length > limits.maxBytes)
          return reject(refusals.tooLarge(limits.maxBytes));
        const onAbort = (): void => cancel(task);
        const task: Waiting = {
          job: { ...request, id: nextId++ },
          since: performance.now(),
          signal,
          resolve: (parsed) => {
            signal.removeEventListener('abort', onAbort);
            resolve(parsed);
          },
          reject: (error) => {
            signal.removeEventListener('abort', onAbort);
            reject(error);
          },
        };
        signal.addEventListener('abort', onAbort, { once: true });
        queue.push(task);
        next();
      }),
    async end() {
      ended = true;
      clearTimeout(impatient);
      for (const task of queue.splice(0)) task.reject(cancelled());
      await Promise.all(
        [...slots].map(async (slot) => {
          slots.delete(slot);
          settle(slot, (task) => task.reject(cancelled()));
          await slot.worker.terminate();
        }),
      );
    },
  };
};

const cancelled = (): AppError => new AppError('cancelled', 'The work was stopped before it was finished.');
