import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openReal, type Real } from '../real.ts';
import { createVisitor, signUp, type Visitor } from '../visitor.ts';

/** The pages of the deployment's operator, on the real core. */

let real: Real;
let operator: Awaited<ReturnType<typeof signUp>>;
beforeAll(async () => {
  real = await openReal();
  operator = await signUp(real, 'operator@example.com');
  await real.core.members.put(operator.userId, null, 'operator');
}, 180_000);
afterAll(() => real.close());

const signal = AbortSignal.timeout(120_000);
const home = '/console/operator';
const textOf = async (visitor: Visitor, path: string): Promise<string> => {
  const answer = await visitor.get(path);
  expect(answer.status, path).toBe(200);
  return answer.text();
};
const eventually = (check: () => Promise<void>): Promise<void> => vi.waitFor(check, { timeout: 60_000, interval: 50 });
/** What somebody who reads the page reads. */
const wordsIn = (html: string): string =>
  html
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll('&amp;', '&')
    .replaceAll(/\s+/g, ' ');

describe('tenants', { timeout: 180_000 }, () => {
  test('are made, found by a word, shown with what they hold, and deleted by their typed name', async () => {
    const made = await operator.post(`${home}/tenants`, { name: 'Initech Europe', slug: 'initech' });
    expect([made.status, made.headers.get('location')]).toEqual([303, '/console/initech/members?done=created']);
    const tenant = (await real.core.tenants.bySlug('initech'))!;
    const source = await real.core.sources.create(tenant.id, { kind: 'push', name: 'Handbook', settings: {} });
    for (const externalId of ['a', 'b'])
      await real.core.documents.put(tenant.id, source.id, { externalId, content: `# ${externalId}\n\nWords.` }, signal);
    await real.core.tenants.create({ slug: 'umbrella', name: 'Umbrella' });

    const list = wordsIn(await textOf(operator, `${home}/tenants?q=EUROPE`));
    expect(list).toContain('Initech Europe initech 2 2');
    expect(list).not.toContain('Umbrella umbrella');
    expect(await textOf(operator, `${home}/tenants?q=nobody`)).toContain('No tenant has such a name.');

    const page = wordsIn(await textOf(operator, `${home}/tenants/initech`));
    for (const words of ['Initech Europe', tenant.id, 'Answers', 'words only']) expect(page).toContain(words);

    const path = `${home}/tenants/initech/delete`;
    expect(await (await operator.post(path)).text()).toContain('To confirm, type initech');
    expect((await operator.post(path, { confirmed: 'inite' })).status).toBe(422);
    expect((await operator.post(path, { confirmed: 'initech' })).headers.get('location')).toBe(
      `${home}/tenants?done=tenant-deleted`,
    );
    expect((await operator.get(`${home}/tenants/initech`)).status).toBe(404);
    const trail = await real.core.auditTrail(null, { q: 'initech' }, { limit: 10 });
    expect(trail.items.map(({ action }) => action)).toEqual(['tenant.delete', 'tenant.create']);
  });

  test('whose short name is taken or does not fit are refused beside the field, and nothing typed is lost', async () => {
    await real.core.tenants.create({ slug: 'taken', name: 'Taken' });
    for (const [slug, status, sentence] of [
      ['taken', 409, 'is taken'],
      ['Not A Slug', 422, 'lower-case letters'],
      ['operator', 422, 'reserved'],
    ] as const) {
      const answer = await operator.post(`${home}/tenants`, { name: 'Second', slug });
      const html = await answer.text();
      expect(answer.status, slug).toBe(status);
      expect(html).toMatch(new RegExp(`id="slug-error">[^<]*${sentence}`));
      expect(html).toContain('value="Second"');
    }
  });

  test('come page by page', async () => {
    for (let n = 0; n < 60; n++)
      await real.core.tenants.create({ slug: `many-${String(n).padStart(2, '0')}`, name: 'Many' });
    const first = await textOf(operator, `${home}/tenants?q=many`);
    const next = /href="([^"]*cursor=[^"]*)"/.exec(first)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const slugs = (html: string) => [...html.matchAll(/<small>(many-\d+)<\/small>/g)].map(([, slug]) => slug);
    const second = await textOf(operator, next);
    expect([...slugs(first), ...slugs(second)]).toHaveLength(60);
    expect(new Set([...slugs(first), ...slugs(second)]).size).toBe(60);
    expect(second).not.toContain('cursor=');
  });
});

