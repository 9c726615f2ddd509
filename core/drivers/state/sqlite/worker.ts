import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { toAppError } from '../../../errors.ts';
import { runBatch } from './batch.ts';
import { openDatabase } from './database.ts';
import { createSql } from './sql.ts';
import { createSyncStore } from './store.ts';
import { type Call, type FromWorker, kindOf, type ToWorker, type WorkerSettings } from './sync.ts';

/** A verb that is none is answered with its refusal; where does not matter. */
const laneOf = (call: Call): 'read' | 'lease' | 'write' => {
  const kind = kindOf(call);
  return kind === 'read' || kind === 'lease' ? kind : 'write';
};

/** One connection in a thread of its own: while a commit waits for the disk, calls gather, and the next commit takes them all. */
const serve = (port: NonNullable<typeof parentPort>, settings: WorkerSettings): void => {
  const database = openDatabase(settings.file, settings.readOnly);
  const store = createSyncStore(createSql(database));
  let queue: readonly Call[] = [];
  let closing = false;
  let scheduled = false;
  const post = (message: FromWorker) => port.postMessage(message);

  const take = (message: ToWorker) => {
    if ('close' in message) closing = true;
    else queue = [...queue, ...message.calls];
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(run);
  };
  const run = () => {
    scheduled = false;
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
      take(next.message);
    // What needs no disk goes first: it would otherwise wait for the others' commit. And reads before leases: where another
    // process holds the lock, leases wait and fail, and reading goes on.
    const groups = (['read', 'lease', 'write'] as const).map((kind) => queue.filter((call) => laneOf(call) === kind));
    queue = [];
    for (const calls of groups) {
      if (calls.length === 0) continue;
      const { replies, left } = runBatch(database, store, calls);
      queue = [...queue, ...left];
      post({ replies });
    }
    if (queue.length > 0) schedule();
    else if (closing) {
      database.close();
      port.close();
    }
  };
  port.on('message', (message: ToWorker) => {
    take(message);
    schedule();
  });
  post({ ready: true });
};

if (parentPort !== null) {
  const port = parentPort;
  try {
    serve(port, workerData as WorkerSettings);
  } catch (error) {
    const { code, message, cause } = toAppError(error);
    const refusal: FromWorker = {
      refused: message,
      code: code === 'config' ? 'config' : 'store-unavailable',
      detail: cause instanceof Error ? cause.message : '',
    };
    port.postMessage(refusal);
    port.close();
  }
}
