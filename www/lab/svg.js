/** Pictures as SVG: their parts, a box that they fill, and a copy that needs no style sheet. */

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** What the page's style sheet may decide about a part of a picture. */
const STYLED = [
  'fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linejoin', 'paint-order',
  'font-family', 'font-size', 'font-weight', 'font-variant-numeric', 'text-anchor', 'dominant-baseline',
];

/** Around a picture that stands alone, in CSS pixels. */
const MARGIN = 16;

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 */
export function node(tag, attributes = {}, ...children) {
  const made = /** @type {SVGGraphicsElement} */ (document.createElementNS(NAMESPACE, tag));
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * A picture in CSS pixels.
 * @param {string} label for people who do not see it
 * @param {number} width @param {number} height
 * @param {...Node} children
 */
export const picture = (label, width, height, ...children) =>
  node('svg', { role: 'img', 'aria-label': label, width, height, viewBox: `0 0 ${width} ${height}` }, ...children);

/**
 * A place on an axis for each value.
 * @param {[number, number]} values first and last @param {[number, number]} places of these
 * @returns {(value: number) => number}
 */
export function scale([from, to], [start, end]) {
  const perValue = to === from ? 0 : (end - start) / (to - from);
  return (value) => Math.round(10 * (start + (value - from) * perValue)) / 10;
}

/** A text, cut where it would be too wide. @param {string} text @param {number} width */
export function fitting(text, width) {
  // Letters are about half as wide as high; the table has the whole text.
  const most = Math.floor(width / 6.5);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/**
 * Keeps a picture in a box, drawn anew for its width.
 * @param {HTMLElement} box
 * @param {(width: number) => Element | undefined} draw
 */
export function keepDrawn(box, draw) {
  let drawnFor = 0;
  function redraw() {
    const width = box.clientWidth;
    const drawn = width > 0 ? draw(width) : undefined;
    if (!drawn) return;
    drawnFor = width;
    box.replaceChildren(drawn);
  }
  new ResizeObserver(() => {
    if (box.clientWidth !== drawnFor) redraw();
  }).observe(box);
  return { redraw };
}

/**
 * A copy that looks the same without the page: style sheets and their variables do not reach a picture that
 * is drawn as an image.
 * @param {SVGElement} drawn in the page
 * @param {number} times as large
 */
export function standalone(drawn, times) {
  const copy = /** @type {SVGElement} */ (drawn.cloneNode(true));
  const copies = copy.querySelectorAll('*');
  for (const [i, original] of drawn.querySelectorAll('*').entries()) {
    const style = getComputedStyle(original);
    for (const name of STYLED) copies[i].setAttribute(name, style.getPropertyValue(name));
  }
  const width = drawn.clientWidth + 2 * MARGIN;
  const height = drawn.clientHeight + 2 * MARGIN;
  copy.setAttribute('xmlns', NAMESPACE);
  copy.setAttribute('viewBox', `${-MARGIN} ${-MARGIN} ${width} ${height}`);
  copy.setAttribute('width', String(times * width));
  copy.setAttribute('height', String(times * height));
  return { text: new XMLSerializer().serializeToString(copy), width: times * width, height: times * height };
}
