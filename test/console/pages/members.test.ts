import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { texts } from '../../../console/texts.ts';
import type { Role, Tenant } from '../../../core/domain.ts';
import { openMailed, openReal, type Real } from '../real.ts';
import { createVisitor, signUp, type Visitor } from '../visitor.ts';

let real: Real;
let tenant: Tenant;
let others = 0;
beforeAll(async () => {
  real = await openReal();
});
afterAll(() => real.close());
afterEach(() => void vi.useRealTimers());

/** A tenant of its own with people in it, each signed in. */
const withPeople = async (...roles: readonly Role[]) => {
  const slug = `team-${++others}`;
  tenant = await real.core.tenants.create({ slug, name: `Team ${others}` });
  const people = [];
  for (const role of roles) {
    const person = await signUp(real, `${role}${people.length}@${slug}.example.com`);
    await real.core.members.put(person.userId, tenant.id, role);
    people.push(person);
  }
  return { path: `/console/${slug}/members`, people: people as [Person, ...Person[]] };
};
type Person = Awaited<ReturnType<typeof signUp>>;
const at = <T>(list: readonly T[], index: number): T => {
  const item = list[index];
  if (item === undefined) throw new Error('There are fewer.');
  return item;
};
const roleOf = async (userId: string): Promise<Role | undefined> =>
  (await real.core.members.ofTenant(tenant.id)).find((member) => member.userId === userId)?.role;
const linkIn = (html: string): string => /http:\S+\/console\/invitations\/[\w.]+/.exec(html)?.[0] ?? '';
const invite = async (by: Visitor, path: string, email: string, role = 'viewer'): Promise<string> => {
  const answer = await by.post(path, { email, role });
  expect(answer.status).toBe(200);
  return linkIn(await answer.text());
};

