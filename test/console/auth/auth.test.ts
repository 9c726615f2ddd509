import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAuth } from '../../../console/auth/auth.ts';
import { openSqliteUsers } from '../../../console/auth/sqlite-users.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { cookiesOf, createHarness, type Harness, publicUrl } from '../harness.ts';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});

const pathOf = (url: string): string => new URL(url).pathname;

describe('the sign-in link', () => {
  test('answers 303 to the console and sets HttpOnly, SameSite cookies', async () => {
    const link = await harness.auth.issueSignInLink('ada@example.com');
    expect(link.url).toMatch(/^http:\/\/localhost:3000\/console\/sign-in\/[0-9a-f]{48}$/);
    const response = await harness.app.request(pathOf(link.url));
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe('/console');
    for (const cookie of response.headers.getSetCookie())
      expect(cookie).toMatch(/HttpOnly.*SameSite=Lax|SameSite=Lax.*HttpOnly/i);
    const page = await harness.app.request('/console', { headers: { cookie: cookiesOf(response) } });
    expect(page.status).toBe(200);
  });

  test('works once', async () => {
    const link = await harness.auth.issueSignInLink('once@example.com');
    expect((await harness.app.request(pathOf(link.url))).status).toBe(303);
    const again = await harness.app.request(pathOf(link.url));
    expect(again.status).toBe(410);
    expect(again.headers.getSetCookie()).toEqual([]);
    expect(await again.text()).toContain('This link no longer works');
  });

  test('opened twenty times at once signs in once', async () => {
    const link = await harness.auth.issueSignInLink('race@example.com');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => harness.auth.redeem(link.url.split('/').at(-1) ?? '', new Headers())),
    );
    expect(answers.filter((cookies) => cookies !== null)).toHaveLength(1);
  });

  test('is not spent by HEAD, nor by a browser that only looks ahead', async () => {
    const link = await harness.auth.issueSignInLink('scanned@example.com');
    expect((await harness.app.request(pathOf(link.url), { method: 'HEAD' })).status).toBe(204);
    expect(
      (await harness.app.request(pathOf(link.url), { headers: { 'sec-purpose': 'prefetch;prerender' } })).status,
    ).toBe(204);
    expect((await harness.app.request(pathOf(link.url))).status).toBe(303);
  });

  test('expires after 24 hours', async () => {
    const link = await harness.auth.issueSignInLink('late@example.com');
    vi.useFakeTimers({ now: Date.now() + 24 * 60 * 60 * 1000 + 1000, toFake: ['Date'] });
    try {
      expect(await harness.auth.redeem(link.url.split('/').at(-1) ?? '', new Headers())).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });

  test.each(['', 'null', 'undefined', '0'.repeat(48), 'a'.repeat(10_000), '%00', "' or 1=1 --", '[]'])(
    'refuses the token %j',
    async (token) => {
      expect(await harness.auth.redeem(token, new Headers())).toBeNull();
    },
  );

  test('is limited by the address of the caller', async () => {
    const crowded = await createHarness();
    crowded.core.allowed = 3;
    const statuses = [];
    for (let attempt = 0; attempt < 5; attempt++)
      statuses.push((await crowded.app.request(`/console/sign-in/${'1'.repeat(48)}`)).status);
    expect(statuses).toEqual([410, 410, 410, 429, 429]);
  });
});

describe('a session', () => {
  test('ends at once when it is revoked', async () => {
    const link = await harness.auth.issueSignInLink('revoked@example.com');
    const cookie = cookiesOf(await harness.app.request(pathOf(link.url)));
    expect((await harness.app.request('/console', { headers: { cookie } })).status).toBe(200);
    await harness.auth.revokeSessions(link.userId);
    expect((await harness.app.request('/console', { headers: { cookie } })).status).toBe(401);
  });

  test('ends by signing out, and the old cookie is worth nothing', async () => {
    const link = await harness.auth.issueSignInLink('leaving@example.com');
    const cookie = cookiesOf(await harness.app.request(pathOf(link.url)));
    const out = await harness.app.request('/console/sign-out', {
      method: 'POST',
      headers: { cookie, origin: publicUrl },
    });
    expect(out.status).toBe(303);
    expect((await harness.app.request('/console', { headers: { cookie } })).status).toBe(401);
  });

  test('cannot be ended from another site', async () => {
    const cookie = await harness.signIn('operator');
    const out = await harness.app.request('/console/sign-out', {
      method: 'POST',
      headers: { cookie, origin: 'https://evil.example' },
    });
    expect(out.status).toBe(403);
    expect((await harness.app.request('/console/settings/account', { headers: { cookie } })).status).toBe(200);
  });

  test('a tampered cookie is no session', async () => {
    const cookie = await harness.signIn('operator');
    expect(
      (await harness.app.request('/console', { headers: { cookie: `${cookie.slice(0, -6)}AAAAAA` } })).status,
    ).toBe(401);
  });
});

