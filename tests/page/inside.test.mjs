/** The look inside the cache, after a comparison. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, modelReady, open, setLongestAnswer, setStrength, settled } from './steps.mjs';

test('the write is drawn, and each word is shown with what else could have come', async () => {
  const { page, problems, screenshot, close } = await open('?backend=cpu');
  try {
    assert.ok(await page.locator('#inside-button').isDisabled());
    await setLongestAnswer(page, 16);
    await ask(page, 'Why is the sky blue?');
    await modelReady(page);
    await settled(page);
    await page.locator('#inside-button').click();
    await page.locator('#inside-result:not([hidden])').waitFor();

    assert.equal(await page.locator('#inside-values span').count(), 90);
    const heat = await page.locator('#inside-values span').evaluateAll((cells) => cells.map((cell) => Number(/** @type {HTMLElement} */ (cell).style.getPropertyValue('--heat'))));
    // The first layer is not steered, and something else is the largest.
    assert.deepEqual([heat[0], heat[30], heat[60]], [0, 0, 0]);
    assert.equal(Math.max(...heat), 1);

    const answer = await page.locator('#steered .answer').innerText();
    const words = await page.locator('#inside-tokens span').allTextContents();
    assert.ok(answer.startsWith(words.join('').replaceAll('⏎', '\n').trim()), words.join('|'));
    // The answer begins otherwise than it would have.
    const [plain, , steered] = await page.locator('#inside-candidates tbody tr').first().locator('td').allTextContents();
    assert.equal(steered, words[0]);
    assert.notEqual(plain, steered);

    await page.locator('#inside-tokens input').first().focus();
    await page.keyboard.press('ArrowRight');
    assert.match(await page.locator('#inside-candidates caption').innerText(), new RegExp(`“${words[1].replace(/^ /, '·')}”`));
    await screenshot('inside');

    // With nothing added there is nothing to look into.
    await setStrength(page, 0);
    await ask(page, 'Why is the sky blue?');
    await settled(page);
    assert.ok(await page.locator('#inside-button').isDisabled());
    assert.match(await page.locator('#inside-hint').innerText(), /strength above off/);
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});
