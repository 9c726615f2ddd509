import AxeBuilder from '@axe-core/playwright';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rolesFor, type SessionRule } from '../../console/policy.ts';
import type { Role } from '../../core/domain.ts';
import { openReal, type Real } from '../console/real.ts';
import type { Furnished } from '../fakes/core.ts';
import { launch, listen, openPage } from './browser.ts';
import { liveIn, pagesOf } from './lived-in.ts';

/** Every page that the route table knows, opened by each role: what may be seen is whole, what may not is refused. */

let real: Real;
let browser: Browser;
let server: Awaited<ReturnType<typeof listen>>;
let acme: Furnished;
let pages: Awaited<ReturnType<typeof pagesOf>>;

const plain: Readonly<Record<string, string>> = {
  tenant: 'Acme Bicycles',
  source: 'Handbook',
  'document address': 'https://handbook.example/canteen',
  'channel id': 'C-lunch',
};

beforeAll(async () => {
  real = await openReal();
  acme = await real.furnish('acme');
  await liveIn(real.core, acme, (field) => plain[field] ?? `A ${field} of the house`);
  server = await listen(real.app);
  browser = await launch();
  pages = await pagesOf(real, acme);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await real?.close();
});

const desktop = { width: 1280, height: 860 };
const phone = { width: 390, height: 844 };
const forms = [
  { colorScheme: 'light', viewport: desktop },
  { colorScheme: 'dark', viewport: desktop },
  { colorScheme: 'light', viewport: phone },
  { colorScheme: 'dark', viewport: phone },
] as const satisfies readonly BrowserContextOptions[];

const signedIn = async (role: Role, options: BrowserContextOptions): Promise<BrowserContext> => {
  const context = await browser.newContext(options);
  const cookies = await real.signIn(role, role === 'operator' ? null : acme.tenant.id);
  await context.addCookies(
    cookies.split('; ').map((cookie) => {
      const at = cookie.indexOf('=');
      return { name: cookie.slice(0, at), value: cookie.slice(at + 1), url: server.url };
    }),
  );
  return context;
};

const mayOpen = (role: Role, policy: string): boolean => {
  const rule = policy.slice('session:'.length) as SessionRule;
  return rule === 'any' || role === 'operator' || rolesFor[rule].includes(role);
};

/** What is wrong with the page that is open, in words. */
const faultsOf = async (page: Page): Promise<readonly string[]> => {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const headings = await page.locator('h1').count();
  return [
    ...violations.map(({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target.join(' ')).join(', ')}`),
    ...(wide > 0 ? [`${wide} pixels wider than the window`] : []),
    ...(headings === 1 ? [] : [`${headings} first headings`]),
  ];
};

describe.each(forms.map((form) => ({ form, name: `${form.colorScheme}, ${form.viewport.width} pixels` })))(
  '$name',
  ({ form }) => {
    test('every page is without a fault for its owner or operator', { timeout: 900_000 }, async () => {
      const faults: string[] = [];
      const owner = await signedIn('owner', form);
      const operator = await signedIn('operator', form);
      const windows = { owner: await openPage(owner), operator: await openPage(operator) };
      for (const { route, path, policy } of pages) {
        const { page, complaints } = mayOpen('owner', policy) ? windows.owner : windows.operator;
        const response = await page.goto(server.url + path);
        if (response?.status() !== 200) faults.push(`${route}: ${response?.status()}`);
        for (const fault of await faultsOf(page)) faults.push(`${route}: ${fault}`);
        for (const complaint of complaints.splice(0)) faults.push(`${route}: ${complaint}`);
      }
      await Promise.all([owner.close(), operator.close()]);
      expect(faults).toEqual([]);
      expect(pages.length).toBeGreaterThan(35);
    });
  },
);

describe.each(['admin', 'billing', 'viewer', 'operator'] as const)('as %s', (role) => {
  test('every page opens or is refused by its policy, and each lead leads somewhere', {
    timeout: 900_000,
  }, async () => {
    const faults: string[] = [];
    const context = await signedIn(role, forms[['admin', 'billing', 'viewer', 'operator'].indexOf(role)] ?? forms[0]);
    const { page, complaints } = await openPage(context);
    const seen = { opened: 0, refused: 0 };
    for (const { route, path, policy } of pages) {
      const may = mayOpen(role, policy);
      const response = await page.goto(server.url + path);
      if (response?.status() !== (may ? 200 : 403)) faults.push(`${route}: ${response?.status()}`);
      // A refusal is a page as well, but one looks like the other.
      const look = may || seen.refused === 0;
      seen[may ? 'opened' : 'refused'] += 1;
      if (look) for (const fault of await faultsOf(page)) faults.push(`${route}: ${fault}`);
      // The browser itself complains of the status of a refusal.
      for (const complaint of complaints.splice(0)) if (may) faults.push(`${route}: ${complaint}`);
    }
    await page.goto(`${server.url}/console`);
    const leads = await page
      .locator('nav a[href^="/console"]')
      .evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).pathname));
    for (const lead of new Set(leads)) {
      const response = await page.goto(server.url + lead);
      if (response?.status() !== 200) faults.push(`${lead} is led to and answers ${response?.status()}`);
    }
    await context.close();
    expect(faults).toEqual([]);
    expect(leads.length).toBeGreaterThan(2);
    expect(seen.opened).toBeGreaterThan(5);
    if (role !== 'operator') expect(seen.refused).toBeGreaterThan(5);
  });
});

test('what is nobody’s is a page as well', async () => {
  const context = await browser.newContext(forms[3]);
  const { page } = await openPage(context);
  const faults: string[] = [];
  for (const path of [
    '/console/sign-in',
    '/console/sign-in/forgot',
    '/console/sign-in/0000',
    '/console/invitations/x',
  ]) {
    await page.goto(server.url + path);
    for (const fault of await faultsOf(page)) faults.push(`${path}: ${fault}`);
  }
  await context.close();
  expect(faults).toEqual([]);
});
