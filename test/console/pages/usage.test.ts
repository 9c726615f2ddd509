import { afterAll, beforeAll, expect, test } from 'vitest';
import { aLine } from '../../contracts/rows.ts';
import { openReal, type Real } from '../real.ts';

let real: Real;
let reviewer: string;
const day = Date.UTC(2026, 4, 4, 12);
const members = 230;

beforeAll(async () => {
  real = await openReal();
  const { id } = await real.core.tenants.create({ slug: 'busy', name: 'Busy' });
  reviewer = await real.signIn('billing', id);
  const state = await real.openState();
  // The higher a member's number, the more it used.
  await state.ledger.append(
    id,
    Array.from({ length: members }, (_, n) =>
      aLine(id, { at: day, memberId: `slack:U${n}`, promptTokens: n, completionTokens: 0, costNanos: 1 }),
    ),
  );
  await state.maintenance.close();
});
afterAll(() => real.close());

const page = async (query: string): Promise<string> =>
  (
    await real.app.request(`/console/busy/usage?from=2026-05-01&to=2026-05-31&${query}`, {
      headers: { cookie: reviewer },
    })
  ).text();
const membersOn = (text: string): readonly string[] => [...text.matchAll(/>(slack:U\d+)</g)].map(([, id]) => id ?? '');
const nextOn = (text: string): string | undefined => /first=(\d+)"/.exec(text)?.[1];

test('a long usage is shown page by page, the largest first, and the sum is that of all on every page', async () => {
  const sum = `value="${(members * (members - 1)) / 2}"`;
  const seen: string[] = [];
  let first: string | undefined = '0';
  while (first !== undefined) {
    const text = await page(`group=member&first=${first}`);
    expect(text).toContain(sum);
    seen.push(...membersOn(text));
    first = nextOn(text);
  }
  expect(seen).toEqual(Array.from({ length: members }, (_, n) => `slack:U${members - 1 - n}`));
});

test('days stand in their order, and a page that nobody offered begins at the first', async () => {
  expect(await page('first=-3')).toContain('2026-05-04');
  expect(nextOn(await page('group=day'))).toBeUndefined();
  expect(membersOn(await page('group=member&first=1e99'))).toHaveLength(100);
});
