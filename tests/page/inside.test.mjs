/** The look inside the cache, after a comparison. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, modelReady, open, setLongestAnswer, setStrength, settled } from './steps.mjs';

/** @import { Page } from 'playwright-core' */
/** @import { Inspection } from '../../www/pkg/cache_steering.js' */

/** Keeps what the engine tells the page. @param {Page} page */
const listen = (page) => page.addInitScript(() => {
  const Original = window.Worker;
  window.Worker = class extends Original {
    /** @param {string | URL} address @param {WorkerOptions} [options] */
    constructor(address, options) {
      super(address, options);
      this.addEventListener('message', ({ data }) => {
        if (data.result?.position !== undefined) /** @type {any} */ (window).inspection = data.result;
      });
    }
  };
});

/** The colour and the opacity, from 0 to 255, of a cell of a map. @param {Page} page @param {string} map @param {number} x @param {number} y */
const cell = (page, map, x, y) => page.locator(map).evaluate((canvas, [left, top]) => {
  const context = /** @type {HTMLCanvasElement} */ (canvas).getContext('2d');
  return Array.from(context?.getImageData(left, top, 1, 1).data ?? []);
}, [x, y]);

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
    // The same is there for who sees no colours.
    await page.locator('.inside-numbers summary').press('Enter');
    const figures = await page.locator('#inside-table tbody tr').evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll('td')].map((td) => Number(td.textContent))));
    assert.deepEqual([figures.length, figures[0]], [30, [0, 0, 0, 0, 0, 0]]);
    const largest = Math.max(...figures.flat());
    assert.match(await page.locator('#inside-write').innerText(), new RegExp(`the strongest is ${largest} times`));
    for (const [layer, row] of figures.entries()) for (const head of [0, 1, 2]) {
      assert.ok(Math.abs(row[head] / largest - heat[30 * head + layer]) < 0.01);
    }

    const answer = await page.locator('#steered .answer').innerText();
    const words = await page.locator('#inside-tokens span').allTextContents();
    assert.equal(words.join('').replaceAll('⏎', '\n').trim(), answer.trim());
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
    assert.match(await page.locator('#inside-hint').innerText(), /a strength other than 0/);
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});

test('the attention to the slot is drawn and told as the engine gave it', async () => {
  const { page, problems, screenshot, close } = await open('?backend=cpu', listen);
  try {
    await setLongestAnswer(page, 16);
    await ask(page, 'Why is the sky blue?');
    await modelReady(page);
    await settled(page);
    await page.locator('#inside-button').click();
    await page.locator('#inside-result:not([hidden])').waitFor();
    const { position, tokens } = /** @type {Inspection} */ (await page.evaluate(() => /** @type {any} */ (window).inspection));
    const layers = tokens[0].attention.plain.length;
    assert.equal(layers, 30);
    assert.ok((await page.locator('#attention-scale').innerText()).includes(`slot ${position + 1} `));

    // Every cell of both maps, beside the largest of all.
    const weights = tokens.map(({ attention }) => attention);
    const largest = Math.max(...weights.flatMap(({ plain, steered }) => [...plain, ...steered]));
    assert.ok(largest > 0.01 && largest <= 1, String(largest));
    for (const side of /** @type {const} */ (['plain', 'steered'])) {
      const map = `#attention-${side}`;
      const found = await page.locator(map).evaluate((element) => {
        const canvas = /** @type {HTMLCanvasElement} */ (element);
        const { width, height } = canvas;
        return { width, height, data: Array.from(canvas.getContext('2d')?.getImageData(0, 0, width, height).data ?? []) };
      });
      assert.deepEqual([found.width, found.height], [tokens.length, layers]);
      weights.forEach((attention, x) => attention[side].forEach((weight, y) => {
        const opacity = found.data[4 * (y * found.width + x) + 3];
        assert.ok(Math.abs(opacity - (255 * weight) / largest) <= 1, `${map} ${x} ${y}: ${opacity}`);
      }));
      const most = Math.max(...weights.flatMap((attention) => attention[side]));
      const x = weights.findIndex((attention) => attention[side].includes(most));
      const label = await page.locator(map).getAttribute('aria-label');
      assert.ok(label?.endsWith(`in layer ${weights[x][side].indexOf(most)}.`), label ?? '');
    }

    // Pointing at a column chooses its word, and the arrow keys go on from there.
    const box = await page.locator('#attention-steered').boundingBox();
    assert.ok(box);
    const column = box.width / tokens.length;
    await page.locator('#attention-steered').click({ position: { x: 5.5 * column, y: 20 } });
    assert.ok(await page.locator('#inside-tokens input').nth(5).isChecked());
    await page.keyboard.press('ArrowRight');
    const { text, attention } = tokens[6];
    const word = `“${text.replace(/\n/g, '⏎').replace(/^ /, '·')}”`;
    assert.ok((await page.locator('#inside-candidates caption').innerText()).includes(word));
    assert.equal(await page.locator('#attention-maps').evaluate((maps) => maps.style.getPropertyValue('--chosen')), '6');
    const line = await page.locator('#attention-of').innerText();
    assert.ok(line.startsWith(`For ${word}: `), line);
    const told = Array.from(line.slice(line.indexOf('”')).matchAll(/([\d.]+) %/g), ([, percent]) => Number(percent) / 100);
    const mean = (/** @type {number[]} */ of) => of.reduce((sum, weight) => sum + weight, 0) / layers;
    const peak = Math.max(...attention.steered);
    const expected = [mean(attention.steered), mean(attention.plain), peak];
    expected.forEach((share, i) => assert.ok(Math.abs(told[i] - share) <= (share < 0.0995 ? 0.000501 : 0.00501), `${line} ${expected}`));
    assert.ok(line.includes(`in layer ${attention.steered.indexOf(peak)}, `), line);

    // The maps follow the page's colours.
    const at = attention.steered.indexOf(peak);
    const light = await cell(page, '#attention-steered', 6, at);
    for (const [width, height] of [[1280, 800], [360, 740]]) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.emulateMedia({ colorScheme });
        await screenshot(`attention-${width}-${colorScheme}`);
      }
    }
    const dark = await cell(page, '#attention-steered', 6, at);
    assert.equal(dark[3], light[3]);
    assert.ok(dark[0] - light[0] > 20, `${light} ${dark}`);
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});
