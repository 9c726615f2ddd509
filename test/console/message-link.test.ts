import { expect, test } from 'vitest';
import { parseMessageLink } from '../../console/message-link.ts';

test('links of messages are read as the platforms write them', () => {
  expect(
    parseMessageLink(' https://acme.slack.com/archives/C024BE91L/p1700000000123456?thread_ts=1.2&cid=C1 '),
  ).toEqual({
    platform: 'slack',
    channelId: 'C024BE91L',
    messageId: '1700000000.123456',
  });
  expect(parseMessageLink('https://discord.com/channels/11/22/33')).toEqual({
    platform: 'discord',
    workspaceId: '11',
    channelId: '22',
    messageId: '33',
  });
  expect(parseMessageLink('https://canary.discord.com/channels/@me/22/33')).toMatchObject({ workspaceId: 'dm' });
  expect(
    parseMessageLink(
      'https://teams.microsoft.com/l/message/19%3Aabc%40thread.tacv2/1700000000123?tenantId=t-1&groupId=g',
    ),
  ).toEqual({ platform: 'teams', workspaceId: 't-1', channelId: '19:abc@thread.tacv2', messageId: '1700000000123' });
});

test('what is no link of a message is none', () => {
  for (const text of [
    '',
    'C024BE91L',
    'javascript:alert(1)',
    'http://acme.slack.com/archives/C024BE91L/p1700000000123456',
    'https://slack.com.evil.example/archives/C024BE91L/p1700000000123456',
    'https://evilslack.com/archives/C024BE91L/p1700000000123456',
    'https://acme.slack.com/archives/C024BE91L',
    'https://acme.slack.com/archives/%E0%A4%A/p1700000000123456',
    'https://discord.com/channels/11/22',
    'https://discord.com/channels/11/22/x',
    'https://teams.microsoft.com/l/message/19%3Aabc/',
  ])
    expect(parseMessageLink(text), text).toBeNull();
});
