import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openReal, type Real } from '../console/real.ts';
import type { Furnished } from '../fakes/core.ts';
import { launch, listen } from './browser.ts';

/** What goes wrong while somebody is at it: they are told where they look, and nothing that they typed is lost. */

let real: Real;
let acme: Furnished;
let server: Awaited<ReturnType<typeof listen>>;
let browser: Browser;
let files: string;
beforeAll(async () => {
  real = await openReal();
  acme = await real.furnish('acme');
  server = await listen(real.app);
  browser = await launch();
  files = await mkdtemp(join(tmpdir(), 'footnote-files-'));
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await real?.close();
  if (files !== undefined) await rm(files, { recursive: true });
});

let context: BrowserContext;
let page: Page;
const signInAgain = async (): Promise<void> => {
  const cookies = await real.signIn('owner', acme.tenant.id);
  await context.addCookies(
    cookies.split('; ').map((cookie) => {
      const at = cookie.indexOf('=');
      return { name: cookie.slice(0, at), value: cookie.slice(at + 1), url: server.url };
    }),
  );
};
beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  await signInAgain();
  page = await context.newPage();
});
afterEach(() => context.close());

const go = (path: string, where = page) => where.goto(`${server.url}/console/acme/${path}`);
const inAnotherTab = async (deed: (tab: Page) => Promise<unknown>): Promise<void> => {
  const tab = await context.newPage();
  await deed(tab);
  await tab.close();
};
const signOut = async (tab: Page): Promise<void> => {
  await go('overview', tab);
  await tab.click('details.menu summary');
  await tab.click('form[action="/console/sign-out"] button');
  await tab.waitForURL(/signed-out/);
};
/** Waits for it: the browser gives the focus a moment after the page stands. */
const hasFocus = (selector: string) =>
  page.waitForFunction((wanted) => document.activeElement?.matches(wanted) ?? false, selector);
/** Waits for it: the browser scrolls to what has the focus when it has laid out the page. */
const isSeen = (selector: string) =>
  page.waitForFunction((wanted) => {
    const { top, bottom } = document.querySelector(wanted)?.getBoundingClientRect() ?? { top: -1, bottom: -1 };
    return top >= 0 && bottom <= innerHeight;
  }, selector);

describe('signed out in another tab', () => {
  test('a question is still in its box, and is answered after signing in again', async () => {
    await go('ask');
    await page.fill('#question', 'Which class do we book for train journeys?');
    await inAnotherTab(signOut);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.notice.error a[href="/console/sign-in"]');
    expect(await page.inputValue('#question')).toBe('Which class do we book for train journeys?');
    await signInAgain();
    await page.click('[data-submit]');
    await page.waitForSelector('.turn-answer .receipt-link');
  });

  test('a form waits until its person has signed in, and is sent as it was filled', async () => {
    await go('settings');
    await page.fill('#instructions', 'Be kind, and answer in two sentences.');
    await inAnotherTab(signOut);
    await page.click('form.form button.primary');
    await page.waitForSelector('input[type=hidden][name=instructions]', { state: 'attached' });
    await signInAgain();
    await page.click('form.form button.primary');
    await page.waitForURL(/done=saved/);
    expect(await page.inputValue('#instructions')).toBe('Be kind, and answer in two sentences.');
  });

  test('files that are sent say so beside the button', async () => {
    await go(`sources/${acme.upload.id}`);
    const file = join(files, 'late.md');
    await writeFile(file, '# Late');
    await page.setInputFiles('#files', file);
    await inAnotherTab(signOut);
    await page.click('form[data-drop] button');
    await page.locator('[data-result]', { hasText: 'sign in' }).waitFor();
    expect(await page.locator('#files').evaluate((input: HTMLInputElement) => input.files?.length)).toBe(1);
  });
});

