import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSlack } from '../../../bots/slack/slack.ts';
import type { Connection } from '../../../core/domain.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Platform } from '../../../core/ports/platform.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { type FakeSlack, startFakeSlack } from '../../fakes/slack-api.ts';
import { createFakeWorkspaces, type FakeWorkspaces } from '../../fakes/workspaces.ts';

const publicUrl = 'https://footnote.example.com';
const grant = { teamId: 'T0NEW', teamName: 'Acme <b>', userId: 'U0INSTALLER', token: 'xoxb-new' };
const within = AbortSignal.timeout(60_000);

describe('installing in a workspace', () => {
  let fake: FakeSlack;
  let workspaces: FakeWorkspaces;
  let slack: Platform;
  let ahead = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };

  beforeEach(async () => {
    ahead = 0;
    fake = await startFakeSlack();
    workspaces = createFakeWorkspaces();
    slack = createSlack({
      signingSecret: 's',
      apiUrl: fake.url,
      oauth: { clientId: 'the-client', clientSecret: 'the-client-secret', publicUrl },
      connections: workspaces,
      runtime: { ...createTestRuntime(), clock },
      settings: { postMs: 0 },
    });
  });
  afterEach(() => fake.close());

  const get = async (path: string, cookie?: string): Promise<Response> => {
    const response = await slack.routes?.request(path, cookie === undefined ? {} : { headers: { cookie } });
    if (response === undefined) throw new Error('no routes');
    return response;
  };
  /** What a browser holds after it opened the installation. */
  const begin = async (): Promise<{ readonly state: string; readonly cookie: string; readonly location: URL }> => {
    const response = await get('/slack/install');
    expect(response.status).toBe(302);
    const location = new URL(response.headers.get('location') ?? '');
    return {
      state: location.searchParams.get('state') ?? '',
      cookie: (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '',
      location,
    };
  };
  const finish = (state: string, cookie?: string, code = 'the-code') =>
    get(`/slack/oauth_redirect?code=${code}&state=${encodeURIComponent(state)}`, cookie);

  it('asks Slack for what the bot needs, with a state that this browser alone can come back with', async () => {
    const response = await get('/slack/install');
    const cookie = response.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/Secure/);
    expect(cookie).toMatch(/SameSite=Lax/);
    expect(cookie).toMatch(/Max-Age=600/);
    const { location } = await begin();
    expect(location.searchParams.get('client_id')).toBe('the-client');
    expect(location.searchParams.get('redirect_uri')).toBe(`${publicUrl}/slack/oauth_redirect`);
    expect(location.searchParams.get('scope')).toContain('chat:write');
    expect(location.href).not.toContain('the-client-secret');
  });

  it('ends in a pending installation and a code that only the installer is told, in Slack', async () => {
    fake.grant('the-code', grant);
    const { state, cookie } = await begin();
    const response = await finish(state, cookie);
    const text = await response.text();
    expect(response.status).toBe(200);
    expect(text).toContain('Acme &lt;b&gt;');
    expect((await workspaces.pending('slack', 'T0NEW'))?.credentials).toEqual({ botToken: 'xoxb-new' });
    const [offered] = workspaces.codes;
    expect(text).not.toContain(offered?.code);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const [told] = fake.answers();
    expect(told?.channel).toBe('D0U0INSTALLER');
    expect(JSON.stringify(told?.blocks)).toContain(offered?.code);
    expect(fake.callsOf('chat.postMessage')[0]?.token).toBe('xoxb-new');
  });

  it('says how to get the code where the installer cannot be written to', async () => {
    fake.grant('the-code', { ...grant, userId: 'U0NOBODY' });
    const { state, cookie } = await begin();
    expect(await (await finish(state, cookie)).text()).toContain('/footnote connect');
  });

  it('a connected workspace gets its new token at once, and no code', async () => {
    const connection: Connection = {
      id: 'x_1',
      tenantId: 't_1',
      platform: 'slack',
      workspaceId: 'T0NEW',
      createdAt: 0,
    };
    workspaces.connect(connection, { botToken: 'xoxb-old' });
    fake.grant('the-code', grant);
    const { state, cookie } = await begin();
    expect((await finish(state, cookie)).status).toBe(200);
    expect(await workspaces.credentials(connection)).toEqual({ botToken: 'xoxb-new' });
    expect(workspaces.codes).toEqual([]);
  });

  it('a whole organisation is refused in words, and nothing is kept', async () => {
    fake.grant('the-code', { ...grant, organisation: true });
    const { state, cookie } = await begin();
    const response = await finish(state, cookie);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('choose one workspace');
    expect(await workspaces.pending('slack', 'T0NEW')).toBeNull();
  });

  it('a "no" and a code that Slack does not know change nothing', async () => {
    const first = await begin();
    const declined = await get(`/slack/oauth_redirect?error=access_denied&state=${first.state}`, first.cookie);
    expect(await declined.text()).toContain('Nothing was installed');
    const second = await begin();
    expect((await finish(second.state, second.cookie, 'stolen')).status).toBe(400);
    expect(workspaces.codes).toEqual([]);
  });

  it('Slack being away is said, and can be tried again', async () => {
    fake.fault('oauth.v2.access', { kind: 'status', status: 503 });
    const { state, cookie } = await begin();
    expect((await finish(state, cookie)).status).toBe(502);
  });

  it.each<
    readonly [
      string,
      (
        own: { state: string; cookie: string },
        other: { state: string; cookie: string },
      ) => readonly [string, string | undefined],
    ]
  >([
    ['without the cookie', (own) => [own.state, undefined]],
    ['with the cookie of another browser', (own, other) => [own.state, other.cookie]],
    ['with a state of another browser', (own, other) => [other.state, own.cookie]],
    ['with an empty state', (own) => ['', own.cookie]],
    [
      'with a changed signature',
      (own) => [`${own.state.slice(0, -1)}${own.state.endsWith('0') ? '1' : '0'}`, own.cookie],
    ],
    ['with a later end', (own) => [own.state.replace(/^\d+/, (at) => String(Number(at) + 1000)), own.cookie]],
    ['with an empty cookie', (own) => [own.state, 'footnote_slack_install=']],
    ['without a signature', (own) => [own.state.split('.')[0] ?? '', own.cookie]],
  ])('is refused %s, before Slack is asked', async (_, mutate) => {
    fake.grant('the-code', grant);
    const own = await begin();
    const other = await begin();
    const [state, cookie] = mutate(own, other);
    expect((await finish(state, cookie)).status).toBe(400);
    expect(fake.callsOf('oauth.v2.access')).toEqual([]);
  });

  it('is refused after ten minutes', async () => {
    fake.grant('the-code', grant);
    const { state, cookie } = await begin();
    ahead = 10 * 60_000 + 1;
    expect((await finish(state, cookie)).status).toBe(400);
  });

  it('a token that ends is renewed in time, once, and kept', async () => {
    const connection: Connection = {
      id: 'x_1',
      tenantId: 't_1',
      platform: 'slack',
      workspaceId: 'T0FAKE',
      createdAt: 0,
    };
    workspaces.connect(connection);
    fake.grant('the-code', {
      ...grant,
      teamId: 'T0FAKE',
      token: 'xoxe.xoxb-1',
      refreshToken: 'xoxe-1',
      expiresIn: 43_200,
    });
    const { state, cookie } = await begin();
    await finish(state, cookie);
    fake.renewal('xoxe-1', { token: 'xoxe.xoxb-2', refreshToken: 'xoxe-2', expiresIn: 43_200 });
    ahead = 12 * 3_600_000 - 60_000;
    const say = () =>
      slack.say?.({ workspaceId: 'T0FAKE', channelId: 'C1' }, { id: 's', markdown: 'x' }, within) ??
      Promise.resolve('');
    await Promise.all([say(), say()]);
    expect(fake.callsOf('oauth.v2.access')).toHaveLength(2);
    expect(new Set(fake.callsOf('chat.postMessage').map(({ token }) => token))).toEqual(new Set(['xoxe.xoxb-2']));
    expect(await workspaces.credentials(connection)).toMatchObject({ botToken: 'xoxe.xoxb-2', refreshToken: 'xoxe-2' });
    ahead += 12 * 3_600_000;
    await expect(say()).rejects.toMatchObject({ code: 'platform-failed', at: 'refresh' });
  });
});
