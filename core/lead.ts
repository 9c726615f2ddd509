import type { Lead, Term } from './ports/leader.ts';
import type { Runtime } from './ports/runtime.ts';
import type { Lease, LeaseStore } from './ports/state.ts';

/** How long a killed leader is waited for. */
const leaseForMs = 12_000;
const renewEveryMs = 3_000;
/** The turn ends this long before the lease does: clocks differ, and closing a connection takes a moment. */
const marginMs = 2_000;
const tryEveryMs = 2_000;
/** A turn that ended by itself: somewhat longer, so that a gateway that hangs up is not called without end. */
const pauseMs = 5_000;
const noteLimit = 4_000;

export type LeadParts = {
  readonly leases: LeaseStore;
  readonly runtime: Runtime;
  /** Names this process; unique per process. */
  readonly owner: string;
};

export const createLead =
  ({ leases, runtime, owner }: LeadParts): Lead =>
  async (name, run, signal) => {
    const { clock, log } = runtime;
    const key = `lead:${name}`;
    const pause = (ms: number): Promise<void> => clock.sleep(ms, signal).catch(() => undefined);

    while (!signal.aborted) {
      const askedAt = clock.now();
      // An unreachable store is as good as a lease that somebody else holds.
      const lease = await leases.acquire(key, owner, askedAt, leaseForMs).catch(() => null);
      if (lease === null) {
        await pause(tryEveryMs);
        continue;
      }
      log.info('lead.held', { name });
      try {
        await serve({ leases, runtime, lease, until: askedAt + leaseForMs }, run, signal);
      } catch (error) {
        log.error('lead.failed', { name, error: String(error) });
      }
      await leases.release(lease).catch(() => undefined);
      log.info('lead.released', { name });
      if (!signal.aborted) await pause(pauseMs);
    }
  };

type Serving = Pick<LeadParts, 'leases' | 'runtime'> & { readonly lease: Lease; readonly until: number };

/** One term, from its lease to the end of `run`. */
const serve = async (
  { leases, runtime, lease, until }: Serving,
  run: (term: Term) => Promise<void>,
  signal: AbortSignal,
): Promise<void> => {
  const { clock } = runtime;
  const lost = new AbortController();
  const over = new AbortController();
  const held = AbortSignal.any([signal, lost.signal]);
  /** Counted from before the store was asked, so never too late. */
  let ourUntil = until;

  const renew = async (note?: string): Promise<boolean> => {
    const from = clock.now();
    const kept = await leases.renew(lease, from, leaseForMs, note);
    if (kept) ourUntil = Math.max(ourUntil, from + leaseForMs);
    else lost.abort();
    return kept && !held.aborted;
  };
  /** Apart from the renewals: a store that hangs must not keep us from stopping in time. */
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const leftMs = ourUntil - marginMs - clock.now();
      if (leftMs <= 0) return lost.abort();
      await clock.sleep(leftMs, over.signal);
    }
  };
  const beat = async (): Promise<void> => {
    while (!over.signal.aborted && !lost.signal.aborted) {
      await clock.sleep(renewEveryMs, over.signal);
      await renew().catch(() => undefined);
    }
  };

  const beside = Promise.allSettled([watch(), beat()]);
  try {
    await run({
      held,
      note: lease.note ?? null,
      keep: (note) => (held.aborted ? Promise.resolve(false) : renew(note.slice(0, noteLimit)).catch(() => false)),
    });
  } finally {
    over.abort();
    lost.abort();
    await beside;
  }
};
