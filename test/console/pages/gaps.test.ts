import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { texts } from '../../../console/texts.ts';
import { AppError } from '../../../core/errors.ts';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

let real: Real;
let tenantId: string;
let admin: string;
let viewer: string;

beforeAll(async () => {
  real = await openReal();
  tenantId = (await real.furnish('acme')).tenant.id;
  admin = await real.signIn('admin', tenantId);
  viewer = await real.signIn('viewer', tenantId);
});
afterAll(() => real.close());

const base = '/console/acme/gaps';
const ask = (question: string, user: string) =>
  real.core.ask(tenantId, { question, platform: 'api', user, traceId: 't' }, { signal: new AbortController().signal });
const get = (path: string, cookie = admin) => real.app.request(path, { headers: { cookie } });
const page = async (path: string, cookie = admin) => (await get(path, cookie)).text();
const post = (path: string, fields: Record<string, string>, cookie = admin) => postForm(real.app, path, fields, cookie);

test('open questions are grouped; an answer is written, becomes a document, and is found at once', async () => {
  const first = await ask('Where do I park my bicycle?', 'u1');
  await ask('Where can I park a bicycle?', 'u2');
  const text = await page(base, viewer);
  expect(text).toContain('Asked 2 times');
  expect(text).toContain('by 2 people');
  const gap = `${base}/${first.answerId}`;
  expect(await page(gap, viewer)).not.toContain('name="answer"');
  expect(await page(gap)).toContain('Where can I park a bicycle?');

  const incomplete = await post(`${gap}/answer`, { question: 'Where do I park <my> bicycle?', answer: '' });
  expect(incomplete.status).toBe(422);
  expect(await incomplete.text()).toContain('value="Where do I park &lt;my&gt; bicycle?"');
  expect((await post(`${gap}/answer`, { question: 'q', answer: 'a' }, viewer)).status).toBe(403);

  const answer = 'You park your bicycle in the yard behind the east gate.';
  const saved = await post(`${gap}/answer`, { question: 'Where do I park my bicycle?', answer });
  expect(saved.status).toBe(303);
  const written = saved.headers.get('location') ?? '';
  expect(await page(written)).toContain('east gate');
  expect(await page(written)).toContain('Nobody is left to be told');
  const sources = (await real.core.sources.list(tenantId)).filter(({ name }) => name === 'Written answers');
  expect(sources).toHaveLength(1);
  expect((await ask('Where can I park a bicycle?', 'u3')).kind).toBe('answered');
  expect(await page(base)).not.toContain('bicycle');
  expect((await get(gap)).status).toBe(404);
  expect((await real.core.auditTrail(tenantId, { q: 'gap.answer' }, { limit: 5 })).items).toHaveLength(1);
});

test('an answer is kept although the question cannot be tried again', async () => {
  const { answerId } = await ask('Which gate is open at night?', 'u1');
  const trying = vi.spyOn(real.core, 'ask').mockRejectedValue(new AppError('model-failed', 'The model is away.'));
  const saved = await post(`${base}/${answerId}/answer`, { question: 'Which gate?', answer: 'The north gate.' });
  trying.mockRestore();
  expect(saved.status).toBe(303);
  expect(await page(saved.headers.get('location') ?? '')).toContain(texts.done.untried);
  expect(await page(base), 'stays open').toContain('Which gate is open at night?');
});

test('a group that needs no answer is put aside, until it is asked again', async () => {
  const { answerId } = await ask('Who won the football match?', 'u1');
  expect((await post(`${base}/${answerId}/dismiss`, {}, viewer)).status).toBe(403);
  expect((await post(`${base}/${answerId}/dismiss`, {})).status).toBe(303);
  expect(await page(base)).not.toContain('football');
  await ask('Who won the football match?', 'u2');
  expect(await page(base)).toContain('football');
});

test('another tenant’s question is nobody’s business', async () => {
  const { answerId } = await ask('Where is the swimming pool?', 'u1');
  const other = (await real.furnish('globex')).tenant;
  const stranger = await real.signIn('owner', other.id);
  expect((await get(`/console/globex/gaps/${answerId}`, stranger)).status).toBe(404);
  expect((await post(`/console/globex/gaps/${answerId}/dismiss`, {}, stranger)).status).toBe(404);
  expect(await page(base)).toContain('swimming pool');
});