describe('an index', { timeout: 180_000 }, () => {
  test('is built anew with live progress, and gone back from', async () => {
    const tenant = await real.core.tenants.create({ slug: 'indexed', name: 'Indexed' });
    const source = await real.core.sources.create(tenant.id, { kind: 'push', name: 'Handbook', settings: {} });
    await real.core.documents.put(
      tenant.id,
      source.id,
      { externalId: 'a', content: '# Leave\n\nThirty days.' },
      signal,
    );
    const path = `${home}/tenants/indexed`;
    expect(await (await operator.post(`${path}/reindex`)).text()).toContain('Build the index of Indexed anew?');
    expect((await operator.post(`${path}/reindex`, { confirmed: 'yes' })).status).toBe(303);
    expect((await operator.post(`${path}/reindex`, { confirmed: 'yes' })).status, 'one at a time').toBe(409);
    const building = await textOf(operator, path);
    const progress = /data-progress="([^"]+)"/.exec(building)?.[1] ?? '';
    expect(progress).toMatch(/\/progress\/j_/);
    real.core.reindex.workHere();
    const events = await textOf(operator, progress);
    expect(events).toContain('event: progress');
    expect(events.trimEnd()).toMatch(/event: done\ndata: .*Done/);

    const built = await textOf(operator, path);
    expect(wordsIn(built)).toMatch(/2 Answers .* 1 Before/);
    const back = /action="([^"]+\/generations\/1\/activate)"/.exec(built)?.[1] ?? '';
    expect((await operator.post(back, { confirmed: 'yes' })).headers.get('location')).toBe(`${path}?done=going-back`);
    await eventually(async () => expect(wordsIn(await textOf(operator, path))).toMatch(/2 Before .* 1 Answers/));
    expect((await real.core.tenants.get(tenant.id))?.activeGeneration).toBe(1);
    for (const generation of ['7', '1e3', '-1', 'x'])
      expect((await operator.post(`${path}/generations/${generation}/activate`, { confirmed: 'yes' })).status).toBe(
        404,
      );
  });
});

describe('jobs', { timeout: 180_000 }, () => {
  test('of all tenants are listed with their reason, tried again, and stopped', async () => {
    const own = await openReal();
    try {
      const boss = await signUp(own, 'boss@example.com');
      await own.core.members.put(boss.userId, null, 'operator');
      expect(await textOf(boss, `${home}/jobs`)).toContain('No job has run yet.');
      const { tenant, job, folder } = await own.furnish('acme');
      const listed = wordsIn(await textOf(boss, `${home}/jobs?state=queued`));
      expect(listed).toContain('Sync: Folder');
      expect(listed).toContain('Tenant acme');
      expect(await textOf(boss, `${home}/jobs?state=failed`)).toContain('Nothing here.');

      const path = `${home}/jobs/acme/${job.id}`;
      expect((await boss.post(`${path}/retry`)).status, 'it has not failed').toBe(409);
      expect(await (await boss.post(`${path}/cancel`)).text()).toContain('Stop this job?');
      expect((await boss.post(`${path}/cancel`, { confirmed: 'yes' })).status).toBe(303);
      expect((await boss.post(`${path}/cancel`, { confirmed: 'yes' })).status, 'it has ended').toBe(409);
      const failed = await textOf(boss, `${home}/jobs?state=failed`);
      expect(failed).toContain('Stopped by the operator.');
      expect(failed).toContain(`${path}/retry`);

      expect((await boss.post(`${path}/retry`)).status).toBe(303);
      const { items } = await own.core.jobs.list(tenant.id, { sourceId: folder.id }, { limit: 10 });
      expect(items.map(({ state }) => state).toSorted()).toEqual(['failed', 'queued']);
      for (const other of ['j_none', job.id.toUpperCase()])
        expect((await boss.post(`${home}/jobs/acme/${other}/cancel`, { confirmed: 'yes' })).status).toBe(404);
      const trail = await own.core.auditTrail(tenant.id, { q: 'job.' }, { limit: 10 });
      expect(trail.items.map(({ action, subject }) => [action, subject])).toEqual([
        ['job.retry', job.id],
        ['job.cancel', job.id],
      ]);
    } finally {
      await own.close();
    }
  });
});

describe('health', { timeout: 180_000 }, () => {
  test('says who serves, in which version, and looks closer when asked', async () => {
    const page = await textOf(operator, `${home}/health`);
    expect(page).toContain('Ready: the stores answer.');
    expect(page).toContain(process.version);
    expect(page).toContain('No process has said that it serves yet.');
    expect(page).not.toContain('class="check-up"');
    const checked = wordsIn(await textOf(operator, `${home}/health?checks=on`));
    expect(checked).toContain('Everything is in order.');
    await real.core.start([]);
    await eventually(async () =>
      expect(wordsIn(await textOf(operator, `${home}/health`))).toMatch(/this one .* Serves .* clean-up/),
    );
  });
});

