import { beforeEach, describe, expect, test, vi } from 'vitest';
import { createNames } from '../../console/names.ts';
import type { PlaceNames, Platform } from '../../core/ports/platform.ts';
import { createTestRuntime, type TestRuntime } from '../fakes/clock.ts';
import { createFakeCore, type FakeCore, type Furnished, furnish } from '../fakes/core.ts';
import { platformWith } from './harness.ts';

let core: FakeCore;
let runtime: TestRuntime;
let [acme, globex]: Furnished[] = [];
beforeEach(async () => {
  core = createFakeCore();
  runtime = createTestRuntime();
  [acme, globex] = [await furnish(core, 'acme'), await furnish(core, 'globex')];
});

const slackThatKnows = (answer: (workspaceId: string, ids: readonly string[]) => Promise<PlaceNames>) => {
  const asked: (readonly string[])[] = [];
  const platform: Platform = {
    ...platformWith(),
    names: ({ workspaceId }, channelIds) => {
      asked.push([workspaceId, ...channelIds]);
      return answer(workspaceId, channelIds);
    },
  };
  return { asked, namesOf: createNames({ core, platforms: [platform], runtime }) };
};
const eventually = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 5 });

describe('names', () => {
  test('of people are asked for on their own platform alone, and stand on the next page', async () => {
    const asked: (readonly string[])[] = [];
    const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
    const platform: Platform = {
      ...platformWith(),
      names: async (_connection, _channelIds, _signal, userIds = []) => {
        asked.push(userIds);
        await mayAnswer;
        return { channels: {}, people: { U1: 'Ada' } };
      },
    };
    const namesOf = createNames({ core, platforms: [platform], runtime });
    const { tenant } = acme!;
    const members = ['slack:U1', 'slack:U2', 'teams:U1', 'api:U1', 'forgotten'];
    expect((await namesOf(tenant, [], members)).member('slack:U1')).toBe('slack:U1');
    answer();
    await eventually(async () => expect((await namesOf(tenant)).member('slack:U1')).toBe('Slack Ada'));
    const names = await namesOf(tenant, [], members);
    expect(members.slice(1).map(names.member)).toEqual(members.slice(1));
    expect((await namesOf(globex!.tenant)).member('slack:U1'), 'another tenant’s').toBe('slack:U1');
    expect(asked.filter((ids) => ids.length > 0)).toEqual([['U1', 'U2']]);
  });

  test('are asked for beside the page, stand on the next one, and are asked for again after an hour', async () => {
    const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
    const { asked, namesOf } = slackThatKnows(async () => {
      await mayAnswer;
      return { workspace: 'Acme Inc', channels: { C1: 'general' } };
    });
    const [tenant, connection] = [acme!.tenant, acme!.connection];
    const first = await namesOf(tenant, ['slack:C1', 'C2']);
    expect(first.channel({ platform: 'slack', channelId: 'C1' })).toBe('Slack C1');
    expect(first.connection(connection)).toBe('Slack T-acme');
    answer();
    await eventually(async () => expect((await namesOf(tenant)).connection(connection)).toBe('Slack Acme Inc'));

    const names = await namesOf(tenant, ['C1', 'C2']);
    expect(names.channel({ platform: 'slack', channelId: 'C1' })).toBe('Slack #general');
    expect(names.channelId('slack:C1')).toBe('Slack #general');
    expect(names.channelId('C1')).toBe('#general');
    expect(names.channelId('C2')).toBe('C2');
    expect(names.place({ platform: 'slack', channelId: 'C1' })).toBe('Slack #general');
    expect(names.place({ platform: 'api' })).toBe('API');
    expect(names.source(acme!.push.id)).toBe('Handbook');
    expect(names.source('s_gone')).toBe('s_gone');
    expect(asked).toEqual([['T-acme', 'C1', 'C2']]);

    runtime.clock.set(runtime.clock.now() + 61 * 60_000);
    expect((await namesOf(tenant, ['C1'])).channelId('C1'), 'the old one until then').toBe('#general');
    await eventually(() => expect(asked).toHaveLength(2));
  });

  test('of one tenant are never another’s, though it knows the id', async () => {
    const { namesOf } = slackThatKnows(async (workspaceId) => ({
      channels: workspaceId === 'T-acme' ? { C1: 'secret-merger' } : {},
    }));
    await namesOf(acme!.tenant, ['C1']);
    await eventually(async () => expect((await namesOf(acme!.tenant, ['C1'])).channelId('C1')).toBe('#secret-merger'));
    await namesOf(globex!.tenant, ['C1']);
    await new Promise((resolve) => setImmediate(resolve));
    expect((await namesOf(globex!.tenant, ['C1'])).channelId('C1')).toBe('C1');
  });

  test('that a platform does not tell leave the ids, and it is not asked again at once', async () => {
    const { asked, namesOf } = slackThatKnows(() => Promise.reject(new Error('down')));
    for (let page = 0; page < 3; page++) {
      const names = await namesOf(acme!.tenant);
      expect(names.connection(acme!.connection)).toBe('Slack T-acme');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(asked).toHaveLength(1);
    const quiet = createNames({ core, platforms: [platformWith()], runtime });
    expect((await quiet(acme!.tenant, ['C1'])).channelId('C1')).toBe('C1');
  });
});

describe('names of people who sign in here', () => {
  const people: Readonly<Record<string, { readonly name: string; readonly email: string }>> = {
    u1: { name: 'Ada', email: 'ada@example.com' },
    u2: { name: '', email: 'bob@example.com' },
  };
  const accounts = {
    known: async (ids: readonly string[]) => new Map(Object.entries(people).filter(([id]) => ids.includes(id))),
  };
  const namesFor = (...memberIds: readonly string[]) =>
    createNames({ core, platforms: [], runtime, accounts })(acme!.tenant, [], memberIds);

  test('are theirs, else their address, else the id', async () => {
    const ids = ['console:u1', 'console:u2', 'console:u3', 'user:u1'];
    const names = await namesFor(...ids);
    expect(ids.map(names.member)).toEqual(['Ada', 'bob@example.com', 'console:u3', 'Ada']);
  });

  test('are not told of an id that a program may have made up', async () => {
    const ids = ['api:u1', 'u1', 'slack:u1'];
    const names = await namesFor('console:u1', ...ids);
    expect(ids.map(names.member)).toEqual(ids);
  });
});
