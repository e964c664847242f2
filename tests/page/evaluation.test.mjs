/** Measuring in the browser what steering does to answers. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { check } from './axe.mjs';
import { checkPicture, exported, parseCsv } from './exports.mjs';
import { modelReady, notice, open } from './steps.mjs';

describe('an evaluation in the page', () => {
  /** @type {Awaited<ReturnType<typeof open>>} */
  let session;
  before(async () => { session = await open('?backend=cpu'); });
  after(() => session?.close());

  const status = () => session.page.locator('#evaluation-status').innerText();
  const measure = () => session.page.click('#evaluation-run');
  const idle = () => session.page.locator('#evaluation[data-state="idle"]').waitFor({ timeout: 300_000 });

  test('needs a model, and says so', async () => {
    const { page } = session;
    await measure();
    assert.match(await notice(page), /That takes the model/);
    await page.click('#model-button');
    await modelReady(page);
  });

  test('can be stopped, and goes on where it was', async () => {
    const { page } = session;
    await page.locator('.preset', { hasText: 'Numbered steps' }).click();
    await page.fill('#evaluation-form [name=count]', '4');
    await page.fill('#evaluation-form [name=tokens]', '16');
    await page.check('[name=condition][value="prompt+steered"]');
    await measure();
    await page.locator('#evaluation-status', { hasText: /^[2-9] of 12 answers/ }).waitFor();
    await measure();
    await idle();
    assert.match(await status(), /^Stopped\. The answers so far are kept/);
    // Nothing is lost with the tab either.
    await page.reload();
    await page.click('#model-button');
    await modelReady(page);
    await page.locator('.preset', { hasText: 'Numbered steps' }).click();
    await page.fill('#evaluation-form [name=count]', '4');
    await page.fill('#evaluation-form [name=tokens]', '16');
    await page.check('[name=condition][value="prompt+steered"]');
    await page.evaluate(() => {
      const line = /** @type {HTMLElement} */ (document.getElementById('evaluation-status'));
      const state = /** @type {any} */ (window);
      state.said = /** @type {string[]} */ ([]);
      new MutationObserver(() => state.said.push(line.innerText)).observe(line, { childList: true });
    });
    await measure();
    await page.locator('#evaluation-status', { hasText: /^Done/ }).waitFor();
    await idle();
    /** @type {string[]} */
    const said = await page.evaluate(() => /** @type {any} */ (window).said);
    const first = said.map((line) => /^(\d+) of 12 answers/.exec(line)?.[1]).find(Boolean);
    assert.ok(Number(first) >= 3, said.join('\n'));
    assert.match(await status(), /^Done: 12 answers\./);
  });

  test('counts what the answers show, as a table and a picture', async () => {
    const { page } = session;
    const rows = await page.locator('#evaluation-table tbody tr').evaluateAll((all) =>
      all.map((row) => Array.from(row.children, (cell) => cell.textContent)));
    const [plain, , steered] = rows;
    assert.equal(plain[0], 'plain (stepwise)');
    assert.equal(plain[2], '0 of 2');
    assert.match(steered[0] ?? '', /^Numbered steps at \d/);
    assert.equal(steered[2], '2 of 2');
    // Below the titles, each row of the table has its label in the picture, and its shares, each where it is.
    const labels = await page.locator('#evaluation-chart .label').allTextContents();
    assert.deepEqual(labels, rows.map(([name, kind]) => `${name}, ${kind === 'without' ? 'no choices' : 'choices'}`));
    const { ends, bars } = await page.locator('#evaluation-chart').evaluate((chart) => ({
      ends: Array.from(chart.querySelectorAll('.grid'), (line) => Number(line.getAttribute('x1'))),
      bars: Array.from(chart.querySelectorAll('.point'), (point) => ({
        tone: point.classList[1],
        at: Number(point.querySelector('circle')?.getAttribute('cx')),
      })),
    }));
    const shares = [2, 3, 5].flatMap((column) => rows.map((row) => row[column] ?? ''));
    const counted = shares.map((share) => share.split(' of ').map(Number)).map(([count, of]) => count / of);
    assert.equal(bars.length, counted.length);
    bars.forEach(({ tone, at }, i) => {
      const panel = Math.floor(i / rows.length);
      const [zero, , all] = ends.slice(3 * panel);
      assert.ok(Math.abs(at - zero - counted[i] * (all - zero)) < 0.11, `${shares[i]} at ${at} from ${zero} to ${all}`);
      assert.equal(tone, i % rows.length < 2 ? 'plain' : 'steered');
    });
    for (const width of [360, 1280]) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        const room = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(room[0] <= room[1], `at ${width} px, the page is ${room[0]} wide`);
        await session.screenshot(`evaluation-${width}-${colorScheme}`);
      }
      await check(page, `an evaluation at ${width} px`);
    }
  });

  test('exports all answers, the figures, and the picture', async () => {
    const { page } = session;
    const { settings, rows, answers, model } = JSON.parse(await readFile(await exported(page, 'evaluation', 'JSON'), 'utf8'));
    assert.equal(settings.maxTokens, 16);
    assert.equal(answers.length, 12);
    assert.equal(rows.length, 6);
    assert.equal(model.sha256.length, 64);
    const csv = await readFile(await exported(page, 'evaluation', 'CSV'), 'utf8');
    const [head, ...lines] = parseCsv(csv);
    assert.deepEqual(head.slice(0, 6), ['condition', 'style', 'questions', 'answers', 'in_style', 'in_style_of']);
    assert.deepEqual(lines.map(([condition, , kind]) => [condition, kind]),
      rows.map((/** @type {any} */ row) => [row.condition, row.choices ? 'with choices' : 'without choices']));
    // The name of a steered condition has a comma in it.
    assert.match(csv, /\r\n"Numbered steps at 4, keys 2",stepwise,without choices,2,2,2,/);
    assert.ok(lines.every((line) => line.length === head.length));
    assert.deepEqual(lines.map((line) => Number(line[head.indexOf('loops_high')])), rows.map((/** @type {any} */ row) => row.loops.interval[1]));
    await checkPicture(page, 'evaluation', ['plain', 'steered', 'ink']);
  });

  test('compares with activations, and takes a file of questions', async () => {
    const { page } = session;
    await page.selectOption('#evaluation-form [name=questions]', 'file');
    const own = '{"id": "mine", "question": "Why is the sky blue?"}\n';
    await page.setInputFiles('#evaluation-form [name=file]', { name: 'mine.jsonl', mimeType: '', buffer: Buffer.from(own) });
    await page.uncheck('[name=condition][value="prompt+steered"]');
    await page.check('[name=condition][value="activation"]');
    await measure();
    await page.locator('#evaluation-status', { hasText: /^Reading examples/ }).waitFor();
    await idle();
    assert.match(await status(), /^Done: 3 answers\./);
    const last = page.locator('#evaluation-table tbody tr').last();
    assert.match(await last.innerText(), /^activation, Numbered steps\s+without/);
    // One question that nobody can mark: there is no panel for what is right.
    assert.deepEqual(await page.locator('#evaluation-chart .title').allTextContents(), ['In style, %', 'In loops, %']);
    assert.equal(await page.locator('#evaluation-chart .point.other').count(), 2);
  });

  test('refuses what is no list of questions, with words', async () => {
    const { page } = session;
    await page.setInputFiles('#evaluation-form [name=file]', { name: 'x.jsonl', mimeType: '', buffer: Buffer.from('no question') });
    await measure();
    await page.locator('#notice:not([hidden])').waitFor();
    assert.match(await page.locator('#notice-text').innerText(), /line 1/);
    assert.deepEqual(session.problems, []);
  });
});
