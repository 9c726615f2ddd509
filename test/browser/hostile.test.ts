import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openReal, type Real } from '../console/real.ts';
import { launch, listen, openPage } from './browser.ts';
import { liveIn, pagesOf } from './lived-in.ts';
import { payloads } from './payloads.ts';

/**
 * S4: hostile texts in every field that people write and the console shows, on the real stores. Each tenant carries one
 * text in all of its fields; the pages are those of the route table, so that a new page is covered by being declared.
 */

let real: Real;
let browser: Browser;
let server: Awaited<ReturnType<typeof listen>>;

beforeAll(async () => {
  real = await openReal();
  server = await listen(real.app);
  browser = await launch();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await real?.close();
});

/** The same text as it is smuggled past filters: broken out of a quote, a comment, a tag, an attribute, by other letters. */
const disguises: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `"'>${text}`,
  (text) => `--></script>${text}`,
  (text) => `${text}${text.toUpperCase().replaceAll('XSS()', 'xss()')}`,
  (text) => text.replaceAll('<', '\uff1c').replaceAll('>', '\uff1e'),
  (text) => encodeURIComponent(text),
];
const all = disguises.flatMap((disguise) => payloads.map(disguise));

/** How many texts one tenant carries: a field takes the next of them each time it is written. */
const perTenant = 24;

test(`${all.length} texts in every field run nowhere on any page`, { timeout: 900_000 }, async () => {
  const context = await browser.newContext();
  const cookies = await real.signIn('operator', null);
  await context.addCookies(
    cookies.split('; ').map((cookie) => {
      const at = cookie.indexOf('=');
      return { name: cookie.slice(0, at), value: cookie.slice(at + 1), url: server.url };
    }),
  );
  await context.addInitScript(() => {
    Object.assign(globalThis, { xss: () => console.error('a text of somebody else ran') });
    addEventListener('securitypolicyviolation', (event) =>
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  const { page, complaints } = await openPage(context);
  const faults: string[] = [];
  for (let from = 0; from < all.length; from += perTenant) {
    const texts = all.slice(from, from + perTenant);
    const furnished = await real.furnish(`hostile${from}`);
    // Lists show many at once; what a tenant has only one of keeps the last.
    for (const [at] of texts.entries()) {
      let field = 0;
      const word = () => texts[(at + field++) % texts.length] ?? '';
      await liveIn(real.core, furnished, word);
    }
    for (const { route, path } of await pagesOf(real, furnished)) {
      const response = await page.goto(server.url + path);
      if ((response?.status() ?? 500) >= 500) faults.push(`${route}: ${response?.status()}`);
      const foreign = await page
        .locator(
          'main :is(script, iframe, style, link, base, meta, object, embed, [onclick], [onload], [onerror], [srcdoc])',
        )
        .count();
      if (foreign > 0) faults.push(`${route}: ${foreign} foreign elements`);
      const addresses = await page
        .locator('a[href], form[action], img[src]')
        .evaluateAll((found) =>
          found.map((one) => one.getAttribute('href') ?? one.getAttribute('action') ?? one.getAttribute('src') ?? ''),
        );
      for (const address of addresses)
        if (/^\s*(?:javascript|data|vbscript):/i.test(address))
          faults.push(`${route}: leads to ${address.slice(0, 60)}`);
      for (const complaint of complaints.splice(0)) faults.push(`${route}: ${complaint}`);
    }
  }
  await context.close();
  expect(faults).toEqual([]);
});
