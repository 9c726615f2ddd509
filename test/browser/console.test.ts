import AxeBuilder from '@axe-core/playwright';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { createHarness, type Harness } from '../console/harness.ts';
import { launch, listen, openPage } from './browser.ts';
import { payloads } from './payloads.ts';

let harness: Harness;
let browser: Browser;
let server: Awaited<ReturnType<typeof listen>>;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;

beforeAll(async () => {
  harness = await createHarness();
  server = await listen(harness.app);
  browser = await launch();
  const link = await harness.auth.issueSignInLink('ada@example.com');
  await harness.core.members.put(link.userId, null, 'operator');
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(server.url + new URL(link.url).pathname);
  expect(new URL(page.url()).pathname).toBe('/console/operator/tenants');
  state = await context.storageState();
  await context.close();
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  harness?.auth.close();
});

const audit = async (page: Page, what: string): Promise<void> => {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(
    violations.map(({ id, nodes }) => `${what}: ${id} at ${nodes.map(({ target }) => target.join(' ')).join(', ')}`),
  ).toEqual([]);
};
const fits = (page: Page): Promise<boolean> => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

const ask = async (page: Page, question: string): Promise<void> => {
  const before = await page.locator('.turn-answer .receipt-link').count();
  await page.fill('#question', question);
  await page.keyboard.press('Enter');
  await page.locator('.turn-answer .receipt-link').nth(before).waitFor();
};

