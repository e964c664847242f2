/** Who comes with the keyboard keeps their place, where the page shows, hides and moves what had the focus. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, modelReady, notice, open, setLongestAnswer, settled } from './steps.mjs';

/** @import { Page } from 'playwright-core' */

/** What has the focus, as a reader would name it. @param {Page} page */
const focused = (page) => page.evaluate(() => {
  const active = document.activeElement;
  return active?.id || active?.getAttribute('aria-label') || active?.textContent || active?.tagName;
});

/** What the polite region has been told, and how often. @param {Page} page @param {string} id */
const listen = (page, id) => page.evaluate((id) => {
  /** @type {string[]} */
  const told = (/** @type {any} */ (window).told = []);
  const region = /** @type {HTMLElement} */ (document.getElementById(id));
  new MutationObserver(() => { if (region.ariaLive !== 'off') told.push(region.textContent ?? ''); }).observe(region, { childList: true });
}, id);

/** @param {Page} page @returns {Promise<string[]>} */
const told = (page) => page.evaluate(() => /** @type {any} */ (window).told);

describe('with the keyboard', () => {
  /** @type {Awaited<ReturnType<typeof open>>} */
  let session;
  before(async () => {
    session = await open('?backend=cpu');
    await session.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await setLongestAnswer(session.page, 16);
  });
  after(() => session?.close());

  test('a notice that is not on the screen comes to who waits for it, and gives the place back', async () => {
    const { page } = session;
    await page.locator('#workshop-make').press('Enter');
    assert.match(await notice(page), /That takes the model/);
    assert.equal(await focused(page), 'notice-button');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'workshop-make');
    await page.locator('#workshop-status').getByText('Picture it is ready').waitFor();
    await settled(page);
    await page.waitForFunction(() => {
      const { top, bottom } = /** @type {HTMLElement} */ (document.activeElement).getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
  });

  test('what hides, goes or is replaced leaves the focus near by', async () => {
    const { page } = session;
    await page.getByRole('button', { name: 'Delete: Picture it' }).press('Enter');
    assert.equal(await focused(page), 'workshop-undo');
    await page.keyboard.press('Enter');
    await page.locator('#workshop-status').getByText('Picture it is here again').waitFor();
    assert.equal(await focused(page), 'workshop-make');
    await page.getByRole('button', { name: 'Remove example 2' }).press('Enter');
    assert.equal(await focused(page), 'workshop-add', 'three have to stay');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.closest('li') === document.querySelector('#workshop-examples li:last-child')), true);
    await page.getByRole('button', { name: 'Remove example 4' }).press('Enter');
    await settled(page);

    await ask(page, 'Why is the sky blue?');
    await settled(page);
    await listen(page, 'status');
    await page.locator('#inside-button').press('Enter');
    await page.locator('#inside-result:not([hidden])').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement === document.querySelector('[name="inside-token"]:checked')), true);
    assert.match((await told(page)).join(), /What is inside is here/);

    await page.locator('#steered .pane-copy').press('Enter');
    await page.waitForFunction(() => /** @type {any} */ (window).told.includes('Copied'));
    await listen(page, 'share-status');
    await page.locator('#share-text').press('Enter');
    await page.locator('#share-status', { hasText: 'on the clipboard' }).waitFor();
    assert.equal((await told(page)).length, 1, 'the conversation is not read out');

    await page.getByLabel('Eight strengths').check();
    await settled(page);
    assert.match(await page.locator('#inside-hint').innerText(), /press “Use this”/);
    await page.getByRole('button', { name: 'Use this: Strength 4', exact: true }).press('Enter');
    assert.equal(await focused(page), 'Steered answer');
    await settled(page);
  });

  test('the answers are on the screen with the slider that steers them', async () => {
    const { page } = session;
    await page.locator('#question').focus();
    for (let i = 0; i < 30 && (await focused(page)) !== 'strength'; i++) await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'strength');
    await page.waitForFunction(() => {
      const pane = document.querySelector('#steered .transcript')?.getBoundingClientRect();
      const slider = document.querySelector('#strength')?.getBoundingClientRect();
      return pane && slider && pane.bottom >= 150 && slider.bottom <= innerHeight;
    });
  });

  test('a strength is looked for beside the slider: its numbers are not read out, and Escape ends it', async () => {
    const { page } = session;
    const find = page.locator('#strength-find');
    await listen(page, 'workshop-status');
    await find.press('Enter');
    await find.getByText(/^Stop: \d+ of \d+ tried$/).waitFor();
    assert.equal(await focused(page), 'strength-find');
    assert.ok((await told(page)).every((words) => !/\d of \d/.test(words)));
    await page.keyboard.press('Escape');
    await page.locator('#strength-status', { hasText: 'Stopped.' }).waitFor();
    assert.equal(await find.innerText(), 'Find this style’s lowest strength');
  });

  test('what is written stays until it is asked', async () => {
    const { page } = session;
    const question = page.locator('#question');
    await settled(page);
    await question.fill('And why is it round?');
    await page.locator('#follow-up').check();
    assert.equal(await question.inputValue(), 'And why is it round?');
    const find = page.locator('#strength-find');
    await find.press('Enter');
    await find.getByText(/^Stop: \d+ of/).waitFor();
    await question.press('Enter');
    assert.match(await notice(page), /The model is at work/);
    assert.equal(await question.inputValue(), 'And why is it round?');
    await page.keyboard.press('Escape');
    await page.locator('#strength-status', { hasText: 'Stopped.' }).waitFor();
    await settled(page);
    await question.press('Enter');
    await page.locator('#asked-question', { hasText: 'And why is it round?' }).waitFor();
    assert.equal(await question.inputValue(), '');
    await settled(page);
    assert.deepEqual(session.problems, []);
  });
});

test('a stop before the model is there says where the question is', async () => {
  const { page, context, close } = await open('?backend=cpu');
  try {
    await context.route('**/*.gguf', () => {});
    await page.locator('#question').fill('Why is the sky blue?');
    await page.locator('#question').press('Enter');
    await page.locator('#composer[data-state="busy"]').waitFor();
    await page.keyboard.press('Escape');
    await settled(page);
    assert.match(await page.locator('#steered .answer').innerText(), /still in its box/);
    assert.equal(await page.locator('#question').inputValue(), 'Why is the sky blue?');
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await context.unrouteAll({ behavior: 'ignoreErrors' });
    await page.getByRole('button', { name: /^(Cancel|Pause)$/ }).click();
    await page.locator('#model-button').press('Enter');
    await modelReady(page);
    assert.equal(await focused(page), 'model-headline');
  } finally {
    await close();
  }
});
