import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import { createLead } from '../../core/lead.ts';
import type { Term } from '../../core/ports/leader.ts';
import type { LeaseStore } from '../../core/ports/state.ts';
import { createTestRuntime } from '../fakes/clock.ts';

/** Leases in memory, by the port's rules; `reachable` false is a store that is down, `hangs` one that never answers. */
const createLeases = () => {
  const rows = new Map<string, { owner: string; fence: number; until: number; note?: string }>();
  const state = { reachable: true, hangs: false };
  const reach = async (): Promise<void> => {
    if (state.hangs) await new Promise(() => undefined);
    if (!state.reachable) throw new Error('down');
  };
  const leases: LeaseStore = {
    acquire: async (key, owner, now, forMs) => {
      await reach();
      const row = rows.get(key);
      if (row !== undefined && row.owner !== owner && row.until > now) return null;
      const next = { ...row, owner, fence: (row?.fence ?? 0) + 1, until: now + forMs };
      rows.set(key, next);
      return { key, owner, fence: next.fence, ...(next.note === undefined ? {} : { note: next.note }) };
    },
    renew: async (lease, now, forMs, note) => {
      await reach();
      const row = rows.get(lease.key);
      if (row?.owner !== lease.owner || row.fence !== lease.fence) return false;
      rows.set(lease.key, { ...row, until: now + forMs, ...(note === undefined ? {} : { note }) });
      return true;
    },
    release: async (lease) => {
      await reach();
      const row = rows.get(lease.key);
      if (row?.owner === lease.owner && row.fence === lease.fence) rows.set(lease.key, { ...row, owner: '', until: 0 });
    },
    seen: async () => [],
  };
  return { leases, state };
};

/** Instances on one clock and one store. `leading` are those whose term is held at this moment. */
const world = () => {
  const runtime = createTestRuntime();
  const store = createLeases();
  const leading = new Set<string>();
  const terms: { readonly owner: string; readonly term: Term; readonly at: number }[] = [];
  let most = 0;
  const join = (owner: string, leases: LeaseStore = store.leases) => {
    const stop = new AbortController();
    const done = createLead({ leases, runtime, owner })(
      'gateway',
      async (term) => {
        terms.push({ owner, term, at: runtime.clock.now() });
        leading.add(owner);
        most = Math.max(most, leading.size);
        await new Promise<void>((end) => term.held.addEventListener('abort', () => end(), { once: true }));
        leading.delete(owner);
      },
      stop.signal,
    );
    return { stop: () => stop.abort(), done };
  };
  return { runtime, clock: runtime.clock, store, leading, terms, join, most: () => most };
};

describe('leading', () => {
  it('one instance of several leads, and keeps leading while it lives', async () => {
    const { clock, leading, terms, join, most } = world();
    for (const owner of ['a', 'b', 'c']) join(owner);
    await clock.advance(120_000);
    expect(leading.size).toBe(1);
    expect(terms).toHaveLength(1);
    expect(most()).toBe(1);
  });

  it('another one follows within three seconds when the leader stops', async () => {
    const { clock, leading, terms, join } = world();
    const first = join('a');
    await clock.advance(10);
    join('b');
    await clock.advance(30_000);
    const stoppedAt = clock.now();
    first.stop();
    await clock.advance(3_000);
    await first.done;
    expect([...leading]).toEqual(['b']);
    expect(terms.at(-1)!.at - stoppedAt).toBeLessThanOrEqual(3_000);
  });

  it('a leader that no longer reaches the store stops before another one begins', async () => {
    const { clock, store, leading, terms, join, most } = world();
    const cutOff = { reachable: true };
    const fragile: LeaseStore = {
      acquire: (...given) => (cutOff.reachable ? store.leases.acquire(...given) : Promise.reject(new Error('down'))),
      renew: (...given) => (cutOff.reachable ? store.leases.renew(...given) : Promise.reject(new Error('down'))),
      release: () => Promise.reject(new Error('down')),
      seen: async () => [],
    };
    join('a', fragile);
    await clock.advance(10);
    join('b');
    await clock.advance(20_000);
    cutOff.reachable = false;
    const cutAt = clock.now();
    await clock.advance(15_000);
    expect([...leading]).toEqual(['b']);
    expect(most()).toBe(1);
    expect(terms.at(-1)!.at - cutAt).toBeLessThanOrEqual(15_000);
  });

  it('a leader whose store hangs stops in time as well', async () => {
    const { clock, store, leading, join } = world();
    join('a');
    await clock.advance(5_000);
    store.state.hangs = true;
    await clock.advance(12_000);
    expect(leading.size).toBe(0);
  });

  it('a term that ends by itself is followed by another one after a pause', async () => {
    const runtime = createTestRuntime();
    const starts: number[] = [];
    const stop = new AbortController();
    const done = createLead({ leases: createLeases().leases, runtime, owner: 'a' })(
      'gateway',
      async () => {
        starts.push(runtime.clock.now());
        if (starts.length === 1) throw new Error('hung up');
      },
      stop.signal,
    );
    await runtime.clock.advance(11_000);
    stop.abort();
    await done;
    expect(starts.length).toBe(3);
    expect(runtime.logged.filter((line) => line.event === 'lead.failed')).toHaveLength(1);
  });

  it('the next leader finds what the last one noted, and a late one notes nothing', async () => {
    const { clock, terms, join } = world();
    const first = join('a');
    await clock.advance(10);
    join('b');
    expect(terms[0]!.term.note).toBeNull();
    expect(await terms[0]!.term.keep('session 7')).toBe(true);
    first.stop();
    await clock.advance(3_000);
    expect(terms[1]!.term.note).toBe('session 7');
    expect(await terms[0]!.term.keep('session 6')).toBe(false);
  });

  it('holds over the real store', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'footnote-lead-'));
    const runtime = createTestRuntime();
    const state = await openSqliteState({ dataDir, log: runtime.log });
    onTestFinished(() => state.maintenance.close());
    const stop = new AbortController();
    const notes = await new Promise<string | null>((found) => {
      const lead = createLead({ leases: state.leases, runtime, owner: 'a' });
      void lead('gateway', async ({ note, keep }) => void ((await keep('7')) && found(note)), stop.signal);
    });
    expect(notes).toBeNull();
    stop.abort();
  });
});
