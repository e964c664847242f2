/** What the page shows before any model is there: recorded answers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, layoutShift, modelReady, open, recordings, setLongestAnswer, settled, shown, streaming, watchLayout } from './steps.mjs';

test('a recording replays token by token, marked as one, without any download', async () => {
  const { page, close } = await open();
  try {
    /** @type {string[]} */
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.locator('#recording').scrollIntoViewIfNeeded();
    const early = await page.waitForFunction(() => document.querySelector('#plain .answer.streaming:not(.waiting)')?.textContent);
    const whole = recordings[0].plain.pieces.join('');
    const part = await early.jsonValue() ?? '';
    assert.ok(part.length < whole.length && whole.startsWith(part), part);
    assert.match(await page.locator('#recording-caption').innerText(), /Why is the sky blue.*Recorded, not computed here/);
    await page.getByText('How it was made').click();
    assert.equal(await page.locator('#recording-commands').innerText(), `${recordings[0].plain.command}\n${recordings[0].steered.command}`);
    await page.locator('#recording-choices button').nth(1).click();
    await page.locator('#steered .answer:not(.streaming)').waitFor();
    const steered = await shown(page, 'steered');
    assert.equal(steered.text.trim(), recordings[1].steered.pieces.join('').trim());
    assert.equal(steered.tokens, recordings[1].steered.pieces.length);
    assert.doesNotMatch(steered.stats, /tokens\/s/);
    assert.deepEqual(asked, []);
  } finally {
    await close();
  }
});

for (const [width, height] of [[360, 740], [1280, 800]]) {
  test(`nothing moves while the page starts and the recording comes, ${width} pixels wide`, async () => {
    const { page, close } = await open('', (page) => page.addInitScript(watchLayout), { viewport: { width, height } });
    try {
      await streaming(page, 'steered');
      await page.locator('#steered .answer:not(.streaming)').waitFor();
      assert.equal(await layoutShift(page), 0);
    } finally {
      await close();
    }
  });
}

test('who wants no motion sees recordings at once, and a question of one’s own ends them', async () => {
  const { page, close } = await open('?backend=cpu', (page) => page.emulateMedia({ reducedMotion: 'reduce' }));
  try {
    await page.locator('#recording').scrollIntoViewIfNeeded();
    await page.locator('#plain .stats', { hasText: 'tokens' }).waitFor();
    assert.equal((await shown(page, 'plain')).text.trim(), recordings[0].plain.pieces.join('').trim());
    await setLongestAnswer(page, 3);
    await ask(page, 'Why is the sky blue?');
    await modelReady(page);
    await settled(page);
    assert.ok(await page.locator('#recording').isHidden());
    assert.equal((await shown(page, 'plain')).tokens, 3);
  } finally {
    await close();
  }
});
