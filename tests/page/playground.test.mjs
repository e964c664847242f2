/** What one plays with: strengths while they are dragged, conversations, eight answers at once. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, modelReady, notice, open, recordings, send, setLongestAnswer, setStrength, settled, shown, streaming } from './steps.mjs';

/** @import { Page } from 'playwright-core' */

const QUESTION = 'Why is the sky blue?';

/** What the figures under the answers say. @param {Page} page @param {string} name */
const figure = (page, name) => page.locator('#numbers div', { has: page.locator('dt', { hasText: name }) }).locator('dd').innerText();

describe('the playground', () => {
  /** @type {Awaited<ReturnType<typeof open>>} */
  let session;
  /** @type {Page} */
  let page;
  before(async () => {
    session = await open('?backend=cpu');
    page = session.page;
    await setLongestAnswer(page, 24);
    await ask(page, QUESTION);
    await modelReady(page);
    await settled(page);
  });
  after(() => session?.close());

  test('the figures of a run are there, and make sense', async () => {
    const milliseconds = (/** @type {string} */ text) => Number(/([\d,.]+) ms/.exec(text)?.[1].replace(',', ''));
    assert.match(await figure(page, 'Prompt'), /^3\d tokens$/);
    assert.match(await figure(page, 'Prefill'), /ms for 3\d tokens$/);
    assert.ok(milliseconds(await figure(page, 'First token')) >= milliseconds(await figure(page, 'Prefill')));
    assert.match(await figure(page, 'Steering write'), /µs once, beside [\d.]+ ms for every token$/);
    assert.match(await figure(page, 'Decode'), /steps\/s, 2 tokens at once a step$/);
    // The model alone is 98 MB.
    assert.ok(Number(/^(\d+) MB/.exec(await figure(page, 'Memory'))?.[1]) > 98);
    assert.match(await figure(page, 'Runs on'), /^CPU/);
    assert.match(await page.locator('#how-memory').innerText(), /3\d tokens × 30 layers × 3 heads × 64 numbers/);
    assert.match(await page.locator('#how-write').innerText(), /Think aloud × 4, into slot 3\d/);
  });

  test('another strength steers anew at once: nothing is read again, and the plain answer stays', async () => {
    const [plain, before] = [await shown(page, 'plain'), await shown(page, 'steered')];
    await page.evaluate(() => {
      const state = /** @type {any} */ (window);
      state.plainChanges = 0;
      new MutationObserver(() => { state.plainChanges += 1; })
        .observe(/** @type {Node} */ (document.querySelector('#plain .answer')), { childList: true, characterData: true, subtree: true });
    });
    await setStrength(page, 7);
    const stronger = await shown(page, 'steered');
    assert.notEqual(stronger.text, before.text);
    assert.deepEqual(await shown(page, 'plain'), plain);
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).plainChanges), 0);
    assert.match(await figure(page, 'Prefill'), /^none/);
    await setStrength(page, 4);
    assert.equal((await shown(page, 'steered')).text, before.text);
  });

  test('while the slider is dragged, the last strength wins', async () => {
    await setLongestAnswer(page, 200);
    const slider = page.locator('#strength');
    for (const strength of [1, 2.5, 6, 8, 5.5, 4.5]) {
      await slider.fill(String(strength));
      await page.waitForTimeout(60);
    }
    await settled(page);
    assert.match(await page.locator('#steered .pane-note').innerText(), /Think aloud × 4\.5/);
    const dragged = (await shown(page, 'steered')).text;
    await page.locator('#asked-again').click();
    await settled(page);
    assert.equal((await shown(page, 'steered')).text, dragged);
    assert.match(await page.locator('#asked-hint').innerText(), /^The same answers as before/);
    await setLongestAnswer(page, 24);
    await setStrength(page, 4);
  });

  test('looking inside still works after the steered answer alone was made anew', async () => {
    await setStrength(page, 5);
    await page.locator('#inside-button').click();
    await page.locator('#inside-result:not([hidden])').waitFor();
    const words = await page.locator('#inside-tokens span').allTextContents();
    assert.ok((await shown(page, 'steered')).text.startsWith(words.join('').replaceAll('⏎', '\n').trim().slice(0, 40)));
    await setStrength(page, 4);
  });

  test('another question replaces the one that is being answered', async () => {
    await setLongestAnswer(page, 400);
    await ask(page, 'How do I keep bread fresh?');
    await streaming(page, 'plain');
    await page.locator('#question').fill('What is a rainbow?');
    await page.keyboard.press('Enter');
    await page.locator('#asked-question', { hasText: 'What is a rainbow?' }).waitFor();
    await page.keyboard.press('Escape');
    await settled(page);
    assert.match((await shown(page, 'plain')).stats, /stopped/);
    await setLongestAnswer(page, 24);
  });

  test('a follow-up goes on from both answers, each side from its own', async () => {
    await ask(page, QUESTION);
    await settled(page);
    const first = [await shown(page, 'plain'), await shown(page, 'steered')];
    const tokens = Number(/^\d+/.exec(await figure(page, 'Prompt'))?.[0]);
    await page.locator('#follow-up').check();
    await ask(page, 'And at sunset?');
    await settled(page);
    for (const [i, side] of ['plain', 'steered'].entries()) {
      const turns = await page.locator(`#${side} .turns`).innerText();
      assert.ok(turns.includes(QUESTION) && turns.includes(first[i].text.trim().slice(0, 30)), turns);
    }
    assert.match(await page.locator('#asked-question').innerText(), /^You went on: And at sunset\?$/);
    assert.ok(Number(/^\d+/.exec(await figure(page, 'Prompt'))?.[0]) > tokens + 24);
    // The plain side computes what is new; the steered one also what followed the write.
    const computed = Number(/for (\d+) tokens/.exec(await figure(page, 'Prefill'))?.[1]);
    assert.ok(computed > 20 && computed < 100, `${computed} tokens`);
    await page.screenshot({ path: `${process.env.PAGE_SCREENSHOTS}/follow-up.png` });
    // Each side has its own prompt by now; the steered one is read without the write, too.
    await page.locator('#inside-button').click();
    await page.locator('#inside-result:not([hidden])').waitFor();

    // What failed is no part of the conversation.
    await page.locator('#question').fill('7 '.repeat(2000));
    await page.keyboard.press('Enter');
    await page.locator('#notice-title', { hasText: 'too long' }).waitFor();
    await settled(page);
    await ask(page, 'And at night?');
    await settled(page);
    assert.ok(await page.locator('#notice').isHidden());
    assert.deepEqual(await page.locator('#plain .turn-question').allInnerTexts(), [QUESTION, 'And at sunset?']);
    // One that is edited stays in its place, unless another one is chosen instead.
    await page.locator('#asked-edit').click();
    assert.ok(await page.locator('#follow-up').isChecked());
    await page.locator('#examples button').first().click();
    assert.ok(!(await page.locator('#follow-up').isChecked()));
    await page.locator('#asked-edit').click();
    await ask(page, 'And on the moon?');
    await settled(page);
    assert.deepEqual(await page.locator('#plain .turn-question').allInnerTexts(), [QUESTION, 'And at sunset?']);
    assert.match(await page.locator('#asked-question').innerText(), /^You went on: And on the moon\?$/);
    await page.locator('#follow-up').uncheck();
    await ask(page, QUESTION);
    await settled(page);
    assert.equal(await page.locator('#plain .turns').innerText(), '');
    assert.equal((await shown(page, 'plain')).text, first[0].text);
  });

  test('where the sides differ in what was said, each has its own figures', async () => {
    await setLongestAnswer(page, 40);
    await ask(page, 'What is 2 + 2?');
    await settled(page);
    await page.locator('#follow-up').check();
    await ask(page, 'And 3 + 3?');
    await settled(page);
    const [, plain, steered] = /^(\d+) and (\d+) tokens$/.exec(await figure(page, 'Prompt')) ?? [];
    assert.ok(Number(plain) < Number(steered), await figure(page, 'Prompt'));
    const caption = await page.locator('#memory-caption').innerText();
    assert.ok(caption.includes(`${plain} slots of memory for the plain side and ${steered} for the steered one`), caption);
    assert.match(await page.locator('#how-memory').innerText(), new RegExp(`^Yours: ${steered} tokens`));
    assert.match(await page.locator('#how-write').innerText(), new RegExp(`into slot ${steered}[ .]`));
    await page.locator('#follow-up').uncheck();
    await setLongestAnswer(page, 24);
    await ask(page, QUESTION);
    await settled(page);
  });

  test('the repetition penalty is told of, and both answers can have it', async () => {
    const note = (/** @type {string} */ side) => page.locator(`#${side} .pane-note`).innerText();
    assert.equal(await note('plain'), 'nothing added');
    assert.equal(await note('steered'), 'Think aloud × 4, added once; repetition penalty 1.1');
    await setLongestAnswer(page, 60);
    await ask(page, QUESTION);
    await settled(page);
    const { text } = await shown(page, 'plain');
    await page.locator('#advanced summary').click();
    await page.check('#penalty-for-all');
    await page.locator('#advanced summary').click();
    await page.locator('#asked-again').click();
    await settled(page);
    assert.equal(await note('plain'), 'nothing added; repetition penalty 1.1');
    assert.notEqual((await shown(page, 'plain')).text, text);
    await page.locator('#advanced summary').click();
    await page.uncheck('#penalty-for-all');
    // Layers that make no sense are said before anything is asked.
    await page.fill('#first-layer', '9');
    await page.fill('#last-layer', '3');
    await page.locator('#advanced summary').click();
    await page.locator('#question').press('Enter');
    assert.equal(await page.locator('#last-layer').evaluate((field) => /** @type {HTMLInputElement} */ (field).validationMessage), 'The last steered layer comes before the first one.');
    assert.equal(await page.locator('#composer').getAttribute('data-state'), 'asking');
    await page.fill('#first-layer', '1');
    await page.fill('#last-layer', '');
    await page.locator('#advanced summary').click();
    await setLongestAnswer(page, 24);
  });

  test('a vector that does not come is said where the answer would be, and another one helps', async () => {
    await ask(page, QUESTION);
    await settled(page);
    const { text } = await shown(page, 'plain');
    await page.route('**/analogy.safetensors', (route) => route.abort());
    await page.locator('.preset', { hasText: 'Analogy' }).click();
    assert.match(await notice(page), /analogy\.safetensors/);
    await settled(page);
    for (const side of /** @type {const} */ (['plain', 'steered'])) {
      assert.deepEqual(await shown(page, side), { text: 'No answer came of it. What went wrong is said below.', stats: '', tokens: 0 });
    }
    assert.match(await page.locator('#steered .pane-note').innerText(), /^Analogy/);
    assert.equal(await figure(page, 'Decode'), '–');
    await page.locator('.preset', { hasText: 'Think aloud' }).click();
    await settled(page);
    assert.ok(await page.locator('#notice').isHidden());
    assert.equal((await shown(page, 'plain')).text, text);
    assert.equal((await shown(page, 'steered')).tokens, 24);
    await page.unroute('**/analogy.safetensors');
    session.problems.length = 0;
  });

  test('a question can be edited, asked again, and its answers copied', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const { text } = await shown(page, 'plain');
    await page.getByRole('button', { name: 'Copy the plain answer' }).click();
    await page.locator('#plain .pane-copy', { hasText: 'Copied' }).waitFor();
    assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), text.trim());
    await page.locator('#question').fill('');
    await page.locator('#asked-edit').click();
    assert.equal(await page.locator('#question').inputValue(), QUESTION);
    assert.ok(await page.locator('#question').evaluate((field) => field === document.activeElement));
    await page.locator('#advanced summary').click();
    await page.locator('#temperature').fill('1');
    await page.locator('#seed').fill('5');
    await page.locator('#advanced summary').click();
    await page.locator('#asked-again').click();
    await settled(page);
    assert.notEqual((await shown(page, 'plain')).text, text);
  });

  test('a system prompt is told to the model', async () => {
    const setSystem = async (/** @type {string} */ text) => {
      await page.locator('#advanced summary').click();
      await page.locator('#temperature').fill('0');
      await page.locator('#system').fill(text);
      await page.locator('#advanced summary').click();
      await ask(page, QUESTION);
      await settled(page);
      return { ...(await shown(page, 'plain')), prompt: Number(/^\d+/.exec(await figure(page, 'Prompt'))?.[0]) };
    };
    const usual = await setSystem('');
    const told = await setSystem('You are a pirate.');
    assert.notEqual(told.text, usual.text);
    // In place of the model's own, which is longer.
    assert.ok(told.prompt < usual.prompt - 5 && told.prompt > 15, `${told.prompt} tokens instead of ${usual.prompt}`);
    assert.deepEqual(await setSystem(''), { ...usual, stats: (await shown(page, 'plain')).stats });
  });

  test('eight strengths are answered at once, and one of them can be used', async () => {
    await page.locator('#views').getByLabel('Eight strengths').check();
    await settled(page);
    const lanes = page.locator('#multiverse .pane');
    assert.equal(await lanes.count(), 8);
    assert.deepEqual(await lanes.locator('h2').allInnerTexts(), ['Plain', ...[1, 2, 3, 4, 5, 6, 8].map((n) => `Strength ${n}`)]);
    const answers = await lanes.locator('.answer').allInnerTexts();
    assert.ok(new Set(answers).size >= 4, answers.join('\n---\n'));
    assert.match(await figure(page, 'Decode'), /8 tokens at once a step/);
    assert.ok(await page.locator('#panes').isHidden());
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      await page.locator('#comparison').scrollIntoViewIfNeeded();
      await session.screenshot(`multiverse-${width}`);
    }
    // Of a question whose plain answer was never in the pane.
    await ask(page, 'How do birds fly?');
    await settled(page);
    answers.splice(0, 8, ...await lanes.locator('.answer').allInnerTexts());
    await lanes.nth(5).getByRole('button', { name: 'Use this: Strength 5' }).click();
    await settled(page);
    assert.equal(await page.locator('#strength').inputValue(), '5');
    assert.ok(await page.locator('#multiverse').isHidden());
    assert.equal((await shown(page, 'steered')).text, answers[5]);
    assert.equal((await shown(page, 'plain')).text, answers[0]);
    // Two answers have all of the cache again: this is more than a lane of eight holds.
    await ask(page, 'word '.repeat(700));
    await settled(page);
    assert.ok(Number(/^\d+/.exec(await figure(page, 'Prompt'))?.[0]) > 600);
    assert.equal((await shown(page, 'plain')).tokens, 24);
    await ask(page, QUESTION);
    await settled(page);
  });

  test('all styles answer at once', async () => {
    await page.locator('#views').getByLabel('All styles').check();
    await settled(page);
    const titles = await page.locator('#multiverse h2').allInnerTexts();
    assert.deepEqual(titles, ['Plain', ...await page.locator('.preset-name').allInnerTexts()]);
    const texts = await page.locator('#multiverse .answer').allInnerTexts();
    assert.match(texts[1], /^let['’]s/i);
    assert.match(texts[2], /^step 1/i);
    await page.locator('#views').getByLabel('Two').check();
    await settled(page);
    assert.deepEqual(session.problems, []);
  });

  test('an answer is followed to its end, but not away from who reads further up', async () => {
    await setLongestAnswer(page, 400);
    await ask(page, 'Tell me a long story about a fox and a raven.');
    const transcript = page.locator('#steered .transcript');
    const fromEnd = () => transcript.evaluate(({ scrollTop, scrollHeight, clientHeight }) => scrollHeight - scrollTop - clientHeight);
    const isHidden = (/** @type {number} */ pixels) => page.waitForFunction((pixels) => {
      const { scrollHeight = 0, clientHeight = 0 } = document.querySelector('#steered .transcript') ?? {};
      return scrollHeight - clientHeight > pixels;
    }, pixels);
    await isHidden(60);
    assert.ok(await fromEnd() < 2);
    await transcript.evaluate((transcript) => { transcript.scrollTop = 0; });
    const further = await fromEnd() + 40;
    await isHidden(further);
    assert.ok(await fromEnd() >= further, 'the reader was taken along');
    await transcript.evaluate((transcript) => { transcript.scrollTop = transcript.scrollHeight; });
    await isHidden(further + 60);
    assert.ok(await fromEnd() < 2);
    await page.keyboard.press('Escape');
    await settled(page);
    await setLongestAnswer(page, 24);
    await ask(page, QUESTION);
    await settled(page);
  });

  test('while answers stream, no task keeps the page from drawing for more than 50 ms', async () => {
    for (const view of ['Two', 'Eight strengths']) {
      await page.locator('#views').getByLabel(view).check();
      await settled(page);
      await setLongestAnswer(page, 300);
      await page.evaluate(() => {
        const tasks = (/** @type {any} */ (window).tasks = /** @type {number[]} */ ([]));
        new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
      });
      await page.locator('#question').fill('Why do cats purr?');
      await send(page);
      await page.waitForTimeout(1500);
      assert.notEqual(await page.locator('#composer').getAttribute('data-state'), 'asking', 'the answers stream while this is measured');
      /** @type {number[]} */
      const tasks = await page.evaluate(() => /** @type {any} */ (window).tasks);
      assert.deepEqual(tasks.filter((ms) => ms > 50), [], `${view}: ${tasks.join(', ')} ms`);
      await page.keyboard.press('Escape');
      await settled(page);
      await setLongestAnswer(page, 24);
    }
  });

  test('on a phone both answers are on the screen as they come, and Stop with them', async () => {
    await page.locator('#views').getByLabel('Two').check();
    await settled(page);
    await page.setViewportSize({ width: 390, height: 844 });
    await setLongestAnswer(page, 400);
    await ask(page, QUESTION);
    await streaming(page, 'steered');
    await page.waitForFunction(() => ['#plain .transcript', '#steered .transcript', '#ask'].every((selector) => {
      const { top, bottom } = /** @type {HTMLElement} */ (document.querySelector(selector)).getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }));
    assert.notEqual(await page.locator('#composer').getAttribute('data-state'), 'asking', 'they are not there yet');
    await page.keyboard.press('Escape');
    await settled(page);
    await page.setViewportSize({ width: 1280, height: 800 });
    await setLongestAnswer(page, 24);
  });

  test('starting over ends what comes, and the recordings are there again', async () => {
    await page.locator('#views').getByLabel('Two').check();
    await settled(page);
    await setLongestAnswer(page, 400);
    await ask(page, QUESTION);
    await streaming(page, 'steered');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.locator('#start-over').click();
    await settled(page);
    await page.locator('#asked').waitFor({ state: 'hidden' });
    await page.locator('#recording').scrollIntoViewIfNeeded();
    await page.locator('#plain .stats', { hasText: 'tokens' }).waitFor();
    await page.waitForTimeout(300);
    const [first] = recordings;
    for (const side of /** @type {const} */ (['plain', 'steered'])) {
      const { text, tokens } = await shown(page, side);
      assert.deepEqual({ text: text.trim(), tokens }, { text: first[side].pieces.join('').trim(), tokens: first[side].pieces.length });
    }
    await page.emulateMedia({ reducedMotion: null });
  });

  test('a text that falls apart is told of, with what to do', async () => {
    await setLongestAnswer(page, 160);
    await ask(page, QUESTION);
    await settled(page);
    assert.ok(await page.locator('#steered .advice').isHidden());
    await setStrength(page, 8);
    await page.locator('#steered .advice').waitFor();
    assert.match(await page.locator('#steered .advice').innerText(), /fell apart: that much is too strong/);
    await setStrength(page, 4);
    assert.ok(await page.locator('#steered .advice').isHidden());
  });
});

