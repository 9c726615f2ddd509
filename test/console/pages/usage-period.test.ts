import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openReal, type Real } from '../real.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let real: Real;
let billing: string;

beforeAll(async () => {
  real = await openReal();
  const { tenant } = await real.furnish('acme');
  billing = await real.signIn('billing', tenant.id);
});
afterAll(() => real.close());

const get = async (path: string) => {
  const response = await real.app.request(`/console/acme/${path}`, { headers: { cookie: billing } });
  return { status: response.status, page: await response.text() };
};

describe.each(['usage', 'ledger'])('a period of the %s', (name) => {
  test.each([
    ['from=2026-11-20&to=2026-11-01', 'from', 'The first day must not be after the last one.'],
    ['from=yesterday&to=2026-11-01', 'from', 'A day is needed'],
    ['from=2026-11-01&to=2026-31-12', 'to', 'A day is needed'],
  ])('that cannot be (%s) is told beside its field, with what was typed', async (query, field, sentence) => {
    const { status, page } = await get(`${name}?${query}`);
    expect(status).toBe(422);
    expect(page).toContain(`id="${field}-error">${sentence}`);
    for (const typed of new URLSearchParams(query).values()) expect(page).toContain(`value="${typed}"`);
    expect(page, 'a page of the console').toContain('aria-current="page"');
  });
});

test('a period that is too long for a page keeps what it was to be grouped by', async () => {
  const { status, page } = await get('usage?from=2020-01-01&to=2026-11-01&group=model');
  expect(status).toBe(422);
  expect(page).toContain('A page shows at most 400 days');
  expect(page).toContain('<option value="model" selected');
});
