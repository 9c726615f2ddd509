import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type OidcProvider, oidcClient, startOidcProvider } from '../../fakes/oidc-provider.ts';
import { openReal, type Real } from '../real.ts';
import { createVisitor, signUp, type Visitor } from '../visitor.ts';

let provider: OidcProvider;
let real: Real;
const envFor = (issuer: string) => ({
  OIDC_ISSUER: issuer,
  OIDC_CLIENT_ID: oidcClient.clientId,
  OIDC_CLIENT_SECRET: oidcClient.clientSecret,
});
beforeAll(async () => {
  provider = await startOidcProvider();
  real = await openReal(envFor(provider.issuer));
});
afterAll(async () => {
  await real.close();
  await provider.close();
});
afterEach(() => {
  provider.bend = (claims) => claims;
  provider.namedIssuer = provider.issuer;
  provider.signsWithOtherKey = false;
});

const account = '/console/settings/account';
/** To the provider; the answer is the address of the callback that it sends the browser to. */
const there = async (visitor: Visitor, from = '/console/sign-in/single'): Promise<string> => {
  const start = await visitor.get(from);
  expect(start.status).toBe(302);
  const answer = await fetch(start.headers.get('location') ?? '', { redirect: 'manual' });
  return answer.headers.get('location') ?? '';
};
const comeBy = async (visitor = createVisitor(real.app)) => {
  const back = await visitor.get(await there(visitor));
  const isIn = (await visitor.get(account)).status === 200;
  return { status: back.status, location: back.headers.get('location'), isIn, visitor };
};
const refused = (why: string) => ({ status: 302, location: `/console/sign-in?refused=${why}`, isIn: false });

