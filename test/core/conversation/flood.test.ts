import { expect, it, vi } from 'vitest';
import type { Answering } from '../../../core/answer/answering.ts';
import { createConversations } from '../../../core/conversation/conversation.ts';
import { systemClock } from '../../../core/observe/system.ts';
import { effective } from '../../bots/slack/world.ts';
import { anEvent, aTenant, fresh } from '../../contracts/rows.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { until } from '../../until.ts';
import { doorsOf } from './doors.ts';
import { createFakeAnswering } from './fake-answering.ts';
import { createFakePlatform, createWorld, openState } from './world.ts';

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

it('leaves the others their workers also when questions come in while the store is asked for some', async () => {
  const runtime = createTestRuntime();
  const tenant = aTenant();
  const { state, close } = await openState(runtime.log);
  await state.tenants.create(tenant);
  const fake = createFakeAnswering(() => runtime.clock.now());
  const [asked, dam] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const begun: string[] = [];
  const conversations = createConversations({
    state: {
      ...state,
      inbox: {
        ...state.inbox,
        claimThread: async (claim) => {
          await asked.promise;
          return state.inbox.claimThread(claim);
        },
      },
    },
    answering: {
      ...fake,
      answer: async (request, hooks) => {
        begun.push(request.workspaceId ?? '');
        await dam.promise;
        return fake.answer(request, hooks);
      },
    },
    resolveTenant: async () => tenant,
    rules: async () => effective({}),
    ...doorsOf(state, runtime),
    runtime: { ...runtime, clock: systemClock },
    owner: 'a process',
    settings: { concurrency: 4, pollMs: 20, leaseForMs: 60_000 },
  });
  try {
    conversations.start([createFakePlatform()]);
    const hear = (workspaceId: string) =>
      conversations.receive(anEvent({ workspaceId, threadId: fresh('T'), attachments: [], receivedAt: Date.now() }));
    await Promise.all(Array.from({ length: 6 }, () => hear('T_FLOOD')));
    asked.resolve();
    await hear('T_ONE');
    await until(() => expect(begun).toHaveLength(4));
    expect(begun.toSorted()).toEqual(['T_FLOOD', 'T_FLOOD', 'T_FLOOD', 'T_ONE']);
  } finally {
    dam.resolve();
    await conversations.stop(1000);
    await close();
  }
});
