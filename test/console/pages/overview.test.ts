import { afterAll, beforeAll, expect, test } from 'vitest';
import { openReal, type Real } from '../real.ts';

let real: Real;
let tenantId: string;
let owner: string;
let viewer: string;

beforeAll(async () => {
  real = await openReal();
  tenantId = (await real.furnish('acme')).tenant.id;
  owner = await real.signIn('owner', tenantId);
  viewer = await real.signIn('viewer', tenantId);
});
afterAll(() => real.close());

const ask = (question: string) =>
  real.core.ask(tenantId, { question, platform: 'api', traceId: 't' }, { signal: new AbortController().signal });
const page = async (slug: string, cookie: string) =>
  (await real.app.request(`/console/${slug}/overview`, { headers: { cookie } })).text();
const tile = (text: string, name: string): number =>
  Number(new RegExp(`>${name}</a></dt><dd><data[^>]*value="(\\d+)"`).exec(text)?.[1]);

test('the overview counts the questions of today by what became of them', async () => {
  const before = await page('acme', viewer);
  await ask('Which class do we book for train journeys?');
  await ask('Who is the president of Atlantis?');
  const after = await page('acme', viewer);
  expect(tile(after, 'Answered') - tile(before, 'Answered')).toBe(1);
  expect(tile(after, 'Not found') - tile(before, 'Not found')).toBe(1);
  expect(after).toContain('95 of 100 within');
});

test('it says what needs attention, and leads there', async () => {
  await real.core.quotas.put(tenantId, [{ scope: 'tenant', unit: 'questions', per: 'day', limit: 1 }]);
  await ask('Which class do we book for train journeys, again?');
  const text = await page('acme', owner);
  expect(text).toMatch(/href="\/console\/acme\/quotas">\d+ % of a limit is used/);
  expect(text).toContain('of the last 30 days');
  const [connection] = await real.core.connections.list(tenantId);
  if (connection === undefined) throw new Error('no connection');
  await real.core.connections.failed(connection, 'The token was <revoked>.');
  const failing = await page('acme', viewer);
  expect(failing).toContain('The token was &lt;revoked&gt;.');
  expect(failing).toContain('Trouble');
});

test('money and limits are shown only to those who may see them', async () => {
  for (const word of ['Used against the limits', 'of a limit is used']) {
    expect(await page('acme', owner)).toContain(word);
    expect(await page('acme', viewer)).not.toContain(word);
  }
});

test('an empty tenant is told what to do next', async () => {
  const empty = await real.core.tenants.create({ slug: 'empty', name: 'Empty' });
  const text = await page('empty', await real.signIn('owner', empty.id));
  for (const next of ['/console/empty/sources/new', 'Nobody has asked anything today', 'No workspace is connected'])
    expect(text).toContain(next);
});