describe('members', () => {
  test('are listed with names, addresses and roles, and given another role', async () => {
    const { path, people } = await withPeople('admin', 'viewer');
    const [admin, viewer] = [people[0], at(people, 1)];
    const page = await (await admin.get(path)).text();
    for (const text of [admin.email, viewer.email, 'Viewer', 'Last seen']) expect(page).toContain(text);
    expect((await viewer.get(path)).status).toBe(403);
    expect((await admin.post(`${path}/${viewer.userId}`, { role: 'billing' })).status).toBe(303);
    expect(await roleOf(viewer.userId)).toBe('billing');
    expect((await viewer.get(`/console/${tenant.slug}/usage`)).status, 'holds at once').toBe(200);
    expect((await viewer.get(`/console/${tenant.slug}/answers`)).status).toBe(403);
    for (const role of ['operator', 'root', ''])
      expect((await admin.post(`${path}/${viewer.userId}`, { role })).status).toBe(422);
    expect(await roleOf(viewer.userId)).toBe('billing');
  });

  test('who are owners are an owner’s business alone', async () => {
    const { path, people } = await withPeople('owner', 'admin', 'viewer', 'owner');
    const [owner, admin, viewer, second] = [people[0], at(people, 1), at(people, 2), at(people, 3)];
    for (const attempt of [
      () => admin.post(`${path}/${owner.userId}`, { role: 'viewer' }),
      () => admin.post(`${path}/${viewer.userId}`, { role: 'owner' }),
      () => admin.post(`${path}/${admin.userId}`, { role: 'owner' }),
      () => admin.post(`${path}/${owner.userId}/remove`, { confirmed: 'yes' }),
      () => admin.post(`${path}/${owner.userId}/reset`),
      () => admin.post(path, { email: 'new-owner@example.com', role: 'owner' }),
    ])
      expect((await attempt()).status).toBe(422);
    expect([await roleOf(owner.userId), await roleOf(viewer.userId)]).toEqual(['owner', 'viewer']);
    expect((await owner.post(`${path}/${viewer.userId}`, { role: 'owner' })).status).toBe(303);
    expect((await owner.post(`${path}/${second.userId}/remove`, { confirmed: 'yes' })).status).toBe(303);
    expect([await roleOf(viewer.userId), await roleOf(second.userId)]).toEqual(['owner', undefined]);
  });

  test('are changed by one of two who saw the same role; the other is told, and nothing is done unseen', async () => {
    const { path, people } = await withPeople('owner', 'viewer');
    const [owner, viewer] = [people[0], at(people, 1)];
    const page = await (await owner.get(`${path}/${viewer.userId}`)).text();
    expect(page).toContain('name="seen" value="viewer"');
    expect((await owner.post(`${path}/${viewer.userId}`, { role: 'admin', seen: 'viewer' })).status).toBe(303);
    const late = await owner.post(`${path}/${viewer.userId}`, { role: 'billing', seen: 'viewer' });
    expect(late.status).toBe(409);
    const told = await late.text();
    expect(told).toContain('Somebody else saved a change here meanwhile');
    expect(told, 'what was chosen').toContain('<option value="billing" selected');
    expect(told, 'what stands').toContain('name="seen" value="admin"');
    const removal = await owner.post(`${path}/${viewer.userId}/remove`, { confirmed: 'yes', seen: 'viewer' });
    expect(removal.status).toBe(409);
    expect(await removal.text()).toContain('Somebody else changed this role meanwhile.');
    expect(await roleOf(viewer.userId)).toBe('admin');
    expect((await owner.post(`${path}/${viewer.userId}`, { role: 'billing', seen: 'admin' })).status).toBe(303);
  });

  test('keep the last owner, even when two owners demote each other at the same moment', async () => {
    const { path, people } = await withPeople('owner', 'owner');
    const [one, two] = [people[0], at(people, 1)];
    for (let round = 0; round < 5; round++) {
      await Promise.all([
        one.post(`${path}/${two.userId}`, { role: 'admin' }),
        two.post(`${path}/${one.userId}/remove`, { confirmed: 'yes' }),
      ]);
      const owners = (await real.core.members.ofTenant(tenant.id)).filter(({ role }) => role === 'owner');
      expect(owners.length).toBeGreaterThan(0);
      for (const { userId } of [one, two]) await real.core.members.put(userId, tenant.id, 'owner');
    }
    await real.core.members.remove(tenant.id, two.userId);
    for (const answer of [
      await one.post(`${path}/${one.userId}`, { role: 'admin' }),
      await one.post(`${path}/${one.userId}/remove`, { confirmed: 'yes' }),
    ]) {
      expect(answer.status).toBe(409);
      expect(await answer.text()).toContain('This is the last owner.');
    }
    expect(await roleOf(one.userId)).toBe('owner');
  });

  test('who are removed lose the tenant within a second, after a question, and nothing else', async () => {
    const { path, people } = await withPeople('admin', 'viewer');
    const [admin, viewer] = [people[0], at(people, 1)];
    const elsewhere = await real.core.tenants.create({ slug: `else-${others}`, name: 'Elsewhere' });
    await real.core.members.put(viewer.userId, elsewhere.id, 'viewer');
    const asks = await admin.post(`${path}/${viewer.userId}/remove`);
    expect([asks.status, (await asks.text()).includes('They lose access')]).toEqual([200, true]);
    expect(await roleOf(viewer.userId)).toBe('viewer');
    const started = performance.now();
    expect((await admin.post(`${path}/${viewer.userId}/remove`, { confirmed: 'yes' })).status).toBe(303);
    expect((await viewer.get(`/console/${tenant.slug}/answers`)).status).toBe(404);
    expect(performance.now() - started).toBeLessThan(1000);
    expect((await viewer.get(`/console/${elsewhere.slug}/answers`)).status).toBe(200);
  });

  test('of several tenants get a reset link from the operator, never from one tenant’s admin', async () => {
    const { path, people } = await withPeople('admin', 'viewer', 'viewer');
    const [admin, alone, shared] = [people[0], at(people, 1), at(people, 2)];
    const elsewhere = await real.core.tenants.create({ slug: `reset-${others}`, name: 'Elsewhere' });
    await real.core.members.put(shared.userId, elsewhere.id, 'owner');
    expect((await admin.post(`${path}/${shared.userId}/reset`)).status).toBe(422);
    const made = await admin.post(`${path}/${alone.userId}/reset`);
    expect(await made.text()).toMatch(/\/console\/sign-in\/reset\/[0-9a-f]{48}/);
    const operator = await signUp(real, `operator${others}@example.com`);
    await real.core.members.put(operator.userId, null, 'operator');
    expect((await operator.post(`${path}/${shared.userId}/reset`)).status).toBe(200);
  });
});

