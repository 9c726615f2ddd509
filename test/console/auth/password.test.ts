import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openMailed } from '../real.ts';
import { createVisitor, signUp, type Visitor } from '../visitor.ts';

// Hashing a password takes a busy machine seconds, and some of these sign in a dozen times.
vi.setConfig({ testTimeout: 120_000 });

let real: Awaited<ReturnType<typeof openMailed>>;
beforeAll(async () => {
  real = await openMailed();
});
afterAll(() => real.close());

const account = '/console/settings/account';
const isIn = async (visitor: Visitor): Promise<boolean> => (await visitor.get(account)).status === 200;
const signIn = (visitor: Visitor, email: string, password: string) =>
  visitor.post('/console/sign-in', { email, password });
/** Pages differ in what was typed, and in nothing else. */
const without = (html: string, ...typed: readonly string[]): string =>
  typed.reduce((text, each) => text.replaceAll(each, ''), html);

describe('a password', () => {
  test('opens the console, in whatever case the address is typed, and leads where one wanted to go', async () => {
    const { email, password } = await signUp(real, 'pass@example.com');
    const visitor = createVisitor(real.app);
    const answer = await visitor.post('/console/sign-in', { email: 'PASS@Example.com', password, next: account });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, account]);
    expect(await isIn(visitor)).toBe(true);
    for (const next of ['https://evil.example', '//evil.example', '/console//evil.example', '/console\\evil', '/api'])
      expect((await visitor.post('/console/sign-in', { email, password, next })).headers.get('location')).toBe(
        '/console',
      );
  });

  test('that is wrong, an unknown address and an account without one are answered alike', async () => {
    await signUp(real, 'known@example.com');
    await real.auth.issueSignInLink('linkonly@example.com');
    const bodies: string[] = [];
    for (const email of ['known@example.com', 'nobody@example.com', 'linkonly@example.com']) {
      const visitor = createVisitor(real.app);
      const answer = await signIn(visitor, email, 'not the password');
      expect([answer.status, visitor.cookies.size]).toEqual([422, 0]);
      bodies.push(without(await answer.text(), email));
    }
    expect(new Set(bodies).size).toBe(1);
    expect(bodies[0]).toContain('do not go together');
    expect(bodies[0]).not.toContain('not the password');
  });

  test('is guessed at twenty times for one account, from wherever, and then no more for a while', async () => {
    const { email, password } = await signUp(real, 'guessed@example.com');
    const statuses: number[] = [];
    // Another address each time: only the account's own limit can stop it.
    for (let guess = 0; guess < 21; guess++)
      statuses.push((await signIn(createVisitor(real.app), email, `guess ${guess}`)).status);
    const right = await signIn(createVisitor(real.app), email, password);
    expect(statuses.filter((status) => status === 422)).toHaveLength(20);
    expect([statuses.at(-1), right.status]).toEqual([429, 429]);
  });

  test('needs ten characters; changing it needs the old one and ends the other sessions', async () => {
    const here = await signUp(real, 'change@example.com');
    const there = createVisitor(real.app);
    await signIn(there, here.email, here.password);
    const change = (current: string, next: string) => here.post(`${account}/password`, { current, next });
    expect((await change(here.password, 'short')).status).toBe(422);
    const wrong = await change('not the password', 'another good password');
    expect([wrong.status, (await wrong.text()).includes('This is not your current password.')]).toEqual([422, true]);
    expect(await isIn(there)).toBe(true);
    expect((await change(here.password, 'another good password')).status).toBe(303);
    expect([await isIn(here), await isIn(there)]).toEqual([true, false]);
    expect((await signIn(there, here.email, here.password)).status).toBe(422);
    expect((await signIn(there, here.email, 'another good password')).status).toBe(303);
  });
});

/** RFC 6238 with SHA-1, 30 seconds and six digits, by the key as an app reads it. */
const totp = (base32: string, at = Date.now()): string => {
  const bits = [...base32]
    .map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const offset = (digest.at(-1) ?? 0) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
};
const wrongCode = (secret: string): string => {
  const near = [-60_000, -30_000, 0, 30_000, 60_000].map((shift) => totp(secret, Date.now() + shift));
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.includes(code)) ?? '';
};

