import { describe, expect, it } from 'vitest';
import type { DiscordApi } from '../../../bots/discord/api.ts';
import { namesInDiscord } from '../../../bots/discord/names.ts';

const apiWith = (answers: Readonly<Record<string, unknown>>): DiscordApi =>
  ({
    call: async (_method: string, path: string) =>
      path in answers ? { ok: true, data: answers[path] } : { ok: false, status: 403 },
  }) as unknown as DiscordApi;
const within = AbortSignal.timeout(10_000);

describe('names', () => {
  it('are the server’s and those of all its channels', async () => {
    const api = apiWith({
      '/guilds/1': { id: '1', name: 'Acme' },
      '/guilds/1/channels': [{ id: '2', name: 'general' }, { id: '3', name: 'help' }, { id: '4' }, null],
    });
    expect(await namesInDiscord(api, '1', [], within)).toEqual({
      workspace: 'Acme',
      channels: { 2: 'general', 3: 'help' },
    });
  });

  it('that Discord does not tell are absent, and direct messages have none', async () => {
    expect(await namesInDiscord(apiWith({}), '1', [], within)).toEqual({ channels: {} });
    expect(await namesInDiscord(apiWith({}), 'dm', [], within)).toEqual({ channels: {} });
  });

  it('of people are those that they have in the server, else those that they chose for everywhere', async () => {
    const [nicked, plain, gone, unknown] = ['1', '2', '3', '4'].map((digit) => digit.repeat(18)) as [
      string,
      string,
      string,
      string,
    ];
    const api = apiWith({
      [`/guilds/1/members/${nicked}`]: { nick: 'Ada', user: { username: 'ada_1', global_name: 'Ada L.' } },
      [`/guilds/1/members/${plain}`]: { nick: null, user: { username: 'bob', global_name: null } },
      [`/users/${gone}`]: { username: 'cleo', global_name: 'Cleo' },
    });
    expect((await namesInDiscord(api, '1', [nicked, plain, gone, unknown, '../x'], within)).people).toEqual({
      [nicked]: 'Ada',
      [plain]: 'bob',
      [gone]: 'Cleo',
    });
    expect((await namesInDiscord(api, 'dm', [gone], within)).people).toEqual({ [gone]: 'Cleo' });
  });
});
