/**
 * Opens the served page in a real Chromium, for the page tests.
 *
 * `cargo xtask test page` starts the server and says in the environment where things are:
 * PAGE_URL, the page; PAGE_DIST, the folder that is served there, if it is one of `cargo xtask dist`;
 * PAGE_CHROMIUM, the browser; PAGE_SCREENSHOTS, a folder to keep pictures in; PAGE_MODELS, synthetic models.
 * By hand, with a server from `cargo xtask serve`, and the models from an earlier `cargo xtask test page`:
 *
 *     PAGE_URL=http://127.0.0.1:8080/ node --test tests/page/*.test.mjs
 */

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));
const screenshots = process.env.PAGE_SCREENSHOTS ?? path.join(root, 'target/page-screenshots');

/** Synthetic models, as `cache-steering synthesize` writes them. */
export const testModels = process.env.PAGE_MODELS ?? path.join(root, 'target/page-models');

/** A software GPU and a 98 MB model take their time; a hang still ends the test. */
const PATIENCE_MS = 120_000;

/** @returns {string} the address of the served page, with a slash at its end */
export function servedAt() {
  const url = process.env.PAGE_URL;
  if (!url) {
    throw new Error('PAGE_URL is not set: run `cargo xtask test page`, or see tests/page/harness.mjs');
  }
  return url;
}

/** The same browser and the same switches as the browser tests of the crate have. */
async function capabilities() {
  const json = JSON.parse(await readFile(path.join(root, 'webdriver.json'), 'utf8'));
  /** @type {{ binary: string, args: string[] }} */
  const { binary, args } = json['goog:chromeOptions'];
  return {
    executablePath: process.env.PAGE_CHROMIUM ?? binary,
    args: args.filter((arg) => !arg.startsWith('--headless')),
  };
}

/**
 * Starts a browser with one empty window that has not opened the page yet:
 * `await page.goto(url)` does.
 *
 * @param {object} [options]
 * @param {{ width: number, height: number }} [options.viewport] in CSS pixels; a laptop's if left out
 * @param {'light' | 'dark'} [options.colorScheme] what the visitor's system asks for
 * @param {string[]} [options.args] more switches for Chromium
 * @param {'allow' | 'block'} [options.serviceWorkers] whether the page may keep itself for visits without a
 *     network; what it then takes from there, `page.route` does not see
 */
export async function launch({
  viewport = { width: 1280, height: 800 },
  colorScheme = 'light',
  args = [],
  serviceWorkers = 'block',
} = {}) {
  const chosen = await capabilities();
  const browser = await chromium.launch({ ...chosen, args: [...chosen.args, ...args] });
  const context = await browser.newContext({ viewport, colorScheme, serviceWorkers });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);

  /** What went wrong in the page so far: uncaught errors and errors on the console. @type {string[]} */
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`${message.text()} (${message.location().url})`);
  });

  return {
    browser,
    context,
    page,
    problems,
    url: servedAt(),

    /**
     * Keeps a picture of the whole page and returns its path.
     * @param {string} name without an ending
     */
    async screenshot(name) {
      await mkdir(screenshots, { recursive: true });
      const file = path.join(screenshots, `${name}.png`);
      await page.screenshot({ path: file, fullPage: true });
      return file;
    },

    close: () => browser.close(),
  };
}