const forms: Readonly<Record<string, BrowserContextOptions>> = {
  'light, desktop': { viewport: { width: 1280, height: 860 }, colorScheme: 'light' },
  'dark, desktop': { viewport: { width: 1280, height: 860 }, colorScheme: 'dark' },
  'light, phone': { viewport: { width: 390, height: 844 }, colorScheme: 'light' },
  'dark, phone': { viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
};

describe.each(Object.entries(forms))('in %s', (_name, options) => {
  test('asking and looking it up is without fault for axe and without a complaint of the browser', async () => {
    const context = await browser.newContext({ ...options, storageState: state });
    const { page, complaints } = await openPage(context);

    await page.goto(`${server.url}/console/acme/ask`);
    await audit(page, 'ask');
    await page.click('details.menu summary');
    await audit(page, 'menu');
    await page.keyboard.press('Escape');
    await ask(page, 'Which class do we book for train journeys?');
    await audit(page, 'answer');
    expect(await fits(page), page.url()).toBe(true);
    await ask(page, 'Something that nobody wrote down?');
    await page.click('details.retrieved summary');
    await audit(page, 'conversation');

    await page.locator('.receipt-link').first().click();
    await page.waitForSelector('.receipt');
    await audit(page, 'receipt');
    expect(await fits(page), page.url()).toBe(true);
    await page.click('.thumbs button[value=up]');
    await page.waitForSelector('.thanks');
    await page.goto(`${server.url}/console/acme/answers`);
    await audit(page, 'answers');
    expect(await fits(page), page.url()).toBe(true);
    const all = await page.locator('.answers > li').count();
    await page.selectOption('#outcome', 'not-found');
    await page.waitForURL(/outcome=not-found/);
    expect(await page.locator('.answers > li').count()).toBeGreaterThan(0);
    await page.goBack();
    // The way back leads to the whole list again, in a whole page.
    await page
      .locator('header.top + .frame .answers > li')
      .nth(all - 1)
      .waitFor();
    expect(complaints).toEqual([]);

    await context.close();
  });
});

describe('asking', () => {
  test('a follow-up keeps the conversation; a fresh start leaves it', async () => {
    const context = await browser.newContext({ storageState: state });
    const { page } = await openPage(context);
    await page.goto(`${server.url}/console/acme/ask`);
    await ask(page, 'Which class do we book for train journeys?');
    const conversation = await page.inputValue('input[name=conversationId]');
    await ask(page, 'And for longer train journeys?');
    expect(await page.inputValue('input[name=conversationId]')).toBe(conversation);
    await page.click('[data-fresh]');
    await page.waitForSelector('.intro h1');
    expect(await page.inputValue('input[name=conversationId]')).toBe('');
    await context.close();
  });

  test('a footnote leads to its source and back', async () => {
    const context = await browser.newContext({ storageState: state });
    const { page } = await openPage(context);
    await page.goto(`${server.url}/console/acme/ask`);
    await ask(page, 'Which class do we book for train journeys?');
    await page.click('sup.ref a');
    expect(await page.locator('.footnotes li:target').textContent()).toContain('Travel policy');
    await page.click('.footnotes li:target .n');
    expect(await page.evaluate(() => document.querySelector('sup.ref a:target') !== null)).toBe(true);
    await context.close();
  });

  test('a failure is said in one sentence and the question is still in the box', async () => {
    const script = harness.core.script;
    harness.core.script = async (_input, _receipt, hooks) => {
      hooks.delta?.('Half an ');
      throw new AppError('model-failed', 'The model broke off. Please ask again.');
    };
    const context = await browser.newContext({ storageState: state });
    const { page } = await openPage(context);
    await page.goto(`${server.url}/console/acme/ask`);
    await page.fill('#question', 'Will this be lost?');
    await page.click('[data-submit]');
    await page.waitForSelector('.notice.error');
    expect(await page.textContent('.notice.error')).toBe('The model broke off. Please ask again.');
    expect(await page.inputValue('#question')).toBe('Will this be lost?');
    expect(await page.locator('.turn-answer .answer').count()).toBe(0);
    harness.core.script = script;
    await context.close();
  });

  test('stop ends the answer at the server too', async () => {
    const script = harness.core.script;
    let stopped: () => void = () => undefined;
    const seen = new Promise<void>((resolve) => {
      stopped = resolve;
    });
    harness.core.script = (_input, receipt, hooks) =>
      new Promise((resolve) => {
        hooks.delta?.('A long story');
        hooks.signal.addEventListener('abort', () => {
          stopped();
          resolve(receipt);
        });
      });
    const context = await browser.newContext({ storageState: state });
    const { page } = await openPage(context);
    await page.goto(`${server.url}/console/acme/ask`);
    await page.fill('#question', 'Tell me everything');
    await page.click('[data-submit]');
    await page.waitForSelector('.turn-answer .answer p');
    await page.click('[data-stop]');
    await seen;
    await page.waitForSelector('.notice.error');
    harness.core.script = script;
    await context.close();
  });

  test('without scripts an answer is its receipt', async () => {
    const context = await browser.newContext({ storageState: state, javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${server.url}/console/acme/ask`);
    await page.fill('#question', 'Which class do we book for train journeys?');
    await page.click('[data-submit]');
    await page.waitForURL(/\/answers\/a_/);
    expect(await page.textContent('h1')).toBe('Which class do we book for train journeys?');
    await page.click('.thumbs button[value=down]');
    expect(await page.textContent('.feedback')).toContain('Did not help');
    await context.close();
  });
});

describe('hostile text', () => {
  test('in a question, an answer, titles, quotes, addresses, feedback and names never runs', async () => {
    const { core } = harness;
    const script = core.script;
    const tenant = await core.tenants.create({ slug: 'hostile', name: payloads[3] ?? '' });
    const source = await core.sources.create(tenant.id, { kind: 'push', name: 'x', settings: {} });
    await core.documents.put(tenant.id, source.id, { externalId: 'x', content: 'x' }, new AbortController().signal);
    const context = await browser.newContext({ storageState: state });
    await context.addInitScript(() => {
      Object.assign(globalThis, { xss: () => Object.assign(globalThis, { executed: true }) });
      addEventListener('securitypolicyviolation', (event) =>
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
      );
    });
    const { page, complaints } = await openPage(context);
    let checked = 0;
    const unharmed = async (payload: string) => {
      checked++;
      expect(
        await page.evaluate(() => (globalThis as unknown as { executed?: boolean }).executed ?? false),
        payload,
      ).toBe(false);
    };

    const { page: receipt, complaints: onReceipts } = await openPage(context);
    await page.goto(`${server.url}/console/hostile/ask`);
    for (const payload of payloads) {
      core.script = async (_input, receipt, hooks) => {
        const citation = {
          n: 1,
          documentId: payload,
          externalId: payload,
          chunkId: payload,
          title: payload,
          url: payload,
          quote: payload,
        };
        const passage = { ...citation, sourceId: source.id, headingPath: [payload], text: payload, score: 1 };
        hooks.status?.(payload);
        hooks.delta?.(`${payload} [1]`);
        return {
          ...receipt,
          kind: 'answered',
          answer: `${payload} [1]`,
          citations: [citation],
          retrieved: [passage],
          condensedQuestion: `${payload}?`,
          memberId: payload,
          model: payload,
          promptVersion: payload,
          traceId: payload,
          quotaBuckets: [payload],
          channelId: payload,
          feedback: [{ rating: 'up', comment: payload, user: payload, at: 0 }],
        };
      };
      await ask(page, payload);
      await unharmed(payload);
      const href = await page.locator('.receipt-link').last().getAttribute('href');
      await receipt.goto(server.url + href);
      expect(
        await receipt.evaluate(() => (globalThis as unknown as { executed?: boolean }).executed ?? false),
        payload,
      ).toBe(false);
      expect(
        await receipt
          .locator(
            'main script, main img, main iframe, main style, main link, main base, main [onclick], main [onload], main [onerror]',
          )
          .count(),
        payload,
      ).toBe(0);
      for (const address of await receipt
        .locator('a')
        .evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).protocol)))
        expect(['http:', 'https:']).toContain(address);
    }
    await page.goto(`${server.url}/console/hostile/answers?q=${encodeURIComponent(payloads[1] ?? '')}`);
    await unharmed('list');
    await page.goto(`${server.url}/console/hostile/answers`);
    await unharmed('list');
    expect(checked).toBeGreaterThan(40);
    expect([...complaints, ...onReceipts]).toEqual([]);
    core.script = script;
    await context.close();
  }, 300_000);
});
