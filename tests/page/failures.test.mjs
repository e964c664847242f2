/** What the page says when something goes wrong, and the way on that it offers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from './harness.mjs';
import { ask, modelReady, notice, open, setLongestAnswer, settled, shown } from './steps.mjs';

/** @import { Page } from 'playwright-core' */

const MODEL = '**/*.gguf';

/**
 * @param {string} query
 * @param {(page: Page) => Promise<unknown>} prepare
 * @param {(page: Page) => Promise<void>} check
 */
async function visit(query, prepare, check) {
  const session = await open(query, prepare);
  try {
    await check(session.page);
  } finally {
    await session.close();
  }
}

test('a download that fails is said with its address, and the next try answers the question', async () => {
  let broken = true;
  await visit(
    '?backend=cpu',
    (page) => page.route(MODEL, (route) => (broken ? route.fulfill({ status: 503 }) : route.continue())),
    async (page) => {
      await setLongestAnswer(page, 2);
      await ask(page, 'Why do cats purr?');
      assert.match(await notice(page), /The download failed[^]*SmolLM2-135M-Instruct\.Q4_1\.gguf[^]*503[^]*Try again/);

      broken = false;
      await page.locator('#notice-button').click();
      await modelReady(page);
      await settled(page);
      assert.equal((await shown(page, 'steered')).tokens, 2);
      assert.ok(await page.locator('#notice').isHidden());
    },
  );
});

test('a lost connection is said', async () => {
  await visit('', (page) => page.route(MODEL, (route) => route.abort('connectionreset')), async (page) => {
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The download failed[^]*connection failed/);
    assert.equal(await page.locator('#model-button').innerText(), 'Run it on your device (98 MB)');
  });
});

test('a page in place of the model is said to be another file', async () => {
  await visit('', (page) => page.route(MODEL, (route) => route.fulfill({ body: '<!doctype html>' })), async (page) => {
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The download failed[^]*another file, of 15 bytes instead of 98362432/);
  });
});

test('loading can be cancelled', async () => {
  await visit('', (page) => page.route(MODEL, () => {}), async (page) => {
    await page.locator('#model-button').click();
    await page.locator('#model[data-state="loading"]').waitFor();
    await page.locator('#model-button', { hasText: 'Cancel' }).click();
    await page.locator('#model[data-state="idle"]').waitFor();
    assert.equal(await page.locator('#model-button').innerText(), 'Run it on your device (98 MB)');
    assert.ok(await page.locator('#notice').isHidden());
  });
});

test('a list of models that a host has got wrong is said, with what is wrong', async () => {
  /** @type {[string, RegExp][]} */
  const lists = [
    ['{', /The page is not complete[^]*the file models\.json cannot be read/i],
    ['[]', /no list named “models”/],
    ['{ "models": [] }', /offers no model/],
    ['{ "models": [{ "label": "Mine" }] }', /the model “Mine” has no “files”/],
    ['{ "models": [{ "label": "Mine", "files": [{ "urls": [] }] }] }', /a file of the model “Mine” has no “urls”/],
    ['{ "models": [{ "label": "Mine", "files": [{ "urls": ["m.gguf"], "sha256": "..." }] }] }', /not 64 hexadecimal digits/],
  ];
  const session = await launch();
  try {
    let body = '';
    await session.page.route('**/models.json', (route) => route.fulfill({ body }));
    for (const [text, said] of lists) {
      body = text;
      await session.page.goto(session.url);
      assert.match(await notice(session.page), said);
    }
    // One wrong entry does not take the others with it, and what is missing is made up for.
    body = '{ "models": [{}, { "files": [{ "urls": ["some/model.gguf"] }] }] }';
    await session.page.goto(session.url);
    await session.page.locator('#model-headline', { hasText: 'model.gguf' }).waitFor();
  } finally {
    await session.close();
  }
});

test('an engine that cannot be fetched is said', async () => {
  await visit('', (page) => page.route('**/*.wasm', (route) => route.abort()), async (page) => {
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The page is not complete[^]*Load the page again/);
  });
});

test('a crash of the engine is said', async () => {
  const crash = `
    self.onmessage = ({ data: { id } }) => {
      self.postMessage({ type: 'event', id, event: { done: 1, total: 2 } });
      setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); });
    };`;
  await visit(
    '',
    (page) => page.route('**/worker.js', (route) => route.fulfill({ contentType: 'text/javascript', body: crash })),
    async (page) => {
      await page.locator('#model-button').click();
      assert.match(await notice(page), /The engine stopped[^]*memory[^]*Load the model again/);
    },
  );
});

test('a graphics device that is lost is said', async () => {
  await visit('?backend=gpu&model=smollm2-135m-instruct-q4_1', async (page) => {
    // The worker's script, with a way to lose the device as a driver that restarts would.
    await page.route('**/worker.js', async (route) => {
      const response = await route.fetch();
      const body = `
        const { requestDevice } = GPUAdapter.prototype;
        GPUAdapter.prototype.requestDevice = async function (options) {
          const device = await requestDevice.call(this, options);
          const real = device.lost;
          const lost = new Promise((resolve) => setTimeout(
            () => resolve({ reason: 'unknown', message: 'the driver was reset' }), 20000));
          Object.defineProperty(device, 'lost', { value: Promise.race([real, lost]) });
          return device;
        };
        ${await response.text()}`;
      await route.fulfill({ response, body });
    });
  }, async (page) => {
    await setLongestAnswer(page, 1000);
    await ask(page, 'Why do cats purr?');
    assert.match(await notice(page), /The graphics device is gone[^]*the driver was reset[^]*Load the model again/);
    // The question is asked again once the model is back.
    await setLongestAnswer(page, 2);
    await page.click('#notice-button');
    await page.waitForFunction(() => document.querySelector('#steered .stats')?.textContent?.includes('2 tokens'));
    await settled(page);
    assert.equal(await page.locator('#asked-question').innerText(), 'You asked: Why do cats purr?');
  });
});

test('a browser that is too old is told what it lacks', async () => {
  const session = await launch();
  try {
    await session.page.addInitScript(() => { WebAssembly.validate = () => false; });
    await session.page.goto(session.url);
    const model = session.page.locator('#model');
    await model.getByText('This browser cannot run the model').waitFor();
    assert.match(await model.innerText(), /no SIMD/);
    assert.ok(await session.page.locator('#model-button').isHidden());
  } finally {
    await session.close();
  }
});

test('a browser without WebGPU answers on the CPU and says why', async () => {
  await visit('', async (page) => {
    await page.route('**/worker.js', async (route) => {
      const response = await route.fetch();
      const body = `delete WorkerNavigator.prototype.gpu; ${await response.text()}`;
      await route.fulfill({ response, body });
    });
  }, async (page) => {
    await setLongestAnswer(page, 2);
    await ask(page, 'Why do cats purr?');
    await settled(page);
    assert.match(await page.locator('#model-detail').innerText(), /^Runs on the CPU, because/);
    assert.equal((await shown(page, 'plain')).tokens, 2);
  });
});
