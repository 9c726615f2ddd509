import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let real: Real;
let tenantId: string;
let admin: string;
let other: { readonly userId: string; readonly cookie: string };

beforeAll(async () => {
  real = await openReal();
  tenantId = (await real.core.tenants.create({ slug: 'acme', name: 'Acme' })).id;
  admin = await real.signIn('admin', tenantId);
  const link = await real.auth.issueSignInLink('grace@example.com');
  await real.core.members.put(link.userId, tenantId, 'admin');
  const signedIn = await real.app.request(new URL(link.url).pathname);
  const cookie = signedIn.headers
    .getSetCookie()
    .map((one) => one.split(';', 1)[0])
    .join('; ');
  other = { userId: link.userId, cookie };
  const keys = '/console/acme/keys';
  expect((await postForm(real.app, keys, { name: 'ci', scopes: 'ask' }, admin)).status).toBeLessThan(400);
  expect((await postForm(real.app, '/console/acme/sources', { kind: 'push', name: 'Wiki' }, other.cookie)).status).toBe(
    303,
  );
  await real.core.audit(tenantId, 'operator', 'tenant.update', '=1+1');
});
afterAll(() => real.close());

const get = async (path: string, cookie = admin) => {
  const response = await real.app.request(`/console/acme/audit${path}`, { headers: { cookie } });
  return { status: response.status, text: await response.text() };
};
/** Actions of the page's table, in the order of the alphabet: two changes may be of one millisecond. */
const actions = (page: string): readonly string[] =>
  [...page.matchAll(/<td[^>]*><code>([^<]+)<\/code>/g)].map(([, action = '']) => action).sort();

test('every change is there, by the name of who made it', async () => {
  const { status, text } = await get('');
  expect(status).toBe(200);
  expect(actions(text)).toEqual(['key.create', 'source.create', 'tenant.update']);
  expect(text).toMatch(new RegExp(`<span title="user:${other.userId}">[^<]*grace`, 'i'));
});

test('it is searched by action, by subject and by the address of a person', async () => {
  expect(actions((await get('?q=key')).text)).toEqual(['key.create']);
  expect(actions((await get('?q=Grace@example.com')).text)).toEqual(['source.create']);
  expect(actions((await get(`?q=${encodeURIComponent('1+1')}`)).text)).toEqual(['tenant.update']);
  const none = await get('?q=nobody@example.com');
  expect(actions(none.text)).toEqual([]);
  expect(none.text).toContain('Nothing fits this search.');
});

test('the export holds what the search shows, and no line of it is a formula', async () => {
  const lines = async (query: string) => (await get(`/export${query}`)).text.trim().split(/\r?\n/);
  const [head = '', ...rows] = await lines('');
  expect(head).toBe('at,actor,action,subject,id');
  expect(rows.map((line) => line.split(',')[2]).sort()).toEqual(['key.create', 'source.create', 'tenant.update']);
  expect((await lines('?q=grace@example.com')).slice(1).map((line) => line.split(',')[1])).toEqual([
    `user:${other.userId}`,
  ]);
  expect((await lines('')).join('\n')).not.toMatch(/,=1\+1/);
});

test('it is for those who manage the organisation', async () => {
  for (const role of ['viewer', 'billing'] as const) {
    const cookie = await real.signIn(role, tenantId);
    for (const path of ['', '/export']) expect((await get(path, cookie)).status, `${role} ${path}`).toBe(403);
  }
});
