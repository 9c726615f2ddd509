import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { downloadFromDiscord } from '../../../bots/discord/speak.ts';
import type { Connection, InboundEvent } from '../../../core/domain.ts';
import { until } from '../../until.ts';
import { newId } from './driving.ts';
import { createWorld, demoTenant, type Instance, reasonsOf, type World } from './world.ts';

const soon = () => AbortSignal.timeout(20_000);

describe('what the bot does on Discord beside answering', () => {
  let world: World;
  let bot: Instance;
  beforeEach(async () => {
    world = await createWorld();
    bot = await world.instance();
  });
  afterEach(() => world.close());

  const say = async (content: string, channel = world.fake.channel): Promise<string> =>
    (await world.fake.twin.channel(channel).user(world.fake.user).sendMessage({ content })).id;
  const eventOf = async (messageId: string, channel = world.fake.channel): Promise<InboundEvent> => {
    await until(async () => expect(await reasonsOf(world, messageId, channel)).toHaveLength(1));
    const rows = await world.state.inbox.byMessage('discord', world.fake.guild, channel, messageId);
    if (rows[0] === undefined) throw new Error('not heard');
    return rows[0].event;
  };
  const answered = async (text: string): Promise<string> => {
    const id = await say(`<@${world.fake.bot}> ${text}`);
    await until(async () => expect(await reasonsOf(world, id)).toEqual(['answered']));
    return id;
  };
  const connection: Connection = {
    id: 'x_1',
    tenantId: demoTenant.id,
    platform: 'discord',
    workspaceId: '',
    createdAt: 0,
  };
  const checkUp = (more: Partial<Connection> = {}) =>
    bot.discord.checkUp({ ...connection, workspaceId: world.fake.guild, ...more }, soon());

  it('says the same thing once, though the reply was lost', async () => {
    world.fake.fault('post', { kind: 'lost' });
    const to = { workspaceId: world.fake.guild, channelId: world.fake.channel };
    const words = { id: 'h_1', markdown: 'Somebody needs help.', people: [world.fake.user] };
    const id = await bot.discord.say?.(to, words, soon());
    expect(await bot.discord.say?.(to, words, soon())).toBe(id);
    expect(world.fake.messages()).toMatchObject([
      { content: `<@${world.fake.user}> Somebody needs help.`, pings: [world.fake.user] },
    ]);
  });

  it('whispers in the reply of a command, beside a button, and else in a direct message', async () => {
    const { id } = await world.fake.twin
      .channel(world.fake.channel)
      .user(world.fake.user)
      .runSlashCommand({ name: 'footnote', options: [{ name: 'help', type: 1 }] });
    await until(() => expect(world.fake.messages()).toMatchObject([{ ephemeral: true }]));
    await until(async () => expect(await reasonsOf(world, id)).toEqual(['command-done']));
    expect(world.fake.messages()[0]?.content).toContain('Ask me a question');
    expect(world.fake.callsOf('direct')).toEqual([]);
    const question = await answered('leave?');
    const answerId = world.answering.asked[0]?.answerId ?? '';
    await world.fake.twin
      .thread(question)
      .user(world.fake.user)
      .clickButton({ messageId: world.fake.messages()[1]?.id ?? '', customId: `fn:solved:${answerId}` });
    await until(() => expect(world.fake.messages().at(-1)).toMatchObject({ ephemeral: true, channel: question }));
    world.fake.fault('direct', { kind: 'error', code: 50007 });
    await expect(bot.discord.whisper?.(await eventOf(question), 'Only for you.', soon())).rejects.toMatchObject({
      code: 'platform-failed',
      retryable: false,
      message: expect.stringContaining('direct messages'),
    });
    await bot.discord.whisper?.(await eventOf(question), 'Only for you.', soon());
    const last = world.fake.messages().at(-1);
    expect(last?.content).toBe('Only for you.');
    expect(world.fake.isDirect(last?.channel ?? '')).toBe(true);
  });

  it('“Post it to the channel” takes a private answer there, from the direct message too', async () => {
    world.rules.current = { replies: 'private' };
    const question = await answered('leave?');
    const [own] = world.fake.messages();
    expect(world.fake.isDirect(own?.channel ?? '')).toBe(true);
    const customId = /"(fn:publish:[^"]+)"/.exec(JSON.stringify(own?.components))?.[1] ?? '';
    expect(customId.length).toBeLessThanOrEqual(100);
    world.fake.dispatch('INTERACTION_CREATE', {
      id: newId(),
      application_id: world.fake.bot,
      type: 3,
      token: 'from-the-direct-message',
      channel_id: own?.channel,
      user: { id: world.fake.user, username: 'asker' },
      message: { id: own?.id },
      data: { custom_id: customId, component_type: 2 },
    });
    const posted = () => world.fake.messages().find((message) => message.channel === question)?.content;
    await until(() => expect(posted()).toContain('Leave is 30 days.'));
  });

  it('what came before is read in one call, oldest first', async () => {
    const first = await answered('leave?');
    // Said to somebody else, so that the bot does not answer in between.
    const said = ['one', 'two', 'three'].map((text) => `<@123456789012345678> ${text}`);
    for (const text of said) await say(text, first);
    const called = await say(`<@${world.fake.bot}> and now?`, first);
    const event = await eventOf(called);
    const before = world.fake.callsOf('history').length;
    const earlier = await bot.discord.earlier?.(event, 3, soon());
    expect(earlier?.map((one) => one.text.split(' ').at(-1))).toEqual(['one', 'two', 'three']);
    expect(earlier?.[0]?.author).toMatchObject({ id: world.fake.user, isSelf: false });
    expect(world.fake.callsOf('history')).toHaveLength(before + 1);
    expect((await bot.discord.earlier?.(event, 100, soon()))?.some((one) => one.author.isSelf)).toBe(true);
    world.fake.fault('history', { kind: 'error', code: 50013 });
    expect(await bot.discord.earlier?.(event, 3, soon())).toEqual([]);
    expect(await bot.discord.earlier?.(await eventOf(await say(`<@${world.fake.bot}> alone?`)), 3, soon())).toEqual([]);
  });

  it('files are fetched from Discord’s hosts and nowhere else, up to a bound', async () => {
    const event = await eventOf(await say('a file'));
    const get = (url: string, maxBytes = 100) => bot.discord.download?.(event, { name: 'f', url }, maxBytes, soon());
    for (const url of [
      'http://127.0.0.1:1/x',
      'https://cdn.discordapp.com.evil.example/x',
      'https://evil.example/cdn.discordapp.com',
      'http://cdn.discordapp.com/x',
      'https://cdn.discordapp.com:8443/x',
      'https://user@evil.example/',
      'file:///etc/passwd',
      'nonsense',
    ])
      await expect(get(url)).rejects.toMatchObject({ code: 'address-not-allowed' });
    const files = createServer((request, response) => {
      if (request.url === '/redirect') response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
      else if (request.url === '/gone') response.writeHead(404).end();
      else response.end(request.url === '/big' ? 'x'.repeat(1000) : 'the words');
    });
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
    // The API's own address is trusted; here it stands for the files as well.
    const fetched = (path: string) =>
      downloadFromDiscord({ name: 'f', url: origin + path }, 100, soon(), `${origin}/api`);
    expect(Buffer.from(await fetched('/small')).toString()).toBe('the words');
    await expect(fetched('/big')).rejects.toMatchObject({ code: 'too-large' });
    await expect(fetched('/redirect')).rejects.toMatchObject({ code: 'platform-failed' });
    await expect(fetched('/gone')).rejects.toMatchObject({ code: 'platform-failed', retryable: false });
    files.closeAllConnections();
    files.close();
  });

  it('links open at the message', async () => {
    const question = await answered('leave?');
    const event = await eventOf(question);
    const [answer] = world.fake.messages();
    const link = (id: string) => bot.discord.permalink?.(event, id, soon());
    const base = `https://discord.com/channels/${world.fake.guild}`;
    expect(await link(`${answer?.channel}/${answer?.id}`)).toBe(`${base}/${question}/${answer?.id}`);
    expect(await link(question)).toBe(`${base}/${world.fake.channel}/${question}`);
    expect(await link('1/2/e')).toBeNull();
  });

  it('who may manage is asked of Discord where the event does not say', async () => {
    const event = await eventOf(await say(`<@${world.fake.bot}> settings`));
    expect(await bot.discord.mayManage?.(event, soon())).toBe(false);
    await world.fake.twin.prisma.role.create({
      data: { id: newId(), guildId: world.fake.guild, name: 'mods', permissions: '16' },
    });
    const role = await world.fake.twin.prisma.role.findFirst({ where: { name: 'mods' } });
    await world.fake.twin.prisma.guildMember.update({
      where: { guildId_userId: { guildId: world.fake.guild, userId: world.fake.user } },
      data: { roles: JSON.stringify([role?.id]) },
    });
    expect(await bot.discord.mayManage?.(event, soon())).toBe(true);
    // Whoever manages channels does not manage the server, in whatever way they say it.
    expect(await bot.discord.mayManage?.(event, soon(), 'workspace')).toBe(false);
  });

  it('the settings command names people and channels by mention', async () => {
    await world.fake.twin
      .channel(world.fake.channel)
      .user(world.fake.user)
      .runSlashCommand({
        name: 'footnote',
        options: [
          {
            name: 'settings',
            type: 1,
            options: [{ name: 'change', type: 3, value: 'humans <@123456789012345678> <#876543210987654321>' }],
          },
        ],
      });
    await until(() => expect(bot.runtime.logged.some((line) => line.fields.reason === 'command-done')).toBe(true));
    // The twin gives everybody all permissions.
    expect(world.fake.messages()[0]?.content).toContain('Done.');
    const rules = await world.state.channels.get(demoTenant.id, 'discord', world.fake.channel);
    expect(rules).toMatchObject({ humans: ['#876543210987654321'] });
  });

  it('a stop button ends the answer with what stands of it', async () => {
    world.answering.next(
      (_request, hooks) =>
        new Promise((_, reject) => {
          hooks.update?.('Half an answer');
          hooks.stop?.addEventListener('abort', () => reject(hooks.stop?.reason));
        }),
    );
    const id = await say(`<@${world.fake.bot}> everything?`);
    await until(() => expect(world.fake.messages()[0]?.content).toBe('Half an answer'));
    const stop = /"(fn:stop:[^"]+)"/.exec(JSON.stringify(world.fake.messages()[0]?.components))?.[1] ?? '';
    await world.fake.twin
      .thread(id)
      .user(world.fake.user)
      .clickButton({ messageId: world.fake.messages()[0]?.id ?? '', customId: stop });
    await until(async () => expect(await reasonsOf(world, id)).toEqual(['cancelled']));
    await until(() => expect(JSON.stringify(world.fake.messages()[0]?.components)).not.toContain('fn:stop'));
    expect(world.fake.messages()).toHaveLength(1);
  });

  it('check-up: green where all is well, and words for what is not', async () => {
    const lines = await checkUp();
    expect(lines.filter((line) => !line.ok)).toEqual([]);
    expect(lines.map((line) => line.item)).toEqual(
      expect.arrayContaining([
        'token',
        'gateway',
        'message content',
        'commands',
        'server',
        'Send Messages',
        'last event',
      ]),
    );
    expect(await checkUp({ workspaceId: newId() })).toContainEqual(
      expect.objectContaining({
        item: 'server',
        ok: false,
        advice: expect.stringContaining('https://discord.com/oauth2/authorize?client_id='),
      }),
    );
    await world.fake.twin.prisma.role.updateMany({
      where: { guildId: world.fake.guild },
      data: { permissions: '1024' },
    });
    await world.fake.twin.prisma.applicationCommand.deleteMany({ where: { name: 'ask' } });
    const poor = await checkUp({ lastError: 'The bot cannot see this channel.' });
    const bad = poor.filter((line) => !line.ok).map((line) => line.item);
    expect(bad).toEqual(expect.arrayContaining(['commands', 'Send Messages', 'Create Public Threads', 'last error']));
    expect(poor.find((line) => line.item === 'Send Messages')?.advice).toContain('the bot cannot answer');
  });

  it('check-up: another application’s id and key are noticed', async () => {
    const other = await world.instance({ discord: { applicationId: '111111111111111111', messageContent: false } });
    const lines = await other.discord.checkUp({ ...connection, workspaceId: world.fake.guild }, soon());
    expect(lines.find((line) => line.item === 'application id')).toMatchObject({ ok: false });
    expect(lines.find((line) => line.item === 'message content')?.advice).toContain('no follow-up without a mention');
  });

  it('too many refused calls: ours stop before Discord bans the address', async () => {
    const careful = await world.instance({ discord: { settings: { maxInvalid: 5 } } });
    world.fake.fault('post', { kind: 'error', code: 50013 }, 5);
    const to = { workspaceId: world.fake.guild, channelId: world.fake.channel };
    const attempt = (id: string) => careful.discord.say?.(to, { id, markdown: 'x' }, soon());
    for (let n = 0; n < 5; n += 1) await expect(attempt(`s_${n}`)).rejects.toMatchObject({ retryable: false });
    const calls = world.fake.callsOf('post').length;
    await expect(attempt('s_6')).rejects.toMatchObject({ retryable: true, retryAfterMs: expect.any(Number) });
    expect(world.fake.callsOf('post')).toHaveLength(calls);
  });

  it('a token that was refused is not shown again at once, and works when it is right again', async () => {
    let aheadMs = 0;
    const patient = await world.instance({ ahead: () => aheadMs });
    world.fake.fault('post', { kind: 'error', code: 0, status: 401 });
    const to = { workspaceId: world.fake.guild, channelId: world.fake.channel };
    const attempt = (id: string) => patient.discord.say?.(to, { id, markdown: 'x' }, soon());
    await expect(attempt('s_1')).rejects.toMatchObject({ message: 'Discord does not accept the bot token.' });
    await expect(attempt('s_2')).rejects.toMatchObject({ retryable: true });
    aheadMs = 31_000;
    expect(await attempt('s_3')).toBeTruthy();
  });
});
