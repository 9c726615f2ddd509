import { expect, test, vi } from 'vitest';
import { createHarness, platformWith } from '../harness.ts';

test('a receipt names the place of a question once', async () => {
  const harness = await createHarness();
  harness.core.script = (_input, receipt) => ({ ...receipt, channelId: receipt.platform });
  const { a } = harness;
  const asked = await harness.call('POST', `/api/v1/tenants/${a.tenant.slug}/ask`, a.keys.ask, { question: 'train?' });
  const { answerId } = (await asked.json()) as { answerId: string };
  const cookie = await harness.signIn('viewer');
  const page = await harness.app.request(`/console/${a.tenant.slug}/answers/${answerId}`, { headers: { cookie } });
  const text = await page.text();
  expect(page.status).toBe(200);
  expect(text).toContain('>API<');
  expect(text).not.toContain('API · API');
});

test('who asked is called by name where the platform tells it, with the id beside it', async () => {
  const slack = { ...platformWith(), names: async () => ({ channels: {}, people: { U1: 'Ada <b>Lovelace</b>' } }) };
  const harness = await createHarness({}, [slack]);
  harness.core.script = (_input, receipt) => ({ ...receipt, memberId: 'slack:U1' });
  const { a } = harness;
  const asked = await harness.call('POST', `/api/v1/tenants/${a.tenant.slug}/ask`, a.keys.ask, { question: 'train?' });
  const { answerId } = (await asked.json()) as { answerId: string };
  const cookie = await harness.signIn('viewer');
  const shown = async (): Promise<string> =>
    (await harness.app.request(`/console/${a.tenant.slug}/answers/${answerId}`, { headers: { cookie } })).text();
  // Asked for beside the first page.
  await vi.waitFor(
    async () => expect(await shown()).toContain('<span title="slack:U1">Slack Ada &lt;b&gt;Lovelace&lt;/b&gt;</span>'),
    { timeout: 20_000, interval: 10 },
  );
});
