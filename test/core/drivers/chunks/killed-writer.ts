/** A process that writes documents of twenty chunks and tells of each one, until it is killed. */
import { openSqliteChunks } from '../../../../core/drivers/chunks/sqlite/chunks.ts';
import type { Log } from '../../../../core/ports/runtime.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const [dataDir = '', tenantId = ''] = process.argv.slice(2);
const store = await openSqliteChunks({ dataDir, log: silent });
const { signal } = new AbortController();

for (let document = 0; document < 10_000; document++) {
  const documentId = `d${document}`;
  const chunks = Array.from({ length: 20 }, (_, ordinal) => ({
    id: `c_${documentId}_${ordinal}`,
    documentId,
    sourceId: 's_one',
    externalId: documentId,
    ordinal,
    title: 'Killed',
    headingPath: [],
    text: `killed number${ordinal}`,
    start: 0,
    end: 1,
    tokens: 1,
    vector: new Float32Array(64).fill(0.125),
  }));
  await store.replaceDocuments({ tenantId, generation: 1 }, [{ documentId, chunks }], signal);
  process.send?.(document + 1);
}
