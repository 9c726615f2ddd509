import { parentPort, workerData } from 'node:worker_threads';
import type { Question } from '../../../../core/drivers/chunks/sqlite/protocol.ts';

/** Stands for the index's thread: `copy` takes `workMs`, `vector` never ends, all else is answered at once. */
const { workMs } = workerData as { readonly workMs: number };
const held = new Int32Array(new SharedArrayBuffer(4));

parentPort?.on('message', ({ id, verb }: Question) => {
  if (verb === 'copy') Atomics.wait(held, 0, 0, workMs);
  if (verb === 'vector') Atomics.wait(held, 0, 0);
  parentPort?.postMessage({ id, answer: null });
});
