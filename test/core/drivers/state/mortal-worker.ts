import { parentPort } from 'node:worker_threads';
import type { ToWorker } from '../../../../core/drivers/state/sqlite/sync.ts';
import { unpackCalls } from '../../../../core/drivers/state/sqlite/wire.ts';

/** The store's worker, except that the call `die.now` ends it on the spot. It hears every message before the real one does. */
parentPort?.on('message', (message: ToWorker) => {
  if ('calls' in message && unpackCalls(message.calls).some((call) => call.group === 'die')) process.exit(1);
});
await import('../../../../core/drivers/state/sqlite/worker.ts');
