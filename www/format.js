/** Numbers as people read them. */

const whole = new Intl.NumberFormat('en');
const oneDigit = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** @param {number} n */
export const count = (n) => whole.format(n);

/** Megabytes of a million bytes, as downloads are counted. @param {number} bytes */
export const megabytes = (bytes) => oneDigit.format(bytes / 1e6);

/** @param {number} bytes */
export const roundMegabytes = (bytes) => whole.format(Math.round(bytes / 1e6));

/** A size to be had in mind. @param {number} bytes */
export const size = (bytes) => (bytes < 1e9 ? `${roundMegabytes(bytes)} MB` : `${oneDigit.format(bytes / 1e9)} GB`);

/** A time to wait for. @param {number} seconds */
export const duration = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

/** @param {number} milliseconds */
export function seconds(milliseconds) {
  return milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(2)} s` : `${Math.round(milliseconds / 1000)} s`;
}

/** @param {number} ms */
export const milliseconds = (ms) => `${ms < 100 ? oneDigit.format(ms) : whole.format(Math.round(ms))} ms`;

/** @param {number} us */
export const microseconds = (us) => `${us < 100 ? oneDigit.format(us) : whole.format(Math.round(us))} µs`;

/** @param {number} perSecond */
export const rate = (perSecond) => (perSecond < 100 ? oneDigit.format(perSecond) : whole.format(Math.round(perSecond)));

/** A strength without needless zeros. @param {number} value */
export const strength = (value) => String(Math.round(value * 100) / 100);

/** JSON to be read by people as well: a list of numbers is one line. @param {unknown} value */
export const json = (value) =>
  JSON.stringify(value, null, 1).replace(/\[\n\s*([-\d][-+.\deE,\s]*?)\n\s*\]/g, (_, list) => `[${list.replace(/\s+/g, ' ')}]`);
