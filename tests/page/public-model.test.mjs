/**
 * A model of the size that the public page runs: its memory while it loads, and its second visit. The
 * weights are synthetic.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { testModels } from './harness.mjs';
import { startHost } from './host.mjs';
import { modelReady, openWith, setLongestAnswer, shown } from './steps.mjs';

/** @import { Page } from 'playwright-core' */

/** Of WebAssembly and JavaScript together. */
const MOST_BYTES = 160e6;

const host = await startHost(testModels);
after(() => host.close());

/** @param {string} name of the file @param {string} backend @param {(page: Page) => Promise<void>} visit */
async function withModel(name, backend, visit) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path.join(testModels, name))) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const files = [{ urls: [`${host.origin}/${name}`], bytes, sha256: hash.digest('hex') }];
  const models = [{ id: name, name, label: 'Public model', files }];
  const session = await openWith({ connect: [host.origin], models }, `?backend=${backend}`);
  try {
    await visit(session.page);
  } finally {
    await session.close();
  }
}

/**
 * Loads the model and measures what the worker holds meanwhile.
 * @param {Page} page
 * @returns {Promise<{ wasm: number, js: number }>} bytes, at the most
 */
async function loadAndMeasure(page) {
  const devtools = await page.context().newCDPSession(page);
  /** @type {string | undefined} */
  let worker;
  /** @type {(usage: { usedSize: number, backingStorageSize: number } | undefined) => void} */
  let answer = () => {};
  devtools.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
    if (targetInfo.type === 'worker') worker = sessionId;
  });
  devtools.on('Target.receivedMessageFromTarget', ({ message }) => answer(JSON.parse(message).result));
  await devtools.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const engine = await page.locator('script[src$="main.js"]').evaluate((main) => new URL('pkg/cache_steering.js', /** @type {HTMLScriptElement} */ (main).src).href);
  await page.locator('#model-button').click();

  const most = { wasm: 0, js: 0 };
  let samples = 0;
  const ready = modelReady(page);
  for (let loading = true; loading;) {
    loading = await Promise.race([ready.then(() => false), new Promise((next) => setTimeout(() => next(true), 40))]);
    if (!worker) continue;
    /** @type {Promise<{ usedSize: number, backingStorageSize: number } | undefined>} */
    const usage = new Promise((resolve) => {
      answer = resolve;
    });
    await devtools.send('Target.sendMessageToTarget', { sessionId: worker, message: JSON.stringify({ id: 1, method: 'Runtime.getHeapUsage' }) });
    const measured = await usage;
    // A worker that is only starting has no heap to tell of.
    if (!measured) continue;
    const { usedSize, backingStorageSize } = measured;
    samples += 1;
    most.js = Math.max(most.js, usedSize + backingStorageSize);
  }
  assert.ok(samples > 20, `${samples} samples`);
  // Memory of WebAssembly only grows.
  most.wasm = await page.workers()[0].evaluate(async (url) => {
    const { default: instance } = await import(url);
    return (await instance()).memory.buffer.byteLength;
  }, engine);
  return most;
}

for (const name of ['smollm2-360m-q8_0.gguf', 'smollm2-360m-q4_k_m.gguf']) {
  test(`${name} loads onto the GPU in little memory, and at once the second time`, async () => {
    host.misbehave(() => undefined);
    await withModel(name, 'gpu', async (page) => {
      const { wasm, js } = await loadAndMeasure(page);
      console.log(`${name}: ${(wasm / 1e6).toFixed(1)} MB of WebAssembly, ${(js / 1e6).toFixed(1)} MB of JavaScript`);
      assert.ok(wasm > 1e6 && js > 1e6, 'something was measured');
      assert.ok(wasm + js < MOST_BYTES, `${wasm} + ${js} bytes`);

      host.misbehave(() => ({ status: 500 }));
      await page.reload();
      await page.locator('#model-detail', { hasText: 'Stored on this device' }).waitFor();
      const started = Date.now();
      await page.locator('#model-button').click();
      await modelReady(page);
      console.log(`${name}: ready again in ${Date.now() - started} ms`);
      assert.equal(host.requests.length, 0);
    });
  });
}

test('it answers on the CPU', async () => {
  host.misbehave(() => undefined);
  await withModel('smollm2-360m-q8_0.gguf', 'cpu', async (page) => {
    await page.locator('#strength').fill('0');
    await setLongestAnswer(page, 2);
    await page.locator('#question').fill('Hm?');
    await page.keyboard.press('Enter');
    await page.locator('#plain .stats', { hasText: 'tokens' }).waitFor();
    assert.equal((await shown(page, 'plain')).tokens, 2);
  });
});
