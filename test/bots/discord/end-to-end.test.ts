import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../until.ts';
import { newId } from './driving.ts';
import { type BotMessage, forum, publicThread, voice } from './fake.ts';
import { createWorld, deafWhile, demoTenant, type Instance, reasonsOf, type World } from './world.ts';

const buttons = (message: BotMessage | undefined): string => JSON.stringify(message?.components ?? []);

describe('a question on Discord, over real sockets', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld({
      channels: [
        { name: 'general', type: 0 },
        { name: 'talk', type: voice },
        { name: 'help', type: forum },
      ],
    });
  });
  afterEach(() => world.close());

  const say = async (content: string, channel = world.fake.channel, more: object = {}): Promise<string> =>
    (
      await world.fake.twin
        .channel(channel)
        .user(world.fake.user)
        .sendMessage({ content, ...more })
    ).id;
  const mention = (content: string, channel?: string) => say(`<@${world.fake.bot}> ${content}`, channel);
  const settled = (id: string, reasons: readonly string[], channel?: string) =>
    until(async () => expect(await reasonsOf(world, id, channel)).toEqual(reasons));
  const answers = (channel: string) => world.fake.messages().filter((message) => message.channel === channel);
  const channelNamed = async (name: string): Promise<string> =>
    (await world.fake.twin.prisma.channel.findFirst({ where: { name } }))?.id ?? '';

  it('a mention ends in one footnoted answer with thumbs, in a thread that starts from it', async () => {
    await world.instance();
    const id = await mention('how many days of leave?');
    await settled(id, ['answered']);
    const [answer, ...others] = world.fake.messages();
    expect(others).toEqual([]);
    expect(answer?.channel).toBe(id);
    expect(answer?.content).toContain('Leave is 30 days. [1] (asked: how many days of leave?)');
    expect(answer?.content).toContain('[1] [Handbook](<https://docs.example/handbook#leave>)');
    expect(buttons(answer)).toContain('fn:up:');
    expect(world.fake.callsOf('start-thread')[0]?.body).toMatchObject({ name: 'how many days of leave?' });
    expect(world.fake.callsOf('post')[0]?.body).toMatchObject({
      flags: 4,
      enforce_nonce: true,
      allowed_mentions: { parse: [], replied_user: false },
    });
    const receipts = await world.state.receipts.list(demoTenant.id, {}, { limit: 10 });
    expect(receipts.items).toMatchObject([
      { workspaceId: world.fake.guild, channelId: world.fake.channel, threadId: id },
    ]);
  });

  it('heard by two instances at once it is still one answer and one charge', async () => {
    await world.instance();
    await world.instance();
    const id = await mention('how many days of leave?');
    await settled(id, ['answered']);
    await until(async () => expect((await world.state.inbox.depth(Date.now())).ready).toBe(0));
    expect(world.fake.messages()).toHaveLength(1);
    expect(world.answering.asked).toHaveLength(1);
    expect(world.answering.charged.size).toBe(1);
  });

  it('a follow-up in the thread needs no new mention, talk between people gets no answer', async () => {
    await world.instance();
    const first = await mention('leave?');
    await settled(first, ['answered']);
    const between = await say('<@123456789012345678> did you see this?', first);
    const followUp = await say('and in the first year?', first);
    const elsewhere = await say('and in the first year?');
    await settled(between, ['not-addressed']);
    await settled(followUp, ['answered']);
    await settled(elsewhere, ['not-addressed']);
    expect(world.answering.asked.map((request) => request.question)).toEqual(['leave?', 'and in the first year?']);
    expect(world.answering.asked[1]?.turns).toHaveLength(2);
    expect(answers(first)).toHaveLength(2);
    expect(answers(first)[1]?.replyTo).toBe(followUp);
  });

  it('a reply to the bot counts as a mention', async () => {
    await world.instance();
    const spoken = await mention('leave?', await channelNamed('talk'));
    const talk = await channelNamed('talk');
    await settled(spoken, ['answered'], talk);
    const answer = world.fake.messages()[0]?.id ?? '';
    const reply = await say('are you sure?', talk, { messageReference: { message_id: answer } });
    await settled(reply, ['answered'], talk);
    expect(world.answering.asked[1]?.question).toBe('are you sure?');
    const toPerson = await say('and you?', talk, { messageReference: { message_id: spoken } });
    await settled(toPerson, ['not-addressed'], talk);
  });

  it('where no thread can be started the answer is a reply', async () => {
    await world.instance();
    const talk = await channelNamed('talk');
    const inVoice = await mention('leave?', talk);
    await settled(inVoice, ['answered'], talk);
    expect(answers(talk)).toMatchObject([{ replyTo: inVoice }]);
    world.fake.fault('start-thread', { kind: 'error', code: 50013 });
    const id = await mention('leave?');
    await settled(id, ['answered']);
    expect(answers(world.fake.channel)).toMatchObject([{ replyTo: id }]);
  });

  it('a thread that was started already is used', async () => {
    await world.instance();
    world.fake.fault('start-thread', { kind: 'lost' });
    const id = await mention('leave?');
    await settled(id, ['answered']);
    expect(world.fake.callsOf('start-thread').length).toBeGreaterThan(1);
    expect(answers(id)).toHaveLength(1);
    expect(await world.fake.twin.channel(world.fake.channel).getThreads()).toHaveLength(1);
  });

  it('a forum post and an existing thread are answered in place, by the rules of their channel', async () => {
    await world.instance();
    const help = await channelNamed('help');
    const post = '900000000000000001';
    await world.fake.twin.prisma.channel.create({
      data: { id: post, guildId: world.fake.guild, type: publicThread, name: 'How do I …', parentId: help },
    });
    const id = await mention('leave?', post);
    await settled(id, ['answered'], help);
    expect(answers(post)).toMatchObject([{ replyTo: id }]);
    const followUp = await say('and then?', post);
    await settled(followUp, ['answered'], help);
    expect(world.fake.callsOf('start-thread')).toEqual([]);
  });

  it('@everyone and @here call nobody, the bot’s own role does', async () => {
    await world.instance();
    const base = {
      channel_id: world.fake.channel,
      guild_id: world.fake.guild,
      author: { id: world.fake.user, username: 'asker' },
    };
    world.fake.dispatch('GUILD_ROLE_CREATE', {
      guild_id: world.fake.guild,
      role: { id: '777777777777777777', tags: { bot_id: world.fake.bot } },
    });
    const [everyone, role, other] = ['910000000000000001', '910000000000000002', '910000000000000003'];
    world.fake.dispatch('MESSAGE_CREATE', {
      ...base,
      id: everyone,
      content: '@everyone @here leave?',
      mention_everyone: true,
    });
    world.fake.dispatch('MESSAGE_CREATE', {
      ...base,
      id: role,
      content: '<@&777777777777777777> leave?',
      mention_roles: ['777777777777777777'],
    });
    world.fake.dispatch('MESSAGE_CREATE', {
      ...base,
      id: other,
      content: '<@&888888888888888888> leave?',
      mention_roles: ['888888888888888888'],
    });
    await settled(everyone, ['not-addressed']);
    await settled(other, ['not-addressed']);
    await until(() => expect(world.answering.asked.map((request) => request.question)).toEqual(['leave?']));
    expect(world.answering.asked[0]?.messageId).toBe(role);
  });

  it('a direct message is answered in place, for the server that the person shares with the bot', async () => {
    await world.instance();
    const channel = await world.fake.openDirect();
    const id = await say('leave?', channel);
    await settled(id, ['answered'], channel);
    expect(answers(channel)).toHaveLength(1);
    expect(world.fake.callsOf('start-thread')).toEqual([]);
    const again = await say('and then?', channel);
    await settled(again, ['answered'], channel);
    expect(world.answering.asked[1]?.turns).toHaveLength(2);
  });

  it('webhooks, other bots and Discord’s own announcements are not answered', async () => {
    await world.instance();
    const base = { channel_id: world.fake.channel, guild_id: world.fake.guild, content: `<@${world.fake.bot}> leave?` };
    world.fake.dispatch('MESSAGE_CREATE', { ...base, id: '920000000000000001', author: { id: '1' }, webhook_id: '1' });
    world.fake.dispatch('MESSAGE_CREATE', { ...base, id: '920000000000000002', author: { id: '2', bot: true } });
    world.fake.dispatch('MESSAGE_CREATE', { ...base, id: '920000000000000003', author: { id: '3', system: true } });
    world.fake.dispatch('MESSAGE_CREATE', { ...base, id: '920000000000000004', type: 7, author: { id: '4' } });
    for (const id of ['920000000000000001', '920000000000000002', '920000000000000003'])
      await settled(id, ['bot-author']);
    expect(await reasonsOf(world, '920000000000000004')).toEqual([]);
    expect(world.answering.asked).toEqual([]);
  });

  it('an answer that is written slowly shows typing at first, then grows, with a stop button until it is done', async () => {
    await world.instance();
    world.answering.next(async (_request, hooks) => {
      await until(() => expect(buttons(world.fake.messages()[0])).toContain('fn:stop:'));
      hooks.update?.('Leave is');
      await until(() => expect(world.fake.messages()[0]?.content).toBe('Leave is'));
      hooks.update?.('Leave is 30 days.');
      await until(() => expect(world.fake.messages()[0]?.content).toBe('Leave is 30 days.'));
    });
    const id = await mention('leave?');
    await settled(id, ['answered']);
    expect(world.fake.callsOf('typing')[0]?.at).toBeLessThan(world.fake.callsOf('post')[0]?.at ?? 0);
    const [answer, ...others] = world.fake.messages();
    expect(others).toEqual([]);
    expect(answer?.content).toContain('Leave is 30 days. [1] (asked: leave?)');
    expect(buttons(answer)).not.toContain('fn:stop:');
    expect(buttons(answer)).toContain('fn:down:');
  });

  it('an answer longer than a message is shown whole while it grows and when it is done', async () => {
    await world.instance();
    const paragraphs = Array.from({ length: 60 }, (_, at) => `Paragraph ${at}: ${'word '.repeat(20)}`.trim());
    world.answering.next(async (_request, hooks) => {
      hooks.update?.(paragraphs.slice(0, 30).join('\n\n'));
      await until(() => expect(world.fake.messages().length).toBeGreaterThan(1));
      hooks.update?.(paragraphs.slice(0, 45).join('\n\n'));
      return { answer: paragraphs.join('\n\n'), citations: [] };
    });
    const id = await mention('everything?');
    await settled(id, ['answered']);
    const shown = answers(id);
    expect(shown.length).toBeGreaterThan(3);
    expect(shown.map((message) => message.content).join('\n\n')).toBe(paragraphs.join('\n\n'));
    expect(shown.map(buttons).filter((row) => row.includes('fn:'))).toHaveLength(1);
    expect(buttons(shown.at(-1))).toContain('fn:up:');
  });

  it('tables become fixed width, pings become words, links ask for no preview', async () => {
    await world.instance();
    world.answering.next(async () => ({
      answer:
        '#### Deep\n\n| kind | days |\n| --- | --- |\n| leave | 30 |\n\n@everyone <@123456789012345678> [more](https://docs.example/x)',
      citations: [],
    }));
    const id = await mention('leave?');
    await settled(id, ['answered']);
    const content = answers(id)[0]?.content ?? '';
    expect(content).toContain('**Deep**\n\n```\nkind   days\n-----  ----\nleave  30\n```');
    expect(content).not.toContain('@everyone');
    expect(content).not.toContain('<@123');
    expect(content).toContain('[more](<https://docs.example/x>)');
  });

  it('an edited question is answered again in place', async () => {
    await world.instance();
    const user = world.fake.twin.channel(world.fake.channel).user(world.fake.user);
    const answered = await mention('leave?');
    await settled(answered, ['answered']);
    await user.editMessage({ messageId: answered, content: `<@${world.fake.bot}> parental leave?` });
    await settled(answered, ['answered', 'answered']);
    expect(answers(answered)).toHaveLength(1);
    expect(answers(answered)[0]?.content).toContain('parental leave?');
  });

  it('a preview that Discord adds is no edit', async () => {
    await world.instance();
    const id = await mention('leave?');
    await settled(id, ['answered']);
    const stored = await world.fake.twin.prisma.message.findUniqueOrThrow({ where: { id } });
    world.fake.dispatch('MESSAGE_UPDATE', {
      id,
      channel_id: world.fake.channel,
      guild_id: world.fake.guild,
      author: { id: world.fake.user },
      content: stored.content,
      edited_timestamp: null,
      embeds: [{ title: 'A page' }],
    });
    const next = await mention('next?');
    await settled(next, ['answered']);
    expect(await reasonsOf(world, id)).toEqual(['answered']);
  });

  it("a question's answer goes with the question", async () => {
    await world.instance();
    const id = await mention('leave?');
    await settled(id, ['answered']);
    await world.fake.twin.channel(world.fake.channel).user(world.fake.user).deleteMessage({ messageId: id });
    await settled(id, ['answered', 'question-deleted']);
    expect(world.fake.messages()).toEqual([]);
  });

  it('deleting a question stops the model call, and nothing is said', async () => {
    await world.instance();
    let aborted = false;
    world.answering.next(
      (_request, hooks) =>
        new Promise((_, reject) => {
          hooks.update?.('Half an');
          hooks.signal.addEventListener('abort', () => {
            aborted = true;
            reject(hooks.signal.reason);
          });
        }),
    );
    const id = await mention('leave?');
    // Only what the bot knows of can it take away.
    await until(async () => {
      const [first] = world.fake.messages();
      const known = await world.state.outbox.byPostedId(demoTenant.id, `${first?.channel}/${first?.id}`);
      expect(known).not.toBeNull();
    });
    await world.fake.twin.channel(world.fake.channel).user(world.fake.user).deleteMessage({ messageId: id });
    await settled(id, ['cancelled', 'question-deleted']);
    expect(aborted).toBe(true);
    expect(world.fake.messages()).toEqual([]);
    expect(world.answering.charged.size).toBe(0);
  });

  it('many deleted at once are each a deletion', async () => {
    await world.instance();
    const ids = [await mention('leave?'), await mention('leave?')];
    for (const id of ids) await settled(id, ['answered']);
    world.fake.dispatch('MESSAGE_DELETE_BULK', { ids, channel_id: world.fake.channel, guild_id: world.fake.guild });
    for (const id of ids) await settled(id, ['answered', 'question-deleted']);
    expect(world.fake.messages()).toEqual([]);
  });

  it('thumbs are stored with the receipt, a thumbs down asks for the reason, and the reason replaces it', async () => {
    await world.instance();
    const id = await mention('leave?');
    await settled(id, ['answered']);
    const answerId = world.answering.asked[0]?.answerId ?? '';
    const person = world.fake.twin.thread(id).user(world.fake.user);
    const messageId = world.fake.messages()[0]?.id ?? '';
    const feedback = async () => (await world.state.receipts.get(demoTenant.id, answerId))?.feedback;
    await person.clickButton({ messageId, customId: `fn:up:${answerId}` });
    await until(async () =>
      expect(await feedback()).toMatchObject([{ rating: 'up', user: `discord:${world.fake.user}` }]),
    );
    await person.clickButton({ messageId, customId: `fn:down:${answerId}` });
    await until(async () => expect(await feedback()).toMatchObject([{ rating: 'down' }]));
    await until(() =>
      expect(world.fake.callsOf('callback').at(-1)?.body).toMatchObject({
        type: 9,
        data: { custom_id: `fn:why:${answerId}` },
      }),
    );
    await person.submitModal({
      customId: `fn:why:${answerId}`,
      fields: [{ customId: 'reason', value: 'Out of date.' }],
    });
    await until(async () => expect(await feedback()).toMatchObject([{ rating: 'down', comment: 'Out of date.' }]));
  });

  it.each([
    ['rate limited', { kind: 'rate-limit', retryAfter: 0.3 }, 2],
    ['a lost reply', { kind: 'lost' }, 1],
    ['a dropped request', { kind: 'dropped' }, 1],
    ['two errors of the server', { kind: 'status', status: 503 }, 2],
  ] as const)('%s while posting still ends in one answer', async (_, fault, times) => {
    const bot = await world.instance();
    world.fake.fault('post', fault, times);
    const id = await mention('leave?');
    await settled(id, ['answered']);
    expect(answers(id)).toHaveLength(1);
    expect(answers(id)[0]?.content).toContain('Leave is 30 days.');
    expect(world.answering.asked).toHaveLength(1);
    const limited = fault.kind === 'rate-limit' ? times : 0;
    expect(bot.runtime.counted('platform_limits_total', { platform: 'discord' })).toBe(limited);
    expect(bot.runtime.measured('platform_wait_seconds', { platform: 'discord' })).toHaveLength(limited);
  });

  it('edits that meet a rate limit are skipped while writing, and the last one is made', async () => {
    await world.instance();
    world.fake.fault('edit', { kind: 'rate-limit', retryAfter: 0.4 }, 2);
    world.answering.next(async (_request, hooks) => {
      hooks.update?.('Leave');
      await until(() => expect(world.fake.messages()).toHaveLength(1));
      const refused = world.fake.nextCall('edit');
      hooks.update?.('Leave is');
      await refused;
      for (const words of ['Leave is thirty', 'Leave is thirty days']) hooks.update?.(words);
    });
    const id = await mention('leave?');
    await settled(id, ['answered']);
    expect(answers(id)).toHaveLength(1);
    expect(answers(id)[0]?.content).toContain('Leave is 30 days. [1] (asked: leave?)');
  });

  it.each([
    ['the channel is gone', 10003, 404],
    ['the bot may not see it', 50001, 403],
    ['the bot may not write', 50013, 403],
    ['the thread is locked', 160005, 400],
  ] as const)('%s: a kept reason, and the next question is worked on', async (_, code, status) => {
    const bot = await world.instance();
    world.fake.fault('post', { kind: 'error', code, status }, 3);
    const id = await mention('leave?');
    await settled(id, ['failed']);
    expect(bot.runtime.logged.find((line) => line.event === 'answer-undeliverable')?.fields).toMatchObject({
      at: String(code),
    });
    world.fake.heal();
    const next = await mention('next?');
    await settled(next, ['answered']);
  });

  it('a store that is down for a while loses no message', async () => {
    let down = false;
    const bot = await world.instance({
      state: (state) => deafWhile(state, () => down),
    });
    down = true;
    const id = await mention('leave?');
    await until(() => expect(bot.runtime.logged.map(({ event }) => event)).toContain('discord-store-waits'));
    expect(await reasonsOf(world, id)).toEqual([]);
    down = false;
    await settled(id, ['answered']);
  });

  it('joining a server is told once, an outage is none, leaving is told', async () => {
    const bot = await world.instance();
    const kinds = () => bot.runtime.logged.filter((line) => line.event === 'event').map((line) => line.fields.kind);
    world.fake.dispatch('GUILD_DELETE', { id: world.fake.guild, unavailable: true });
    world.fake.dispatch('GUILD_CREATE', {
      id: world.fake.guild,
      joined_at: '2026-01-01T00:00:00Z',
      channels: [],
      threads: [],
      roles: [],
    });
    world.fake.dispatch('GUILD_CREATE', {
      id: '930000000000000001',
      joined_at: '2026-01-01T00:00:00Z',
      channels: [],
      threads: [],
      roles: [],
    });
    await until(() => expect(kinds()).toEqual(['install']));
    world.fake.dispatch('GUILD_DELETE', { id: '930000000000000001' });
    await until(() => expect(kinds()).toEqual(['install', 'uninstall']));
  });

  describe('the hello of a server that the bot came into', () => {
    /** A server that was none of ours when the connection began. */
    const joined = async (more: Readonly<Record<string, unknown>> = {}): Promise<Readonly<Record<string, unknown>>> => {
      const { channel, twin, bot, user } = world.fake;
      const id = newId();
      await twin.prisma.guild.create({ data: { id, name: 'Joined', ownerId: user } });
      await twin.prisma.guildMember.create({ data: { guildId: id, userId: bot } });
      return {
        id,
        name: 'Joined',
        owner_id: user,
        joined_at: new Date(Date.now() - 60_000).toISOString(),
        system_channel_id: channel,
        channels: [{ id: channel, type: 0, permission_overwrites: [] }],
        threads: [],
        roles: [{ id, name: '@everyone', permissions: String((1 << 10) | (1 << 11)) }],
        ...more,
      };
    };
    const installs = (bot: Instance): number =>
      bot.runtime.logged.filter(({ event, fields }) => event === 'event' && fields.kind === 'install').length;
    const hellos = (): readonly string[] =>
      world.fake.messages().flatMap(({ content, channel }) => (channel === world.fake.channel ? [content] : []));
    const join = async (bot: Instance, server: Readonly<Record<string, unknown>>): Promise<void> => {
      const before = installs(bot);
      world.fake.dispatch('GUILD_CREATE', server);
      await until(() => expect(installs(bot)).toBe(before + 1));
    };

    it('stands in its system channel once, however often the joining is told and by how many instances it is heard', async () => {
      const first = await world.instance({ discord: { connections: { greeting: async () => null } } });
      const server = await joined();
      await join(first, server);
      await until(() => expect(hellos()).toEqual([expect.stringContaining('/footnote connect')]));
      world.fake.dispatch('GUILD_CREATE', server);
      const second = await world.instance();
      world.fake.dispatch('GUILD_CREATE', server);
      const question = await say(`<@${world.fake.bot}> leave?`);
      await until(async () => expect(await reasonsOf(world, question)).toEqual(['answered']));
      await second.stop();
      expect(hellos()).toHaveLength(1);
    });

    it.each([
      ['there is no system channel', { system_channel_id: null }],
      ['it may not write there', { roles: [{ id: 'everyone', permissions: '0' }] }],
      ['it joined long ago', { joined_at: '2026-01-01T00:00:00Z' }],
    ])('is left out where %s', async (_, more) => {
      const bot = await world.instance();
      await join(bot, await joined(more));
      const question = await say(`<@${world.fake.bot}> leave?`);
      await until(async () => expect(await reasonsOf(world, question)).toEqual(['answered']));
      expect(hellos()).toEqual([]);
    });

    it('is in the words of whoever the server belongs to, and pings nobody', async () => {
      const greeting = async () => 'Welcome to Acme! @everyone';
      const bot = await world.instance({ discord: { connections: { greeting } } });
      await join(bot, await joined());
      await until(() => expect(hellos()).toEqual(['Welcome to Acme! @\u200beveryone']));
    });
  });

  it('a server that belongs to nobody gets no answer from another’s documents', async () => {
    await world.instance();
    const id = newId();
    world.fake.dispatch('MESSAGE_CREATE', {
      id,
      channel_id: '950000000000000002',
      guild_id: '950000000000000001',
      author: { id: world.fake.user },
      content: `<@${world.fake.bot}> leave?`,
    });
    await until(async () =>
      expect(
        await world.state.inbox.byMessage('discord', '950000000000000001', '950000000000000002', id),
      ).toMatchObject([{ state: 'settled', reason: 'unknown-workspace' }]),
    );
    expect(world.answering.asked).toEqual([]);
  });
});