const enrol = async (email: string) => {
  const person = await signUp(real, email);
  expect((await person.post(`${account}/second-factor/begin`, { password: 'not the password' })).status).toBe(422);
  expect((await person.post(`${account}/second-factor/begin`, { password: person.password })).status).toBe(303);
  const page = await (await person.get(`${account}/second-factor`)).text();
  expect(page).toContain('<svg class="qr"');
  const secret = /secret=([A-Z2-7]+)/.exec(page)?.[1] ?? '';
  expect(secret).toHaveLength(52);
  const wrong = await person.post(`${account}/second-factor/confirm`, { code: wrongCode(secret) });
  expect(wrong.status).toBe(422);
  const done = await person.post(`${account}/second-factor/confirm`, { code: totp(secret) });
  expect(done.status).toBe(200);
  const codes = [...(await done.text()).matchAll(/<li>([A-Za-z0-9]{5}-[A-Za-z0-9]{5})<\/li>/g)].map(([, code]) => code);
  expect(codes).toHaveLength(10);
  return { ...person, secret, codes: codes as string[] };
};

describe('the second factor', () => {
  test('counts only once a code was right, then stands between the password and the console', async () => {
    const person = await enrol('factor@example.com');
    expect(await isIn(person)).toBe(true);
    const visitor = createVisitor(real.app);
    const first = await visitor.post('/console/sign-in', {
      email: person.email,
      password: person.password,
      next: account,
    });
    expect(first.headers.get('location')).toBe(`/console/sign-in/second-factor?next=${encodeURIComponent(account)}`);
    expect(await isIn(visitor), 'the password alone').toBe(false);
    expect((await visitor.post('/console/sign-in/second-factor', { code: wrongCode(person.secret) })).status).toBe(422);
    expect(await isIn(visitor), 'a wrong code').toBe(false);
    const second = await visitor.post('/console/sign-in/second-factor', { code: totp(person.secret), next: account });
    expect([second.status, second.headers.get('location')]).toEqual([303, account]);
    expect(await isIn(visitor)).toBe(true);
  });

  test('takes each backup code once, and none without the first step', async () => {
    const person = await enrol('backup@example.com');
    const code = person.codes[3] ?? '';
    const stranger = createVisitor(real.app);
    expect((await stranger.post('/console/sign-in/second-factor', { code })).status).toBe(422);
    expect(await isIn(stranger)).toBe(false);
    for (const expected of [true, false]) {
      const visitor = createVisitor(real.app);
      await signIn(visitor, person.email, person.password);
      await visitor.post('/console/sign-in/second-factor', { code });
      expect(await isIn(visitor)).toBe(expected);
    }
  });

  test('is over for this sign-in after five wrong codes, beside another living session too', async () => {
    const person = await enrol('five@example.com');
    // This browser is somebody else's already; that must not make the codes go uncounted.
    const visitor = await signUp(real, 'beside@example.com');
    const own = [...visitor.cookies];
    await signIn(visitor, person.email, person.password);
    // The answer takes the older session's cookie away; whoever guesses need not obey.
    for (const [name, value] of own) visitor.cookies.set(name, value);
    const mixed = await visitor.post('/console/sign-in/second-factor', { code: totp(person.secret) });
    expect([mixed.status, await (await visitor.get(account)).text()]).toEqual([
      303,
      expect.stringContaining(person.email),
    ]);

    await signIn(visitor, person.email, person.password);
    for (const [name, value] of own) visitor.cookies.set(name, value);
    for (let at = 0; at < 5; at++)
      await visitor.post('/console/sign-in/second-factor', { code: wrongCode(person.secret) });
    const right = await visitor.post('/console/sign-in/second-factor', { code: totp(person.secret) });
    expect([right.status, (await right.text()).includes('Please start again.')]).toEqual([422, true]);
  });

  test('is turned off by the password alone, and new backup codes void the old ones', async () => {
    const person = await enrol('off@example.com');
    const change = (form: Record<string, string>) => person.post(`${account}/second-factor/change`, form);
    const fresh = await change({ password: person.password });
    expect([fresh.status, (await fresh.text()).includes(person.codes[0] ?? '')]).toEqual([200, false]);
    expect((await change({ password: 'not the password', off: 'on' })).status).toBe(422);
    expect((await change({ password: person.password, off: 'on' })).status).toBe(303);
    const visitor = createVisitor(real.app);
    expect((await signIn(visitor, person.email, person.password)).headers.get('location')).toBe('/console');
  });
});

