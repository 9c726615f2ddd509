import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isSignedWith, type Receiver, startReceiver } from '../../fakes/webhook-receiver.ts';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let real: Real;
let receiver: Receiver;
let tenantId: string;
let admin: string;

beforeAll(async () => {
  receiver = await startReceiver();
  real = await openReal({ FETCH_ALLOW: receiver.host });
  tenantId = (await real.core.tenants.create({ slug: 'acme', name: 'Acme' })).id;
  admin = await real.signIn('admin', tenantId);
  await real.core.start([]);
});
afterAll(async () => {
  await real.close();
  await receiver.close();
});

const base = '/console/acme/webhooks';
const get = (path: string) => real.app.request(path, { headers: { cookie: admin } });
const post = (path: string, fields: Record<string, string> | [string, string][]) =>
  postForm(real.app, path, fields, admin);
const fields = (name: string, more: [string, string][] = []): [string, string][] => [
  ['name', name],
  ['url', receiver.url],
  ['events', 'question.not_found'],
  ['events', 'question.refused'],
  ...more,
];
const secretIn = (page: string): string => /whsec_[\w+/=]+/.exec(page)?.[0] ?? '';
const named = async (name: string) => (await real.core.webhooks.list(tenantId)).find((one) => one.name === name)!;

describe('a webhook', () => {
  test('shows its secret once, and tells what happens by a message that is signed with it', async () => {
    const made = await post(base, fields('Tickets', [['text', 'on']]));
    expect(made.status).toBe(200);
    const secret = secretIn(await made.text());
    const { id } = await named('Tickets');
    expect(secretIn(await (await get(`${base}/${id}`)).text())).toBe('');

    const receipt = await real.core.ask(
      tenantId,
      { question: 'Where is xyzzy?', platform: 'api', user: 'ada', traceId: 't' },
      { signal: AbortSignal.timeout(30_000) },
    );
    expect(receipt.kind).toBe('not-found');
    await vi.waitFor(() => expect(receiver.received).toHaveLength(1), { timeout: 30_000 });
    const [message] = receiver.received;
    expect(isSignedWith(secret, message!)).toBe(true);
    expect(JSON.parse(message?.body ?? '')).toMatchObject({
      type: 'question.not_found',
      data: { tenantId, answerId: receipt.answerId, memberId: 'api:ada', platform: 'api', question: 'Where is xyzzy?' },
    });
    await vi.waitFor(
      async () => {
        const page = await (await get(`${base}/${id}`)).text();
        expect(page).toContain('question.not_found');
        expect(page).toContain('delivered');
        expect(page).toContain('204');
        expect(page).not.toContain('xyzzy');
      },
      { timeout: 30_000 },
    );
    expect((await real.core.auditTrail(tenantId, { q: 'webhook.create' }, { limit: 5 })).items).toHaveLength(1);
  });

  test('is tried with a button, and the outcome is listed with what the receiver answered', async () => {
    await post(base, fields('Tried'));
    const { id } = await named('Tried');
    receiver.answer = 500;
    expect((await post(`${base}/${id}/test`, {})).headers.get('location')).toBe(`${base}/${id}?done=webhook-tested`);
    await vi.waitFor(
      async () => {
        const page = await (await get(`${base}/${id}`)).text();
        expect(page).toContain('webhook.test');
        expect(page).toContain('The receiver answered 500.');
        expect(page).toContain('given up');
      },
      { timeout: 30_000 },
    );
    receiver.answer = 204;
  });

  test('is paused and goes on; gets a new secret after asking; and is removed after asking', async () => {
    await post(base, fields('Paused'));
    const { id } = await named('Paused');
    await post(`${base}/${id}/pause`, {});
    expect(await (await get(`${base}/${id}`)).text()).toContain('What happens meanwhile is not sent later.');
    await post(`${base}/${id}/resume`, {});
    expect(await named('Paused')).not.toHaveProperty('paused');
    expect(await (await post(`${base}/${id}/secret`, {})).text()).toContain('Make a new secret for Paused?');
    const before = (await named('Paused')).sealedSecret;
    const renewed = await post(`${base}/${id}/secret`, { confirmed: 'yes' });
    expect(secretIn(await renewed.text())).toMatch(/^whsec_/);
    expect((await named('Paused')).sealedSecret).not.toBe(before);
    expect(await (await post(`${base}/${id}/remove`, {})).text()).toContain('Remove the webhook Paused?');
    expect((await post(`${base}/${id}/remove`, { confirmed: 'yes' })).headers.get('location')).toContain(base);
    expect((await get(`${base}/${id}`)).status).toBe(404);
  });

  test('keeps what was typed when it does not fit, and tells the later of two who change it', async () => {
    const wrong = await post(base, [
      ['name', 'Kept'],
      ['url', 'javascript:alert(1)'],
      ['events', 'sync.failed'],
    ]);
    expect(wrong.status).toBe(422);
    const page = await wrong.text();
    expect(page).toContain('id="url-error">A complete address is needed');
    expect(page).toContain('value="Kept"');
    expect(page).toMatch(/value="sync.failed" checked/);
    expect(
      (
        await post(base, [
          ['name', 'X'],
          ['url', receiver.url],
        ])
      ).status,
    ).toBe(422);

    await post(base, fields('Edited'));
    const { id, rev } = await named('Edited');
    const first = fields('Edited by one', [['rev', String(rev)]]);
    expect((await post(`${base}/${id}`, first)).status).toBe(303);
    const late = await post(`${base}/${id}`, fields('Edited by two', [['rev', String(rev)]]));
    expect(late.status).toBe(409);
    expect(await late.text()).toContain('Somebody else saved a change here meanwhile');
    expect((await real.core.webhooks.get(tenantId, id))?.name).toBe('Edited by one');
  });
});