describe('an invitation', () => {
  test('lets a new person in with name, password and the role, once', async () => {
    const { path, people } = await withPeople('admin');
    const link = await invite(people[0], path, 'New.Person@Example.com', 'billing');
    expect(await (await people[0].get(path)).text()).toContain('new.person@example.com');
    const visitor = createVisitor(real.app);
    expect(await (await visitor.get(link)).text()).toContain(`Join ${tenant.name}`);
    expect((await visitor.post(link, { name: 'New', password: 'short' })).status).toBe(422);
    expect((await visitor.post(link, { password: 'long enough for this' })).status).toBe(422);
    const joined = await visitor.post(link, { name: 'New', password: 'long enough for this' });
    expect(joined.headers.get('location')).toBe(`/console?tenant=${tenant.slug}&done=joined`);
    const home = await visitor.get(joined.headers.get('location') ?? '');
    expect(await (await visitor.get(home.headers.get('location') ?? '')).text()).toContain(texts.done.joined);
    expect((await visitor.get(`/console/${tenant.slug}/usage`)).status).toBe(200);
    expect((await visitor.get(`/console/${tenant.slug}/answers`)).status).toBe(403);
    expect((await createVisitor(real.app).post(link, { name: 'Twice', password: 'long enough for this' })).status).toBe(
      410,
    );
    expect(await (await people[0].get(path)).text()).not.toContain('Open invitations');
  });

  test('opened ten times at once lets one person in', async () => {
    const { path, people } = await withPeople('admin');
    const link = await invite(people[0], path, `rush${others}@example.com`);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        createVisitor(real.app).post(link, { name: 'Rush', password: 'long enough for this' }),
      ),
    );
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
    expect(answers.filter(({ status }) => status >= 500)).toHaveLength(0);
  });

  test('for somebody with an account waits until that person has signed in, and nobody else can take it', async () => {
    const { path, people } = await withPeople('admin');
    const known = await signUp(real, `known${others}@example.com`);
    const other = await signUp(real, `other${others}@example.com`);
    const link = await invite(people[0], path, known.email, 'viewer');
    const stranger = createVisitor(real.app);
    const page = await (await stranger.get(link)).text();
    expect(page).toContain(`/console/sign-in?next=${encodeURIComponent(new URL(link).pathname)}`);
    expect(page).not.toContain('type="password"');
    for (const visitor of [stranger, other]) {
      expect((await visitor.post(link, { name: 'x', password: 'long enough for this' })).status).toBe(422);
    }
    expect(await roleOf(other.userId)).toBeUndefined();
    expect((await known.post(link)).status).toBe(303);
    expect(await roleOf(known.userId)).toBe('viewer');
  });

  test('lasts seven days, and until it is taken back or the tenant is gone', async () => {
    const { path, people } = await withPeople('owner');
    const visitor = createVisitor(real.app);
    const status = async (link: string) =>
      (await visitor.post(link, { name: 'Late', password: 'long enough for this' })).status;
    const late = await invite(people[0], path, 'late@example.com');
    vi.useFakeTimers({ now: Date.now() + 7 * 24 * 60 * 60 * 1000 + 1000, toFake: ['Date'] });
    expect(await status(late)).toBe(410);
    vi.useRealTimers();

    const taken = await invite(people[0], path, 'taken@example.com');
    const id = /invitations\/([0-9a-f]{64})\/revoke/.exec(await (await people[0].get(path)).text())?.[1] ?? '';
    const stranger = await withPeople('owner').then(({ people: [stranger] }) => stranger);
    expect((await stranger.post(`/console/${tenant.slug}/members/invitations/${id}/revoke`)).status).toBe(303);
    expect((await visitor.get(taken)).status, 'another tenant’s owner has taken nothing back').toBe(200);
    expect((await people[0].post(`${path}/invitations/${id}/revoke`)).status).toBe(303);
    expect(await status(taken)).toBe(410);

    const orphan = await invite(people[0], path, 'orphan@example.com');
    await real.core.tenants.remove((await real.core.tenants.bySlug(path.split('/')[2] ?? ''))?.id ?? '');
    expect(await status(orphan)).toBe(410);
    for (const broken of [
      'x',
      `${tenant.id}.`,
      `.${'0'.repeat(48)}`,
      `${tenant.id}.${'0'.repeat(48)}`,
      `${tenant.id}.null`,
    ])
      expect(await status(`/console/invitations/${broken}`)).toBe(410);
  });

  test('to a member is refused beside the field, and a member’s role is never lowered by an older link', async () => {
    const { path, people } = await withPeople('owner');
    const guest = await signUp(real, `guest${others}@example.com`);
    const link = await invite(people[0], path, guest.email, 'viewer');
    await real.core.members.put(guest.userId, tenant.id, 'admin');
    expect((await guest.post(link)).status).toBe(303);
    expect(await roleOf(guest.userId)).toBe('admin');
    const again = await people[0].post(path, { email: guest.email, role: 'viewer' });
    expect([again.status, (await again.text()).includes('a member already')]).toEqual([422, true]);
  });

  test('is in the audit log without its token', async () => {
    const { path, people } = await withPeople('admin');
    const link = await invite(people[0], path, 'logged@example.com');
    await createVisitor(real.app).post(link, { name: 'Logged', password: 'long enough for this' });
    const log = JSON.stringify((await real.core.auditTrail(tenant.id, {}, { limit: 100 })).items);
    for (const action of ['invitation.create', 'invitation.accept']) expect(log).toContain(action);
    expect(log).not.toContain(link.split('.').at(-1));
  });
});

