import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../../core/domain.ts';
import { createSealer } from '../../../core/security/seal.ts';
import { createConnections } from '../../../core/tenancy/connections.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { teamsIds } from '../../fakes/teams-service.ts';
import { demoTenant } from '../slack/world.ts';
import { createWorld, type Instance, type World } from './world.ts';

/** A process that ended and another one after it, over one store: what the second one says without having heard anything. */
let world: World;
let connections: ReturnType<typeof createConnections>;
beforeEach(async () => {
  world = await createWorld();
  connections = createConnections({
    state: world.state,
    sealer: createSealer(Buffer.alloc(32, 1)),
    runtime: createTestRuntime(),
  });
});
afterEach(() => world.close());

const within = (): AbortSignal => AbortSignal.timeout(20_000);
const until = (check: () => Promise<void>): Promise<void> => vi.waitFor(check, { timeout: 30_000, interval: 10 });
const { tenant, channel, askerObject } = teamsIds;
const workspace: Connection = {
  id: 'x_teams',
  tenantId: demoTenant.id,
  platform: 'teams',
  workspaceId: tenant,
  createdAt: 0,
  lastEventAt: 1,
};

const first = (): Promise<Instance> => world.instance({ teams: { connections } });
/** The address that stands in when none is known leads nowhere. */
const second = (): Promise<Instance> =>
  world.instance({
    teams: {
      connections,
      cloud: { loginUrl: world.fake.url, serviceUrl: 'http://127.0.0.1:1/', graphUrl: world.fake.url },
    },
  });
const texts = (conversation: string): readonly unknown[] =>
  world.fake.messages(conversation).map(({ activity }) => activity.text);
const kept = (): Promise<Readonly<Record<string, string>>> =>
  connections.kept?.('teams', tenant) ?? Promise.resolve({});

/** Somebody asks, is answered, and the process ends. */
const heardBefore = async (mention = true): Promise<void> => {
  const bot = await first();
  const id = world.fake.nextId();
  await bot.send(world.activities.message({ id, text: 'leave?', mention }));
  await until(async () => expect(await world.reasonsOf(id)).toHaveLength(1));
  await until(async () => expect(await kept()).toMatchObject({ serviceUrl: world.fake.serviceUrl, bot: teamsIds.bot }));
  await bot.stop();
};

describe('after a restart', () => {
  it.each([
    ['is connected', true],
    ['belongs to the default tenant', false],
  ])('a word of our own reaches a person and a channel of an organisation that %s', async (_, isConnected) => {
    if (isConnected) await world.state.connections.create(workspace);
    await heardBefore();
    const { platform } = await second();
    await platform.say?.(
      { workspaceId: tenant, userId: askerObject },
      { id: 'gap:1', markdown: 'There is an answer now.' },
      within(),
    );
    await platform.say?.(
      { workspaceId: tenant, channelId: channel },
      { id: 'quota:1', markdown: 'The allowance is nearly used.' },
      within(),
    );
    expect(texts(`a:with-${askerObject}`)).toEqual(['There is an answer now.']);
    expect(texts(channel)).toEqual(['The allowance is nearly used.']);
    const opened = world.fake.calls.find(({ path, method }) => method === 'POST' && path === '/v3/conversations');
    expect(opened?.body).toMatchObject({
      bot: { id: teamsIds.bot },
      tenantId: tenant,
      channelData: { tenant: { id: tenant } },
    });
  });

  it('a question that nobody was left to answer is answered, and one that waited too long gets its apology', async () => {
    const before = await world.instance({ teams: { connections }, settings: { leaseForMs: 5000 } });
    world.answering.next(() => new Promise(() => undefined));
    const [id, other] = [world.fake.nextId(), world.fake.nextId()];
    await before.send(world.activities.message({ id, text: 'leave?' }));
    await until(async () => expect(world.answering.asked).toHaveLength(1));
    await before.stop(0);
    const ahead = 6 * 3_600_000 + 60_000;
    const after = await world.instance({ teams: { connections }, ahead: () => 60_000 });
    await until(async () => expect(await world.reasonsOf(id)).toEqual(['answered']));
    expect(JSON.stringify(texts(`${channel};messageid=${id}`))).toContain('Leave is 30 days');

    world.fake.breakDown();
    await after.send(world.activities.message({ id: other, text: 'and leave next year?' }));
    await until(async () => expect(world.answering.charged.size).toBe(2));
    await after.stop(0);
    world.fake.heal();
    await world.instance({ teams: { connections }, ahead: () => ahead });
    await until(async () =>
      expect(texts(`${channel};messageid=${other}`)).toEqual([
        expect.stringContaining('could not get through for hours'),
      ]),
    );
    await until(async () => expect(await world.reasonsOf(other)).not.toContain('ready'));
  }, 90_000);

  it('that an organisation lets us hear everything is known, and it is claimed with what was kept', async () => {
    await heardBefore(false);
    const { platform } = await second();
    expect((await connections.create(demoTenant.id, { platform: 'teams', workspaceId: tenant })).info).toEqual(
      await kept(),
    );
    const lines = await platform.checkUp(workspace, within());
    expect(lines.find(({ item }) => item === 'messages without a mention')).toEqual({
      item: 'messages without a mention',
      ok: true,
    });
  });

  it('channels and people are called by their names', async () => {
    world.fake.teams.set(channel, [{ id: channel }, { id: '19:travel@thread.tacv2', name: 'Travel' }]);
    world.fake.lists.set('/organization', [{ displayName: 'Contoso' }]);
    await heardBefore();
    const { platform } = await second();
    const someone = '99999999-0000-0000-0000-00000000ffff';
    const people = [askerObject, teamsIds.colleagueObject, someone];
    expect(await platform.names?.(workspace, [channel, '19:elsewhere@thread.v2'], within(), people)).toEqual({
      workspace: 'Contoso',
      channels: { [channel]: 'General', '19:travel@thread.tacv2': 'Travel' },
      people: { [askerObject]: 'Ada Asker', [teamsIds.colleagueObject]: 'Bob Builder' },
    });
    // Nobody stands in a team's roster: the chat with the bot tells it.
    world.fake.gone.add(channel);
    world.fake.teams.clear();
    expect(await platform.names?.(workspace, [channel], within(), [askerObject, someone])).toEqual({
      workspace: 'Contoso',
      channels: {},
      people: { [askerObject]: 'Ada Asker' },
    });
  });

  it('what nobody lets us know has no name', async () => {
    world.fake.noChats = true;
    world.fake.people.clear();
    const { platform } = await first();
    expect(await platform.names?.(workspace, [channel], within(), [askerObject])).toEqual({ channels: {}, people: {} });
    expect(world.fake.messages()).toEqual([]);
  });

  it('an address that is no longer one of the deployment’s cloud is not used', async () => {
    await connections.keep?.('teams', tenant, { serviceUrl: 'https://smba.evil.example/', bot: teamsIds.bot });
    const { platform } = await first();
    await platform.say?.({ workspaceId: tenant, channelId: channel }, { id: 'x', markdown: 'Hello.' }, within());
    expect(texts(channel)).toEqual(['Hello.']);
  });
});
