import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../until.ts';
import { newId, signatureHeaders } from './driving.ts';
import { createWorld, deafWhile, demoTenant, type Instance, reasonsOf, type World } from './world.ts';

describe('commands, buttons and forms, by both doors', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(() => world.close());

  const slash = (question: string, isPrivate = false) =>
    world.fake.twin
      .channel(world.fake.channel)
      .user(world.fake.user)
      .runSlashCommand({
        name: 'ask',
        options: [
          { name: 'question', type: 3, value: question },
          ...(isPrivate ? [{ name: 'private', type: 5, value: true }] : []),
        ],
      });
  const payload = (over: object = {}): Record<string, unknown> => ({
    id: newId(),
    application_id: world.fake.bot,
    type: 2,
    token: `token-${newId()}`,
    guild_id: world.fake.guild,
    channel_id: world.fake.channel,
    channel: { id: world.fake.channel, type: 0 },
    member: { user: { id: world.fake.user, username: 'asker' }, permissions: '0' },
    data: { name: 'ask', type: 1, options: [{ name: 'question', type: 3, value: 'leave?' }] },
    ...over,
  });
  const post = async (bot: Instance, body: unknown): Promise<{ readonly status: number; readonly reply: unknown }> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = signatureHeaders(world.keys.privateKey, text, Math.floor(Date.now() / 1000));
    const response = await fetch(`${bot.url}/discord/interactions`, { method: 'POST', headers, body: text });
    const answer = await response.text();
    return { status: response.status, reply: answer === '' ? null : JSON.parse(answer) };
  };
  /** The twin hears of an interaction that came by HTTP, so that its token works there. */
  const known = async (interaction: Record<string, unknown>, ephemeral = false): Promise<void> => {
    await world.fake.twin.prisma.interactionResponse.create({
      data: {
        interactionId: String(interaction.id),
        interactionToken: String(interaction.token),
        applicationId: world.fake.bot,
        channelId: String(interaction.channel_id),
        type: 5,
        acknowledged: true,
      },
    });
    world.fake.acknowledge(String(interaction.token), ephemeral);
  };
  const contents = () => world.fake.messages().map(({ content }) => content);
  const rows = (id: string) => world.state.inbox.byMessage('discord', world.fake.guild, world.fake.channel, id);

  it('a command is stored, then acknowledged, then answered in its own reply', async () => {
    await world.instance();
    const { id } = await slash('how many days of leave?');
    await until(() =>
      expect(world.fake.messages()).toMatchObject([
        {
          ephemeral: false,
          channel: world.fake.channel,
          content: expect.stringContaining('(asked: how many days of leave?)'),
        },
      ]),
    );
    // The first: on a busy machine its reply may be long in coming, and then it is sent again.
    expect(world.fake.callsOf('callback')[0]).toMatchObject({ body: { type: 5, data: { flags: 0 } } });
    await until(async () => expect(await rows(id)).toMatchObject([{ state: 'settled', reason: 'answered' }]));
  });

  it('a private command is answered for the asker’s eyes', async () => {
    await world.instance();
    await slash('how many days of leave?', true);
    await until(() => expect(world.fake.messages()).toMatchObject([{ ephemeral: true }]));
    // The first: on a busy machine its reply may be long in coming, and then it is sent again.
    expect(world.fake.callsOf('callback')[0]).toMatchObject({ body: { type: 5, data: { flags: 64 } } });
  });

  it('by HTTP: the probe is answered, a command is deferred and answered', async () => {
    const bot = await world.instance();
    expect(await post(bot, { id: newId(), application_id: world.fake.bot, type: 1, token: 'x' })).toEqual({
      status: 200,
      reply: { type: 1 },
    });
    const interaction = payload();
    await known(interaction);
    expect(await post(bot, interaction)).toEqual({ status: 200, reply: { type: 5, data: { flags: 0 } } });
    await until(() => expect(world.fake.messages()).toHaveLength(1));
    expect(world.fake.callsOf('callback')).toEqual([]);
  });

  it('by HTTP: bad and stale signatures are 401, what is no JSON is 400, what is too large is 413', async () => {
    const bot = await world.instance();
    const send = async (headers: Record<string, string>, body: string) =>
      (await fetch(`${bot.url}/discord/interactions`, { method: 'POST', headers, body })).status;
    const body = JSON.stringify(payload());
    const now = Math.floor(Date.now() / 1000);
    expect(await send({}, body)).toBe(401);
    expect(await send(signatureHeaders(world.keys.privateKey, `${body} `, now), body)).toBe(401);
    expect(await send(signatureHeaders(world.keys.privateKey, body, now - 400), body)).toBe(401);
    expect((await post(bot, 'no json')).status).toBe(400);
    expect((await post(bot, { type: 2 })).status).toBe(400);
    expect(await send({}, 'x'.repeat(1_100_000))).toBe(413);
    expect(world.answering.asked).toEqual([]);
  });

  it('without a public key there is no such door', async () => {
    const bot = await world.instance({ closed: true });
    const response = await fetch(`${bot.url}/discord/interactions`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(404);
  });

  it('replayed, and by both doors, it is one answer', async () => {
    const bot = await world.instance();
    const interaction = payload();
    await known(interaction);
    for (let time = 0; time < 3; time += 1) expect((await post(bot, interaction)).status).toBe(200);
    world.fake.dispatch('INTERACTION_CREATE', interaction);
    await until(() => expect(world.fake.callsOf('callback')).not.toHaveLength(0));
    await until(async () => expect(await rows(String(interaction.id))).toMatchObject([{ reason: 'answered' }]));
    expect(world.answering.asked).toHaveLength(1);
    expect(world.fake.messages()).toHaveLength(1);
  });

  it('not stored is not acknowledged, by either door', async () => {
    let down = false;
    const bot = await world.instance({
      state: (state) => deafWhile(state, () => down),
    });
    down = true;
    expect((await post(bot, payload())).status).toBe(503);
    await slash('leave?');
    await until(() =>
      expect(bot.runtime.logged.some((line) => line.event === 'discord-interaction-not-stored')).toBe(true),
    );
    expect(world.fake.callsOf('callback')).toEqual([]);
  });

  it('a store that takes too long is not acknowledged but told of in time, and what it stored is answered', async () => {
    const release = Promise.withResolvers<void>();
    let slow = false;
    const bot = await world.instance({
      discord: { settings: { interactionWithinMs: 400 } },
      state: (state) => ({
        ...state,
        inbox: {
          ...state.inbox,
          receive: async (row) => {
            if (slow) await release.promise;
            return state.inbox.receive(row);
          },
          receiveAndClaim: async (row, claim) => {
            if (slow) await release.promise;
            return state.inbox.receiveAndClaim(row, claim);
          },
        },
      }),
    });
    slow = true;
    const interaction = payload();
    await known(interaction, true);
    const unsure = { type: 4, data: { content: expect.stringContaining('not sure that I have this'), flags: 64 } };
    expect(await post(bot, interaction)).toEqual({ status: 200, reply: unsure });
    await slash('leave?');
    await until(() => expect(world.fake.callsOf('callback')[0]).toMatchObject({ body: unsure }));
    expect(world.answering.asked).toEqual([]);
    release.resolve();
    await until(async () => expect(await rows(String(interaction.id))).toMatchObject([{ reason: 'answered' }]));
    await until(() => expect(world.answering.asked).toHaveLength(2));
  });

  it('the worker may be quicker than the acknowledgement', async () => {
    await world.instance();
    const release = Promise.withResolvers<void>();
    world.fake.fault('callback', { kind: 'slow', until: release.promise });
    const original = world.fake.nextCall('original');
    await slash('leave?');
    await original;
    release.resolve();
    await until(() => expect(contents()).toEqual([expect.stringContaining('Leave is 30 days.')]));
  });

  it.each([
    ['a public one in the channel', false],
    ['a private one in a direct message', true],
  ] as const)('a command whose token is over is answered all the same: %s', async (_, isPrivate) => {
    let aheadMs = 0;
    // A leap of the clock would lose a lease of the usual length.
    await world.instance({ ahead: () => aheadMs, settings: { leaseForMs: 600_000 } });
    world.answering.next(async () => {
      // The seconds for which a token may be too fresh to be known are over.
      aheadMs = 10_000;
      world.fake.fault('original', { kind: 'error', code: 50027, status: 401 }, 50);
    });
    const interaction = payload({
      id: newId(Date.now() - 10_000),
      data: {
        name: 'ask',
        options: [
          { name: 'question', type: 3, value: 'leave?' },
          { name: 'private', type: 5, value: isPrivate },
        ],
      },
    });
    world.fake.fault('original', { kind: 'error', code: 10015, status: 404 }, 50);
    world.fake.dispatch('INTERACTION_CREATE', interaction);
    await until(() => expect(contents()).toEqual([expect.stringContaining('Leave is 30 days.')]));
    expect(world.fake.isDirect(world.fake.messages()[0]?.channel ?? '')).toBe(isPrivate);
  });

  it('a command that comes a quarter of an hour late is answered in the channel', async () => {
    await world.instance();
    world.fake.dispatch('INTERACTION_CREATE', payload({ id: newId(Date.now() - 900_000) }));
    await until(() => expect(world.fake.messages()).toMatchObject([{ channel: world.fake.channel }]));
    expect(world.fake.callsOf('original')).toEqual([]);
  });

  it('a long answer to a command stands in its reply and the messages after it', async () => {
    await world.instance();
    const paragraphs = Array.from({ length: 50 }, (_, at) => `Paragraph ${at}: ${'word '.repeat(20)}`.trim());
    world.answering.next(async () => ({ answer: paragraphs.join('\n\n'), citations: [] }));
    await slash('everything?');
    await until(() => expect(JSON.stringify(world.fake.messages().at(-1)?.components)).toContain('fn:up'));
    expect(
      world.fake
        .messages()
        .map((message) => message.content)
        .join('\n\n'),
    ).toBe(paragraphs.join('\n\n'));
    expect(world.fake.callsOf('follow-up')).toEqual([]);
    world.answering.next(async () => ({ answer: paragraphs.join('\n\n'), citations: [] }));
    await slash('everything?', true);
    const own = () => world.fake.messages().filter((message) => message.ephemeral);
    await until(() => expect(JSON.stringify(own().at(-1)?.components)).toContain('fn:up'));
    expect(
      own()
        .map((message) => message.content)
        .join('\n\n'),
    ).toBe(paragraphs.join('\n\n'));
  });

  it('where the bot may not write, a command is still answered whole', async () => {
    await world.instance();
    world.fake.fault('post', { kind: 'error', code: 50001 }, 20);
    world.answering.next(async () => ({ answer: 'word '.repeat(1000).trim(), citations: [] }));
    await slash('everything?');
    await until(() => expect(world.fake.messages().length).toBeGreaterThan(2));
    await until(() => expect(JSON.stringify(world.fake.messages().at(-1)?.components)).toContain('fn:up'));
    expect(
      world.fake
        .messages()
        .map((message) => message.content)
        .join(' '),
    ).toBe('word '.repeat(1000).trim());
  });

  it('who replies to a command’s answer goes on with that conversation', async () => {
    await world.instance();
    const { id } = await slash('leave?');
    await until(() => expect(world.fake.messages()).toHaveLength(1));
    await until(async () => expect(await rows(id)).toMatchObject([{ reason: 'answered' }]));
    world.fake.dispatch('MESSAGE_CREATE', {
      id: newId(),
      channel_id: world.fake.channel,
      guild_id: world.fake.guild,
      type: 19,
      author: { id: world.fake.user, username: 'asker' },
      content: 'and then?',
      message_reference: { message_id: world.fake.messages()[0]?.id },
      referenced_message: { author: { id: world.fake.bot }, interaction_metadata: { id } },
    });
    await until(() => expect(world.answering.asked).toHaveLength(2));
    expect(world.answering.asked[1]).toMatchObject({ question: 'and then?', threadId: `command:${id}` });
    expect(world.answering.asked[1]?.turns).toHaveLength(2);
  });

  it('a form or button that is not ours, and an unknown command, get a sentence', async () => {
    const bot = await world.instance();
    const sentence = {
      status: 200,
      reply: { type: 4, data: { flags: 64, content: expect.stringContaining('/footnote help') } },
    };
    expect(await post(bot, payload({ data: { name: 'other' } }))).toMatchObject(sentence);
    expect(await post(bot, payload({ type: 3, data: { custom_id: 'fn:format-disk:a_1' } }))).toMatchObject(sentence);
    expect(await post(bot, payload({ type: 3, data: { custom_id: 'x'.repeat(100) } }))).toMatchObject(sentence);
    expect(await post(bot, payload({ type: 5, data: { custom_id: 'fn:up:a_1' } }))).toMatchObject(sentence);
    expect(await post(bot, payload({ type: 99 }))).toMatchObject(sentence);
    expect(await post(bot, payload({ type: 4 }))).toMatchObject({ reply: { type: 8 } });
    expect(world.answering.asked).toEqual([]);
  });

  it('who may change the rules is what Discord says of them', async () => {
    const bot = await world.instance();
    const heard: unknown[] = [];
    const told = async (permissions: string, command: string) => {
      const interaction = payload({
        member: { user: { id: world.fake.user }, permissions },
        data: { name: 'footnote', options: [{ name: command, type: 1 }] },
      });
      await post(bot, interaction);
      await until(async () => expect((await rows(String(interaction.id)))[0]).toBeDefined());
      const event = (await rows(String(interaction.id)))[0]?.event;
      heard.push(event?.command?.name);
      return event?.author.mayManage;
    };
    const [manageChannels, manageServer, administrator] = ['16', '32', '8'];
    expect(await told('0', 'settings')).toBe(false);
    expect(await told(manageChannels ?? '', 'settings')).toBe(true);
    expect(await told(manageChannels ?? '', 'connect')).toBe(false);
    expect(await told(manageServer ?? '', 'connect')).toBe(true);
    expect(await told(administrator ?? '', 'connect')).toBe(true);
    expect(await told('not a number', 'settings')).toBe(false);
    expect(heard).toEqual(['settings', 'settings', 'connect', 'connect', 'connect', 'settings']);
  });

  it('a file and a thread of a command are heard with it', async () => {
    const bot = await world.instance();
    const interaction = payload({
      channel_id: '940000000000000001',
      channel: { id: '940000000000000001', type: 11, parent_id: world.fake.channel },
      data: {
        name: 'ask',
        options: [
          { name: 'question', type: 3, value: 'what is in it?' },
          { name: 'file', type: 11, value: '7' },
        ],
        resolved: {
          attachments: {
            7: {
              id: '7',
              filename: 'plan.md',
              size: 12,
              content_type: 'text/markdown',
              url: 'https://cdn.discordapp.com/plan.md',
            },
          },
        },
      },
    });
    await post(bot, interaction);
    await until(async () => expect(await rows(String(interaction.id))).toHaveLength(1));
    expect((await rows(String(interaction.id)))[0]?.event).toMatchObject({
      channelId: world.fake.channel,
      threadId: '940000000000000001',
      attachments: [{ name: 'plan.md', bytes: 12, mediaType: 'text/markdown' }],
    });
  });

  it('feedback by HTTP opens the form and is stored', async () => {
    const bot = await world.instance();
    const { id } = await slash('leave?');
    await until(async () => expect(await rows(id)).toMatchObject([{ reason: 'answered' }]));
    const answerId = world.answering.asked[0]?.answerId ?? '';
    const click = payload({
      type: 3,
      message: { id: world.fake.messages()[0]?.id },
      data: { custom_id: `fn:down:${answerId}` },
    });
    expect(await post(bot, click)).toMatchObject({ reply: { type: 9, data: { custom_id: `fn:why:${answerId}` } } });
    await until(async () =>
      expect((await world.state.receipts.get(demoTenant.id, answerId))?.feedback).toMatchObject([{ rating: 'down' }]),
    );
  });

  it('the commands are registered once, and again only when they changed', async () => {
    await world.instance();
    expect(world.fake.callsOf('commands').map((call) => call.method)).toEqual(['GET', 'PUT']);
    await world.instance();
    expect(world.fake.callsOf('commands').map((call) => call.method)).toEqual(['GET', 'PUT', 'GET']);
    await world.fake.twin.prisma.applicationCommand.updateMany({
      where: { name: 'ask' },
      data: { description: 'old' },
    });
    await world.instance();
    expect(world.fake.callsOf('commands').map((call) => call.method)).toEqual(['GET', 'PUT', 'GET', 'GET', 'PUT']);
  });

  it('an unconnected server gets a code for who manages it, and words for others', async () => {
    const bot = await world.instance({ workspaces: [] });
    const whispered = async (data: object, permissions: string): Promise<string> => {
      const interaction = payload({ member: { user: { id: world.fake.user }, permissions }, data });
      await known(interaction, true);
      const before = world.fake.messages().length;
      await post(bot, interaction);
      await until(() => expect(world.fake.messages().length).toBeGreaterThan(before));
      expect(world.fake.messages().at(-1)).toMatchObject({ ephemeral: true });
      return world.fake.messages().at(-1)?.content ?? '';
    };
    const connect = { name: 'footnote', options: [{ name: 'connect', type: 1 }] };
    expect(await whispered(connect, '0')).toContain('Only somebody who manages');
    expect(await whispered(connect, '32')).toMatch(/one-time code is `[A-Z0-9-]{8,}`/);
    const ask = { name: 'ask', options: [{ name: 'question', type: 3, value: 'leave?' }] };
    expect(await whispered(ask, '0')).toContain('not connected');
    // Whoever waits for a reply gets one, each time.
    expect(await whispered(ask, '0')).toContain('not connected');
    expect(world.answering.asked).toEqual([]);
  });

  it('a command in a channel that is switched off gets a sentence, a mention does not', async () => {
    world.rules.current = { enabled: false };
    await world.instance();
    const { id } = await world.fake.twin
      .channel(world.fake.channel)
      .user(world.fake.user)
      .sendMessage({ content: `<@${world.fake.bot}> leave?` });
    await slash('leave?');
    await until(() => expect(world.fake.messages()).toHaveLength(1));
    await until(async () => expect(await reasonsOf(world, id)).toEqual(['channel-off']));
    expect(world.fake.messages()).toHaveLength(1);
    expect(world.fake.messages()[0]?.content).toContain('switched off');
  });
});