describe('an upload', () => {
  test('of a kind that cannot be read names the file and why, and takes the others', async () => {
    const [bad, good] = [join(files, 'picture.bin'), join(files, 'canteen.md')];
    await writeFile(bad, new Uint8Array([0, 1, 2, 3, 255, 254]));
    await writeFile(good, '# Canteen\n\nThe canteen opens at noon.');
    await go(`sources/${acme.upload.id}`);
    await page.setInputFiles('#files', [bad, good]);
    await page.click('form[data-drop] button');
    await page.waitForSelector('[data-result] .why');
    expect(await page.locator('[data-result] .what').allTextContents()).toEqual(['picture.bin']);
    await page.reload();
    await page.locator('main', { hasText: 'Canteen' }).waitFor();
  });

  test('that is too large is refused before it is sent', async () => {
    const large = join(files, 'large.md');
    const handle = await open(large, 'w');
    await handle.truncate(51 * 1024 * 1024);
    await handle.close();
    let sent = 0;
    page.on('request', (request) => {
      if (request.method() === 'POST') sent += 1;
    });
    await go(`sources/${acme.upload.id}`);
    await page.setInputFiles('#files', large);
    await page.click('form[data-drop] button');
    await page.locator('[data-result]', { hasText: 'more than 50 MB' }).waitFor();
    expect(sent).toBe(0);
    expect(await page.locator('form[data-drop] button').isEnabled()).toBe(true);
  });
});

test('a form that somebody else was quicker with says so in sight, keeps what was typed, and may be sent knowingly', async () => {
  await go('channels/slack/C9');
  const theirs = (await page.inputValue('#language')) === 'de' ? 'fr' : 'de';
  await page.fill('#language', 'nl');
  await inAnotherTab(async (tab) => {
    await go('channels/slack/C9', tab);
    await tab.fill('#language', theirs);
    await tab.click('form.form button.primary');
    await tab.waitForURL(/done=saved/);
  });
  await page.click('form.form button.primary');
  await page.waitForSelector('.notice.error');
  await hasFocus('.notice.error[role=alert]');
  await isSeen('.notice.error');
  expect(await page.inputValue('#language')).toBe('nl');
  await page.click('form.form button.primary');
  await page.waitForURL(/done=saved/);
  expect(await page.inputValue('#language')).toBe('nl');
});

describe('the keyboard', () => {
  /** What has the focus: its words, whether it is marked, and its place in the document. */
  const focused = () =>
    page.evaluate(() => {
      const node = document.activeElement as HTMLElement;
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(node);
      const all = [...document.querySelectorAll('*')];
      return {
        place: all.indexOf(node),
        name: `${node.tagName} ${(node.getAttribute('name') ?? node.textContent ?? '').trim().slice(0, 30)}`,
        isMarked: (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2) || boxShadow !== 'none',
        isInSight: node.getClientRects().length > 0,
      };
    });

  test('leads past the navigation, through a form in its order, and the focus is always to be seen', async () => {
    await go('settings');
    await page.keyboard.press('Tab');
    expect((await focused()).name).toContain('Skip to the content');
    await page.keyboard.press('Enter');
    const steps: Awaited<ReturnType<typeof focused>>[] = [];
    for (let step = 0; step < 9; step += 1) {
      await page.keyboard.press('Tab');
      steps.push(await focused());
    }
    expect(steps.filter(({ isMarked, isInSight }) => !isMarked || !isInSight).map(({ name }) => name)).toEqual([]);
    const places = steps.map(({ place }) => place);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(steps.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['INPUT name', 'TEXTAREA instructions', 'INPUT language', 'BUTTON Save']),
    );
  });

  test('keeps its place where a part of the page is replaced', async () => {
    await go('answers');
    await page.focus('#outcome');
    await page.keyboard.press('ArrowDown');
    await page.waitForURL(/outcome=answered/);
    await page.waitForSelector('#answers a[href*="outcome=answered"]');
    expect((await focused()).name).toBe('SELECT outcome');

    await go(`answers/${acme.receipt.answerId}`);
    await page.focus('.thumbs button[value=up]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.thanks');
    // Not back to the beginning of the page.
    await hasFocus('.thanks');
  });

  test('a field that is refused has the focus, and what is wrong with it is told with it', async () => {
    await go('quotas');
    await page.fill('#limit', 'plenty');
    await page.focus('#limit');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#limit-error');
    await hasFocus('#limit');
    expect(await page.getAttribute('#limit', 'aria-describedby')).toContain('limit-error');
    expect(await page.inputValue('#limit')).toBe('plenty');
  });
});