describe('a lost phone', () => {
  const factorPath = '/console/sign-in/second-factor';

  test('is made good by a backup code, and by the operator when those are lost too', async () => {
    const person = await enrol('lost@example.com');
    const byCode = createVisitor(real.app);
    await signIn(byCode, person.email, person.password);
    expect((await byCode.post(factorPath, { code: person.codes[0] ?? '' })).headers.get('location')).toBe('/console');
    expect(await isIn(byCode)).toBe(true);

    const operator = await signUp(real, 'operator-of-phones@example.com');
    await real.core.members.put(operator.userId, null, 'operator');
    const page = `/console/operator/people/${person.userId}`;
    expect(await (await operator.get(page)).text()).toContain(`${page}/second-factor`);
    expect(await (await operator.post(`${page}/second-factor`)).text(), 'asks first').toContain('name="confirmed"');
    const half = createVisitor(real.app);
    await signIn(half, person.email, person.password);
    expect((await operator.post(`${page}/second-factor`, { confirmed: 'yes' })).status).toBe(303);

    // The password is enough again, and nothing of the lost phone is worth anything.
    expect((await half.post(factorPath, { code: totp(person.secret) })).status).toBe(422);
    expect(await isIn(half)).toBe(false);
    const anew = createVisitor(real.app);
    expect((await signIn(anew, person.email, person.password)).headers.get('location')).toBe('/console');
    expect(await isIn(anew)).toBe(true);
    const stranger = createVisitor(real.app);
    expect((await signIn(stranger, person.email, 'not the password')).status).toBe(422);
    expect((await stranger.post(factorPath, { code: person.codes[1] ?? '' })).status).toBe(422);
    expect(await isIn(stranger)).toBe(false);

    // A new phone begins anew, with a key and codes of its own.
    expect((await anew.post(`${account}/second-factor/begin`, { password: person.password })).status).toBe(303);
    const secret = /secret=([A-Z2-7]+)/.exec(await (await anew.get(`${account}/second-factor`)).text())?.[1] ?? '';
    expect(secret).not.toBe(person.secret);
    expect((await anew.post(`${account}/second-factor/confirm`, { code: totp(secret) })).status).toBe(200);
    const audited = await real.core.auditTrail(null, { q: 'second-factor-reset' }, { limit: 10 });
    expect(audited.items).toMatchObject([{ actor: `user:${operator.userId}`, subject: `user:${person.userId}` }]);
  });

  test('is freed by nobody but an operator, and not by a new password', async () => {
    const person = await enrol('kept@example.com');
    const other = await signUp(real, 'no-operator@example.com');
    const path = `/console/operator/people/${person.userId}/second-factor`;
    for (const who of [other, person]) expect((await who.post(path, { confirmed: 'yes' })).status).toBe(403);
    const link = await real.auth.resets.issue(person.email, { byMail: false });
    const visitor = createVisitor(real.app);
    expect((await visitor.post(link?.url ?? '', { password: 'a password of today' })).status).toBe(303);
    const first = await signIn(visitor, person.email, 'a password of today');
    expect(first.headers.get('location')).toBe(factorPath);
    expect(await isIn(visitor)).toBe(false);
  });
});

