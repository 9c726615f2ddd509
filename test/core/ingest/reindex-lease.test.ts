import { describe, expect, it } from 'vitest';
import type { Job } from '../../../core/domain.ts';
import type { JobContext } from '../../../core/ingest/jobs.ts';
import { underReindexLease } from '../../../core/ingest/reindex-lease.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

const job = { id: 'j_1', tenantId: 't_1' } as Job;
const lease = { key: 'reindex:t_1', owner: job.id, fence: 1 };
const context = (): JobContext => ({
  signal: new AbortController().signal,
  drain: new AbortController().signal,
  mayWrite: () => undefined,
  report: () => undefined,
});

/** A store whose answers take so long to arrive; what it grants counts from when it was asked. */
const open = (answerAfterMs: { acquire?: number; renew?: number }) => {
  const runtime = createTestRuntime();
  const after = async <T>(ms: number, answer: T): Promise<T> => {
    if (ms > 0) await runtime.clock.sleep(ms);
    return answer;
  };
  const leases = {
    acquire: () => after(answerAfterMs.acquire ?? 0, lease),
    renew: () => after(answerAfterMs.renew ?? 0, true),
    release: async () => true,
  };
  return { runtime, state: { leases } as unknown as StateStore };
};

describe('the lease of a re-index', () => {
  it('is over for whoever heard of it too late', async () => {
    const { runtime, state } = open({ acquire: 31_000 });
    const run = underReindexLease({ state, runtime }, job, context(), async ({ mayWrite }) => mayWrite());
    const ended = expect(run).rejects.toMatchObject({ code: 'lease-lost' });
    await runtime.clock.advance(31_000);
    await ended;
  });

  it('ends by the time of the last renewal that was asked for, not of the answer to it', async () => {
    const { runtime, state } = open({ renew: 35_000 });
    const run = underReindexLease({ state, runtime }, job, context(), async ({ mayWrite, signal }) => {
      await runtime.clock.sleep(29_000);
      mayWrite();
      await runtime.clock.sleep(2_000);
      expect(mayWrite).toThrow('Another worker has taken over.');
      // Asked after 10 s and answered after 45: good until 40, which is over.
      await runtime.clock.sleep(15_000);
      expect(signal.aborted).toBe(true);
    });
    for (let second = 0; second < 46; second += 1) await runtime.clock.advance(1_000);
    await run;
  });

  it('goes on as long as it is renewed in time', async () => {
    const { runtime, state } = open({ renew: 100 });
    const run = underReindexLease({ state, runtime }, job, context(), async ({ mayWrite }) => {
      await runtime.clock.sleep(90_000);
      mayWrite();
    });
    for (let step = 0; step < 950; step += 1) await runtime.clock.advance(100);
    await run;
  });
});