describe('single sign-on', () => {
  test('signs a new person in, who is told that they belong to no tenant yet', async () => {
    provider.person = { sub: 'new', email: 'New@Example.com', email_verified: true, name: 'New Person' };
    const page = await (await createVisitor(real.app).get('/console/sign-in')).text();
    expect(page).toContain('Sign in with your organisation');
    const { isIn, location, visitor } = await comeBy();
    expect([isIn, location]).toEqual([true, '/console']);
    expect(await (await visitor.get('/console')).text()).toContain('belongs to no tenant yet');
    // The second time it is the same person.
    const again = await comeBy();
    expect(await real.auth.accounts.idOf('new@example.com')).not.toBeNull();
    expect(await (await again.visitor.get(account)).text()).toContain('new@example.com');
  });

  test('leads where one wanted to go, and nowhere else', async () => {
    provider.person = { sub: 'new', email: 'new@example.com', email_verified: true };
    const wanted = '/console/settings/account?done=saved';
    const door = await (
      await createVisitor(real.app).get(`/console/sign-in?next=${encodeURIComponent(wanted)}`)
    ).text();
    const way = `/console/sign-in/single?next=${encodeURIComponent(wanted)}`;
    expect(door).toContain(`href="${way}"`);
    const back = async (next: string): Promise<string | null> => {
      const visitor = createVisitor(real.app);
      const callback = await there(visitor, `/console/sign-in/single?next=${encodeURIComponent(next)}`);
      return (await visitor.get(callback)).headers.get('location');
    };
    expect(await back(wanted)).toBe(wanted);
    for (const elsewhere of [
      'https://evil.example',
      '//evil.example',
      '/console//evil',
      '/console/sign-in/x',
      '/api/v1',
    ])
      expect(await back(elsewhere), elsewhere).toBe('/console');
  });

  test('joins an account whose address is proven, and never one whose address is not', async () => {
    const proven = await signUp(real, 'proven@example.com');
    provider.person = { sub: 'proven', email: 'proven@example.com', email_verified: true };
    const { isIn, visitor } = await comeBy();
    expect(isIn).toBe(true);
    expect(await real.auth.accounts.idOf('proven@example.com')).toBe(proven.userId);
    expect((await (await visitor.get(account)).text()).includes('proven@example.com')).toBe(true);

    const tenant = await real.furnish('joined');
    const { url } = await real.auth.invitations.issue({
      tenantId: tenant.tenant.id,
      email: 'unproven@example.com',
      role: 'viewer',
      invitedBy: proven.userId,
      byMail: false,
    });
    await createVisitor(real.app).post(url, { name: 'Squatter', password: 'a long enough one' });
    provider.person = { sub: 'unproven', email: 'unproven@example.com', email_verified: true };
    expect(await comeBy()).toMatchObject(refused('not-linked'));
  });

  test.each([[false], ['false'], [undefined]])(
    'refuses an address that is not verified (%s), and keeps nothing of it',
    async (verified) => {
      provider.person = {
        sub: 'unverified',
        email: 'unverified@example.com',
        ...(verified === undefined ? {} : { email_verified: verified }),
      };
      expect(await comeBy()).toMatchObject(refused('email-not-verified'));
      expect(await real.auth.accounts.idOf('unverified@example.com')).toBeNull();
    },
  );

  test('refuses an address that has lost its verification, of a person who came before', async () => {
    provider.person = { sub: 'once', email: 'once@example.com', email_verified: true };
    expect((await comeBy()).isIn).toBe(true);
    provider.person = { sub: 'once', email: 'once@example.com', email_verified: false };
    expect(await comeBy()).toMatchObject(refused('email-not-verified'));
  });

  const now = () => Math.floor(Date.now() / 1000);
  test.each<[string, (claims: Record<string, unknown>) => Record<string, unknown>]>([
    ['another nonce', (claims) => ({ ...claims, nonce: 'another' })],
    ['no nonce', ({ nonce: _, ...claims }) => claims],
    ['another audience', (claims) => ({ ...claims, aud: 'somebody-else' })],
    ['another issuer', (claims) => ({ ...claims, iss: 'https://evil.example' })],
    ['an end in the past', (claims) => ({ ...claims, iat: now() - 7200, exp: now() - 3600 })],
    ['an end that is no number', (claims) => ({ ...claims, exp: 'never' })],
  ])('refuses an id token with %s', async (_, bend) => {
    provider.person = { sub: 'bent', email: 'bent@example.com', email_verified: true };
    provider.bend = bend;
    expect(await comeBy()).toMatchObject(refused('failed'));
    expect(await real.auth.accounts.idOf('bent@example.com')).toBeNull();
  });

  test('refuses a token that another key has signed, and a code that names another issuer', async () => {
    provider.person = { sub: 'forged', email: 'forged@example.com', email_verified: true };
    provider.signsWithOtherKey = true;
    expect(await comeBy()).toMatchObject(refused('failed'));
    provider.signsWithOtherKey = false;
    provider.namedIssuer = 'https://evil.example';
    const asked = provider.asked.filter((path) => path === '/token').length;
    expect(await comeBy()).toMatchObject(refused('failed'));
    expect(
      provider.asked.filter((path) => path === '/token'),
      'the code was not handed over',
    ).toHaveLength(asked);
  });

  test('takes an answer once, and only in the browser that asked', async () => {
    provider.person = { sub: 'bound', email: 'bound@example.com', email_verified: true };
    const [asker, other] = [createVisitor(real.app), createVisitor(real.app)];
    const callback = await there(asker);
    expect((await other.get(callback)).headers.get('location')).toBe('/console/sign-in?refused=failed');
    const fresh = await there(asker);
    expect((await asker.get(fresh)).headers.get('location')).toBe('/console');
    await asker.post('/console/sign-out');
    expect((await asker.get(fresh)).headers.get('location')).toBe('/console/sign-in?refused=failed');
    for (const query of ['', '?code=x', '?state=x', '?error=access_denied', '?code=x&state=x&iss=https://evil.example'])
      expect((await asker.get(`/console/auth/callback/oidc${query}`)).headers.get('location')).toMatch(
        /^\/console\/sign-in\?refused=/,
      );
  });

  // It looks into the file itself.
  test.skipIf(process.env.FOOTNOTE_TEST_STATE === 'mongodb')('keeps none of the provider’s tokens', async () => {
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(`${real.dataDir}/state.sqlite`, { readOnly: true });
    const rows = database
      .prepare(`select accessToken, refreshToken, idToken from auth_account where providerId = 'oidc'`)
      .all();
    database.close();
    expect(rows.length).toBeGreaterThan(1);
    for (const row of rows) expect(Object.values(row)).toEqual([null, null, null]);
  });
});

test('a document that speaks for another issuer is not believed, and passwords work all the same', async () => {
  const strange = await startOidcProvider();
  strange.documentIssuer = 'https://evil.example';
  const own = await openReal(envFor(strange.issuer));
  const visitor = createVisitor(own.app);
  expect((await visitor.get('/console/sign-in/single')).status).toBe(502);
  expect(strange.asked).toEqual(['/.well-known/openid-configuration']);
  await signUp(own, 'works@example.com');
  await strange.close();
  expect((await visitor.get('/console/sign-in/single')).status).toBe(502);
  expect((await createVisitor(own.app).get('/console/sign-in')).status).toBe(200);
  await own.close();
});

test('without a provider its addresses lead nowhere and the page does not offer it', async () => {
  const own = await openReal();
  const visitor = createVisitor(own.app);
  for (const path of ['/console/sign-in/single', '/console/auth/callback/oidc?code=x&state=y'])
    expect((await visitor.get(path)).status).toBe(404);
  expect(await (await visitor.get('/console/sign-in')).text()).not.toContain('Sign in with your organisation');
  await own.close();
});
