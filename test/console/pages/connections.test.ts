import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Connection } from '../../../core/domain.ts';
import type { Joining, Platform } from '../../../core/ports/platform.ts';
import { platformWith } from '../harness.ts';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

let real: Real;
let tenantId: string;
let admin: string;
let viewer: string;
let operator: string;
let connection: Connection;
const joining: { slack: Joining } = { slack: { link: '/slack/install', ownApp: ['botToken', 'signingSecret'] } };
let checkUp: Platform['checkUp'] = async () => [];

beforeAll(async () => {
  const slack: Platform = {
    ...platformWith(),
    joining: async () => joining.slack,
    checkUp: (...given) => checkUp(...given),
  };
  const teams: Platform = {
    ...platformWith(),
    name: 'teams',
    joining: async () => ({
      file: { name: 'footnote-teams.zip', mediaType: 'application/zip', bytes: new Uint8Array([80, 75]) },
    }),
  };
  real = await openReal({}, { platforms: [slack, teams] });
  const furnished = await real.furnish('acme');
  tenantId = furnished.tenant.id;
  connection = furnished.connection;
  await real.furnish('globex');
  admin = await real.signIn('admin', tenantId);
  viewer = await real.signIn('viewer', tenantId);
  operator = await real.signIn('operator', null);
});
afterAll(() => real.close());

const base = '/console/acme/connections';
const get = (path: string, cookie = admin) => real.app.request(path, { headers: { cookie } });
const post = (path: string, fields: Record<string, string>, cookie = admin) => postForm(real.app, path, fields, cookie);
const listed = async () => (await real.core.connections.list(tenantId)).map(({ workspaceId }) => workspaceId);

describe('the list', () => {
  test('says for each workspace when it was heard and what went wrong last', async () => {
    expect(await (await get(base)).text()).toContain('Nothing heard yet');
    await real.core.connections.heard(connection);
    expect(await (await get(base, viewer)).text()).toContain('Working');
    await real.core.connections.failed(connection, 'The <token> was revoked.');
    const page = await (await get(base)).text();
    expect(page).toContain('Trouble');
    expect(page).toContain('The &lt;token&gt; was revoked.');
  });

  test('leads only those to changes who may make them', async () => {
    expect(await (await get(base)).text()).toContain(`${base}/new`);
    expect(await (await get(base, viewer)).text()).not.toContain(`${base}/new`);
    for (const path of [base, `${base}/claim`, `${base}/${connection.id}/delete`])
      expect((await post(path, { platform: 'slack', code: 'x', workspaceId: 'T' }, viewer)).status).toBe(403);
    expect((await get(`${base}/new`, viewer)).status).toBe(403);
  });
});

describe('the steps into a workspace', () => {
  test('offer what this deployment has set up, and say so where it has nothing', async () => {
    expect(await (await get(`${base}/new?platform=slack`)).text()).toContain('href="/slack/install"');
    joining.slack = { ownApp: ['botToken', 'signingSecret'] };
    const without = await (await get(`${base}/new?platform=slack`)).text();
    joining.slack = { link: '/slack/install', ownApp: ['botToken', 'signingSecret'] };
    expect(without).not.toContain('/slack/install');
    expect(without).toContain('has no Slack app');
    expect(await (await get(`${base}/new?platform=discord`)).text()).toContain('DISCORD_BOT_TOKEN');
    expect((await get(`${base}/new?platform=irc`)).status).toBe(404);
  });

  test('give the Teams package as a file', async () => {
    expect(await (await get(`${base}/new?platform=teams`)).text()).toContain(`${base}/package/teams`);
    const file = await get(`${base}/package/teams`);
    expect(file.headers.get('content-disposition')).toContain('footnote-teams.zip');
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(new Uint8Array([80, 75]));
    expect((await get(`${base}/package/slack`)).status).toBe(303);
  });

  test('end with the code that the bot shows: it connects once, and a wrong one is said beside its field', async () => {
    const { code } = await real.core.connections.offerCode('slack', 'T-CODED');
    const wrong = await post(`${base}/claim`, { platform: 'slack', code: 'WRONG<b>' });
    expect(wrong.status).toBe(422);
    expect(await wrong.text()).toMatch(/value="WRONG&lt;b&gt;"[\s\S]*id="code-error">This code is not good here/);
    const response = await post(`${base}/claim`, { platform: 'slack', code });
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toMatch(/connections\/x_[0-9a-f]+\?done=connected$/);
    expect(await listed()).toContain('T-CODED');
    expect((await post(`${base}/claim`, { platform: 'slack', code })).status).toBe(422);
  });

  test('do not let a code be guessed', async () => {
    let status = 0;
    for (let guess = 0; guess < 12 && status !== 429; guess++)
      status = (await post(`${base}/claim`, { platform: 'slack', code: `GUESS-${guess}` })).status;
    expect(status).toBe(429);
  });
});

