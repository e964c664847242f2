/**
 * What `cargo xtask dist` writes, as a plain static server serves it: what it asks for, what it may do,
 * and that it is there without a network. PAGE_DIST names the folder that PAGE_URL serves.
 */

import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { launch } from './harness.mjs';
import { ask, modelReady, open, setLongestAnswer, settled, shown } from './steps.mjs';

/** @import { Page } from 'playwright-core' */
/** @import { AddressInfo } from 'node:net' */

const dist = process.env.PAGE_DIST ?? '';
const KEEPS = /** @type {const} */ ({ serviceWorkers: 'allow' });

/** Waits until the page is kept for visits without a network. @param {Page} page */
const kept = (page) => page.evaluate(() => new Promise((resolve) => {
  if (navigator.serviceWorker.controller) resolve(true);
  navigator.serviceWorker.addEventListener('controllerchange', resolve);
}));

/** The engine starts: its script, its WebAssembly and its worker are there. @param {Page} page */
async function engineStarts(page) {
  await page.click('#benchmark-button');
  await page.getByText('Measuring:').waitFor();
  await page.click('#benchmark-button');
  await page.getByText('The benchmark was stopped.').waitFor();
}

/** The folder of the page's code. @param {Page} page */
const appOf = (page) => page.evaluate(() => {
  const main = /** @type {HTMLScriptElement} */ (document.querySelector('script[src$="/main.js"]'));
  return main.getAttribute('src')?.split('/')[0];
});

