import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Receipt } from '../../../core/domain.ts';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

let real: Real;
let tenantId: string;
let viewer: string;
let billing: string;
let first: Receipt;

beforeAll(async () => {
  real = await openReal();
  tenantId = (await real.furnish('acme')).tenant.id;
  viewer = await real.signIn('viewer', tenantId);
  billing = await real.signIn('billing', tenantId);
  first = await ask('=Which class do we book, on train journeys?', 'u1');
  await ask('Who is the president of Atlantis?', 'u2');
  const judge = { rating: 'down' as const, comment: 'Too <old>', user: 'u1' };
  await real.core.answers.feedback(tenantId, first.answerId, judge);
});
afterAll(() => real.close());

const ask = (question: string, user: string) =>
  real.core.ask(tenantId, { question, platform: 'api', user, traceId: 't' }, { signal: new AbortController().signal });
const get = (query: string, cookie = viewer) =>
  real.app.request(`/console/acme/answers${query}`, { headers: { cookie } });
const shown = async (query: string) => {
  const text = await (await get(query)).text();
  return { train: text.includes('on train journeys?'), atlantis: text.includes('Atlantis?') };
};
const [both, train, atlantis, none] = [
  { train: true, atlantis: true },
  { train: true, atlantis: false },
  { train: false, atlantis: true },
  { train: false, atlantis: false },
];

describe('the list of answers', () => {
  test('is narrowed by outcome, reason, place, person, verdict and day', async () => {
    const today = new Date(first.at).toISOString().slice(0, 10);
    expect(await shown('')).toEqual(both);
    expect(await shown('?outcome=answered')).toEqual(train);
    expect(await shown('?reason=not-found')).toEqual(atlantis);
    expect(await shown('?member=api:u2')).toEqual(atlantis);
    expect(await shown('?rating=down')).toEqual(train);
    expect(await shown('?platform=slack')).toEqual(none);
    expect(await shown(`?from=${today}&to=${today}`)).toEqual(both);
    expect(await shown('?to=2020-01-01')).toEqual(none);
    expect((await get('?from=nonsense')).status).toBe(422);
  });

  test('says what people thought of an answer', async () => {
    const text = await (await get('?rating=down')).text();
    expect(text).toContain('Did not help 1');
    expect(text).toContain('1 comment');
  });

  test('that takes the place of another leads to the export of what it shows', async () => {
    const swapped = await real.app.request('/console/acme/answers?outcome=answered', {
      headers: { cookie: viewer, 'hx-request': 'true' },
    });
    const part = await swapped.text();
    expect(part).not.toContain('<html');
    expect(part).toContain('/console/acme/answers/export?outcome=answered&amp;format=csv');
    expect(part).toContain('href="/console/acme/answers"');
  });

  test('that cannot be had says so in its place', async () => {
    const refused = await real.app.request('/console/acme/answers?from=nonsense', {
      headers: { cookie: viewer, 'hx-request': 'true' },
    });
    expect([refused.status, refused.headers.get('hx-reswap')]).toEqual([422, 'innerHTML']);
    expect(await refused.text()).toMatch(/^<p class="notice error" role="alert">/);
    const signedOut = await real.app.request('/console/acme/answers', { headers: { 'hx-request': 'true' } });
    expect(signedOut.status).toBe(401);
    expect(await signedOut.text()).toMatch(/^<p .*href="\/console\/sign-in" target="_blank"/);
  });

  test('leaves as CSV and NDJSON, as it is filtered', async () => {
    const csv = await (await get('/export?rating=down')).text();
    expect(csv.split('\r\n')[0]).toContain('answerId,at,outcome');
    expect(csv).toContain(`"'=Which class do we book, on train journeys?"`);
    expect(csv).toContain('Too <old>');
    expect(csv).not.toContain('Atlantis');
    const lines = (await (await get('/export?format=ndjson')).text()).trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { question: string }).question)).toContain(
      'Who is the president of Atlantis?',
    );
    expect((await real.core.auditTrail(tenantId, { q: 'answers.export' }, { limit: 5 })).items).toHaveLength(2);
  });

  test('is not for billing reviewers, in no form', async () => {
    for (const path of ['', '/export', '/why']) expect((await get(path, billing)).status).toBe(403);
  });
});

describe('why did it not answer', () => {
  const why = (link: string) => get(`/why?link=${encodeURIComponent(link)}`);

  test('a text that is no link is refused beside its field, and stays', async () => {
    const response = await why('"><script>');
    const text = await response.text();
    expect(response.status).toBe(422);
    expect(text).toContain('id="link-error"');
    expect(text).toContain('&quot;&gt;&lt;script&gt;');
  });

  test('a message that nobody heard of is told with the usual causes', async () => {
    const text = await (await why('https://acme.slack.com/archives/C1/p1700000000123456')).text();
    expect(text).toContain('Nothing was heard of this message');
  });
});

test('a receipt has the reader’s own verdict pressed, and nobody else’s', async () => {
  const path = `/console/acme/answers/${first.answerId}`;
  const pressed = async (): Promise<readonly string[]> =>
    [
      ...(await (await real.app.request(path, { headers: { cookie: viewer } })).text()).matchAll(
        /value="(up|down)"[^>]*aria-pressed="true"/g,
      ),
    ].map(([, rating]) => rating ?? '');
  expect(await pressed(), 'u1 voted down').toEqual([]);
  const rate = (rating: string) => postForm(real.app, `${path}/feedback`, { rating }, viewer);
  await rate('up');
  expect(await pressed()).toEqual(['up']);
  await real.core.answers.feedback(tenantId, first.answerId, { rating: 'down', user: 'u3' });
  expect(await pressed(), 'somebody after that').toEqual(['up']);
});