describe('without a code', () => {
  test('only the operator connects a workspace', async () => {
    const fields = { platform: 'slack', workspaceId: 'T-FOREIGN' };
    expect((await post(base, fields)).status).toBe(403);
    expect(await listed()).not.toContain('T-FOREIGN');
    expect(await (await get(`${base}/new?platform=slack`)).text()).not.toContain('workspaceId');
    expect(await (await get(`${base}/new?platform=slack`, operator)).text()).toContain('name="workspaceId"');
    expect((await post(base, { platform: 'discord', workspaceId: '1234' }, operator)).status).toBe(303);
    expect(await listed()).toContain('1234');
  });

  test('an own app’s credentials are sealed and shown nowhere again', async () => {
    const fields = { platform: 'slack', workspaceId: 'T-OWN', botToken: 'xoxb-very-secret' };
    const half = await post(base, fields, operator);
    const page = await half.text();
    expect(half.status).toBe(422);
    expect(page).toContain('Fill in all of these, or none.');
    expect(page).not.toContain('very-secret');
    const made = await post(base, { ...fields, signingSecret: 'signing-very-secret' }, operator);
    expect(made.status).toBe(303);
    const path = made.headers.get('location')?.split('?')[0] ?? '';
    const shown = await (await get(path, operator)).text();
    expect(shown).toContain('own app');
    expect(shown).toContain('/slack/events/x_');
    expect(shown).not.toContain('very-secret');
    const own = (await real.core.connections.list(tenantId)).find(({ workspaceId }) => workspaceId === 'T-OWN');
    expect(own?.sealedCredentials).not.toContain('secret');
  });

  test('a workspace that belongs to another tenant is refused in words', async () => {
    const taken = await post(base, { platform: 'slack', workspaceId: 'T-globex' }, operator);
    expect(taken.status).toBe(409);
    expect(await taken.text()).toContain('already belongs to a tenant');
  });
});

describe('a connection', () => {
  test('is checked in plain words, with advice for what is missing', async () => {
    checkUp = async () => [
      { item: 'The token is valid', ok: true },
      { item: 'May read files <b>', ok: false, advice: 'Add the scope files:read.' },
    ];
    const page = await (await get(`${base}/${connection.id}`, viewer)).text();
    expect(page).toContain('One thing is missing.');
    expect(page).toContain('May read files &lt;b&gt;');
    expect(page).toContain('Add the scope files:read.');
    expect(page).not.toContain('/delete');
  });

  test('has a page even when its platform cannot be asked', async () => {
    checkUp = () => Promise.reject(new Error('socket hang up'));
    const response = await get(`${base}/${connection.id}`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('could not be asked just now');
  });

  test('is disconnected only after a page that says what follows', async () => {
    const asked = await (await post(`${base}/${connection.id}/delete`, {})).text();
    expect(asked).toContain('The bot answers nobody there any more');
    expect(await real.core.connections.get(tenantId, connection.id)).not.toBeNull();
    expect((await post(`${base}/${connection.id}/delete`, { confirmed: 'yes' })).status).toBe(303);
    expect(await real.core.connections.get(tenantId, connection.id)).toBeNull();
    expect((await get(`${base}/${connection.id}`)).status).toBe(404);
  });
});
