import { describe, expect, it } from 'vitest';
import type { ChannelRules, Source } from '../../core/domain.ts';
import type { ChannelStore } from '../../core/ports/state.ts';
import { createRemembered, rememberChannels, rememberSources } from '../../core/tenancy/remember.ts';
import { aSource } from '../contracts/rows.ts';
import { createTestRuntime } from '../fakes/clock.ts';

describe('what is remembered', () => {
  const world = () => {
    const { clock } = createTestRuntime();
    let reads = 0;
    let fails = false;
    const remembered = createRemembered<number>(clock, 5_000);
    const ask = (key = 'a') =>
      remembered.get(key, async () => {
        reads += 1;
        if (fails) throw new Error('down');
        return reads;
      });
    return {
      clock,
      remembered,
      ask,
      reads: () => reads,
      fail: (is: boolean) => {
        fails = is;
      },
    };
  };

  it('is read once in its seconds, also by many at once, and anew after them', async () => {
    const { clock, ask, reads } = world();
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
    clock.set(clock.now() + 4_999);
    expect(await ask()).toBe(1);
    clock.set(clock.now() + 1);
    expect(await ask()).toBe(2);
    expect(reads()).toBe(2);
  });

  it('is read anew at once where it was changed, and alone', async () => {
    const { remembered, ask } = world();
    await ask('a');
    await ask('b');
    remembered.forget('a');
    expect(await ask('a')).toBe(3);
    expect(await ask('b')).toBe(2);
  });

  it('channel rules changed here hold at once, those changed elsewhere after the seconds', async () => {
    const { clock } = createTestRuntime();
    let stored: ChannelRules | null = null;
    const store: ChannelStore = {
      list: async () => [],
      get: async () => stored,
      put: async (_tenantId, _platform, _channelId, rules) => {
        stored = rules;
        return true;
      },
    };
    const [here, elsewhere] = [rememberChannels(store, clock, 3_000), rememberChannels(store, clock, 3_000)];
    const ask = (from: ChannelStore) => from.get('t', 'slack', 'C1');
    expect([await ask(here), await ask(elsewhere)]).toEqual([null, null]);
    await here.put('t', 'slack', 'C1', { enabled: false });
    expect([await ask(here), await ask(elsewhere)]).toEqual([{ enabled: false }, null]);
    clock.set(clock.now() + 3_000);
    expect(await ask(elsewhere)).toEqual({ enabled: false });
  });

  it('never holds a failure', async () => {
    const { ask, fail } = world();
    fail(true);
    await expect(ask()).rejects.toThrow('down');
    fail(false);
    expect(await ask()).toBe(2);
  });
});

describe('a tenant’s sources', () => {
  const world = () => {
    const { clock } = createTestRuntime();
    let stored: readonly Source[] = [aSource('t_1')];
    const asked: string[] = [];
    const list = async (tenantId: string): Promise<readonly Source[]> => {
      asked.push(tenantId);
      return stored;
    };
    const sourcesOf = rememberSources({ list }, clock, 3_000);
    return {
      clock,
      asked,
      at: (contentRevision: number, id = 't_1') => sourcesOf({ id, contentRevision }),
      store: (sources: readonly Source[]) => {
        stored = sources;
      },
    };
  };

  it('are read once as long as its content revision stays, and anew with the next one', async () => {
    const { at, asked, store } = world();
    const [before] = await Promise.all([at(1), at(1)]);
    store([]);
    expect(await at(1)).toBe(before);
    expect(await at(2)).toEqual([]);
    expect(asked).toHaveLength(2);
  });

  it('are never another tenant’s', async () => {
    const { at, asked } = world();
    await Promise.all([at(1, 't_1'), at(1, 't_2')]);
    expect(asked).toEqual(['t_1', 't_2']);
  });

  it('of revisions that are over are not kept: a sync moves the revision on with every document', async () => {
    const { at, asked } = world();
    for (let revision = 1; revision <= 50; revision += 1) await at(revision);
    await at(1);
    expect(asked).toHaveLength(51);
  });

  it('are read anew after their seconds, for a change whose revision was lost in a crash', async () => {
    const { clock, at, store } = world();
    await at(1);
    store([]);
    clock.set(clock.now() + 3_000);
    expect(await at(1)).toEqual([]);
  });
});
