import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../../core/domain.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Clock } from '../../../core/ports/runtime.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { until } from '../../until.ts';
import { newId } from './driving.ts';
import { type FakeGateway, startFakeGateway } from './gateway.ts';
import { createWorld, deafWhile, demoTenant, type Instance, reasonsOf, type World } from './world.ts';

describe('the gateway', () => {
  let world: World;
  let gateway: FakeGateway;
  beforeEach(async () => {
    gateway = await startFakeGateway();
    world = await createWorld({ gatewayUrl: gateway.url });
    gateway.bot = world.fake.bot;
    gateway.guilds = [world.fake.guild];
  });
  afterEach(async () => {
    await world.close();
    await gateway.close();
  });

  /** Somebody asks in the channel; Discord tells it to whoever is connected, later or now. */
  const ask = async (): Promise<string> => {
    const message = await world.fake.twin
      .channel(world.fake.channel)
      .user(world.fake.user)
      .sendMessage({ content: `<@${world.fake.bot}> leave?` });
    gateway.dispatch('MESSAGE_CREATE', { ...message, guild_id: world.fake.guild });
    return message.id;
  };
  const settled = (id: string, reasons: readonly string[]) =>
    until(async () => expect(await reasonsOf(world, id)).toEqual(reasons));
  const lines = (bot: Instance, event: string) => bot.runtime.logged.filter((line) => line.event === event).length;
  const connection: Connection = {
    id: 'x_1',
    tenantId: demoTenant.id,
    platform: 'discord',
    workspaceId: '',
    createdAt: 0,
  };
  const checkUp = async (bot: Instance, item: string) =>
    (await bot.discord.checkUp({ ...connection, workspaceId: world.fake.guild }, AbortSignal.timeout(5000))).find(
      (line) => line.item === item,
    );

  it('a cut connection is resumed: what was missed is heard, and nothing is answered twice', async () => {
    const bot = await world.instance();
    const before = await ask();
    await settled(before, ['answered']);
    gateway.drop();
    const missed = await ask();
    await settled(missed, ['answered']);
    expect(gateway.identified).toHaveLength(1);
    expect(gateway.resumed).toHaveLength(1);
    expect(world.fake.messages()).toHaveLength(2);
    expect(lines(bot, 'discord-gateway-resumed')).toBe(1);
  });

  it('after a restart the session goes on: what was said meanwhile is heard', async () => {
    const first = await world.instance({ elected: true });
    await first.ready();
    const before = await ask();
    await settled(before, ['answered']);
    await first.stop();
    gateway.drop();
    const meanwhile = await ask();
    const second = await world.instance({ elected: true });
    await settled(meanwhile, ['answered']);
    expect(gateway.identified).toHaveLength(1);
    expect(lines(second, 'discord-gateway-resumed')).toBe(1);
    expect(world.fake.messages()).toHaveLength(2);
  });

  it('an event that was not stored is asked for again by whoever comes next', async () => {
    let down = false;
    const first = await world.instance({
      elected: true,
      discord: { settings: { storeForMs: 0 } },
      state: (state) => deafWhile(state, () => down),
    });
    await first.ready();
    down = true;
    const lost = await ask();
    await until(() => expect(lines(first, 'discord-event-not-stored')).toBe(1));
    await first.stop();
    expect(await reasonsOf(world, lost)).toEqual([]);
    await world.instance({ elected: true });
    await settled(lost, ['answered']);
  });

  it('one instance hears; the other stands by and takes over when it stops', async () => {
    const first = await world.instance({ elected: true });
    await first.ready();
    const second = await world.instance({ elected: true });
    expect(await checkUp(first, 'gateway')).toMatchObject({
      ok: true,
      advice: expect.stringContaining('connected here'),
    });
    expect(await checkUp(second, 'gateway')).toMatchObject({
      ok: true,
      advice: expect.stringContaining('another instance'),
    });
    expect(gateway.identified).toHaveLength(1);
    const one = await ask();
    await settled(one, ['answered']);
    const stoppedAt = Date.now();
    await first.stop();
    const two = await ask();
    await settled(two, ['answered']);
    expect(Date.now() - stoppedAt).toBeLessThan(10_000);
    expect(world.fake.messages()).toHaveLength(2);
  });

  it('two who both believe they lead answer once', async () => {
    const first = await world.instance({ elected: true });
    await first.ready();
    const second = await world.instance({ elected: true, ahead: () => 60_000 });
    await until(() => expect(gateway.connected()).toBeGreaterThan(0));
    await second.ready();
    const id = await ask();
    await settled(id, ['answered']);
    expect(world.fake.messages()).toHaveLength(1);
    expect(world.answering.asked).toHaveLength(1);
  });

  it('without the privileged intent it hears what it may, and the check-up says what it does not', async () => {
    const messageContent = 1 << 15;
    gateway.refuse = (intents) => ((intents & messageContent) === 0 ? null : 4014);
    const bot = await world.instance({ elected: true });
    await vi.waitFor(() => expect(gateway.identified).toHaveLength(2), { timeout: 15_000, interval: 20 });
    await bot.ready();
    const id = await ask();
    await settled(id, ['answered']);
    expect(await checkUp(bot, 'message content')).toMatchObject({
      ok: false,
      advice: expect.stringContaining('Message Content Intent'),
    });
  });

  it('a token that Discord does not take is not shown again and again', async () => {
    gateway.refuse = () => 4004;
    const waited: number[] = [];
    const sleep: Clock['sleep'] = (ms, signal) => {
      waited.push(ms);
      return systemClock.sleep(ms, signal);
    };
    const runtime = { ...createTestRuntime(), clock: { ...systemClock, sleep } };
    const bot = await world.instance({ elected: true, discord: { runtime } });
    await until(() => expect(runtime.logged.map(({ event }) => event)).toContain('discord-gateway-refused'));
    await until(() => expect(Math.max(...waited)).toBeGreaterThanOrEqual(60_000));
    expect(gateway.identified).toHaveLength(1);
    expect(await checkUp(bot, 'gateway')).toMatchObject({ ok: false, advice: expect.stringContaining('token') });
  });

  it('an edit without its words is none, when they are withheld', async () => {
    await world.instance({ discord: { messageContent: false } });
    const id = await ask();
    await settled(id, ['answered']);
    gateway.dispatch('MESSAGE_UPDATE', {
      id,
      channel_id: world.fake.channel,
      guild_id: world.fake.guild,
      author: { id: world.fake.user },
      content: '',
      edited_timestamp: new Date().toISOString(),
    });
    const next = await ask();
    await settled(next, ['answered']);
    expect(await reasonsOf(world, id)).toEqual(['answered']);
  });

  it('an interaction is heard here as well', async () => {
    await world.instance();
    gateway.dispatch('INTERACTION_CREATE', {
      id: newId(),
      application_id: world.fake.bot,
      type: 2,
      token: 'unknown-to-the-twin',
      guild_id: world.fake.guild,
      channel_id: world.fake.channel,
      member: { user: { id: world.fake.user } },
      data: { name: 'ask', options: [{ name: 'question', type: 3, value: 'leave?' }] },
    });
    // The twin does not know its token, so that the answer takes the way of a token that is over.
    await until(() => expect(world.fake.messages()).toMatchObject([{ channel: world.fake.channel }]));
  });
});

it('there are as many connections as Discord advises, and what each of them hears is answered', async () => {
  const gateway = await startFakeGateway();
  const world = await createWorld({ gatewayUrl: gateway.url, shards: 3 });
  gateway.bot = world.fake.bot;
  gateway.guilds = [world.fake.guild];
  try {
    await world.instance();
    expect(gateway.shards.toSorted()).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
    ]);
    const { id } = await world.fake.twin
      .channel(world.fake.channel)
      .user(world.fake.user)
      .sendMessage({ content: `<@${world.fake.bot}> leave?` });
    // Told by all three, which Discord does not do: still one answer.
    gateway.dispatch('MESSAGE_CREATE', {
      id,
      channel_id: world.fake.channel,
      guild_id: world.fake.guild,
      author: { id: world.fake.user, username: 'asker' },
      content: `<@${world.fake.bot}> leave?`,
    });
    await until(async () => expect(await reasonsOf(world, id)).toEqual(['answered']));
    expect(world.fake.messages()).toHaveLength(1);
  } finally {
    await world.close();
    await gateway.close();
  }
}, 60_000);
