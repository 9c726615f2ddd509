import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Tenant } from '../../../core/domain.ts';
import { openMailed, openReal, type Real } from '../real.ts';
import { createVisitor, signUp } from '../visitor.ts';

/** Another e-mail address for one's account: proven by a mail to it, or by a link that somebody else hands over. */

const account = '/console/settings/account';
const linkIn = (text: string): string => /http:\S+\/console\/sign-in\/email\/[0-9a-f]{48}/.exec(text)?.[0] ?? '';
const dayMs = 24 * 60 * 60 * 1000;

let real: Real;
let tenant: Tenant;
beforeAll(async () => {
  real = await openReal();
  tenant = await real.core.tenants.create({ slug: 'acme', name: 'Acme' });
}, 180_000);
afterAll(() => real.close());
afterEach(() => void vi.useRealTimers());

const withRole = async (email: string, role: 'owner' | 'admin' | 'viewer', where: Real = real, at = tenant) => {
  const person = await signUp(where, email);
  await where.core.members.put(person.userId, at.id, role);
  return person;
};
const canSignIn = async (where: Real, email: string, password: string): Promise<boolean> =>
  (await createVisitor(where.app).post('/console/sign-in', { email, password })).status === 303;

describe('without mail', { timeout: 180_000 }, () => {
  test('an owner gets the link to their own page; it works once, and changes nothing before it is confirmed', async () => {
    const owner = await withRole('owner@example.com', 'owner');
    const given = { email: 'New@Example.com', confirmWith: owner.password };
    const link = linkIn(await (await owner.post(`${account}/email`, given)).text());
    const asked = await createVisitor(real.app).get(link);
    expect([asked.status, await asked.text()]).toEqual([
      200,
      expect.stringContaining('owner@example.com to new@example.com'),
    ]);
    expect(await canSignIn(real, 'owner@example.com', owner.password)).toBe(true);

    const other = createVisitor(real.app);
    expect((await other.post(link)).status).toBe(200);
    expect((await other.post(link)).status).toBe(410);
    expect((await other.get(link)).status).toBe(410);
    expect(await canSignIn(real, 'owner@example.com', owner.password)).toBe(false);
    expect(await canSignIn(real, 'new@example.com', owner.password)).toBe(true);
    const page = await owner.get(account);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('new@example.com')]);
    expect(await real.auth.accounts.look(owner.userId)).toMatchObject({ isEmailProven: false });
  });

  test('a viewer is told whom to ask, and the owner or the operator makes the link', async () => {
    const viewer = await withRole('viewer@example.com', 'viewer');
    const owner = await withRole('owner2@example.com', 'owner');
    const admin = await withRole('admin@example.com', 'admin');
    const operator = await signUp(real, 'operator@example.com');
    await real.core.members.put(operator.userId, null, 'operator');
    expect(await (await viewer.get(account)).text()).toContain('Ask an owner of your organisation');
    const refused = await viewer.post(`${account}/email`, { email: 'x@example.com', confirmWith: viewer.password });
    expect([refused.status, linkIn(await refused.text())]).toEqual([422, '']);

    const member = `/console/acme/members/${viewer.userId}/email`;
    expect((await admin.post(member, { email: 'x@example.com' })).status, 'admins may not').toBe(403);
    const first = linkIn(await (await owner.post(member, { email: 'first@example.com' })).text());
    const person = `/console/operator/people/${viewer.userId}/email`;
    const second = linkIn(await (await operator.post(person, { email: 'second@example.com' })).text());
    expect((await createVisitor(real.app).post(second)).status).toBe(200);
    // The old address does not hold any more, so the other link is void.
    expect((await createVisitor(real.app).post(first)).status).toBe(410);
    expect(await canSignIn(real, 'second@example.com', viewer.password)).toBe(true);
    const trail = await real.core.auditTrail(null, { q: 'email' }, { limit: 10 });
    expect(trail.items.map(({ actor, action }) => [actor, action])).toEqual(
      expect.arrayContaining([
        [`user:${viewer.userId}`, 'account.email'],
        [`user:${operator.userId}`, 'email.change-link'],
      ]),
    );
  });

  test('an owner may not change the address of somebody who belongs to others as well', async () => {
    const elsewhere = await real.core.tenants.create({ slug: 'globex', name: 'Globex' });
    const [owner, both] = [await withRole('owner3@example.com', 'owner'), await withRole('both@example.com', 'viewer')];
    await real.core.members.put(both.userId, elsewhere.id, 'admin');
    const answer = await owner.post(`/console/acme/members/${both.userId}/email`, { email: 'stolen@example.com' });
    const html = await answer.text();
    expect([answer.status, linkIn(html)]).toEqual([422, '']);
    expect(html).toContain('You cannot change the address of this person.');
  });

  test('a wrong password, an address that is taken, no address and one’s own are refused beside the field', async () => {
    const owner = await withRole('owner4@example.com', 'owner');
    await signUp(real, 'taken@example.com');
    const right = owner.password;
    for (const [given, status, at] of [
      [{ email: 'free@example.com', confirmWith: 'not it' }, 422, 'confirmWith'],
      [{ email: 'TAKEN@example.com', confirmWith: right }, 409, 'email'],
      [{ email: 'no address', confirmWith: right }, 422, 'email'],
      [{ email: 'Owner4@example.com', confirmWith: right }, 422, 'email'],
    ] as const) {
      const answer = await owner.post(`${account}/email`, given);
      const html = await answer.text();
      expect([answer.status, linkIn(html)], given.email).toEqual([status, '']);
      expect(html).toContain(`id="${at}-error"`);
      expect(html).toContain(`value="${given.email}"`);
      expect(html).not.toContain(right);
    }
  });

  test('a link is void after a day, and when somebody else took the address meanwhile', async () => {
    const owner = await withRole('owner5@example.com', 'owner');
    const make = async (email: string) =>
      linkIn(await (await owner.post(`${account}/email`, { email, confirmWith: owner.password })).text());
    const late = await make('late@example.com');
    const raced = await make('raced@example.com');
    await signUp(real, 'raced@example.com');
    expect((await createVisitor(real.app).post(raced)).status).toBe(410);
    vi.useFakeTimers({ now: Date.now() + dayMs + 1000, toFake: ['Date'] });
    expect((await createVisitor(real.app).post(late)).status).toBe(410);
    vi.useRealTimers();
    expect(await canSignIn(real, 'owner5@example.com', owner.password)).toBe(true);
  });

  test('two links to one address, opened at once, give it to one of them', async () => {
    const [one, two] = [await withRole('one@example.com', 'owner'), await withRole('two@example.com', 'owner')];
    const links = await Promise.all(
      [one, two].map(async (person) =>
        linkIn(
          await (
            await person.post(`${account}/email`, { email: 'same@example.com', confirmWith: person.password })
          ).text(),
        ),
      ),
    );
    const statuses = await Promise.all(links.map(async (link) => (await createVisitor(real.app).post(link)).status));
    expect(statuses.toSorted()).toEqual([200, 410]);
  });
});

