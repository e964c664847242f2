/** "Benchmark this device", without any model and on both backends. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from './steps.mjs';

/** @import { Page } from 'playwright-core' */

/** What is promised, and the engine's start on a machine that does other things as well. */
const PATIENCE_MS = 15_000;

/** @param {Page} page */
const button = (page) => page.locator('#benchmark-button');

/** @param {Page} page */
async function run(page) {
  const start = Date.now();
  await button(page).click();
  await page.locator('#benchmark[data-state="running"]').waitFor();
  assert.equal(await button(page).innerText(), 'Stop');
  await page.locator('#benchmark-table').waitFor();
  assert.ok(Date.now() - start < PATIENCE_MS, `it took ${Date.now() - start} ms`);
  const rows = await page.locator('#benchmark-table tr').allInnerTexts();
  return rows.map((row) => row.split('\t'));
}

/** @param {string[][]} rows @param {string} name */
function figure(rows, name) {
  const row = rows.find(([what]) => what === name);
  assert.ok(row, `${name} in ${JSON.stringify(rows)}`);
  const value = parseFloat(row[1].replaceAll(',', ''));
  assert.ok(value > 0, row.join(' '));
  return value;
}

test('a visitor sees how fast the processor is, and can copy it', async () => {
  const session = await open('?backend=cpu');
  const { page, context, problems } = session;
  try {
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const rows = await run(page);
    assert.ok(figure(rows, 'Reading a prompt') > 1);
    assert.ok(figure(rows, 'Writing one answer') > 1);
    figure(rows, 'Writing two at once');
    figure(rows, 'The steering write');
    assert.deepEqual(rows.at(-1)?.slice(0, 2), ['Runs on', 'CPU']);
    assert.match(await page.locator('#benchmark-table caption').innerText(), /SmolLM2-135M, Q4_1 .* in \d/);
    assert.match(await page.locator('#benchmark-status').innerText(), /^Done\. This device writes [\d.]+ tokens per second\.$/);

    const fetched = await page.evaluate(() => performance.getEntriesByType('resource').map((entry) => entry.name));
    assert.deepEqual(fetched.filter((name) => /gguf|safetensors/.test(name)), []);

    await page.locator('#benchmark-copy').click();
    await page.getByText('on the clipboard').waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^smollm2-135m, q4_1, made-up weights\nCPU backend/);
    assert.match(copied, /decode at 128, 2 lanes +[\d.]+ tokens\/s/);

    for (const width of [360, 1280]) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        const room = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(room[0] <= room[1], `at ${width} px, the page is ${room[0]} wide`);
        await session.screenshot(`benchmark-${width}-${colorScheme}`);
      }
    }
    assert.deepEqual(problems, []);
  } finally {
    await session.close();
  }
});

test('on WebGPU it keeps to its time, and what does not fit is not shown', async () => {
  const { page, problems, close } = await open('?backend=gpu');
  try {
    const rows = await run(page);
    figure(rows, 'Writing one answer');
    assert.deepEqual(rows.at(-1)?.slice(0, 2), ['Runs on', 'GPU']);
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});

test('it stops at once, by keyboard too, and can be run again', async () => {
  const { page, problems, close } = await open('?backend=cpu');
  try {
    await button(page).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Measuring:').waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('The benchmark was stopped.').waitFor();
    assert.equal(await button(page).innerText(), 'Run the benchmark');
    assert.ok(await button(page).evaluate((element) => element === document.activeElement));
    assert.ok(await page.locator('#benchmark-table').isHidden());
    await run(page);
    assert.equal(await button(page).innerText(), 'Run it again');
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});
