/** The page as visitors use it, with the real model on the CPU backend. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, layoutShift, modelReady, open, send, setLongestAnswer, setStrength, settled, shown, streaming, watchLayout } from './steps.mjs';

const QUESTION = 'Why is the sky blue?';
/** How "Think aloud" begins, and a plain answer does not. */
const THINKS_ALOUD = /^let['’]s\b/i;

describe('a visit', () => {
  /** @type {Awaited<ReturnType<typeof open>>} */
  let session;
  before(async () => { session = await open(); });
  after(() => session?.close());

  test('nothing heavy is fetched before it is asked for', async () => {
    const fetched = await session.page.evaluate(() => performance.getEntriesByType('resource').map((entry) => entry.name));
    assert.deepEqual(fetched.filter((name) => /gguf|wasm|safetensors|worker/.test(name)), []);
    assert.equal(await session.page.locator('#model-button').innerText(), 'Run it on your device (98 MB)');
    for (const width of [360, 1280]) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await session.page.setViewportSize({ width, height: 800 });
        await session.page.emulateMedia({ colorScheme });
        await session.screenshot(`start-${width}-${colorScheme}`);
      }
    }
    await session.page.emulateMedia({ colorScheme: 'light' });
  });

  test('a question loads the model and is then answered, plain and steered', async () => {
    const { page } = session;
    // Long enough to be seen while it streams.
    await setLongestAnswer(page, 160);
    await ask(page, QUESTION);
    assert.match((await shown(page, 'plain')).text, /kept until the model is loaded/);
    await modelReady(page);
    assert.match(await page.locator('#model-detail').innerText(), /^Runs on the CPU, because .*software/);

    await streaming(page, 'plain');
    await streaming(page, 'steered');
    await settled(page);
    const plain = await shown(page, 'plain');
    const steered = await shown(page, 'steered');
    assert.match(steered.text, THINKS_ALOUD);
    assert.doesNotMatch(plain.text, THINKS_ALOUD);
    for (const { stats, tokens } of [plain, steered]) {
      assert.match(stats, /\d s to first token/);
      assert.match(stats, /[\d.]+ tokens\/s/);
      assert.ok(tokens > 0 && tokens <= 160, stats);
    }
    assert.match(await page.locator('#memory-caption').innerText(), /\d+ slots .* was added to the last one: once, in 29 layers/);
    assert.match(await page.locator('#status').innerText(), /^Both answers are here: plain \d+ tokens, steered \d+ tokens\.$/);
  });

  test('it looks the same on a phone and on a desktop, by day and by night', async () => {
    const { page } = session;
    for (const width of [360, 768, 1280, 1920]) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        const room = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(room[0] <= room[1], `at ${width} px, the page is ${room[0]} wide`);
        await session.screenshot(`answers-${width}-${colorScheme}`);
      }
    }
    await page.emulateMedia({ colorScheme: 'light' });
  });

  test('with the strength off, both answers are the same', async () => {
    const { page } = session;
    await setLongestAnswer(page, 12);
    await setStrength(page, 0);
    await ask(page, QUESTION);
    await settled(page);
    const plain = await shown(page, 'plain');
    assert.ok(plain.text.length > 10, plain.text);
    assert.equal((await shown(page, 'steered')).text, plain.text);
    assert.match(await page.locator('#memory-caption').innerText(), /nothing was added/);
  });

  test('Esc stops both answers within a token, and nothing jumps meanwhile', async () => {
    const { page } = session;
    await setLongestAnswer(page, 400);
    await setStrength(page, 6);
    await ask(page, 'Why do cats purr?');
    await streaming(page, 'steered');
    await page.evaluate(watchLayout);
    while ((await shown(page, 'steered')).tokens < 6) await page.waitForTimeout(100);

    // What is there at the key's moment: tokens come faster than a test can look twice.
    await page.evaluate(() => document.addEventListener('keydown', () => {
      const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (document.querySelector(selector)).innerText;
      /** @type {any} */ (window).atEscape = { text: part('#steered .answer'), stats: part('#steered .stats') };
    }, { capture: true, once: true }));
    await page.keyboard.press('Escape');
    await settled(page);
    const { text, stats } = await page.evaluate(() => /** @type {any} */ (window).atEscape);
    const before = { text, tokens: Number(/(\d+) tokens?(?=,|$)/m.exec(stats)?.[1]) };
    const stopped = await shown(page, 'steered');
    assert.match(stopped.stats, /stopped/);
    // One that the page had not been told of, and one that was being computed.
    assert.ok(stopped.tokens <= before.tokens + 2, `${before.tokens} tokens, then ${stopped.tokens}`);
    assert.ok(stopped.text.startsWith(before.text), stopped.text);
    // The sign that an answer goes on moves with it; nothing larger does.
    const moved = await layoutShift(page);
    assert.ok(moved < 0.001, `cumulative layout shift ${moved}`);
    await page.waitForTimeout(500);
    assert.deepEqual(await shown(page, 'steered'), stopped);
  });

  test('Shift+Enter starts a line, and the page can be asked again', async () => {
    const { page } = session;
    await setLongestAnswer(page, 3);
    await page.locator('#question').fill('Why is');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('snow white?');
    assert.equal(await page.locator('#question').inputValue(), 'Why is\nsnow white?');
    await send(page);
    await settled(page);
    assert.equal((await shown(page, 'plain')).tokens, 3);
    assert.deepEqual(session.problems, []);
  });
});
