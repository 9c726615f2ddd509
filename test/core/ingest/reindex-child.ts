/** A process that takes up a tenant's re-index over the embedded stores until it is killed: `node reindex-child.ts DATA_DIR TENANT JOB`. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSqliteChunks } from '../../../core/drivers/chunks/sqlite/chunks.ts';
import { pushSource } from '../../../core/drivers/sources/push.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { createIngest } from '../../../core/ingest/ingest.ts';
import type { Metering } from '../../../core/metering/metering.ts';
import type { Log, Runtime } from '../../../core/ports/runtime.ts';

const [dataDir = '', tenantId = '', jobId = ''] = process.argv.slice(2);
const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
const runtime: Runtime = {
  clock: {
    now: () => Date.now(),
    sleep: async (ms, signal) => void (await sleep(ms, undefined, signal === undefined ? {} : { signal })),
  },
  random: { hex: (bytes) => randomBytes(bytes).toString('hex'), float: () => Math.random() },
  log: silent,
  metrics: { count: () => undefined, observe: () => undefined, set: () => undefined },
};
const state = await openSqliteState({ dataDir, log: silent });
const chunks = await openSqliteChunks({ dataDir, log: silent });
const ingest = createIngest({
  state,
  chunks,
  embedder: null,
  metering: { record: async () => [] } as unknown as Metering,
  sources: [pushSource],
  runtime,
  limits: { parseWorkers: 1, jobs: { leaseForMs: 1_500, pollEveryMs: 50 } },
});
ingest.start();
for await (const job of ingest.watch(tenantId, jobId, AbortSignal.timeout(120_000))) {
  process.stdout.write(`${JSON.stringify({ state: job.state, counts: job.counts, errors: job.errors })}\n`);
}
await ingest.stop(1_000);
await chunks.close();
await state.maintenance.close();
