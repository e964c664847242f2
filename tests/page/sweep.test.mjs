/** A sweep over the strength: its curves, its table, its files, and what a press on a point does. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { check } from './axe.mjs';
import { checkPicture, exported, parseCsv } from './exports.mjs';
import { ask, modelReady, notice, open, setLongestAnswer, settled, shown } from './steps.mjs';

/** @import { EvaluateResult } from '../../www/pkg/cache_steering.js' */

/** @typedef {EvaluateResult['rows'][number]} Row */

test('where the code of the Lab does not come, the press says so', async () => {
  const { page, close } = await open('', (page) => page.route('**/lab/lab.js', (route) => route.abort()));
  try {
    await page.click('#evaluation-run');
    assert.match(await notice(page), /The page is not complete\s+A part of it could not be fetched\..*\s+Load the page again/);
    await page.unroute('**/lab/lab.js');
    await page.click('#notice-button');
    await page.locator('#notice').waitFor({ state: 'hidden' });
    await page.click('#evaluation-run');
    assert.match(await notice(page), /That takes the model/);
  } finally {
    await close();
  }
});

describe('a sweep in the page', () => {
  /** @type {Awaited<ReturnType<typeof open>>} */
  let session;
  before(async () => { session = await open('?backend=cpu'); });
  after(() => session?.close());

  const status = () => session.page.locator('#sweep-status').innerText();
  const press = () => session.page.click('#sweep-run');
  const idle = () => session.page.locator('#sweep[data-state="idle"]').waitFor({ timeout: 300_000 });
  const points = () => session.page.locator('#sweep-chart .point').count();
  const tableRows = () => session.page.locator('#sweep-table tbody tr').evaluateAll((all) =>
    all.map((row) => Array.from(row.children, (cell) => cell.textContent ?? '')));

  /** Off, the recommended 4, and 8, of four questions. */
  async function fill() {
    const { page } = session;
    await page.locator('.preset', { hasText: 'Numbered steps' }).click();
    await page.fill('#sweep-form [name=to]', '8');
    await page.fill('#sweep-form [name=steps]', '3');
    await page.fill('#sweep-form [name=count]', '4');
    await page.fill('#sweep-form [name=tokens]', '16');
  }

  test('needs a model, and its first press is kept until its code is there', async () => {
    const { page } = session;
    const isHere = () => page.evaluate(() => performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/lab/sweep.js')));
    assert.equal(await isHere(), false);
    await page.evaluate(() => document.getElementById('sweep-run')?.click());
    assert.match(await notice(page), /That takes the model[^]*Load it and go on/);
    assert.equal(await isHere(), true);
    await page.click('#model-button');
    await modelReady(page);
  });

  test('curves grow while it runs, it can be stopped, and goes on where it was', async () => {
    const { page } = session;
    await fill();
    // The page itself presses Stop, as soon as the third strength has its first answer.
    await page.evaluate(() => {
      const line = /** @type {HTMLElement} */ (document.getElementById('sweep-status'));
      const state = /** @type {any} */ (window);
      state.said = /** @type {string[]} */ ([]);
      new MutationObserver(() => {
        state.said.push(line.innerText);
        if (state.said.length > 1 && line.innerText.startsWith('9 of 12')) document.getElementById('sweep-run')?.click();
      }).observe(line, { childList: true });
    });
    await press();
    await page.locator('#sweep-status', { hasText: 'Stopped' }).waitFor();
    await idle();
    assert.equal(await status(), 'Stopped. The answers so far are kept: start again to go on.');
    // Two strengths are complete: two points of each of four figures.
    assert.equal(await points(), 8);
    await page.evaluate(() => { /** @type {any} */ (window).said = []; });
    await press();
    await idle();
    assert.equal(await status(), 'Done: 12 answers at 3 strengths. Bands are 95 % intervals; the fewer the questions, the wider. Most answers were cut off, and few of these can be right: let them be longer.');
    /** @type {string[]} */
    const said = await page.evaluate(() => /** @type {any} */ (window).said);
    const counts = said.map((line) => Number(/^(\d+) of 12/.exec(line)?.[1] ?? 0)).filter(Boolean);
    assert.ok(counts.length > 0 && counts.every((count) => count > 9), said.join('\n'));
    assert.equal(await points(), 12);
  });

  test('the figures are those of the answers, in the files, the table and the curves', async () => {
    const { page } = session;
    const { model, settings, rows, answers } = JSON.parse(await readFile(await exported(page, 'sweep', 'JSON'), 'utf8'));
    assert.equal(model.sha256.length, 64);
    assert.deepEqual(settings.strengths, [0, 4, 8]);
    assert.equal(answers.length, 12);
    /** Counted again, here. @param {number} i @returns {{ text: string, tokens: number, stop_reason: string }[]} */
    const answersAt = (i) => answers.filter((/** @type {any} */ { condition }) => condition === settings.conditions[i].name);
    rows.forEach((/** @type {Row} */ row, /** @type {number} */ i) => {
      const all = answersAt(i);
      assert.equal(all.length, 4);
      assert.deepEqual([row.loops.count, row.loops.of], [all.filter((one) => one.stop_reason === 'repeating').length, 4]);
      assert.ok(Math.abs(row.tokens.mean - all.reduce((sum, { tokens }) => sum + tokens, 0) / 4) < 1e-9);
      // The style's answers begin with it, as vectors/styles.json says.
      assert.equal(row.marked?.count, all.filter(({ text }) => /^\W*step 1\b/i.test(text)).length);
      for (const rate of [row.marked, row.loops, row.right]) {
        assert.ok(rate);
        const [low, high] = wilson(rate.count, rate.of);
        assert.ok(Math.abs(rate.interval[0] - low) < 1e-6 && Math.abs(rate.interval[1] - high) < 1e-6);
      }
    });
    assert.deepEqual([rows[0].marked.count, rows[1].marked.count], [0, 4]);

    const [head, ...lines] = parseCsv(await readFile(await exported(page, 'sweep', 'CSV'), 'utf8'));
    assert.equal(lines.length, 3);
    lines.forEach((line, i) => {
      const cell = Object.fromEntries(head.map((name, column) => [name, line[column]]));
      assert.equal(line.length, head.length);
      assert.equal(Number(cell.strength), settings.strengths[i]);
      assert.equal(cell.condition, settings.conditions[i].name);
      assert.deepEqual([cell.in_style, cell.in_style_of, cell.questions].map(String), [String(rows[i].marked.count), '4', 'all']);
      assert.deepEqual([Number(cell.tokens_low), Number(cell.tokens_high)], rows[i].tokens.interval);
    });

    const table = await tableRows();
    assert.deepEqual(table.map(([strength]) => strength), ['off', '4, recommended', '8']);
    table.forEach(([, marked, loops, tokens, right], i) => {
      const of = rows[i].right.of;
      assert.match(marked, new RegExp(`^${rows[i].marked.count} of 4 \\(\\d+–\\d+ %\\)$`));
      assert.match(loops, new RegExp(`^${rows[i].loops.count} of 4 `));
      assert.match(tokens, new RegExp(`^${Math.round(rows[i].tokens.mean)} `));
      assert.match(right, new RegExp(`^${rows[i].right.count} of ${of} `));
    });

    // The first panel: its axis goes from 0 to all, between the outer two of its lines.
    const drawn = await page.locator('#sweep-chart svg > g').first().evaluate((panel) => ({
      axis: Array.from(panel.querySelectorAll('.grid'), (line) => Number(line.getAttribute('y1'))),
      circles: Array.from(panel.querySelectorAll('.point circle'), (circle) => Number(circle.getAttribute('cy'))),
      bars: Array.from(panel.querySelectorAll('.point .interval'), (bar) => [Number(bar.getAttribute('y1')), Number(bar.getAttribute('y2'))]),
    }));
    const [zero, , full] = drawn.axis;
    const height = (/** @type {number} */ share) => zero + share * (full - zero);
    rows.forEach((/** @type {any} */ { marked }, /** @type {number} */ i) => {
      const expected = [marked.count / marked.of, ...marked.interval].map(height);
      [drawn.circles[i], ...drawn.bars[i]].forEach((found, part) => assert.ok(Math.abs(found - expected[part]) < 0.06, `${found} and ${expected}`));
    });
  });

  test('the look inside an answer of before brings it back first', async () => {
    const { page } = session;
    await setLongestAnswer(page, 8);
    await ask(page, 'Why is the sky blue?');
    await settled(page);
    const { text } = await shown(page, 'steered');
    // One more question: the engine computes.
    await page.fill('#sweep-form [name=count]', '5');
    await press();
    await idle();
    await page.fill('#sweep-form [name=count]', '4');
    await press();
    await idle();
    await page.click('#inside-button');
    await page.locator('#inside-result:not([hidden])').waitFor();
    assert.ok(await page.locator('#notice').isHidden());
    assert.equal((await shown(page, 'steered')).text, text);
  });

  test('a point shows its answer and sets the strength, with the mouse and with the keyboard', async () => {
    const { page } = session;
    const caption = page.locator('#sweep-caption');
    await page.locator('#sweep-chart [data-at="8"] .hit').first().hover();
    assert.match(await caption.innerText(), /^At strength 8, “.+” \(\d+ tokens?, /);
    const strong = await page.locator('#sweep-answer').innerText();
    await page.locator('#sweep-chart [data-at="8"] .hit').first().click();
    assert.equal(await page.inputValue('#strength'), '8');
    assert.equal(await page.locator('#sweep-note').innerText(), 'Set above: Numbered steps, strength 8.');

    await page.locator('.preset', { hasText: 'Think aloud' }).click();
    await page.locator('#sweep-table button', { hasText: 'off' }).focus();
    assert.match(await caption.innerText(), /^With the strength off, “/);
    assert.notEqual(await page.locator('#sweep-answer').innerText(), strong);
    await page.keyboard.press('Enter');
    assert.equal(await page.inputValue('#strength'), '0');
    assert.equal(await page.locator('.preset input:checked').inputValue(), 'stepwise');

    const asked = await caption.innerText();
    await page.click('#sweep-next');
    assert.notEqual(await caption.innerText(), asked);
  });

  test('its picture is a sharp PNG in the colours of the page', async () => {
    await checkPicture(session.page, 'sweep', ['steered', 'plain', 'ink', 'rule']);
  });

  test('it fits a phone and a dark room, and axe finds nothing', async () => {
    const { page } = session;
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      await check(page, `a sweep at ${width} px`);
      const room = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(room[0] <= room[1], `at ${width} px, the page is ${room[0]} wide`);
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.emulateMedia({ colorScheme });
        await session.screenshot(`sweep-${width}-${colorScheme}`);
      }
    }
    assert.deepEqual(session.problems, []);
  });
});

/**
 * The 95 % interval of a share by Wilson, as the two shares whose own error just reaches the one found:
 * the roots of (p - share)² = z² p (1 - p) / n.
 * @param {number} count @param {number} n
 */
function wilson(count, n) {
  const z2 = 1.959964 ** 2;
  const share = count / n;
  const [a, b, c] = [1 + z2 / n, -(2 * share + z2 / n), share * share];
  const root = Math.sqrt(Math.max(0, b * b - 4 * a * c));
  return [(-b - root) / (2 * a), (-b + root) / (2 * a)];
}