describe('with a mail server', () => {
  let own: Awaited<ReturnType<typeof openMailed>>;
  beforeAll(async () => {
    own = await openMailed();
  });
  afterAll(async () => {
    await own.close();
  });

  test('an invitation goes to the mailbox alone, which proves the address; without one to the page', async () => {
    const mailed = await own.core.tenants.create({ slug: 'mailed', name: 'Mailed\r\nBcc: evil@example.com' });
    const admin = await signUp(own, 'admin@example.com');
    await own.core.members.put(admin.userId, mailed.id, 'admin');
    const page = await (
      await admin.post('/console/mailed/members', { email: 'post@example.com', role: 'viewer' })
    ).text();
    expect(linkIn(page)).toBe('');
    const mail = await own.smtp.next();
    expect(mail.to).toEqual(['post@example.com']);
    expect(mail.text).not.toMatch(/^Bcc:/m);
    const visitor = createVisitor(own.app);
    const link = linkIn(mail.text);
    expect((await visitor.post(link, { name: 'Post', password: 'long enough for this' })).status).toBe(303);
    const userId = (await own.auth.accounts.idOf('post@example.com')) ?? '';
    expect((await own.auth.accounts.look(userId)).isEmailProven).toBe(true);

    own.smtp.refuses = true;
    const failed = await (
      await admin.post('/console/mailed/members', { email: 'by-hand@example.com', role: 'viewer' })
    ).text();
    expect(failed).toContain('The mail could not be sent');
    expect(
      (await createVisitor(own.app).post(linkIn(failed), { name: 'Hand', password: 'long enough for this' })).status,
    ).toBe(303);
    const byHand = (await own.auth.accounts.idOf('by-hand@example.com')) ?? '';
    expect((await own.auth.accounts.look(byHand)).isEmailProven).toBe(false);
  });
});
