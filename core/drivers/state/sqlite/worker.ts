import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { toAppError } from '../../../errors.ts';
import { createBatches } from './batch.ts';
import { openDatabase } from './database.ts';
import { createQueue } from './queue.ts';
import { createSql } from './sql.ts';
import { createSyncStore } from './store.ts';
import type { FromWorker, ToWorker, WorkerSettings } from './sync.ts';
import { unpackCalls } from './wire.ts';

/** One connection in a thread of its own: while a commit waits for the disk, calls gather, and the next commit takes them all. */
const serve = (port: NonNullable<typeof parentPort>, settings: WorkerSettings): void => {
  const database = openDatabase(settings.file, settings.readOnly);
  const runBatch = createBatches(database, createSyncStore(createSql(database)));
  const post = (message: FromWorker) => port.postMessage(message);
  const queue = createQueue(runBatch, (replies) => post({ replies }));
  let closing = false;
  let resting: NodeJS.Timeout | undefined;
  let scheduled = false;

  const take = (message: ToWorker) => {
    if ('close' in message) closing = true;
    else queue.add(unpackCalls(message.calls));
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
    const inMs = queue.serve(performance.now(), closing);
    if (inMs === 0) schedule();
    else if (inMs !== null) {
      resting ??= setTimeout(() => {
        resting = undefined;
        schedule();
      }, inMs);
    } else if (closing) {
      clearTimeout(resting);
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