describe('sessions', () => {
  test('are listed by device and ended one by one, within a second, in every tab', async () => {
    const here = await signUp(real, 'tabs@example.com');
    const phone = createVisitor(
      real.app,
      'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1',
    );
    await signIn(phone, here.email, here.password);
    const list = await (await here.get(account)).text();
    expect(list).toContain('Firefox on Linux');
    expect(list).toContain('Safari on iPhone');
    const ends = [...list.matchAll(/\/sessions\/([^/"]+)\/end"/g)];
    expect(ends).toHaveLength(1);
    const stranger = await signUp(real, 'stranger@example.com');
    const id = ends[0]?.[1] ?? '';
    expect((await stranger.post(`${account}/sessions/${id}/end`)).status).toBe(404);
    expect(await isIn(phone)).toBe(true);
    const started = performance.now();
    expect((await here.post(`${account}/sessions/${id}/end`)).status).toBe(303);
    expect(await isIn(phone)).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
    await signIn(phone, here.email, here.password);
    await here.post(`${account}/sessions/end-others`);
    expect([await isIn(here), await isIn(phone)]).toEqual([true, false]);
  });

  test('that ended in another tab keep what was typed, to be sent again after signing in', async () => {
    const here = await signUp(real, 'typed@example.com');
    await real.auth.revokeSessions(here.userId);
    const answer = await here.post(account, { name: 'Ada <Lovelace>', password: 'never shown' });
    const page = await answer.text();
    expect(answer.status).toBe(401);
    expect(page).toContain('value="Ada &lt;Lovelace&gt;"');
    expect(page).toContain(`action="${account}"`);
    expect(page).not.toContain('never shown');
    const led = await (await here.get(`${account}?x=1`)).text();
    expect(led).toContain(`/console/sign-in?next=${encodeURIComponent(`${account}?x=1`)}`);
  });
});

describe('a forgotten password', () => {
  const forgot = (email: string) => createVisitor(real.app).post('/console/sign-in/forgot', { email });
  const linkIn = (text: string): string => /http:\S+\/console\/sign-in\/reset\/[0-9a-f]{48}/.exec(text)?.[0] ?? '';

  test('is answered alike whether the address exists, and mailed only where it does', async () => {
    const person = await signUp(real, 'forgot@example.com');
    const [known, unknown] = [await forgot(person.email), await forgot('nobody@example.com')];
    expect(await known.text()).toBe(await unknown.text());
    const mail = await real.smtp.next();
    expect(mail).toMatchObject({ from: 'footnote@example.com', to: [person.email] });
    const link = linkIn(mail.text);
    expect(real.smtp.mails).toHaveLength(1);

    const visitor = createVisitor(real.app);
    expect((await visitor.get(link)).status, 'looking does not spend it').toBe(200);
    expect((await visitor.post(link, { password: 'short' })).status).toBe(422);
    const set = await visitor.post(link, { password: 'a new long password' });
    expect(set.headers.get('location')).toBe('/console/sign-in?reset');
    expect(await isIn(person), 'every session ends').toBe(false);
    expect(await isIn(visitor), 'the link signs nobody in').toBe(false);
    expect((await visitor.post(link, { password: 'and once more with it' })).status).toBe(410);
    expect((await signIn(visitor, person.email, person.password)).status).toBe(422);
    expect((await signIn(visitor, person.email, 'a new long password')).status).toBe(303);
  });

  test('has a link for an hour, and only until the password changes', async () => {
    const person = await signUp(real, 'hour@example.com');
    const made = async () => linkIn((await real.auth.resets.issue(person.email, { byMail: false }))?.url ?? '');
    const late = await made();
    vi.useFakeTimers({ now: Date.now() + 60 * 60 * 1000 + 1000, toFake: ['Date'] });
    expect((await createVisitor(real.app).post(late, { password: 'a new long password' })).status).toBe(410);
    vi.useRealTimers();
    const older = await made();
    await person.post(`${account}/password`, { current: person.password, next: 'a new long password' });
    expect((await createVisitor(real.app).post(older, { password: 'an older wish of it' })).status).toBe(410);
    for (const token of ['null', '', '0'.repeat(48), `${'0'.repeat(47)}g`])
      expect([404, 410]).toContain((await createVisitor(real.app).post(`/console/sign-in/reset/${token}`)).status);
  });

  test('changed by one link twenty times at once is changed once', async () => {
    const person = await signUp(real, 'race@example.com');
    const token = (await real.auth.resets.issue(person.email, { byMail: false }))?.url.split('/').at(-1) ?? '';
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, at) => real.auth.resets.redeem(token, `password number ${at}`)),
    );
    expect(all.filter((result) => result !== null)).toHaveLength(1);
  });
});

test('every act is in the audit log, and no password, code or token is', async () => {
  const log = JSON.stringify((await real.core.auditTrail(null, {}, { limit: 200 })).items);
  for (const action of ['account.password', 'account.second-factor-on', 'account.second-factor-off', 'password.reset'])
    expect(log).toContain(`"${action}"`);
  expect(log).not.toMatch(/[0-9a-f]{48}|password number|correct horse/);
});
