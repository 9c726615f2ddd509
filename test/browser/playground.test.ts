import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Playground, startPlayground } from '../bots/teams/playground.ts';
import { createWorld, type World } from '../bots/teams/world.ts';
import { launch } from './browser.ts';

/** As a person sees it: Microsoft's Agents Playground in Chromium, with our bot behind it. */
let world: World;
let playground: Playground;
let browser: Browser;
beforeAll(async () => {
  world = await createWorld();
  const bot = await world.instance({
    teams: { app: null, unauthenticated: true, settings: { paceMs: 300, streamMs: 300 } },
  });
  [playground, browser] = await Promise.all([startPlayground(bot.url), launch()]);
}, 90_000);
afterAll(async () => {
  await browser?.close();
  await playground?.close();
  await world?.close();
});

describe('a conversation in the Playground', () => {
  it('greets once, answers with the AI label, a footnote and buttons', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    await page.goto(playground.url);
    await page.getByText('Hello! I answer questions').first().waitFor({ timeout: 20_000 });
    await page.getByText('Type a message').first().waitFor();
    await page.keyboard.press('Tab');
    await page.locator('[contenteditable="true"], textarea').first().click();
    await page.keyboard.type('how many days of leave?');
    await page.keyboard.press('Enter');
    await page.getByText('Leave is 30 days.').first().waitFor({ timeout: 20_000 });
    await page.getByText('AI generated', { exact: false }).first().waitFor({ timeout: 20_000 });
    await page.getByRole('button', { name: 'Solved' }).first().waitFor({ timeout: 20_000 });
    const words = await page.locator('body').innerText();
    expect(words.match(/Hello! I answer questions/g)?.length).toBeLessThanOrEqual(3);
    await page.screenshot({ path: process.env.SCREENSHOT ?? '/dev/null', type: 'png' });
    await page.close();
  }, 60_000);
});