describe('a direct message of somebody who shares several servers with the bot', () => {
  it('is not answered by a guess: a button says whose documents are meant, and that is remembered', async () => {
    const world = await createWorld({ guilds: 2 });
    try {
      const other = { ...demoTenant, id: 't_000000000000000000000002', slug: 'other', name: 'Other' };
      await world.state.tenants.create(other);
      const guilds = await world.fake.twin.prisma.guild.findMany({ orderBy: { name: 'asc' } });
      for (const [at, tenant] of [demoTenant, other].entries())
        await world.state.connections.create({
          id: `x_${at}`,
          tenantId: tenant.id,
          platform: 'discord',
          workspaceId: guilds[at]?.id ?? '',
          createdAt: 0,
        });
      await world.instance();
      const channel = await world.fake.openDirect();
      const person = world.fake.twin.channel(channel).user(world.fake.user);
      const asked = await person.sendMessage({ content: 'how much leave?' });
      const question = () => world.fake.messages().find((message) => buttons(message).includes('fn:choose:'));
      await until(() => expect(buttons(question())).toContain('Server 1'));
      expect(question()?.channel).toBe(channel);
      expect(world.answering.asked).toEqual([]);
      // The twin knows no buttons in direct messages; a real one names no server.
      world.fake.dispatch('INTERACTION_CREATE', {
        id: newId(),
        application_id: world.fake.bot,
        type: 3,
        token: 'from-the-direct-message',
        channel_id: channel,
        user: { id: world.fake.user, username: 'asker' },
        message: { id: question()?.id },
        data: { custom_id: `fn:choose:${guilds[1]?.id}-${asked.id}`, component_type: 2 },
      });
      const contents = () => world.fake.messages().map(({ content }) => content);
      await until(() => expect(contents().join()).toContain('asked: how much leave?'));
      await until(() => expect(contents().join()).toContain('“Server 1”'));
      await person.sendMessage({ content: 'and then?' });
      await until(() => expect(contents().join()).toContain('asked: and then?'));
      expect(world.answering.asked.map((one) => one.tenant.slug)).toEqual(['other', 'other']);
    } finally {
      await world.close();
    }
  });
});
