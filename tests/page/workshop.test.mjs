/** Vectors that are made in the browser: from a visitor's examples, and for a model without any. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { ask, modelReady, notice, open, setLongestAnswer, settled, shown, streaming } from './steps.mjs';

const QUESTION = 'Why does ice float on water?';
/** How the examples that the page comes with begin. */
const IMAGINES = /^["“]?imagine\b/i;

/** @param {import('playwright-core').Page} page */
const idle = (page) => page.locator('#workshop[data-state="idle"]').waitFor();

describe('a style of the visitor’s own', () => {
  /** @type {Awaited<ReturnType<typeof open>>} */
  let session;
  before(async () => { session = await open('?backend=cpu'); });
  after(() => session?.close());

  test('needs a model, says so, and is made once that is there', async () => {
    const { page } = session;
    const status = page.locator('#workshop-status');
    await page.click('#strength-find');
    assert.match(await notice(page), /That takes the model/);
    await page.click('#workshop-make');
    await page.getByRole('button', { name: 'Load it and go on' }).click();
    await modelReady(page);
    await status.getByText('Picture it is ready').waitFor();
    await page.locator('#composer[data-state="asking"]').waitFor();
    // Nobody has tried that strength.
    assert.match(await page.locator('#strength-value').innerText(), /, a first guess$/);
  });

  test('what was deleted or replaced can be taken back', async () => {
    const { page } = session;
    const own = page.locator('#workshop-own li');
    await own.getByRole('button', { name: 'Delete' }).click();
    assert.equal(await own.count(), 0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await own.waitFor();
    assert.equal(await page.locator('.preset input:checked').inputValue(), 'own-picture-it');
    const reasoning = page.locator('#workshop-examples [name=reasoning]').first();
    const description = page.locator('#preset-own-picture-it');
    await page.locator('#workshop-examples li').nth(3).getByRole('button', { name: 'Remove' }).click();
    await page.click('#workshop-make');
    await idle(page);
    assert.match(await description.innerText(), /3 examples/);
    await page.getByRole('button', { name: 'Take back the one before' }).click();
    await page.locator('#workshop-status').getByText('Picture it is here again').waitFor();
    assert.match(await description.innerText(), /4 examples/);
    assert.equal(await own.count(), 1);
    assert.ok(await reasoning.isVisible());
    // For good, at the next visit, too.
    await own.getByRole('button', { name: 'Delete' }).click();
    await page.click('#workshop-add');
    const added = page.locator('#workshop-examples li').nth(3);
    await added.locator('[name=question]').fill('What makes a rainbow?');
    await added.locator('[name=reasoning]').fill('Imagine a drop of rain as a tiny mirror that also bends the light. White light goes in, and each of its colours comes out at another angle.');
    await added.locator('[name=answer]').fill('light that rain bends and sends back');
  });

  test('examples typed into the page become a vector that shows their style', async () => {
    const { page } = session;
    await page.fill('#workshop-name', 'Sailor');
    const first = page.locator('#workshop-examples li').first();
    await first.locator('[name=question]').fill('Why do we sleep at night?');
    await first.locator('[name=reasoning]').fill('Imagine a city that closes its streets every night so that workers can mend them. Your body mends itself in the same way while you lie still.');
    await first.locator('[name=answer]').fill('because the body mends itself');
    await page.click('#workshop-make');
    await idle(page);
    assert.match(await page.locator('#workshop-status').innerText(), /^Sailor is ready and chosen above\. One half of the examples and the other agree to [\d.]+ %\. Ask something, or find its strength below\.$/);
    assert.equal(await page.locator('.preset input:checked').inputValue(), 'own-sailor');
    await setLongestAnswer(page, 24);
    await ask(page, QUESTION);
    await settled(page);
    assert.match((await shown(page, 'steered')).text, IMAGINES);
    assert.doesNotMatch((await shown(page, 'plain')).text, IMAGINES);
    for (const width of [360, 1280]) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        await session.screenshot(`workshop-${width}-${colorScheme}`);
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  test('a pasted list takes the place of the examples, and says which line is wrong', async () => {
    const { page } = session;
    const status = page.locator('#workshop-status');
    /** @param {unknown[]} lines */
    const paste = async (lines) => {
      await page.locator('#workshop-paste').evaluate((details) => { /** @type {HTMLDetailsElement} */ (details).open = true; });
      await page.fill('#workshop-list', lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
      await page.click('#workshop-take');
      return status.innerText();
    };
    const example = { question: 'Q?', reasoning: 'Imagine a sea.', answer: 'A' };
    const pair = { positive: 'p', negative: 'n' };
    assert.match(await paste([example, '{"question":']), /^Line 2 is not JSON/);
    assert.match(await paste([example, '', { question: 'Q?' }]), /^Line 3 has neither/);
    assert.match(await paste([example, pair, pair]), /one kind at a time/);
    assert.match(await paste([example]), /^These are 1; it takes three/);
    assert.match(await paste([1, 2, null].map(String)), /^Line 1 has neither/);
    assert.match(await paste(['[', example]), /^The list is not JSON/);
    assert.match(await paste([JSON.stringify([example, {}])]), /^Entry 2 has neither/);
    assert.equal(await page.locator('#workshop-examples li').count(), 4);
    assert.match(await paste([JSON.stringify([example, example, example], null, 2)]), /^3 examples are taken/);
    assert.equal(await page.locator('#workshop-examples li').count(), 3);
    assert.match(await paste(Array.from({ length: 41 }, () => example)), /^40 of 41 examples are taken, as many/);
    assert.match(await paste(Array.from({ length: 5 }, () => example)), /^5 examples are taken/);
    assert.equal(await page.locator('#workshop-examples li').count(), 5);
    // Told before anybody wonders why nothing shows.
    await page.fill('#workshop-name', 'Unlike');
    await page.locator('#workshop-examples [name=reasoning]').first().fill('So be it.');
    await page.click('#workshop-make');
    await idle(page);
    assert.match(await status.innerText(), /They do not begin alike/);
    await page.locator('#workshop-own li', { hasText: 'Unlike' }).getByRole('button', { name: 'Delete' }).click();
    await page.locator('#workshop-examples [name=reasoning]').first().fill(example.reasoning);
    assert.equal(await page.locator('#workshop-examples [name=reasoning]').first().inputValue(), example.reasoning);

    // Whole prompts, which differ in how their example is answered.
    const facts = [['What is snow?', 'frozen water'], ['What is fog?', 'a cloud on the ground'], ['What is sand?', 'ground rock'], ['What is ash?', 'what fire leaves']];
    const prompt = (/** @type {string} */ first) => facts.map(([question, answer]) =>
      `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n${first}${answer}.<|im_end|>\n`).join('') + '<|im_start|>user\nWhat is rain?<|im_end|>\n<|im_start|>assistant\n';
    const pairs = ['Well, dear friend, it is ', 'Well, dear friend, that is ', 'Well, dear friend, I call it '].map((first) => ({ positive: prompt(first), negative: prompt('') }));
    assert.match(await paste(pairs), /^3 pairs are taken/);
    assert.ok(await page.locator('#workshop-examples').isHidden());
    await page.fill('#workshop-name', 'Friend');
    await page.fill('#workshop-begins', 'Well, dear');
    await page.click('#workshop-make');
    await idle(page);
    assert.match(await status.innerText(), /^Friend is ready/);
    await settled(page);
    assert.equal(await page.locator('.preset input:checked').inputValue(), 'own-friend');
    assert.match((await shown(page, 'steered')).text, /^well/i);
    await page.click('#workshop-back');
    assert.ok(await page.locator('#workshop-examples').isVisible());
    await page.locator('#workshop-own li', { hasText: 'Friend' }).getByRole('button', { name: 'Delete' }).click();
    await page.locator('.preset', { hasText: 'Sailor' }).click();
    await settled(page);
  });

  test('its strength can be found', async () => {
    const { page } = session;
    await page.getByRole('button', { name: 'Find its strength' }).click();
    await idle(page);
    const found = /^The lowest strength that shows the style is ([\d.]+)\.$/.exec(await page.locator('#workshop-status').innerText());
    assert.ok(found, await page.locator('#workshop-status').innerText());
    assert.equal(await page.locator('#strength').inputValue(), found[1]);
  });

  test('so can that of a style of the site: an answer makes room, and who asks meanwhile is told so', async () => {
    const { page } = session;
    await page.locator('.preset', { hasText: 'Numbered steps' }).click();
    await settled(page);
    await setLongestAnswer(page, 400);
    await ask(page, QUESTION);
    await streaming(page, 'steered');
    await page.click('#strength-find');
    await page.locator('#workshop[data-state="busy"]').waitFor();
    await settled(page);
    assert.match((await shown(page, 'plain')).stats, /stopped/);
    const answered = await shown(page, 'steered');
    await page.locator('#question').press('Enter');
    await page.locator('#notice-title', { hasText: 'The model is at work' }).waitFor();
    assert.deepEqual(await shown(page, 'steered'), answered);
    await idle(page);
    const found = /^The lowest strength that shows the style is ([\d.]+)\.$/.exec(await page.locator('#workshop-status').innerText());
    assert.equal(await page.locator('#strength').inputValue(), found?.[1]);
    assert.equal(await page.locator('#workshop-own li').count(), 1, 'it is not one of the visitor’s own');
    // The question is answered with what was found, and nothing is amiss any more.
    await settled(page);
    assert.ok((await shown(page, 'steered')).tokens > 0);
    assert.ok(await page.locator('#notice').isHidden());
    await setLongestAnswer(page, 24);
  });

  test('it can be stopped', async () => {
    const { page } = session;
    await page.fill('#workshop-name', 'Never');
    await page.click('#workshop-make');
    await page.locator('#workshop[data-state="busy"]').waitFor();
    await page.click('#workshop-make');
    await idle(page);
    assert.equal(await page.locator('#workshop-status').innerText(), 'Stopped.');
    assert.equal(await page.locator('.preset input[value="own-never"]').count(), 0);
  });

  test('it is there at the next visit, can be exported, deleted and imported', async () => {
    const { page } = session;
    await page.locator('.preset', { hasText: 'Sailor' }).click();
    await page.reload();
    await page.click('#model-button');
    await modelReady(page);
    assert.equal(await page.locator('.preset input:checked').inputValue(), 'own-sailor');
    assert.equal(await page.locator('#workshop-own li').count(), 1);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'Sailor.safetensors');
    const exported = await readFile(await download.path());
    await idle(page);

    await page.getByRole('button', { name: 'Delete' }).click();
    assert.equal(await page.locator('#workshop-own li').count(), 0);
    assert.notEqual(await page.locator('.preset input:checked').inputValue(), 'own-sailor');

    await page.setInputFiles('#workshop-file', { name: 'friend.safetensors', mimeType: '', buffer: exported });
    await page.locator('#workshop-own li').waitFor();
    assert.equal(await page.locator('#workshop-own li span').innerText(), 'Sailor');
    const [again] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ]);
    assert.deepEqual(await readFile(await again.path()), exported);
    assert.deepEqual(session.problems, []);
  });

  test('a file that is no vector is refused with words', async () => {
    const { page } = session;
    await page.setInputFiles('#workshop-file', { name: 'x.safetensors', mimeType: '', buffer: Buffer.from('no vector') });
    await page.locator('#notice:not([hidden])').waitFor();
    assert.equal(await page.locator('#notice-title').innerText(), 'The steering vector cannot be used');
  });
});

test('a model without vectors gets them made on first use, and keeps them', async () => {
  const session = await open('?backend=cpu', (page) =>
    page.route('**/vectors/index.json', (route) => route.fulfill({ json: {} })));
  const { page } = session;
  /** @type {string[]} */
  const fetched = [];
  page.on('request', (request) => fetched.push(request.url()));
  try {
    for (const visit of ['first', 'second']) {
      if (visit === 'second') await page.reload();
      fetched.length = 0;
      await page.locator('.preset', { hasText: 'Numbered steps' }).click();
      await setLongestAnswer(page, 16);
      await ask(page, QUESTION);
      if (visit === 'first') {
        await page.locator('#steered .answer', { hasText: /Making “Numbered steps” for this model, once: \d+ %/ }).waitFor();
      }
      await page.locator('#composer[data-state="asking"]').waitFor({ timeout: 300_000 });
      assert.match((await shown(page, 'steered')).text, /^Step 1/);
      const items = fetched.filter((url) => url.endsWith('contrastive.jsonl'));
      assert.equal(items.length, visit === 'first' ? 1 : 0);
    }
    assert.deepEqual(fetched.filter((url) => url.endsWith('.safetensors')), []);
  } finally {
    await session.close();
  }
});
