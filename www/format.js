/** Numbers as people read them. */

/**
 * The browser reads its tables of languages for the first one, which takes it longer than many a frame.
 * @param {Intl.NumberFormatOptions} [options]
 * @returns {(n: number) => string}
 */
function formatter(options) {
  /** @type {Intl.NumberFormat | undefined} */
  let made;
  return (n) => (made ??= new Intl.NumberFormat('en', options)).format(n);
}

const whole = formatter();
const oneDigit = formatter({ minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** @param {number} n */
export const count = (n) => whole(n);

/** Megabytes of a million bytes, as downloads are counted. @param {number} bytes */
export const megabytes = (bytes) => oneDigit(bytes / 1e6);

/** @param {number} bytes */
export const roundMegabytes = (bytes) => whole(Math.round(bytes / 1e6));

/** A size to be had in mind. @param {number} bytes */
export const size = (bytes) => (bytes < 1e9 ? `${roundMegabytes(bytes)} MB` : `${oneDigit(bytes / 1e9)} GB`);

/** A time to wait for. @param {number} seconds */
export const duration = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

/** @param {number} milliseconds */
export function seconds(milliseconds) {
  return milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(2)} s` : `${Math.round(milliseconds / 1000)} s`;
}

/** @param {number} ms */
export const milliseconds = (ms) => `${ms < 100 ? oneDigit(ms) : whole(Math.round(ms))} ms`;

/** @param {number} us */
export const microseconds = (us) => `${us < 100 ? oneDigit(us) : whole(Math.round(us))} µs`;

/** @param {number} perSecond */
export const rate = (perSecond) => (perSecond < 100 ? oneDigit(perSecond) : whole(Math.round(perSecond)));

/** A strength without needless zeros. @param {number} value */
export const strength = (value) => String(Math.round(value * 100) / 100);

/** JSON to be read by people as well: a list of numbers is one line. @param {unknown} value */
export const json = (value) =>
  JSON.stringify(value, null, 1).replace(/\[\n\s*([-\d][-+.\deE,\s]*?)\n\s*\]/g, (_, list) => `[${list.replace(/\s+/g, ' ')}]`);