describe('with mail', { timeout: 180_000 }, () => {
  let own: Awaited<ReturnType<typeof openMailed>>;
  beforeAll(async () => {
    own = await openMailed();
  });
  afterAll(async () => {
    await own.close();
  });

  test('the link goes to the new mailbox alone, which proves the address, and the old one is told', async () => {
    const at = await own.core.tenants.create({ slug: 'mailed', name: 'Mailed' });
    const viewer = await withRole('before@example.com', 'viewer', own, at);
    await signUp(own, 'taken@example.com');
    const ask = async (email: string) =>
      (await viewer.post(`${account}/email`, { email, confirmWith: viewer.password })).text();

    // Whether an address is taken is nobody's business: the page is the same, and no mail goes out.
    const [taken, free] = [await ask('taken@example.com'), await ask('after@example.com')];
    expect(linkIn(taken) + linkIn(free)).toBe('');
    expect(taken.replaceAll('taken@', 'after@')).toBe(free);

    const mail = await own.smtp.next();
    expect(mail.to).toEqual(['after@example.com']);
    expect((await createVisitor(own.app).post(linkIn(mail.text))).status).toBe(200);
    const notice = await own.smtp.next();
    expect(notice.to).toEqual(['before@example.com']);
    expect(notice.text).toContain('after@example.com');
    expect(await canSignIn(own, 'after@example.com', viewer.password)).toBe(true);
    expect(await own.auth.accounts.look(viewer.userId)).toMatchObject({ isEmailProven: true });
    expect(own.smtp.mails).toHaveLength(2);
  });

  test('a mail that cannot be sent is said, and what was typed is kept', async () => {
    const at = await own.core.tenants.create({ slug: 'refused', name: 'Refused' });
    const viewer = await withRole('stays@example.com', 'viewer', own, at);
    own.smtp.refuses = true;
    const answer = await viewer.post(`${account}/email`, { email: 'no@example.com', confirmWith: viewer.password });
    const html = await answer.text();
    expect(answer.status).toBe(422);
    expect(html).toContain('The mail could not be sent.');
    expect(html).toContain('value="no@example.com"');
  });
});