/** A server on a port of its own. @param {http.RequestListener} answer */
async function serve(answer) {
  const server = http.createServer(answer);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}/`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('the folder for static hosts', { skip: !dist && 'PAGE_DIST is not set' }, () => {
  test('at its start the page asks for each file once, of its own host, without a waterfall', async () => {
    const session = await launch();
    const { page, problems } = session;
    try {
      /** @type {string[]} */
      const asked = [];
      page.on('request', (request) => {
        if (!request.url().startsWith('blob:')) asked.push(request.url());
      });
      /** @type {string[]} */
      const warnings = [];
      page.on('console', (message) => warnings.push(message.text()));
      await page.goto(session.url);
      await page.locator('.preset').first().waitFor();
      // Chromium complains of what was fetched ahead for nothing a few seconds after the page's start.
      await page.waitForTimeout(6000);

      assert.deepEqual(asked.filter((url) => !url.startsWith(session.url)), []);
      assert.deepEqual(asked, [...new Set(asked)]);
      assert.deepEqual(warnings.filter((text) => text.includes('preload')), []);
      const ahead = await page.locator('link[rel=modulepreload], link[rel=preload]')
        .evaluateAll((links) => links.map((link) => /** @type {HTMLLinkElement} */ (link).href));
      assert.deepEqual(asked.filter((url) => /\.js(on)?$/.test(url) && !ahead.includes(url) && !/\/(main|offline)\.js$|\/manifest\.json$/.test(url)), []);
      assert.deepEqual(problems, []);
    } finally {
      await session.close();
    }
  });

  test('a comparison breaks no rule of the policy, which binds the worker too', async () => {
    let reached = 0;
    const elsewhere = await serve((_, response) => {
      reached += 1;
      response.setHeader('Access-Control-Allow-Origin', '*').end();
    });
    const session = await open('?backend=cpu', (page) => page.addInitScript(() => {
      const broken = (/** @type {any} */ (window).broken = /** @type {string[]} */ ([]));
      document.addEventListener('securitypolicyviolation', (event) => broken.push(`${event.violatedDirective} ${event.blockedURI}`));
    }));
    const { page, problems } = session;
    try {
      await setLongestAnswer(page, 8);
      await ask(page, 'Why is the sky blue?');
      await modelReady(page);
      await settled(page);
      assert.equal((await shown(page, 'plain')).tokens, 8);
      assert.equal((await shown(page, 'steered')).tokens, 8);
      assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).broken), []);
      // What the worker breaks is on the console.
      assert.deepEqual(problems, []);

      const [worker] = page.workers();
      const broken = await worker.evaluate(async (url) => {
        /** @type {Promise<SecurityPolicyViolationEvent>} */
        const violation = new Promise((resolve) => self.addEventListener('securitypolicyviolation', resolve));
        const sent = await fetch(url).then(() => 'sent', () => 'refused');
        return sent === 'refused' ? (await violation).violatedDirective : sent;
      }, elsewhere.url);
      assert.equal(broken, 'connect-src');
      assert.equal(reached, 0);
      assert.equal((await fetch(elsewhere.url)).status, 200);
    } finally {
      await session.close();
      elsewhere.close();
    }
  });

  test('after one visit the page, its engine and the model are there without a network', async () => {
    const session = await open('?backend=cpu', undefined, KEEPS);
    const { page, context } = session;
    try {
      await kept(page);
      await page.locator('#model-button').click();
      await modelReady(page);
      await context.setOffline(true);
      await assert.rejects(page.evaluate(() => fetch('not-kept.json')));
      for (const address of ['', '?backend=cpu', 'index.html']) {
        await page.goto(session.url + address);
        await page.locator('.preset').first().waitFor();
      }
      await engineStarts(page);
      await page.goto(`${session.url}?backend=cpu`);
      await page.locator('#model-detail', { hasText: 'Stored on this device' }).waitFor();
      await setLongestAnswer(page, 4);
      await ask(page, 'Why is the sky blue?');
      await settled(page);
      assert.equal((await shown(page, 'steered')).tokens, 4);
      assert.ok(await page.locator('#notice').isHidden());
      const models = await page.evaluate(async () => (await caches.match(new URL('models.json', document.baseURI)))?.ok);
      assert.equal(models, true);
      const all = await page.evaluate(async () => {
        const caching = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
        return (await Promise.all(caching.map((cache) => cache.keys()))).flat().map(({ url }) => url);
      });
      assert.deepEqual(all.filter((url) => url.endsWith('.gguf')), []);
    } finally {
      await session.close();
    }
  });

  test('a new version comes beside the old one, and leaves neighbours alone', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'dist-'));
    const withoutModels = { recursive: true, filter: (/** @type {string} */ source) => !source.includes('.gguf') };
    await cp(dist, path.join(folder, 'old'), withoutModels);
    await cp(dist, path.join(folder, 'new'), withoutModels);
    const [oldApp, newApp] = await changeVersion(path.join(folder, 'new'));

    let current = 'old';
    let silent = false;
    const types = new Map(Object.entries({ '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' }));
    const host = await serve(async (request, response) => {
      if (silent) return;
      const [, site, ...rest] = new URL(request.url ?? '', 'http://host').pathname.split('/');
      const file = path.join(folder, site === 'site' ? current : 'old', rest.join('/') || 'index.html');
      try {
        const body = await readFile(file);
        response.writeHead(200, { 'Content-Type': types.get(path.extname(file)) ?? 'application/octet-stream' }).end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
    const session = await launch(KEEPS);
    const { context, page: first } = session;
    /** @param {Page} page @param {string} site */
    const visit = async (page, site) => {
      await page.goto(`${host.url}${site}/?backend=cpu`);
      await page.locator('.preset').first().waitFor();
      await kept(page);
    };
    /** @param {Page} page @param {string} site */
    const caching = async (page, site) => {
      const names = await page.evaluate(() => caches.keys());
      return names.filter((name) => name.startsWith(`cache-steering ${host.url}${site}/ `)).length;
    };
    try {
      await visit(first, 'neighbour');
      await visit(first, 'site');
      assert.equal(await appOf(first), oldApp);

      current = 'new';
      const second = await context.newPage();
      second.setDefaultTimeout(60_000);
      let loads = 0;
      second.on('load', () => { loads += 1; });
      await visit(second, 'site');
      assert.equal(await appOf(second), newApp);
      await second.evaluate(async () => {
        const registration = await navigator.serviceWorker.ready;
        while (!registration.waiting) await new Promise((resolve) => setTimeout(resolve, 100));
      });
      assert.equal(await caching(second, 'site'), 2);
      // The host has only the new files: those of the old tab are kept.
      assert.equal(await first.evaluate(async (app) => (await fetch(`${app}/no-such-file.js`)).status, oldApp), 404);
      await engineStarts(first);
      await engineStarts(second);
      assert.equal(loads, 1);

      const third = await context.newPage();
      await first.close();
      await second.close();
      await visit(third, 'neighbour');
      assert.equal(await appOf(third), oldApp);
      while ((await caching(third, 'site')) !== 1) await third.waitForTimeout(100);
      assert.equal(await caching(third, 'neighbour'), 1);
      await visit(third, 'site');
      assert.equal(await appOf(third), newApp);
      // A network that takes the question and never answers is no worse than none.
      silent = true;
      await visit(third, 'site');
      await engineStarts(third);
      assert.equal(await appOf(third), newApp);
    } finally {
      await session.close();
      host.close();
      await rm(folder, { recursive: true });
    }
  });
});

/**
 * Makes another version of a site: as if one module had changed.
 * @param {string} folder
 * @returns {Promise<[string, string]>} the names of the folder of its code, before and now
 */
async function changeVersion(folder) {
  const app = (await readdir(folder)).find((name) => name.startsWith('app-'));
  assert.ok(app);
  const changed = app.slice(0, -4) + (app.endsWith('0000') ? '1111' : '0000');
  await rename(path.join(folder, app), path.join(folder, changed));
  for (const file of ['index.html', 'service-worker.js']) {
    const text = await readFile(path.join(folder, file), 'utf8');
    const version = text.replaceAll(app, changed).replace(/"version":"[0-9a-f]{4}/, '"version":"next');
    await writeFile(path.join(folder, file), version);
  }
  return [app, changed];
}
