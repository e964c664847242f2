/** axe, which finds what keeps people from using a page. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** @import { Page } from 'playwright-core' */

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** It finds nothing, in both themes. @param {Page} page @param {string} view for people */
export async function check(page, view) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(axe);
    /** @type {{ id: string, help: string, nodes: { html: string, failureSummary: string }[] }[]} */
    const violations = await page.evaluate(async () => (await /** @type {any} */ (window).axe.run()).violations);
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`);
    assert.deepEqual(found, [], `${view}, ${colorScheme}`);
  }
}
