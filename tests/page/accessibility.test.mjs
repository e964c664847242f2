/** axe finds nothing to complain of, in each view of the page and in both themes. */

import { test } from 'node:test';
import { check } from './axe.mjs';
import { ask, modelReady, open, setLongestAnswer, settled } from './steps.mjs';

test('no view has a fault that axe finds', async () => {
  const { page, close } = await open('?backend=cpu');
  try {
    await check(page, 'at the start');
    await page.locator('#models summary').click();
    await page.locator('#advanced summary').click();
    await page.locator('#recording summary').click();
    await check(page, 'with everything open');
    await page.locator('#advanced summary').click();
    await setLongestAnswer(page, 12);
    await ask(page, 'Why is the sky blue?');
    await modelReady(page);
    await settled(page);
    await page.locator('#inside-button').click();
    await page.locator('#inside-result:not([hidden])').waitFor();
    await page.locator('.inside-numbers summary').click();
    await check(page, 'with answers, looked into');
    await page.setViewportSize({ width: 360, height: 740 });
    await check(page, 'on a phone');
    await page.goto(`${page.url()}#q=Hm`);
    await page.reload();
    await page.locator('#notice:not([hidden])').waitFor();
    await check(page, 'with a notice');
  } finally {
    await close();
  }
});
