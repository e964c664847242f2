/** The pure part of `cargo xtask bench --browser`: from runs to a table. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparisonTable, median, rates } from '../../bench/browser/statistics.mjs';

/** @param {number} firstMs @param {number} restMs @param {number} [tokens] */
const run = (firstMs, restMs, tokens = 11) => ({ promptTokens: 100, tokens, firstMs, restMs, text: '' });

test('the median is the middle, or the mean of the middle two', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([9, 1, 5, 2]), 3.5);
});

test('rates leave the first run out, unless it is alone', () => {
  const figures = rates([run(9999, 9999), run(1000, 500), run(500, 1000), run(2000, 2000)]);
  assert.deepEqual(figures.prefill, { median: 100, least: 50, samples: 3 });
  assert.deepEqual(figures.decode, { median: 10, least: 5, samples: 3 });
  assert.equal(rates([run(1000, 500)]).decode.median, 20);
});

test('an engine without tokens is a fault, not a figure', () => {
  assert.throws(() => rates([run(1000, 0, 1)]), /no tokens/);
});

test('ratios in the table refer to the base', () => {
  const [a, b] = [rates([run(1000, 500)]), rates([run(500, 2000)])];
  const engines = [{ name: 'a', detail: '', ...a }, { name: 'b', detail: '', ...b }];
  const lines = comparisonTable({ base: 'a', engines }).split('\n');
  assert.match(lines[1], /^a +100\.0 +1\.00 x +20\.0 +1\.00 x +100 \+ 11 +1$/);
  assert.match(lines[2], /^b +200\.0 +2\.00 x +5\.0 +0\.25 x/);
});
