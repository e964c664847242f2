/** Which model runs: what is recommended for the device, and the visitor's own files. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { testModels } from './harness.mjs';
import { modelReady, notice, open, setLongestAnswer, shown } from './steps.mjs';

/** @import { Page } from 'playwright-core' */

const TINY = path.join(testModels, 'tiny-1.gguf');

/** @param {(page: Page) => Promise<unknown>} prepare @param {(page: Page) => Promise<void>} visit @param {string} [query] */
async function withPage(prepare, visit, query = '') {
  const session = await open(query, prepare);
  try {
    await visit(session.page);
  } finally {
    await session.close();
  }
}

const nothing = async () => {};

/**
 * Makes the page believe in another device.
 * @param {{ memory?: number, gpu?: string, savesData?: boolean, speed?: number }} device
 */
const pretend = (device) => (/** @type {Page} */ page) => page.addInitScript(({ memory, gpu, savesData, speed }) => {
  /** @param {object} target @param {string} key @param {unknown} value */
  const define = (target, key, value) => Object.defineProperty(target, key, { get: () => value });
  if (memory) define(Navigator.prototype, 'deviceMemory', memory);
  if (savesData) define(Navigator.prototype, 'connection', { saveData: true });
  if (gpu) define(Navigator.prototype, 'gpu', { requestAdapter: async () => ({ info: { description: gpu } }) });
  if (speed) localStorage.setItem('cache-steering tokens per second', String(speed));
}, device);

/** @param {Page} page */
const headline = (page) => page.locator('#model-headline').innerText();

test('the model that suits the device is recommended, with its reason', async () => {
  /** @type {[Parameters<typeof pretend>[0], string, RegExp][]} */
  const devices = [
    [{ memory: 8, gpu: 'Test GPU' }, 'SmolLM2 360M Instruct', /on its GPU \(Test GPU\)/],
    [{ memory: 8, gpu: 'Test GPU', savesData: true }, 'SmolLM2 135M Instruct', /smallest download/],
    [{ memory: 8, gpu: 'Test GPU', speed: 6 }, 'SmolLM2 135M Instruct', /after the benchmark/],
    [{ memory: 1, gpu: 'Test GPU' }, 'SmolLM2 135M Instruct', /largest one that its memory holds/],
    [{ memory: 0.5, gpu: 'Test GPU' }, 'SmolLM2 135M Instruct', /may not hold any/],
    [{ memory: 8 }, 'SmolLM2 135M Instruct', /runs on the CPU here/],
  ];
  for (const [device, label, reason] of devices) {
    await withPage(pretend(device), async (page) => {
      assert.equal(await headline(page), label);
      await page.locator('#models summary').click();
      assert.match(await page.locator('#models-reason').innerText(), reason);
    });
  }
});

test('a model that the device cannot hold is said to be too large before it is downloaded', async () => {
  await withPage(pretend({ memory: 1, gpu: 'Test GPU' }), async (page) => {
    await page.locator('#models summary').click();
    await page.locator('.model-choice', { hasText: 'SmolLM2 360M Instruct' }).first().click();
    assert.match(await page.locator('#model-detail').innerText(), /730 MB of memory: more than a page should take of the 1 GB/);
  });
});

test('the model that was loaded last is chosen at the next visit', async () => {
  await withPage(nothing, async (page) => {
    await page.locator('#model-button').click();
    await modelReady(page);
    await pretend({ memory: 8, gpu: 'Test GPU' })(page);
    await page.reload();
    await page.locator('#model-detail', { hasText: 'Stored on this device' }).waitFor();
    assert.equal(await headline(page), 'SmolLM2 135M Instruct');
  }, '?backend=cpu');
});

test('a file from the disk runs, and nothing of it is stored', async () => {
  await withPage(nothing, async (page) => {
    await page.locator('#models summary').click();
    await page.locator('#models-file').setInputFiles(TINY);
    await page.locator('#model-headline', { hasText: 'tiny-1' }).waitFor();
    await page.locator('#model-button').click();
    await modelReady(page);
    assert.equal(await page.locator('#models-stored li').count(), 0);
    await setLongestAnswer(page, 3);
    await page.locator('#strength').fill('0');
    // The answer takes less time than it takes to see that the page is busy.
    await page.locator('#question').fill('Hm?');
    await page.keyboard.press('Enter');
    await page.locator('#plain .stats', { hasText: 'tokens' }).waitFor();
    assert.equal((await shown(page, 'plain')).tokens, 3);
  }, '?backend=cpu');
});

