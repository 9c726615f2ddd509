/** A process that syncs a folder over the embedded stores until it is killed: `node sync-child.ts DATA_DIR DOCS TENANT SOURCE WORKERS`. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSqliteChunks } from '../../../core/drivers/chunks/sqlite/chunks.ts';
import { createFolderSource } from '../../../core/drivers/sources/folder.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { createIngest } from '../../../core/ingest/ingest.ts';
import type { Metering } from '../../../core/metering/metering.ts';
import type { Log, Runtime } from '../../../core/ports/runtime.ts';
import type { SourceDriver } from '../../../core/ports/source.ts';

const [dataDir = '', docs = '', tenantId = '', sourceId = '', workers = '1'] = process.argv.slice(2);
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
const folder = createFolderSource({ roots: [docs], forbidden: [] });
/** Says which document is being read; a pipe takes it at once, so that it is said even if the process dies next. */
const telling: SourceDriver = {
  ...folder,
  open: async (settings) => {
    const connector = await folder.open?.(settings);
    return {
      async *changes(options) {
        for await (const change of connector?.changes(options) ?? []) {
          if (change.type !== 'upsert') yield change;
          else
            yield {
              ...change,
              read: (signal) => {
                process.stdout.write(`${JSON.stringify({ read: change.externalId })}\n`);
                return change.read(signal);
              },
            };
        }
      },
    };
  },
};
const state = await openSqliteState({ dataDir, log: silent });
const chunks = await openSqliteChunks({ dataDir, log: silent });
const ingest = createIngest({
  state,
  chunks,
  embedder: null,
  metering: { record: async () => [] } as unknown as Metering,
  sources: [telling],
  runtime,
  limits: { parseWorkers: Number(workers), jobs: { leaseForMs: 1_500, pollEveryMs: 50 } },
});
const tenant = await state.tenants.get(tenantId);
if (tenant === null) throw new Error('The tenant is not there.');
ingest.start();
// After a crash the interrupted job is still there and is taken up by itself.
const open =
  (await state.jobs.list(tenantId, { sourceId }, { limit: 1 })).items[0] ?? (await ingest.sync(tenant, sourceId));
for await (const job of ingest.watch(tenantId, open.id, AbortSignal.timeout(120_000))) {
  process.stdout.write(`${JSON.stringify({ state: job.state, counts: job.counts })}\n`);
}
await ingest.stop(1_000);
await chunks.close();
await state.maintenance.close();
