import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Tenant } from '../../../core/domain.ts';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let real: Real;
let tenantId: string;
let admin: string;
let viewer: string;

beforeAll(async () => {
  real = await openReal({
    OPENAI_BASE_URL: 'http://127.0.0.1:9',
    CHAT_MODEL: 'model-of-the-house',
    CHAT_MODELS: 'model-large, model-small',
  });
  tenantId = (await real.core.tenants.create({ slug: 'acme', name: 'Acme' })).id;
  admin = await real.signIn('admin', tenantId);
  viewer = await real.signIn('viewer', tenantId);
});
afterAll(() => real.close());

const base = '/console/acme/settings';
const get = (path: string, cookie = admin) => real.app.request(path, { headers: { cookie } });
const post = (path: string, fields: Record<string, string> | [string, string][], cookie = admin) =>
  postForm(real.app, path, fields, cookie);
const tenant = async (): Promise<Tenant> => (await real.core.tenants.get(tenantId))!;
const rev = async () => String((await tenant()).rev);
const audited = async (q: string) =>
  (await real.core.auditTrail(tenantId, { q }, { limit: 50 })).items.map(({ subject }) => subject);

describe('the pages of settings', () => {
  test('are for admins, and lead to each other', async () => {
    for (const path of [base, `${base}/answering`, `${base}/messages`, `${base}/privacy`, '/console/acme/webhooks']) {
      const page = await get(path);
      expect(page.status, path).toBe(200);
      expect((await get(path, viewer)).status, path).toBe(403);
      expect(await page.text(), path).toContain('aria-current="page"');
    }
  });

  test('tell the later of two who change the same, and keep what it typed', async () => {
    const seen = await rev();
    expect((await post(base, { name: 'Acme', language: 'de', rev: seen })).status).toBe(303);
    const late = await post(`${base}/privacy`, { keepText: 'on', retentionDays: '33', rev: seen });
    expect(late.status).toBe(409);
    const page = await late.text();
    expect(page).toContain('Somebody else saved a change here meanwhile, so yours is not saved yet.');
    expect(page).toContain(`<a href="${base}/privacy" target="_blank"`);
    expect(page).toContain('value="33"');
    expect((await tenant()).settings.retentionDays).toBeUndefined();
    // Told, it may be saved as it stands in the form.
    const knowing = /name="rev" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const again = await post(`${base}/privacy`, { keepText: 'on', retentionDays: '33', rev: knowing });
    expect(again.status).toBe(303);
    expect((await tenant()).settings).toMatchObject({ retentionDays: 33, language: 'de' });
  });
});

describe('answering', () => {
  test('offers the deployment’s models, keeps what is chosen, and writes it down', async () => {
    const page = await (await get(`${base}/answering`)).text();
    expect(page).toContain('The deployment’s own (model-of-the-house)');
    expect(page).toContain('<option value="model-large"');
    const saved = await post(`${base}/answering`, {
      chatModel: 'model-small',
      passages: '5',
      floor: 'strict',
      meaning: '0.7',
      rev: await rev(),
    });
    expect(saved.status).toBe(303);
    const { settings } = await tenant();
    expect(settings.chatModel).toBe('model-small');
    expect(settings.retrieval).toEqual({ passages: 5, floor: 'strict', meaning: 0.7 });
    expect(await audited('tenant.update')).toContain('answering');
    await post(`${base}/answering`, { floor: 'balanced', meaning: '0.5', rev: await rev() });
    expect((await tenant()).settings).not.toHaveProperty('retrieval');
    expect((await tenant()).settings).not.toHaveProperty('chatModel');
  });

  test('refuses what is out of bounds or not offered, beside the field', async () => {
    const fields = { floor: 'balanced', meaning: '0.5', rev: await rev() };
    const many = await post(`${base}/answering`, { ...fields, passages: '21' });
    expect(many.status).toBe(422);
    expect(await many.text()).toContain('id="passages-error">A whole number from 3 to 20 is needed.');
    const other = await post(`${base}/answering`, { ...fields, chatModel: 'gpt-of-somebody-else' });
    expect(other.status).toBe(422);
    expect(await other.text()).toContain('id="chatModel-error">This deployment does not offer that model.');
    expect((await tenant()).settings).not.toHaveProperty('chatModel');
  });
});