test('the parts of a split model are one model, whatever their order', async () => {
  await withPage(nothing, async (page) => {
    await page.locator('#models summary').click();
    await page.locator('#models-file').setInputFiles([3, 1, 2].map((n) => path.join(testModels, `split-0000${n}-of-00003.gguf`)));
    await page.locator('#model-button').click();
    await modelReady(page);
    await page.locator('#models-file').setInputFiles([1, 2].map((n) => path.join(testModels, `split-0000${n}-of-00003.gguf`)));
    await page.locator('#model-button').click();
    assert.match(await notice(page), /split over 3 files, and number 3 is missing/);
  }, '?backend=cpu');
});

test('a file is taken where it is dropped, and is said to be no model if it is none', async () => {
  await withPage(nothing, async (page) => {
    /** @param {string} name @param {Buffer} contents */
    const drop = (name, contents) => page.evaluate(([name, base64]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    }, [name, contents.toString('base64')]);
    await drop('dropped.gguf', await readFile(TINY));
    await page.locator('#model-headline', { hasText: 'dropped' }).waitFor();
    await page.locator('#model-button').click();
    await modelReady(page);
    await drop('page.gguf', Buffer.from('<!doctype html>'));
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The model file cannot be used[^]*not a GGUF model file/);
    await page.locator('#models summary').click();
    await drop('notes.txt', Buffer.from('no model'));
    await page.locator('#models-status', { hasText: 'no GGUF file' }).waitFor();
  }, '?backend=cpu');
});

test('files that are not of one model are models by themselves', async () => {
  await withPage(nothing, async (page) => {
    await page.locator('#models summary').click();
    await page.locator('#models-file').setInputFiles([1, 2].map((n) => path.join(testModels, `tiny-${n}.gguf`)));
    assert.deepEqual((await page.locator('.model-choice strong').allTextContents()).slice(-2), ['tiny-1', 'tiny-2']);
  });
});

test('the list is gone through with the keyboard', async () => {
  await withPage(nothing, async (page) => {
    await page.locator('#models summary').click();
    await page.locator('#models-list input:checked').focus();
    for (const label of ['SmolLM2 360M Instruct', 'SmolLM2 360M Instruct, smaller download']) {
      await page.keyboard.press('ArrowDown');
      assert.equal(await headline(page), label);
    }
  });
});

test('a double click loads the model once, and does not cancel it', async () => {
  await withPage(nothing, async (page) => {
    await page.locator('#model-button').dblclick();
    await modelReady(page);
  }, '?backend=cpu');
});

test('an address that the site may not read is refused with the hosts that it may', async () => {
  await withPage(nothing, async (page) => {
    await page.locator('#models summary').click();
    for (const [address, said] of /** @type {const} */ ([
      ['https://example.org/model.gguf', /from itself and from huggingface\.co/],
      ['https://huggingface.co/some/model', /no address of a GGUF file/],
      ['https://huggingface.co/%E0%A4%A.gguf/', /no address of a GGUF file/],
      ['https://huggingface.co/m-00001-of-99999.gguf', /no address of a GGUF file/],
    ])) {
      await page.locator('#models-address').fill(address);
      await page.locator('#models-address-form button').click();
      assert.match(await page.locator('#models-status').innerText(), said);
    }
    // The address of the page about a file is taken for the file's.
    await page.locator('#models-address').fill('https://huggingface.co/a/b/blob/main/c.gguf');
    await page.locator('#models-address-form button').click();
    assert.equal(await headline(page), 'c');
    await page.reload();
    await page.locator('#models summary').click();
    await page.locator('.model-choice', { hasText: 'c' }).last().waitFor();
    await page.getByRole('button', { name: 'Take it out of the list' }).click();
    assert.equal(await page.locator('.model-choice').count(), 3);
  });
});
