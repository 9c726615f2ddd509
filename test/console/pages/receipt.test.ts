import { expect, test } from 'vitest';
import { createHarness } from '../harness.ts';

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