describe('messages', () => {
  const path = `${base}/messages`;

  test('are worded language by language, previewed, and dropped again', async () => {
    const seen = await rev();
    const preview = await post(path, {
      language: 'de',
      notFound: 'Nichts bei {organisation}.',
      preview: 'on',
      rev: seen,
    });
    expect(preview.status).toBe(200);
    const shown = await preview.text();
    expect(shown).toContain('<blockquote>Nichts bei Acme.</blockquote>');
    expect(shown).toContain('Nichts bei {organisation}.</textarea>');
    expect((await tenant()).settings.messages, 'nothing is saved by a look').toBeUndefined();

    await post(path, { language: 'de', notFound: 'Nichts bei {organisation}.', rev: seen });
    await post(path, { language: 'en', quota: 'Enough for now. {reason}', rev: await rev() });
    expect((await tenant()).settings.messages).toEqual({
      de: { notFound: 'Nichts bei {organisation}.' },
      en: { quota: 'Enough for now. {reason}' },
    });
    const german = await (await get(`${path}?language=de`)).text();
    expect(german).toContain('Nichts bei {organisation}.</textarea>');
    expect(german, 'our words stand where none are typed').toContain('placeholder="{reason}"');

    const asks = await post(`${path}/reset`, { language: 'de', rev: await rev() });
    expect(await asks.text()).toContain('Back to our words in German?');
    await post(`${path}/reset`, { language: 'de', rev: await rev(), confirmed: 'yes' });
    expect((await tenant()).settings.messages).toEqual({ en: { quota: 'Enough for now. {reason}' } });
  });

  test('hold no placeholder that is not known there', async () => {
    const wrong = await post(path, { language: 'en', notFound: 'See {link}.', quota: 'Half {', rev: await rev() });
    expect(wrong.status).toBe(422);
    const page = await wrong.text();
    expect(page).toContain('id="notFound-error">{link} is not known here. What can be filled in: {organisation}.');
    expect(page).toContain('id="quota-error">A brace stands alone');
    expect(page).toContain('See {link}.</textarea>');
  });

  test('greet in the workspaces of the tenant, and nowhere else', async () => {
    await post(path, { language: 'en', greeting: 'I am the owl of {organisation}.', rev: await rev() });
    await real.core.tenants.update(tenantId, { settings: { language: null } });
    await real.core.connections.create(tenantId, { platform: 'slack', workspaceId: 'T-owl' });
    const greeting = (workspaceId: string) => real.core.connections.greeting?.('slack', workspaceId);
    expect(await greeting('T-owl')).toBe('I am the owl of Acme.');
    expect(await greeting('T-other')).toBeNull();
  });

  test('are escaped wherever they are shown', async () => {
    await post(path, { language: 'fr', notFound: '<b onclick=x>Rien</b>', rev: await rev() });
    const page = await (
      await post(path, { language: 'fr', notFound: '<b onclick=x>Rien</b>', preview: 'on', rev: await rev() })
    ).text();
    expect(page).not.toContain('<b onclick');
  });
});

describe('privacy', () => {
  const path = `${base}/privacy`;

  test('says what is masked, kept and removed, and what masking does not catch', async () => {
    const saved = await post(path, [
      ['keepText', 'on'],
      ['retentionDays', '30'],
      ['masked', 'email'],
      ['masked', 'iban'],
      ['beforeModel', 'on'],
      ['rev', await rev()],
    ]);
    expect(saved.status).toBe(303);
    expect((await tenant()).settings).toMatchObject({
      keepText: true,
      retentionDays: 30,
      masking: { kinds: ['email', 'iban'], beforeModel: true },
    });
    const page = await (await get(path)).text();
    for (const text of ['It does not catch names', 'removed 30 days after', 'It has not run since', 'Kept: the ledger'])
      expect(page).toContain(text);
    expect(page).toMatch(/value="iban" checked/);
    expect((await post(path, { retentionDays: '0', rev: await rev() })).status).toBe(422);
    expect(
      (
        await post(path, [
          ['masked', 'names'],
          ['rev', await rev()],
        ])
      ).status,
    ).toBe(422);
  });

  test('forgets a person after asking, and does not name them in the log', async () => {
    const asks = await post(`${base}/forget`, { member: 'slack:U024BE7LH' });
    expect(await asks.text()).toContain('Forget slack:U024BE7LH?');
    const done = await post(`${base}/forget`, { member: 'slack:U024BE7LH', confirmed: 'yes' });
    expect(done.headers.get('location')).toBe(`${path}?done=forgotten`);
    expect(await audited('member.forget')).toEqual([undefined]);
  });

  test('a verdict given in the console is forgotten with its person', async () => {
    const receipt = await real.core
      .ask(
        (await real.core.tenants.bySlug('demo'))?.id ?? tenantId,
        { question: '???', user: 'zoe', platform: 'console', traceId: 't' },
        { signal: AbortSignal.timeout(30_000) },
      )
      .catch((error: unknown) => error as Error);
    if (receipt instanceof Error) throw receipt;
    await real.core.answers.feedback(tenantId, receipt.answerId, { rating: 'down', comment: 'xyzzy', user: 'zoe' });
    await real.core.members.forget(tenantId, 'console:zoe');
    const left = await real.core.answers.get(tenantId, receipt.answerId);
    expect(left?.feedback).toEqual([{ rating: 'down', at: expect.any(Number) }]);
    expect(JSON.stringify(left)).not.toContain('zoe');
  });
});

describe('deleting the organisation', () => {
  test('is an owner’s, says what goes, and wants its short name typed', async () => {
    const { id } = await real.core.tenants.create({ slug: 'shortlived', name: 'Short' });
    const [owner, other] = [await real.signIn('owner', id), await real.signIn('admin', id)];
    const at = '/console/shortlived/settings';
    expect(await (await get(at, owner)).text()).toContain('Delete the organisation');
    expect(await (await get(at, other)).text()).not.toContain('/delete"');
    expect((await post(`${at}/delete`, {}, other)).status).toBe(403);
    const asks = await (await post(`${at}/delete`, {}, owner)).text();
    for (const text of ['Every API key and every connection', 'The ledger is kept', 'shortlived'])
      expect(asks).toContain(text);
    expect((await post(`${at}/delete`, { confirmed: 'short' }, owner)).status).toBe(422);
    expect(await real.core.tenants.get(id)).not.toBeNull();
    expect((await post(`${at}/delete`, { confirmed: 'shortlived' }, owner)).status).toBe(303);
    expect(await real.core.tenants.get(id)).toBeNull();
  });
});