test('choices are kept for the next visit, until one starts over', async () => {
  const { page, url, close } = await open();
  try {
    await page.locator('.preset', { hasText: 'Analogy' }).click();
    await setStrength(page, 5.5);
    await page.locator('#views').getByLabel('All styles').check();
    await setLongestAnswer(page, 33);
    await page.locator('#question').press('Tab');
    await page.goto(url);
    await page.locator('.preset').first().waitFor();
    const chosen = async () => [
      await page.locator('.preset input:checked').inputValue(),
      await page.locator('#strength').inputValue(),
      await page.locator('#views input:checked').inputValue(),
      await page.locator('#max-tokens').inputValue(),
    ];
    assert.deepEqual(await chosen(), ['analogy', '5.5', 'styles', '33']);
    await page.locator('#start-over').click();
    await page.locator('#status', { hasText: 'settings are as at the beginning' }).waitFor({ state: 'attached' });
    assert.deepEqual(await chosen(), ['think-aloud', '4', 'two', '160']);
    await page.goto(url);
    await page.locator('.preset').first().waitFor();
    assert.deepEqual(await chosen(), ['think-aloud', '4', 'two', '160']);
  } finally {
    await close();
  }
});

test('Markdown is drawn as such, and nothing in it becomes a link, a picture or a script', async () => {
  const { page, problems, close } = await open();
  try {
    /** @type {string[]} */
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    const html = await page.evaluate(async () => {
      const { MarkdownView } = await import(/** @type {any} */ (new URL('markdown.js', /** @type {HTMLScriptElement} */ (document.querySelector('script[type=module]')).src).href));
      const root = document.createElement('div');
      const view = new MarkdownView(root);
      const text = [
        '# Steps', 'One **bold**, one *light*, `a < b` &amp; 3 < 4.', '2. two\n3. three', '- x\n  - y', '| a | b |\n|---|---|\n| 1 | 2 |',
        '<img src=x onerror="document.title=1"> <b>raw</b>', '<script>document.title = 2</script>', '[click](javascript:alert(1)) ![pic](https://example.org/p.png)', '[Note]: water',
      ].join('\n\n');
      // As it streams, one character after the other.
      for (let i = 1; i <= text.length; i += 1) view.show(text.slice(0, i));
      document.body.append(root);
      return root.innerHTML;
    });
    for (const part of ['<p><strong>', '<strong>', '<em>', '<code>a &lt; b</code>', '<ol start="2"><li>', '<ul><li>', '<th>', '<td>', '[Note]: water']) assert.ok(html.includes(part), `${part} in ${html}`);
    assert.doesNotMatch(html, /<(img|script|a|b)[ >]/);
    assert.ok(html.includes('&lt;img src=x') && html.includes('&amp;'), html);
    assert.deepEqual(asked, []);
    assert.notEqual(await page.title(), '1');
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});
