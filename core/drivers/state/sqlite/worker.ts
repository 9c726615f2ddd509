import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { toAppError } from '../../../errors.ts';
import { createBatches } from './batch.ts';
import { openDatabase } from './database.ts';
import { createSql } from './sql.ts';
import { createSyncStore } from './store.ts';
import { type Call, type FromWorker, kindOf, type ToWorker, type WorkerSettings } from './sync.ts';

/** In the order in which they are served. */
const lanes = ['read', 'lease', 'write'] as const;
/** A sync of the disk costs the processor as much as dozens of statements: under load there is one every so often. */
const syncEveryMs = 3;
/** So many writes together are load. */
const crowd = 4;

/** A verb that is none is answered with its refusal; where does not matter. */
const laneOf = (call: Call): (typeof lanes)[number] => {
  const kind = kindOf(call);
  return kind === 'read' || kind === 'lease' ? kind : 'write';
};

/** One connection in a thread of its own: while a commit waits for the disk, calls gather, and the next commit takes them all. */
const serve = (port: NonNullable<typeof parentPort>, settings: WorkerSettings): void => {
  const database = openDatabase(settings.file, settings.readOnly);
  const runBatch = createBatches(database, createSyncStore(createSql(database)));
  let queue: readonly Call[] = [];
  let closing = false;
  /** Where several wait for the disk at a time, more are on their way: before this no write is begun, so that they share a sync. */
  let restUntil = 0;
  let resting: NodeJS.Timeout | undefined;
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
    const groups = lanes.map((lane) => queue.filter((call) => laneOf(call) === lane));
    queue = [];
    const [writes = []] = groups.slice(-1);
    const now = performance.now();
    if (!closing && now < restUntil) {
      groups.pop();
      queue = writes;
      resting ??= setTimeout(() => {
        resting = undefined;
        schedule();
      }, restUntil - now);
    } else if (writes.length >= crowd) restUntil = now + syncEveryMs;
    const held = queue.length;
    for (const calls of groups) {
      if (calls.length === 0) continue;
      const { replies, left } = runBatch(calls);
      queue = [...queue, ...left];
      post({ replies });
    }
    if (queue.length > held) schedule();
    else if (held === 0 && closing) {
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
