import { parentPort } from 'node:worker_threads';
import type { ToWorker } from '../../../../core/drivers/state/sqlite/sync.ts';

/** The store's worker, except that the call `die.now` ends it on the spot. It hears every message before the real one does. */
parentPort?.on('message', (message: ToWorker) => {
  if ('calls' in message && message.calls.some((call) => call.group === 'die')) process.exit(1);
});
await import('../../../../core/drivers/state/sqlite/worker.ts');