describe('the store of users', () => {
  const folder = mkdtempSync(join(tmpdir(), 'footnote-auth-'));
  const file = join(folder, 'state.db');
  const open = (url = publicUrl) =>
    createAuth({
      users: openSqliteUsers(file),
      publicUrl: url,
      secret: 'a secret of the tests, long enough to sign',
      runtime: createTestRuntime({ seed: Date.now() }),
    });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('prints a first link at each start until somebody has signed in', async () => {
    const given: string[] = [];
    const members = {
      put: async (_user: string, tenant: string | null, role: string) => void given.push(`${tenant} ${role}`),
    };
    const first = await open();
    expect(await first.firstOwnerLink(members)).not.toBeNull();
    first.close();
    const second = await open();
    const link = await second.firstOwnerLink(members);
    expect(link?.url).toContain('/console/sign-in/');
    expect(given).toEqual(['null operator', 'null operator']);
    expect(await second.redeem(link?.url.split('/').at(-1) ?? '', new Headers())).not.toBeNull();
    second.close();
    const third = await open();
    expect(await third.firstOwnerLink(members)).toBeNull();
    third.close();
  });

  test('holds no token in readable form', async () => {
    const auth = await open();
    const link = await auth.issueSignInLink('hashed@example.com');
    const token = link.url.split('/').at(-1) ?? '';
    const reader = new DatabaseSync(file, { readOnly: true });
    expect(JSON.stringify(reader.prepare('select * from auth_verification').all())).not.toContain(token);
    reader.close();
    auth.close();
  });

  test('keeps no session of a person that ended before the person came again', async () => {
    const auth = await open();
    const signIn = async () =>
      auth.redeem((await auth.issueSignInLink('back@example.com')).url.split('/').at(-1) ?? '', new Headers());
    await signIn();
    await signIn();
    const database = new DatabaseSync(file);
    const ids = () => {
      const sessions = database.prepare(
        `select auth_session.id from auth_session join auth_user on auth_user.id = userId where email = 'back@example.com'`,
      );
      return sessions.all().map(({ id }) => String(id));
    };
    const [ended = ''] = ids();
    database
      .prepare('update auth_session set expiresAt = ? where id = ?')
      .run(new Date(Date.now() - 1000).toISOString(), ended);
    await signIn();
    expect(ids()).toHaveLength(2);
    expect(ids()).not.toContain(ended);
    database.close();
    auth.close();
  });

  test('two processes may open it at the same time', async () => {
    const other = join(folder, 'both.db');
    const openOther = () =>
      createAuth({
        users: openSqliteUsers(other),
        publicUrl,
        secret: 'a secret of the tests, long enough to sign',
        runtime: createTestRuntime(),
      });
    const both = [openOther(), openOther()];
    const links = await Promise.all(both.map((auth, at) => auth.issueSignInLink(`person-${at}@example.com`)));
    expect(new Set(links.map(({ userId }) => userId)).size).toBe(2);
    for (const auth of both) auth.close();
  });

  test('marks cookies Secure when the public address is https', async () => {
    const auth = await open('https://notes.example');
    const link = await auth.issueSignInLink('tls@example.com');
    const cookies = await auth.redeem(link.url.split('/').at(-1) ?? '', new Headers());
    expect(cookies?.every((cookie) => /;\s*Secure/i.test(cookie))).toBe(true);
    auth.close();
  });
});
