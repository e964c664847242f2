/** What a visitor does with the page, and what they see, in words. */

import { readFile } from 'node:fs/promises';
import { launch, servedAt } from './harness.mjs';

/** @import { Page } from 'playwright-core' */

/** What the page replays. @type {import('../../www/protocol.js').Recording[]} */
export const recordings = JSON.parse(await readFile(new URL('../../vectors/recordings.json', import.meta.url), 'utf8'));

/**
 * Opens the page and waits until it is ready for a question.
 * @param {string} [query] of the address
 * @param {(page: Page) => Promise<unknown>} [prepare] done before the page is opened
 * @param {Parameters<typeof launch>[0]} [options] of the browser
 */
export async function open(query = '', prepare = async () => {}, options = {}) {
  const session = await launch(options);
  await prepare(session.page);
  await session.page.goto(session.url + query);
  await session.page.locator('.preset').first().waitFor();
  return session;
}

/**
 * Opens the page of a site with other models, which may come from other origins.
 * @param {{ connect: string[], models: object[] }} list
 * @param {string} query of the address
 * @param {(page: Page) => Promise<unknown>} [prepare] done before the page is opened
 */
export function openWith(list, query, prepare = async () => {}) {
  const { pathname } = new URL(servedAt());
  return open(query, async (page) => {
    await page.context().route('**/models.json', (route) => route.fulfill({ json: list }));
    // As `cargo xtask dist` writes the page for such a list.
    await page.context().route((url) => url.pathname === pathname, async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace("connect-src 'self'", `connect-src 'self' ${list.connect.join(' ')}`);
      await route.fulfill({ response, body });
    });
    await prepare(page);
    // Chromium takes a page that a test has changed for one from the open internet, which may not ask
    // this machine for anything.
  }, { args: ['--disable-features=LocalNetworkAccessChecks'] });
}

/** @param {Page} page @param {number} tokens */
export async function setLongestAnswer(page, tokens) {
  const details = page.locator('#advanced');
  await details.locator('summary').click();
  await page.fill('#max-tokens', String(tokens));
  await details.locator('summary').click();
}

/** Moves the slider; answers that are there are steered anew. @param {Page} page @param {number} value */
export async function setStrength(page, value) {
  await page.locator('#strength').fill(String(value));
  await settled(page);
}

/** Writes a question and sends it with the keyboard alone. @param {Page} page @param {string} question */
export async function ask(page, question) {
  await page.locator('#question').fill(question);
  await send(page);
}

/** Sends what is written, and waits until the page is busy with it. @param {Page} page */
export async function send(page) {
  // The page notes it itself: a short answer may be complete before a test looks again.
  await page.evaluate(() => {
    const composer = /** @type {HTMLElement} */ (document.getElementById('composer'));
    const state = /** @type {any} */ (window);
    state.sent = false;
    new MutationObserver(() => {
      state.sent ||= composer.dataset.state === 'busy';
    }).observe(composer, { attributeFilter: ['data-state'] });
  });
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /** @type {any} */ (window).sent);
}

/** Waits until the page can be asked again. @param {Page} page */
export const settled = (page) => page.locator('#composer[data-state="asking"]').waitFor();

/** @param {Page} page */
export const modelReady = (page) => page.locator('#model[data-state="ready"]').waitFor();

/** What the page says went wrong, once it does. @param {Page} page */
export async function notice(page) {
  await page.locator('#notice:not([hidden])').waitFor();
  return page.locator('#notice').innerText();
}

/** Waits until a pane shows words of the model. @param {Page} page @param {'plain' | 'steered'} pane */
export const streaming = (page, pane) => page.locator(`#${pane} .answer.streaming:not(.waiting)`).waitFor();

/** What a pane shows. @param {Page} page @param {'plain' | 'steered'} pane */
export async function shown(page, pane) {
  const text = await page.locator(`#${pane} .answer`).innerText();
  const stats = await page.locator(`#${pane} .stats`).innerText();
  return { text, stats, tokens: Number(/(\d+) tokens?(?=,|$)/m.exec(stats)?.[1] ?? 0) };
}

/** Runs in the page, which notes from then on how far its parts are moved without anyone's doing. */
export function watchLayout() {
  const state = /** @type {any} */ (window);
  state.moved = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) state.moved += /** @type {any} */ (entry).value;
  }).observe({ type: 'layout-shift' });
}

/** The cumulative layout shift since `watchLayout`. @param {Page} page @returns {Promise<number>} */
export const layoutShift = (page) => page.evaluate(() => /** @type {any} */ (window).moved);
