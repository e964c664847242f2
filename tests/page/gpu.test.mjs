/** The real model through the browser's WebGPU: the software adapter takes a while per token. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, open, setLongestAnswer, settled, shown } from './steps.mjs';

test('WebGPU steers the real model', async () => {
  const { page, close, problems } = await open('?backend=gpu&model=smollm2-135m-instruct-q4_1');
  try {
    await setLongestAnswer(page, 4);
    await ask(page, 'A baker makes 12 rolls every hour. How many rolls does she make in 5 hours?');
    await settled(page);
    assert.match(await page.locator('#model-detail').innerText(), /^Runs on the GPU/);
    assert.match((await shown(page, 'plain')).text, /^To solve this problem/);
    assert.match((await shown(page, 'steered')).text, /^Let's break/);
    await page.locator('#inside-button').click();
    await page.locator('#inside-result:not([hidden])').waitFor();
    // Where the answer begins, the slot is the one before, and gets no small share.
    assert.match(await page.locator('#attention-of').innerText(), /^For “Let”: \d\d % with steering, \d\d % without/);
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});
