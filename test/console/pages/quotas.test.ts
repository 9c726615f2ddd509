import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let real: Real;
let tenantId: string;
let admin: string;
let billing: string;

beforeAll(async () => {
  real = await openReal();
  tenantId = (await real.core.tenants.create({ slug: 'acme', name: 'Acme' })).id;
  admin = await real.signIn('admin', tenantId);
  billing = await real.signIn('billing', tenantId);
});
afterAll(() => real.close());

const base = '/console/acme/quotas';
const get = (cookie = admin) => real.app.request(base, { headers: { cookie } });
const post = (path: string, fields: Record<string, string>, cookie = admin) => postForm(real.app, path, fields, cookie);
const seen = async () => /name="seen" value="([^"]+)"/.exec(await (await get()).text())?.[1] ?? '';
const rev = async () => String((await real.core.tenants.get(tenantId))?.rev);
const limit = { scope: 'tenant', unit: 'questions', per: 'day', limit: '100' };
const warnings = async () => (await real.core.tenants.get(tenantId))?.settings.quotaWarnings;

describe('a limit', () => {
  test('has a grace in words, and a question asked before it counts', async () => {
    await real.core.ask(
      tenantId,
      { question: 'Where is xyzzy?', platform: 'api', traceId: 't' },
      { signal: AbortSignal.timeout(30_000) },
    );
    const saved = await post(base, { ...limit, gracePercent: '10', graceUntil: '2099-12-31', seen: await seen() });
    expect(saved.status).toBe(303);
    expect(await real.core.quotas.get(tenantId)).toMatchObject([
      { limit: 100, used: 1, grace: { percent: 10, until: Date.UTC(2100, 0, 1) } },
    ]);
    expect(await (await get()).text()).toContain('10 % more until 2099-12-31');
    expect((await post(base, { ...limit, per: 'month', gracePercent: '0', seen: await seen() })).status).toBe(422);
    const wrong = await post(base, { ...limit, per: 'month', gracePercent: '101', seen: await seen() });
    expect(await wrong.text()).toContain('id="gracePercent-error">A whole number from 1 to 100 is needed.');
  });

  test('is not written over by somebody who has not seen it', async () => {
    const stale = await seen();
    await post(base, { ...limit, scope: 'member', limit: '7', seen: stale });
    const late = await post(base, { ...limit, scope: 'channel', limit: '8', seen: stale });
    expect(late.status).toBe(409);
    const page = await late.text();
    expect(page).toContain('Somebody else saved a change here meanwhile');
    expect(page, 'what was typed').toContain('value="8"');
    expect(await real.core.quotas.get(tenantId)).toHaveLength(2);
    const again = /name="seen" value="([^"]+)"/.exec(page)?.[1] ?? '';
    expect((await post(base, { ...limit, scope: 'channel', limit: '8', seen: again })).status, 'by the new list').toBe(
      303,
    );
  });
});

describe('warnings', () => {
  test('have thresholds and receivers, each told once and by an admin alone', async () => {
    const bad = await post(`${base}/warnings`, { at: '80, 80', rev: await rev() });
    expect(bad.status).toBe(422);
    expect(await bad.text()).toContain('id="at-error"');
    expect((await post(`${base}/warnings`, { at: '90 50 %', rev: await rev() })).status).toBe(303);
    expect(await warnings()).toEqual({ at: [50, 90], to: [] });
    const receiver = { platform: 'slack', workspaceId: 'T1', kind: 'channel', receiverId: 'C1' };
    expect((await post(`${base}/warnings/receivers`, { ...receiver, rev: await rev() })).status).toBe(303);
    const twice = await post(`${base}/warnings/receivers`, { ...receiver, rev: await rev() });
    expect(twice.status).toBe(409);
    expect(await twice.text()).toContain('id="receiverId-error">This one is told already.');
    await post(`${base}/warnings/receivers`, { ...receiver, kind: 'person', receiverId: 'U1', rev: await rev() });
    expect((await warnings())?.to).toEqual([
      { platform: 'slack', workspaceId: 'T1', channelId: 'C1' },
      { platform: 'slack', workspaceId: 'T1', userId: 'U1' },
    ]);
    const page = await (await get(billing)).text();
    expect(page).toContain('a person: U1');
    expect(page, 'a reviewer reads').not.toContain('<form class="form"');
    expect((await post(`${base}/warnings`, { at: '10', rev: await rev() }, billing)).status).toBe(403);
    const gone = JSON.stringify(['slack', 'T1', 'C1', null]);
    await post(`${base}/warnings/remove`, { receiver: gone, rev: await rev() });
    expect((await warnings())?.to).toHaveLength(1);
  });

  test('go to a connected workspace, and to channels that are offered by name', async () => {
    await real.core.connections.create(tenantId, { platform: 'slack', workspaceId: 'T-CHOSEN' });
    await real.core.channels.put(tenantId, 'slack', 'C-KNOWN', { language: 'de' });
    const page = await (await get()).text();
    expect(page).toContain('<option value="slack:T-CHOSEN"');
    expect(page).toContain('<option value="C-KNOWN">Slack C-KNOWN</option>');
    expect(page).not.toContain('name="workspaceId"');
    const receiver = { kind: 'channel', receiverId: 'C-KNOWN' };
    const foreign = { ...receiver, workspace: 'slack:T-ELSEWHERE', rev: await rev() };
    const refused = await post(`${base}/warnings/receivers`, foreign);
    expect(refused.status).toBe(422);
    expect(await refused.text()).toContain('id="workspace-error">Choose one of the connected workspaces.');
    const chosen = { ...receiver, workspace: 'slack:T-CHOSEN', rev: await rev() };
    expect((await post(`${base}/warnings/receivers`, chosen)).status).toBe(303);
    expect((await warnings())?.to).toContainEqual({ platform: 'slack', workspaceId: 'T-CHOSEN', channelId: 'C-KNOWN' });
  });
});
