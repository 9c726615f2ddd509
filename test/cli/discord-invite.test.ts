import { describe, expect, it } from 'vitest';
import { footnote } from './surroundings.ts';

const verb = (args: readonly string[], env?: Readonly<Record<string, string>>) =>
  footnote(['discord-invite', ...args], { storeless: true, ...(env && { env }) });

const application = '123456789012345678';
const token = `${Buffer.from(application).toString('base64url')}.x.y`;

describe('footnote discord-invite', () => {
  it.each([
    ['--app-id', ['--app-id', application], {}],
    ['DISCORD_APPLICATION_ID', [], { DISCORD_APPLICATION_ID: application, DISCORD_BOT_TOKEN: 'other' }],
    ['the bot token', [], { DISCORD_BOT_TOKEN: token }],
  ])('prints the address for the application of %s, with the least permissions', async (_, args, env) => {
    const { code, out, err } = await verb(args, env);
    expect([code, err]).toEqual([0, '']);
    const url = new URL(out.split('\n')[0] ?? '');
    expect(url.origin + url.pathname).toBe('https://discord.com/oauth2/authorize');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: application,
      scope: 'bot applications.commands',
      permissions: '309237713920',
    });
    expect(out).toContain('Read Message History');
  });

  it('for one server, for programs', async () => {
    const { out } = await verb(['--app-id', application, '--server', '42424242', '--json']);
    const { url } = JSON.parse(out) as { url: string };
    expect(new URL(url).searchParams.get('guild_id')).toBe('42424242');
  });

  it.each([
    ['no application', [], {}],
    ['an application that is none', ['--app-id', 'footnote'], {}],
    ['a token that is none', [], { DISCORD_BOT_TOKEN: 'secret' }],
    ['a server that is none', ['--app-id', application, '--server', 'mine'], {}],
    ['an argument', ['--app-id', application, 'x'], {}],
  ])('%s is used wrongly', async (_, args, env) => {
    const { code, err } = await verb(args, env);
    expect(code).toBe(2);
    expect(err).not.toContain('secret');
  });
});
