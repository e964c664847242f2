/** Measuring in the browser what steering does to answers. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { modelReady, open } from './steps.mjs';

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
    assert.match(await status(), /^Load the model first/);
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
    await measure();
    await page.locator('#evaluation-status', { hasText: /^[3-9] of 12 answers/ }).waitFor();
    await idle();
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
    const plot = page.locator('#evaluation-plot');
    assert.ok(await plot.evaluate((image) => /** @type {HTMLImageElement} */ (image).naturalWidth > 400));
    for (const width of [360, 1280]) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        await session.screenshot(`evaluation-${width}-${colorScheme}`);
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  test('exports all answers and figures', async () => {
    const { page } = session;
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#evaluation-export')]);
    const { settings, rows, answers, model } = JSON.parse(await readFile(await download.path(), 'utf8'));
    assert.equal(settings.maxTokens, 16);
    assert.equal(answers.length, 12);
    assert.equal(rows.length, 6);
    assert.equal(model.sha256.length, 64);
  });

  test('compares with activations, and takes a file of questions', async () => {
    const { page } = session;
    await page.selectOption('[name=questions]', 'file');
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
