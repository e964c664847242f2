/** Shares beside each other: a row for each case, a panel for each share, with its 95 % interval as a bar. */

import { fitting, node, picture, scale } from './svg.js';

/** Pixels. */
const TOP = 26;
const ROW = 40;
const BOTTOM = 20;
const INSET = 12;
const GAP = 16;

/**
 * One case.
 * @typedef {object} Case
 * @property {string} label
 * @property {'plain' | 'steered' | 'other'} tone
 * @property {({ count: number, of: number, interval: [number, number] } | undefined)[]} shares one for each panel
 */

/**
 * @param {string} label for people who do not see it
 * @param {string[]} titles of the panels
 * @param {Case[]} cases
 * @param {number} width in CSS pixels
 */
export function drawIntervals(label, titles, cases, width) {
  const room = (width - GAP * (titles.length - 1)) / titles.length;
  const bottom = TOP + ROW * cases.length;
  const drawn = titles.flatMap((title, i) => {
    const start = i * (room + GAP);
    const x = scale([0, 1], [start + INSET, start + room - INSET]);
    return [
      node('text', { x: x(0.5), y: 12, class: 'title middle' }, `${title}, %`),
      ...[0, 0.5, 1].flatMap((share) => [
        node('line', { x1: x(share), x2: x(share), y1: TOP - 6, y2: bottom, class: 'grid' }),
        node('text', { x: x(share), y: bottom + 14, class: 'tick middle' }, String(100 * share)),
      ]),
      ...cases.flatMap(({ tone, shares }, row) => {
        const rate = shares[i];
        if (!rate) return [];
        const { count, of, interval: [low, high] } = rate;
        const y = TOP + ROW * row + 28;
        return [node('g', { class: `point ${tone}` },
          node('line', { x1: x(low), x2: x(high), y1: y, y2: y, class: 'interval' }),
          node('circle', { cx: x(count / of), cy: y, r: 4.5 }),
        )];
      }),
    ];
  });
  // Above all lines.
  const labels = cases.map(({ label: text }, row) =>
    node('text', { x: 0, y: TOP + ROW * row + 14, class: 'label' }, fitting(text, width)));
  return picture(label, width, bottom + BOTTOM, ...drawn, ...labels);
}
