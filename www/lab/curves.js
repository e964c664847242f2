/** Figures over a number: a panel for each, with its line, its 95 % intervals as a band, and its points. */

import { node, picture, scale } from './svg.js';

/** Pixels. */
const PLOT = 92;
const TOP = 30;
const BOTTOM = 22;
const LEFT = 50;
const RIGHT = 14;
const GAP = 24;

/** Narrower, the panels stand below each other. */
const TWO_COLUMNS = 560;

/** Between labels of the axis. */
const LABEL_ROOM = 30;

/** A figure with its interval. @typedef {{ at: number, value: number, low: number, high: number }} Point */

/**
 * One figure.
 * @typedef {object} Panel
 * @property {string} title
 * @property {number} [most] where its axis ends; by its points where this is missing
 * @property {(value: number) => string} words for a value on its axis
 * @property {Point[]} points by rising `at`; those that are there so far
 */

/**
 * What is drawn.
 * @typedef {object} Curves
 * @property {string} label for people who do not see it
 * @property {number[]} at all that points are asked for, rising
 * @property {(at: number) => string} words for one of these
 * @property {number} mark one of these that is marked
 * @property {string} markWords what it is
 * @property {Panel[]} panels
 */

/**
 * @param {Curves} curves
 * @param {number} width in CSS pixels
 */
export function drawCurves(curves, width) {
  const { label, panels } = curves;
  const columns = width < TWO_COLUMNS ? 1 : 2;
  const size = { width: Math.floor((width - GAP * (columns - 1)) / columns), height: TOP + PLOT + BOTTOM };
  const rows = Math.ceil(panels.length / columns);
  const drawn = panels.map((panel, i) => {
    const x = (i % columns) * (size.width + GAP);
    const y = Math.floor(i / columns) * (size.height + GAP / 2);
    return node('g', { transform: `translate(${x} ${y})` }, ...drawPanel(curves, panel, size.width));
  });
  return picture(label, width, rows * size.height + (rows - 1) * (GAP / 2), ...drawn);
}

/** Shows which point is looked at, in a picture of curves. @param {Element} drawn @param {number | undefined} at */
export function lookAt(drawn, at) {
  for (const mark of drawn.querySelectorAll('[data-at]')) {
    mark.classList.toggle('looked-at', mark.getAttribute('data-at') === String(at));
  }
}

/** @param {Curves} curves @param {Panel} panel @param {number} width */
function drawPanel({ at, words, mark, markWords }, { title, most, words: figure, points }, width) {
  const end = most ?? roundUp(Math.max(1, ...points.map(({ high }) => high)));
  const x = scale([at[0], at[at.length - 1]], [LEFT, width - RIGHT]);
  const y = scale([0, end], [TOP + PLOT, TOP]);
  const limited = (/** @type {number} */ value) => y(Math.min(end, Math.max(0, value)));

  const drawn = [node('text', { x: 0, y: 12, class: 'title' }, title)];
  for (const value of [0, end / 2, end]) {
    drawn.push(node('line', { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: 'grid' }));
    drawn.push(node('text', { x: LEFT - 8, y: y(value) + 4, class: 'tick before' }, figure(value)));
  }
  let labelled = -Infinity;
  for (const value of at) {
    if (x(value) - labelled < LABEL_ROOM) continue;
    labelled = x(value);
    drawn.push(node('text', { x: x(value), y: TOP + PLOT + 16, class: 'tick middle' }, words(value)));
  }
  if (mark >= at[0] && mark <= at[at.length - 1]) {
    const right = x(mark) > width / 2;
    drawn.push(node('line', { x1: x(mark), x2: x(mark), y1: TOP - 8, y2: TOP + PLOT, class: 'mark' }));
    drawn.push(node('text', { x: x(mark) + (right ? -5 : 5), y: TOP - 6, class: right ? 'tick before' : 'tick' }, markWords));
  }
  const upper = points.map((point) => `${x(point.at)},${limited(point.high)}`);
  const lower = points.map((point) => `${x(point.at)},${limited(point.low)}`).reverse();
  drawn.push(node('polygon', { points: [...upper, ...lower].join(' '), class: 'band' }));
  drawn.push(node('polyline', { points: points.map((point) => `${x(point.at)},${y(point.value)}`).join(' '), class: 'line' }));
  for (const [i, point] of points.entries()) {
    const tone = point.at === 0 ? 'plain' : 'steered';
    const place = x(point.at);
    // The whole height is there to be pressed, up to half the way to the points beside it.
    const start = i > 0 ? (x(points[i - 1].at) + place) / 2 : place - 12;
    const stop = i + 1 < points.length ? (x(points[i + 1].at) + place) / 2 : place + 12;
    drawn.push(node('g', { 'data-at': point.at, class: `point ${tone}` },
      node('line', { x1: place, x2: place, y1: limited(point.low), y2: limited(point.high), class: 'interval' }),
      node('circle', { cx: place, cy: y(point.value), r: 4 }),
      node('rect', { x: start, y: TOP, width: stop - start, height: PLOT, class: 'hit' }),
    ));
  }
  return drawn;
}

/** To a number of one digit that is not zero. @param {number} value */
function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return Math.ceil(value / unit) * unit;
}
