/** The page of README.md, which shows how to embed the engine. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { launch } from './harness.mjs';

test('the example of the README answers, plain and steered', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const [, body] = /^```html\n(.*?)^```/ms.exec(readme) ?? [];
  assert.ok(body);
  // Chromium takes a page that a test has made for one from the open internet, which may not ask this machine.
  const { page, problems, url, close } = await launch({ args: ['--disable-features=LocalNetworkAccessChecks'] });
  try {
    await page.route('**/embed.html', (route) => route.fulfill({ contentType: 'text/html', body: `<!doctype html><meta charset="utf-8"><link rel="icon" href="icon.svg">${body}` }));
    await page.goto(`${url}embed.html`);
    await page.waitForFunction(() => ['plain', 'steered'].every((id) => (document.getElementById(id)?.textContent?.length ?? 0) > 200));
    assert.match(await page.locator('#steered').innerText(), /^let['’]s/i);
    assert.doesNotMatch(await page.locator('#plain').innerText(), /^let['’]s/i);
    assert.deepEqual(problems, []);
  } finally {
    await close();
  }
});
