import { describe, expect, it } from 'vitest';
import { customId } from '../../../bots/discord/buttons.ts';
import { type Normalised, normaliseMessage, type Surroundings } from '../../../bots/discord/normalise.ts';
import { channelPermissions, inviteUrl, isAllowed } from '../../../bots/discord/permissions.ts';
import { mentionsIn, parseDiscordText } from '../../../bots/discord/text.ts';
import { renderDiscord } from '../../../bots/markdown.ts';

const self = { userId: '100000000000000001', roleId: '100000000000000002' };
const [asker, other] = ['200000000000000001', '200000000000000002'];
const around = (more: Partial<Surroundings> = {}): Surroundings => ({
  receivedAt: 1_790_000_000_000,
  self,
  channel: { kind: 'channel', startable: true },
  workspaceId: '300000000000000001',
  isMember: true,
  readsContent: true,
  isOurs: () => false,
  originOf: () => null,
  ...more,
});
const message = (more: object = {}): object => ({
  id: '400000000000000001',
  channel_id: '500000000000000001',
  guild_id: '300000000000000001',
  type: 0,
  author: { id: asker, username: 'anna' },
  content: 'how many days of leave?',
  ...more,
});
const event = (normalised: Normalised) => (normalised.kind === 'event' ? normalised.event : null);
const heard = (more: object = {}, where: Partial<Surroundings> = {}) =>
  event(normaliseMessage(message(more), 'message', around(where)));

describe('what a message on Discord becomes', () => {
  it('a reply to a person, and a thread that a person began, are talk between people', () => {
    const reply = (author: string) => ({
      type: 19,
      message_reference: { message_id: '1' },
      referenced_message: { author: { id: author } },
    });
    expect(heard(reply(other))?.repliesToPerson).toBe(true);
    expect(heard(reply(self.userId))).toMatchObject({ addressed: 'mention' });
    expect(heard(reply(self.userId))?.repliesToPerson).toBeUndefined();
    const thread = (owner: string) => ({ channel: { kind: 'thread' as const, startable: false, parent: '5', owner } });
    expect(heard({}, thread(other))?.repliesToPerson).toBe(true);
    expect(heard({}, thread(asker))?.repliesToPerson).toBeUndefined();
    expect(heard({}, thread(self.userId))?.repliesToPerson).toBeUndefined();
  });

  it('a forwarded message is no reply, and its words are the question', () => {
    const forwarded = heard({
      content: '',
      message_reference: { type: 1, message_id: '1' },
      message_snapshots: [{ message: { content: 'does this count?' } }],
    });
    expect(forwarded).toMatchObject({ text: 'does this count?', addressed: 'none' });
    expect(forwarded?.repliesToPerson).toBeUndefined();
  });

  it('people, channels, emoji, times and commands are written out; our own mention goes', () => {
    const named = [{ id: other, name: 'Ben' }];
    expect(
      parseDiscordText(
        `<@${self.userId}> ask <@!${other}> in <#7> <a:party:8> at <t:0:R> with </ask:9> <@&${self.roleId}> <@&77>`,
        self,
        named,
      ),
    ).toBe('ask @Ben in #channel :party: at 1970-01-01T00:00:00.000Z with /ask @role');
    expect(mentionsIn(`<@${self.userId}> humans <@${other}> <#7>`, self, named)).toEqual([
      { kind: 'person', id: other, name: 'Ben' },
      { kind: 'channel', id: '7' },
    ]);
  });

  it('never throws, whatever comes', () => {
    for (const odd of [
      null,
      7,
      'x',
      [],
      {},
      { id: '1' },
      message({ author: null }),
      message({ content: { a: 1 } }),
      message({ mentions: 'all' }),
      message({ attachments: [null] }),
    ])
      expect(() => normaliseMessage(odd, 'message', around())).not.toThrow();
    expect(heard({ mentions: 'all', attachments: [null], mention_roles: 5 })?.text).toBe('how many days of leave?');
  });
});

describe('what the bot writes on Discord', () => {
  it.each([
    ['@everyone and @here', '@\u200beveryone and @\u200bhere'],
    [
      '<@123> <@&123> <#123> </ask:1> <id:home> <:x:1>',
      '<\u200b@123> <\u200b@&123> <\u200b#123> <\u200b/ask:1> <\u200bid:home> <\u200b:x:1>',
    ],
    ['![a plan](https://evil.example/x.png)', 'a plan'],
    ['[here](https://docs.example/a)', '[here](<https://docs.example/a>)'],
    ['[https://docs.example/a](https://docs.example/a)', '<https://docs.example/a>'],
    ['[x](javascript:alert(1))', 'x'],
    ['Title\n=====', '# Title'],
    ['##### Deep', '**Deep**'],
    ['__bold__', '**bold**'],
    ['a\n\n---\n\nb', 'a\n\n———\n\nb'],
    ['```js\n[x](y) __z__\n```', '```js\n[x](y) __z__\n```'],
    ['plain *words* stay', 'plain *words* stay'],
  ])('%j becomes %j', (given, wanted) => {
    expect(renderDiscord(given)).toBe(wanted);
  });

  it('a button of the longest ids fits and comes back', () => {
    const origin = { guild: '18446744073709551615', channel: '18446744073709551614', message: '18446744073709551613' };
    const id = customId.of('publish', `a_${'f'.repeat(32)}`, origin);
    expect(id.length).toBeLessThanOrEqual(100);
    expect(customId.parse(id)).toEqual({ name: 'publish', subject: `a_${'f'.repeat(32)}`, origin });
    expect(customId.parse('fn:format:a_1')).toBeNull();
  });
});

describe('permissions', () => {
  it('a channel denies and allows in Discord’s order', () => {
    const [view, send] = [1024n, 2048n];
    const member = { user: { id: '9' }, roles: ['8'] };
    const channel = (overwrites: readonly object[]) => ({ permission_overwrites: overwrites });
    const base = view | send;
    expect(channelPermissions(base, channel([{ id: '1', deny: '2048', allow: '0' }]), '1', member)).toBe(view);
    expect(
      channelPermissions(
        base,
        channel([
          { id: '1', deny: '3072', allow: '0' },
          { id: '8', deny: '0', allow: '3072' },
        ]),
        '1',
        member,
      ),
    ).toBe(base);
    expect(
      channelPermissions(
        base,
        channel([
          { id: '8', deny: '0', allow: '2048' },
          { id: '9', deny: '2048', allow: '0' },
        ]),
        '1',
        member,
      ),
    ).toBe(view);
    expect(isAllowed(channelPermissions(8n, channel([{ id: '1', deny: '2048', allow: '0' }]), '1', member), send)).toBe(
      true,
    );
  });

  it('the invitation asks for the least', () => {
    expect(inviteUrl('42')).toBe(
      'https://discord.com/oauth2/authorize?client_id=42&scope=bot+applications.commands&permissions=309237713920',
    );
  });
});
