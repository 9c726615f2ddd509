import { expect, it, vi } from 'vitest';
import type { Answering } from '../../../core/answer/answering.ts';
import { until } from '../../until.ts';
import { createFakeAnswering } from './fake-answering.ts';
import { createWorld } from './world.ts';

it('a flood from one workspace leaves workers to the others, and none of it is claimed in vain', async () => {
  const fake = createFakeAnswering(() => Date.now());
  const dam = Promise.withResolvers<void>();
  const begun: string[] = [];
  const answering: Answering = {
    ...fake,
    answer: async (request, hooks) => {
      begun.push(request.workspaceId ?? '');
      if (request.workspaceId === 'T_FLOOD') await dam.promise;
      return fake.answer(request, hooks);
    },
  };
  const settings = { concurrency: 4, pollMs: 20, leaseForMs: 60_000 };
  const world = await createWorld({ parts: { settings, answering } });
  const claims = vi.spyOn(world.state.inbox, 'claimThread');
  const releases = vi.spyOn(world.state.inbox, 'releaseThread');
  try {
    const flood = await Promise.all(Array.from({ length: 12 }, () => world.receive({ workspaceId: 'T_FLOOD' })));
    await until(() => expect(begun).toHaveLength(3));
    for (const workspaceId of ['T_ONE', 'T_TWO'])
      expect((await world.settled(await world.receive({ workspaceId }))).reason).toBe('answered');
    expect(begun).toEqual(['T_FLOOD', 'T_FLOOD', 'T_FLOOD', 'T_ONE', 'T_TWO']);
    dam.resolve();
    for (const event of flood) expect((await world.settled(event)).reason).toBe('answered');
    const leases = (await Promise.all(claims.mock.results.map(({ value }) => value))).filter((lease) => lease !== null);
    expect(new Set(leases.map(({ key }) => key)).size).toBe(leases.length);
    expect(releases).not.toHaveBeenCalled();
  } finally {
    dam.resolve();
    await world.close();
  }
});
