import { describe, expect, it } from 'vitest';
import { createDiscord } from '../../../bots/discord/discord.ts';
import type { InboundEvent } from '../../../core/domain.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Offer } from '../../../core/ports/platform.ts';
import { type Gesture, type GestureOptions, type PlatformRig, platformContract } from '../../contracts/platform.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { until } from '../../until.ts';
import { createKeys, listen, newId, signatureHeaders, soleLeader } from './driving.ts';
import { type BotMessage, startFakeDiscord } from './fake.ts';

const buttonsOf = (message: BotMessage): readonly string[] =>
  (message.components as readonly { readonly components: readonly { readonly custom_id: string }[] }[]).flatMap((row) =>
    row.components.map((button) => button.custom_id.split(':')[1] ?? ''),
  );

const startRig = async (): Promise<PlatformRig> => {
  const fake = await startFakeDiscord();
  const heard: InboundEvent[] = [];
  let refusing = false;
  let refused = 0;
  const runtime = { ...createTestRuntime(), clock: systemClock };
  const keys = createKeys();
  const platform = createDiscord({
    botToken: fake.twin.botToken,
    publicKey: keys.publicKey,
    apiUrl: fake.apiUrl,
    messageContent: true,
    lead: soleLeader,
    runtime,
    settings: {
      editMs: 1,
      firstAfterMs: 0,
      typingAfterMs: 0,
      placeholderAfterMs: 0,
      timeoutMs: 3000,
      storeForMs: 0,
      interactionWithinMs: 60_000,
    },
  });
  await platform.start(async (event) => {
    if (refusing) {
      refused += 1;
      throw new Error('the store is down');
    }
    heard.push(event);
    return { outcome: 'stored' };
  });
  await until(() => expect(runtime.logged.some((line) => line.event === 'discord-ready')).toBe(true));
  const http = await listen(platform.routes);
  const inChannel = fake.twin.channel(fake.channel);
  const otherBot = (await fake.twin.prisma.user.findFirst({ where: { username: 'OtherBot' } }))?.id ?? '';
  const sent = new Map<string, Record<string, unknown>>();
  let personOpened = false;

  /** What was begun ends in an event, or in a refusal by the store. */
  const acknowledged = async (begin: () => Promise<unknown>): Promise<boolean> => {
    const before = { heard: heard.length, refused };
    await begin();
    await until(() => expect(heard.length + refused).toBeGreaterThan(before.heard + before.refused));
    return refused === before.refused;
  };
  /** Everything sent before has been looked at. */
  const settled = async (): Promise<void> => {
    const marker = newId();
    const before = runtime.logged.filter((line) => line.fields.why === 'type:7').length;
    fake.dispatch('MESSAGE_CREATE', {
      id: marker,
      channel_id: fake.channel,
      guild_id: fake.guild,
      type: 7,
      author: { id: fake.user },
    });
    await until(() =>
      expect(runtime.logged.filter((line) => line.fields.why === 'type:7').length).toBeGreaterThan(before),
    );
  };
  const write = async (id: string | undefined, channel: string, user: string, content: string): Promise<void> => {
    const before = sent.get(id ?? '');
    if (before !== undefined) return fake.dispatch('MESSAGE_CREATE', before);
    const message = await fake.twin.channel(channel).user(user).sendMessage({ content });
    if (id !== undefined) sent.set(id, { ...message, guild_id: fake.guild, mentions: [] });
  };

  const press = async (name: string, subject: string): Promise<boolean> => {
    const message = await inChannel.bot().sendMessage({ content: 'An answer.' });
    await settled();
    return acknowledged(() =>
      inChannel.user(fake.user).clickButton({ messageId: message.id, customId: `fn:${name}:${subject}` }),
    );
  };
  const ask = (options: GestureOptions = {}, isPrivate = false) =>
    acknowledged(() =>
      inChannel.user(fake.user).runSlashCommand({
        name: 'ask',
        options: [
          { name: 'question', type: 3, value: options.text ?? 'leave?' },
          ...(isPrivate ? [{ name: 'private', type: 5, value: true }] : []),
        ],
      }),
    );
  const action =
    (name: string) =>
    (options: GestureOptions = {}): Promise<boolean> =>
      press(name, options.answerId ?? options.deliveryId ?? 'a_0123456789abcdef');
  const gestures: Record<Gesture, (options?: GestureOptions) => Promise<boolean>> = {
    command: (options) => ask(options),
    'private-command': (options) => ask(options, true),
    'help-command': () =>
      acknowledged(() =>
        inChannel.user(fake.user).runSlashCommand({ name: 'footnote', options: [{ name: 'help', type: 1 }] }),
      ),
    'about-message': (options) =>
      acknowledged(() =>
        fake.twin.simulateInteraction({
          type: 2,
          channelId: fake.channel,
          userId: fake.user,
          data: {
            id: '1',
            name: 'Ask about this',
            type: 3,
            target_id: '42',
            resolved: { messages: { '42': { id: '42', content: options?.text ?? '', attachments: [] } } },
          },
        }),
      ),
    edit: (options) =>
      acknowledged(async () => {
        const message = sent.get(options?.id ?? '');
        return inChannel.user(fake.user).editMessage({ messageId: String(message?.id), content: options?.text ?? '' });
      }),
    delete: (options) =>
      acknowledged(() =>
        inChannel.user(fake.user).deleteMessage({ messageId: String(sent.get(options?.id ?? '')?.id) }),
      ),
    attachment: () => acknowledged(() => inChannel.user(fake.user).sendVoiceMessage()),
    stop: action('stop'),
    publish: action('publish'),
    solved: action('solved'),
    human: action('human'),
    'thumbs-up': action('up'),
    'thumbs-down': action('down'),
    reason: (options) =>
      acknowledged(() =>
        inChannel.user(fake.user).submitModal({
          customId: `fn:why:${options?.answerId ?? ''}`,
          fields: [{ customId: 'reason', value: options?.text ?? '' }],
        }),
      ),
  };

  const isWhisper = (message: BotMessage): boolean =>
    message.ephemeral || (fake.isDirect(message.channel) && !personOpened);
  const words = (message: BotMessage): string => message.content;
  return {
    platform,
    heard,
    refuse: () => {
      refusing = true;
    },
    deliver: async (what, options = {}) => {
      const content = options.text ?? 'a question?';
      switch (what) {
        case 'mention':
          return acknowledged(() => write(options.id, fake.channel, fake.user, `<@${fake.bot}> ${content}`));
        case 'direct': {
          personOpened = true;
          const channel = await fake.openDirect();
          return acknowledged(() => write(options.id, channel, fake.user, content));
        }
        case 'own':
          return acknowledged(() => write(options.id, fake.channel, fake.bot, content));
        case 'bot':
          return acknowledged(() => write(options.id, fake.channel, otherBot, content));
        case 'unknown':
          fake.dispatch('GUILD_SCHEDULED_EVENT_CREATE', { id: '7', guild_id: fake.guild });
          await settled();
          return true;
        case 'mangled':
          fake.dispatch('MESSAGE_CREATE', { id: 7, channel_id: null, content: {} });
          fake.dispatch('MESSAGE_UPDATE', null);
          fake.dispatch('MESSAGE_DELETE', {});
          fake.dispatch('INTERACTION_CREATE', { id: 'x' });
          fake.dispatch('GUILD_CREATE', 'what');
          await settled();
          return true;
      }
    },
    forge: async (how) => {
      const body = JSON.stringify({
        id: newId(),
        application_id: fake.bot,
        type: 2,
        token: 'token',
        guild_id: fake.guild,
        channel_id: fake.channel,
        channel: { id: fake.channel, type: 0 },
        member: { user: { id: fake.user }, permissions: '0' },
        data: { name: 'ask', options: [{ name: 'question', type: 3, value: 'leave?' }] },
      });
      const now = Math.floor(Date.now() / 1000);
      const headers = {
        unsigned: {},
        wrong: signatureHeaders(createKeys().privateKey, body, now),
        stale: signatureHeaders(keys.privateKey, body, now - 302),
        future: signatureHeaders(keys.privateKey, body, now + 302),
      }[how];
      const response = await fetch(`${http.url}/discord/interactions`, { method: 'POST', headers, body });
      return response.ok;
    },
    shown: () =>
      fake
        .messages()
        .filter((message) => !isWhisper(message))
        .map(words),
    whispered: () => fake.messages().filter(isWhisper).map(words),
    gestures,
    offered: () => {
      const newest = fake.messages().at(-1);
      const names = newest === undefined ? [] : buttonsOf(newest);
      return [
        ...new Set(names.map((name) => (name === 'up' || name === 'down' ? 'thumbs' : name))),
      ] as readonly Offer[];
    },
    titles: () =>
      fake
        .messages()
        .flatMap(({ components }) =>
          (components as readonly { readonly components: readonly { readonly label?: string }[] }[])
            .flatMap((row) => row.components)
            .flatMap(({ label }) => label ?? []),
        ),
    stopStands: () => fake.messages().some((message) => buttonsOf(message).includes('stop')),
    pinged: () => fake.messages().flatMap((message) => message.pings),
    vanish: (what) => {
      fake.fault('start-thread', { kind: 'error', code: what === 'thread' ? 10008 : 10003, status: 404 }, 100);
      for (const name of ['post', 'typing', 'edit'] as const)
        fake.fault(name, { kind: 'error', code: 10003, status: 404 }, 100);
    },
    close: async () => {
      await http.close();
      await platform.stop();
      await fake.close();
    },
  };
};

platformContract({ name: 'discord', start: startRig });

describe('the proxy before the twin', () => {
  it('refuses what Discord refuses', async () => {
    const fake = await startFakeDiscord();
    const post = async (body: Record<string, unknown>) =>
      (
        await fetch(`${fake.apiUrl}/v10/channels/${fake.channel}/messages`, {
          method: 'POST',
          body: JSON.stringify({ allowed_mentions: { parse: [] }, ...body }),
        })
      ).status;
    expect(await post({ content: 'x'.repeat(2001) })).toBe(400);
    expect(await post({ content: ' ' })).toBe(400);
    expect(await post({ content: 'x', nonce: 'x'.repeat(26) })).toBe(400);
    expect(await post({ content: 'x', allowed_mentions: { parse: ['everyone'] } })).toBe(400);
    expect(await post({ content: 'x', nonce: 'n', enforce_nonce: true })).toBe(200);
    expect(await post({ content: 'y', nonce: 'n', enforce_nonce: true })).toBe(200);
    expect(fake.messages().map((message) => message.content)).toEqual(['x']);
    await fake.close();
  });
});
