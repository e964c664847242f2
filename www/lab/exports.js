/** What came of a measurement, as files: all of it as JSON, its figures as CSV, its picture as PNG. */

import { json } from '../format.js';
import { download, element } from '../ui/dom.js';
import { standalone } from './svg.js';
import { texts } from './texts.js';

/** @import { EvaluateResult } from '../pkg/cache_steering.js' */

/** @typedef {EvaluateResult['rows'][number]} Row */
/** @typedef {string | number | undefined} Cell */

/**
 * @typedef {object} Measured
 * @property {unknown} all that is known of it
 * @property {Cell[][]} table with its head
 */

/** So many pixels for each of the page's. */
const SHARPNESS = 2;

/**
 * @param {string} name of the measurement, and of its files
 * @param {() => Measured} measured
 * @param {(error: unknown) => void} complain
 */
export function createExports(name, measured, complain) {
  const root = element(`${name}-exports`, HTMLDivElement);
  const chart = element(`${name}-chart`, HTMLDivElement);

  /** @type {Record<string, () => Blob | Promise<Blob>>} */
  const formats = {
    json: () => new Blob([json(measured().all)], { type: 'application/json' }),
    csv: () => new Blob([asCsv(measured().table)], { type: 'text/csv' }),
    png: () => asPng(/** @type {SVGElement} */ (chart.querySelector('svg'))),
  };
  root.replaceChildren(...Object.entries(formats).map(([format, make]) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'button quiet';
    button.textContent = texts.exports(format.toUpperCase());
    button.addEventListener('click', async () => {
      try {
        download(await make(), `${name}.${format}`);
      } catch (error) {
        complain(error);
      }
    });
    return button;
  }));

  return {
    /** @param {boolean} whether there is something to export */
    offer(whether) {
      root.hidden = !whether;
    },
  };
}

/** The figures of a row, by the names of their columns. @param {Row} row @returns {Record<string, Cell>} */
export function figures(row) {
  const { condition, style, choices, marked, loops, ended, right, tokens, ms_per_token: pace } = row;
  const shares = Object.entries({ in_style: marked, loops, ended, right }).flatMap(([name, rate]) => [
    [name, rate?.count], [`${name}_of`, rate?.of], [`${name}_low`, rate?.interval[0]], [`${name}_high`, rate?.interval[1]],
  ]);
  const means = Object.entries({ tokens, ms_per_token: pace }).flatMap(([name, mean]) => [
    [name, mean?.mean], [`${name}_low`, mean?.interval[0]], [`${name}_high`, mean?.interval[1]],
  ]);
  return {
    condition,
    style,
    questions: choices === undefined ? 'all' : choices ? 'with choices' : 'without choices',
    answers: loops.of,
    ...Object.fromEntries([...shares, ...means]),
  };
}

/** A table with the names of its columns. @param {Record<string, Cell>[]} rows at least one, all with the same names */
export const asTable = (rows) => [Object.keys(rows[0]), ...rows.map((row) => Object.values(row))];

/** Comma-separated values as in RFC 4180. @param {Cell[][]} table */
const asCsv = (table) => table.map((row) => `${row.map(quoted).join(',')}\r\n`).join('');

/** @param {Cell} cell */
function quoted(cell = '') {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {SVGElement} drawn */
async function asPng(drawn) {
  const { text, width, height } = standalone(drawn, SHARPNESS);
  const image = new Image(width, height);
  image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  if (!context) throw new Error(texts.noPicture);
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw new Error(texts.noPicture);
  return blob;
}
