import { afterEach, describe, expect, it, vi } from 'vitest';
import type { WorkerSettings } from '../../../../core/drivers/chunks/sqlite/protocol.ts';
import { createWorkerClient, type WorkerClient } from '../../../../core/drivers/chunks/sqlite/worker-client.ts';
import type { Log } from '../../../../core/ports/runtime.ts';

const ref = { tenantId: 't_000000000000000000000001', generation: 1 };
const copy = { ref, target: 'unused' };
const search = { ref, vector: new Float32Array(1), limit: 1, sourceIds: undefined };

describe('the thread of the search index', { timeout: 60_000 }, () => {
  const errors = vi.fn();
  const log: Log = { debug() {}, info() {}, warn() {}, error: errors, child: () => log };
  let client: WorkerClient;

  const start = (workMs: number): void => {
    const settings = { dataDir: '', maxOpenFiles: 1, maxVectorBytes: 1, workMs } satisfies WorkerSettings & {
      workMs: number;
    };
    errors.mockClear();
    client = createWorkerClient('test', settings, log, new URL('./slow-worker.ts', import.meta.url));
  };
  afterEach(() => client.close());

  it('is not ended when something waits too long behind a long write', async () => {
    start(1_000);
    const write = client.call('copy', copy, { abandonable: false });
    const ping = client.call('ping', {}, { timeoutMs: 50 });
    await expect(ping).rejects.toMatchObject({ code: 'store-unavailable' });
    await expect(write).resolves.toBeNull();
    expect(errors).not.toHaveBeenCalled();
  });

  it('is ended when it is stuck in a search that nobody waits for any more', async () => {
    start(0);
    const leaving = new AbortController();
    const stuck = client.call('vector', search, { signal: leaving.signal, timeoutMs: 300 });
    leaving.abort();
    await expect(stuck).rejects.toMatchObject({ code: 'cancelled' });
    await vi.waitFor(
      () => expect(errors).toHaveBeenCalledWith('chunks.worker-died', { worker: 'test', error: 'timeout' }),
      { timeout: 30_000 },
    );
    await expect(client.call('ping', {})).resolves.toBeNull();
  });
});
