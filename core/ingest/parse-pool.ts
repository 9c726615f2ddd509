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
  readonly signal: AbortSignal;
  resolve(parsed: ParsedDocument): void;
  reject(error: AppError): void;
};
type Slot = { readonly worker: Worker; task: Waiting | null; timer: NodeJS.Timeout | undefined };

/** Idle workers go: their readers would otherwise hold tens of megabytes each. */
const idleMs = 20_000;

/**
 * Documents are read in worker threads under limits of size, time and memory. A worker that exceeds them is ended and
 * replaced, so that no document can stop another one or the process. Timers here are the system's, not the core's
 * clock: they bound real work on a real thread.
 */
export const createParsePool = (
  limits: ParseLimits = defaultParseLimits,
  size = Math.max(1, Math.min(availableParallelism(), 4)),
): ParsePool => {
  const slots = new Set<Slot>();
  const queue: Waiting[] = [];
  let nextId = 0;
  let ended = false;

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
      resourceLimits: { maxOldGenerationSizeMb: limits.maxHeapMb, maxYoungGenerationSizeMb: 64 },
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

  const next = (): void => {
    while (queue.length > 0 && !ended) {
      const free = [...slots].find((slot) => slot.task === null) ?? (slots.size < size ? spawn() : null);
      if (free === null) return;
      const task = queue.shift();
      if (task !== undefined) give(free, task);
    }
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
