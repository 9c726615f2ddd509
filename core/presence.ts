import type { InstanceView } from './core.ts';
import type { Runtime } from './ports/runtime.ts';
import type { Lease, LeaseSeen, LeaseStore } from './ports/state.ts';

/** What a process says of itself. */
export type About = {
  readonly version: string;
  readonly node: string;
  readonly host: string;
  readonly pid: number;
};

/** So often a process says that it lives; after the lease it counts as gone, and after a day nobody speaks of it. */
const beatEveryMs = 10_000;
const leaseForMs = 30_000;
const prefix = 'instance:';
const leadPrefix = 'lead:';
/** One sweeps at a time; it is a turn like the others, under a name of before there were any. */
const sweepKey = 'sweep';

type Note = About & {
  readonly startedAt: number;
  /** By the process's own clock, just before it was stored. */
  readonly at: number;
};

export type Presence = {
  /** Says again and again that this process lives, until the signal fires. Never rejects. */
  live(stop: AbortSignal): Promise<void>;
  /** Those that live, and those that ended without a word in the last day; the newest first. */
  all(): Promise<readonly InstanceView[]>;
};

/**
 * Which processes serve the deployment: each keeps a lease of its own (`instance:` and the name by which it holds every
 * other one), with a note about itself.
 */
export const createPresence = (parts: {
  readonly leases: LeaseStore;
  readonly runtime: Runtime;
  /** Names this process; unique per process. */
  readonly owner: string;
  /** Absent: a process that serves nobody. */
  readonly about?: About | undefined;
}): Presence => {
  const { leases, runtime, owner, about } = parts;
  const { clock, log } = runtime;
  const startedAt = clock.now();

  const beat = async (before: Lease | null): Promise<Lease | null> => {
    const now = clock.now();
    const lease = before ?? (await leases.acquire(`${prefix}${owner}`, owner, now, leaseForMs));
    if (lease === null) return null;
    const note: Note = { ...(about as About), startedAt, at: now };
    return (await leases.renew(lease, now, leaseForMs, JSON.stringify(note))) ? lease : null;
  };

  return {
    async live(stop) {
      if (about === undefined) return;
      let lease: Lease | null = null;
      while (!stop.aborted) {
        try {
          lease = await beat(lease);
        } catch {
          // A store that cannot be written for a moment: the next beat says it again.
        }
        await clock.sleep(beatEveryMs, stop).catch(() => undefined);
      }
      if (lease !== null)
        await leases.release(lease).catch((error: unknown) => log.warn('presence-left', { error: String(error) }));
    },
    async all() {
      const [instances, leads, sweeps] = await Promise.all([
        leases.seen(prefix),
        leases.seen(leadPrefix),
        leases.seen(sweepKey),
      ]);
      const now = clock.now();
      const turns = [...leads, ...sweeps.filter(({ key }) => key === sweepKey)].filter(
        ({ leaseUntil }) => leaseUntil > now,
      );
      return instances
        .flatMap((seen) => viewOf(seen, turns, now, owner))
        .toSorted((a, b) => Number(b.isAlive) - Number(a.isAlive) || b.startedAt - a.startedAt);
    },
  };
};

const viewOf = (seen: LeaseSeen, turns: readonly LeaseSeen[], now: number, self: string): readonly InstanceView[] => {
  if (seen.note === undefined) return [];
  const { version, node, host, pid, startedAt } = JSON.parse(seen.note) as Note;
  return [
    {
      id: seen.owner,
      version,
      node,
      host,
      pid,
      startedAt,
      seenAt: seen.leaseUntil - leaseForMs,
      isAlive: seen.leaseUntil > now,
      isThis: seen.owner === self,
      leads: turns
        .filter(({ owner }) => owner === seen.owner)
        .map(({ key }) => (key.startsWith(leadPrefix) ? key.slice(leadPrefix.length) : key)),
    },
  ];
};
