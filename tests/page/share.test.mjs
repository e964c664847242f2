/** Links that bring a question, and answers as text. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ask, modelReady, open, setLongestAnswer, setStrength, settled, shown } from './steps.mjs';

test('a link brings the question and the settings, and loads nothing by itself', async () => {
  const { page, context, url, close } = await open('?backend=cpu');
  try {
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    assert.ok(await page.locator('#share').isHidden());
    await page.locator('.preset', { hasText: 'Numbered steps' }).click();
    await setStrength(page, 5.5);
    await setLongestAnswer(page, 7);
    await ask(page, 'Why & how: #1, 100 %?');
    await modelReady(page);
    await settled(page);
    const answers = [await shown(page, 'plain'), await shown(page, 'steered')];
    // For the next question, and not part of what is shown.
    await setLongestAnswer(page, 99);

    await page.getByRole('button', { name: 'Copy as Markdown' }).click();
    await page.locator('#share-status', { hasText: 'as Markdown' }).waitFor();
    const text = await clipboard();
    for (const part of ['> Why & how: #1, 100 %?', 'Numbered steps × 5.5', ...answers.map((answer) => answer.text.trim())]) {
      assert.ok(text.includes(part), `${part} in ${text}`);
    }
    await page.getByRole('button', { name: 'Copy a link' }).click();
    await page.getByText('The link is on the clipboard').waitFor();
    const link = await clipboard();
    assert.ok(link.startsWith(`${url}?backend=cpu#`), link);
    assert.ok(answers.every((answer) => !decodeURIComponent(link).includes(answer.text.slice(0, 20))));

    const other = await context.newPage();
    /** @type {string[]} */
    const models = [];
    other.on('request', (request) => request.url().endsWith('.gguf') && models.push(request.url()));
    await other.goto(link);
    await other.locator('#notice', { hasText: 'A question was shared with you' }).waitFor();
    assert.match(await other.locator('#notice').innerText(), /Numbered steps × 5\.5/);
    assert.match(await other.locator('#notice').innerText(), /; Answers: Two; Longest answer: 7\./);
    await other.waitForFunction(() => Number(document.getElementById('notice')?.getBoundingClientRect().bottom) < innerHeight);
    assert.equal(await other.locator('#question').inputValue(), 'Why & how: #1, 100 %?');
    assert.equal(await other.locator('#strength').inputValue(), '5.5');
    assert.equal(await other.locator('#max-tokens').inputValue(), '7');
    assert.equal(await other.locator('#model').getAttribute('data-state'), 'idle');
    assert.deepEqual(models, []);
    await other.locator('#ask').click();
    await other.locator('#steered .stats', { hasText: '7 tokens' }).waitFor();
    assert.equal((await shown(other, 'steered')).text, answers[1].text);
    const [file] = await Promise.all([other.waitForEvent('download'), other.getByRole('button', { name: 'Save as JSON' }).click()]);
    const saved = JSON.parse(await readFile(await file.path(), 'utf8'));
    assert.equal(saved.model.label, 'SmolLM2 135M Instruct');
    assert.deepEqual([saved.maxTokens, saved.stopRepeating, saved.sampling.temperature], [7, true, 0]);
    assert.deepEqual(saved.answers.map((/** @type {any} */ { style, repetitionPenalty, offset }) => [style, repetitionPenalty, offset]), [[null, 1, '\n'], ['stepwise', 1.15, '\n']]);
    assert.equal(saved.answers[1].text, answers[1].text);
    // Another link in the same tab, and what is written when the tab is loaded again.
    await other.evaluate(() => { location.hash = 'q=Why%20do%20cats%20purr%3F&style=analogy&strength=3'; });
    await other.locator('#notice', { hasText: 'Analogy × 3' }).waitFor();
    assert.equal(await other.locator('#question').inputValue(), 'Why do cats purr?');
    await page.locator('#question').fill('Not asked yet');
    await page.reload();
    await page.locator('.preset').first().waitFor();
    assert.equal(await page.locator('#question').inputValue(), 'Not asked yet');
  } finally {
    await close();
  }
});

test('a link that makes no sense changes nothing', async () => {
  const { page, problems, close } = await open('#q=Hm%3F&style=nobody&strength=much&max-tokens=-3&temperature=9&seed=x&first-layer=2');
  try {
    await page.locator('#notice', { hasText: 'Think aloud × 4' }).waitFor();
    assert.equal(await page.locator('#max-tokens').inputValue(), '160');
    assert.equal(await page.locator('#temperature').inputValue(), '0');
    assert.equal(await page.locator('#seed').inputValue(), '0');
    assert.equal(await page.locator('#first-layer').inputValue(), '2');
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});