describe('people', { timeout: 180_000 }, () => {
  test('are found, signed out, freed of a lost second factor, and removed', async () => {
    const tenant = await real.core.tenants.create({ slug: 'staffed', name: 'Staffed' });
    const [ada, owner] = [await signUp(real, 'ada@staffed.example.com'), await signUp(real, 'own@staffed.example.com')];
    await real.core.members.put(ada.userId, tenant.id, 'admin');
    await real.core.members.put(owner.userId, tenant.id, 'owner');
    const path = `${home}/people/${ada.userId}`;

    const list = wordsIn(await textOf(operator, `${home}/people?q=STAFFED`));
    expect(list).toContain('Staffed: Admin');
    expect(list).toContain('Staffed: Owner');
    expect(list.split('Accounts')[1]).not.toContain(operator.email);
    expect(await textOf(operator, `${home}/people?q=nobody-here`)).toContain('Nobody has such an address.');
    expect(wordsIn(await textOf(operator, path))).toMatch(/Firefox on Linux/);

    expect(await (await operator.post(`${path}/sign-out`)).text()).toContain('out everywhere?');
    expect((await ada.get('/console/settings/account')).status).toBe(200);
    expect((await operator.post(`${path}/sign-out`, { confirmed: 'yes' })).status).toBe(303);
    expect((await ada.get('/console/settings/account')).status).toBe(401);

    const reset = await (await operator.post(`${path}/reset`)).text();
    expect(reset).toMatch(/http:\S+\/console\/sign-in\/reset\/[0-9a-f]{48}/);

    // The only owner of a tenant stays until there is another one.
    const only = await operator.post(`${home}/people/${owner.userId}/remove`, { confirmed: owner.email });
    expect([only.status, await only.text()]).toEqual([409, expect.stringContaining('Staffed has no other owner.')]);
    expect((await operator.post(`${path}/remove`, { confirmed: 'ada' })).status).toBe(422);
    expect((await operator.post(`${path}/remove`, { confirmed: ada.email })).status).toBe(303);
    expect((await operator.get(path)).status).toBe(404);
    expect(await real.core.members.ofUser(ada.userId)).toEqual([]);
    const late = createVisitor(real.app);
    expect((await late.post('/console/sign-in', { email: ada.email, password: ada.password })).status).toBe(422);
  });

  test('become operators and cease to be, but nobody by their own hand, and one always stays', async () => {
    const grace = await signUp(real, 'grace@example.com');
    const path = `${home}/people/${grace.userId}`;
    expect((await grace.get(`${home}/tenants`)).status).toBe(403);
    expect((await operator.post(`${path}/operator`, { confirmed: 'yes' })).status).toBe(303);
    expect((await grace.get(`${home}/tenants`)).status, 'at once').toBe(200);
    for (const deed of ['sign-out', 'operator/end', 'remove', 'second-factor', 'reset', 'email'])
      expect(
        (await operator.post(`${home}/people/${operator.userId}/${deed}`, { confirmed: 'yes' })).status,
        deed,
      ).toBe(409);
    expect((await operator.post(`${path}/operator/end`, { confirmed: 'yes' })).status).toBe(303);
    expect((await grace.get(`${home}/tenants`)).status, 'at once').toBe(403);
    await expect(real.core.members.removeOperator(operator.userId)).rejects.toMatchObject({ code: 'conflict' });
    expect(await real.core.members.operators()).toBe(1);
  });
});

describe('the way in', { timeout: 180_000 }, () => {
  test('leads an operator to the tenants, others to their own overview, and billing reviewers to the usage', async () => {
    const tenant = await real.core.tenants.create({ slug: 'entered', name: 'Entered' });
    const leads = async (visitor: Visitor, path = '/console') => (await visitor.get(path)).headers.get('location');
    expect(await leads(operator)).toBe(`${home}/tenants`);
    expect(await leads(operator, '/console?tenant=entered')).toBe('/console/entered/overview');
    for (const [role, page] of [
      ['owner', 'overview'],
      ['admin', 'overview'],
      ['viewer', 'overview'],
      ['billing', 'usage'],
    ] as const) {
      const person = await signUp(real, `${role}@entered.example.com`);
      await real.core.members.put(person.userId, tenant.id, role);
      expect(await leads(person), role).toBe(`/console/entered/${page}`);
      expect(await leads(person, '/console?tenant=entered&done=joined')).toBe(`/console/entered/${page}?done=joined`);
      expect((await person.get('/console?tenant=umbrella')).status).toBe(404);
    }
  });
});
