/** The files that the Lab exports. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

/** @import { Page } from 'playwright-core' */

/** @typedef {'sweep' | 'evaluation'} LabPart */

/**
 * Exports what a part of the Lab has measured, and gives the path of the file.
 * @param {Page} page @param {LabPart} part @param {'JSON' | 'CSV' | 'PNG'} kind
 */
export async function exported(page, part, kind) {
  const button = page.locator(`#${part}-exports button`, { hasText: kind });
  const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
  return download.path();
}

/** Reads comma-separated values as RFC 4180 has them. @param {string} text */
export function parseCsv(text) {
  /** @type {string[][]} */
  const rows = [[]];
  for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows[rows.length - 1].push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
    if (end !== ',') rows.push([]);
  }
  return rows.slice(0, -1);
}

/**
 * The exported PNG is twice as large as the chart with its margin, on the page's paper, and shows these of
 * the page's colours, in both themes.
 * @param {Page} page @param {LabPart} part @param {string[]} colours
 */
export async function checkPicture(page, part, colours) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    await page.emulateMedia({ colorScheme });
    const png = await readFile(await exported(page, part, 'PNG'));
    const drawn = await page.locator(`#${part}-chart svg`).evaluate((svg) => [svg.clientWidth, svg.clientHeight]);
    const { size, shares } = await look(page, png, ['paper', ...colours]);
    assert.deepEqual(size, drawn.map((pixels) => 2 * (pixels + 32)));
    assert.ok(shares[0] > 0.5 && shares[0] < 0.98, `${shares[0]} of it is paper`);
    shares.forEach((share, i) => assert.ok(share > 1e-5, `${i ? colours[i - 1] : 'paper'} in ${part}, ${colorScheme}: ${share}`));
  }
}

/**
 * The size of a picture, and how much of it has just these colours.
 * @param {Page} page @param {Buffer} png @param {string[]} colours names of the page's variables
 * @returns {Promise<{ size: number[], shares: number[] }>}
 */
const look = (page, png, colours) => page.evaluate(async ([base64, ...names]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${base64}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const size = [image.naturalWidth, image.naturalHeight];
  [canvas.width, canvas.height] = size;
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  const shares = names.map((name) => {
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
    context.fillRect(0, 0, 1, 1);
    const [wanted] = new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer);
    return pixels.filter((pixel) => pixel === wanted).length / pixels.length;
  });
  return { size, shares };
}, [png.toString('base64'), ...colours]);
