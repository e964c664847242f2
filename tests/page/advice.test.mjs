/** What is said of answers that are no good. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceFor } from '../../www/advice.js';

/** @import { LaneResult } from '../../www/pkg/cache_steering.js' */
/** @import { Preset } from '../../www/protocol.js' */

const GOOD = 'Because sunlight is scattered by the air, and blue light more than red light is, the whole sky sends blue light to our eyes.';
const CIRCLES = 'and so it goes '.repeat(12);
const NONSENSE = '§%&( ][ == //. ((; 7 ?! ..'.repeat(12);
const TABLE = `${GOOD}\n\n<table><tr><td>1</td></tr></table>\n${'<br><hr/>'.repeat(20)}\n| a | b |\n|${'-'.repeat(80)}|---|\n\`\`\`js\n${'[(;)] => {};'.repeat(20)}`;

/** @param {string} text @returns {LaneResult} */
const answer = (text) => ({ text, tokens: [], stopReason: 'end_of_text', tokensPerSecond: 1, promptTokens: 9 });

/** @param {string} plain @param {string} steered @param {number} [strength] @param {'cpu' | 'gpu'} [backend] @param {boolean} [wasHidden] */
function advice(plain, steered, strength = 4, backend = 'cpu', wasHidden = false) {
  const preset = /** @type {Preset} */ ({ id: 'p', label: 'P', recommended: { values: 4 } });
  const found = adviceFor({ title: '', preset, strength }, [answer(plain), answer(steered)], backend, wasHidden);
  return found && `${found.side} ${found.text}`;
}

test('good answers need none, whatever they are written in', () => {
  assert.equal(advice(GOOD, GOOD), undefined);
  assert.equal(advice(TABLE, TABLE), undefined);
  assert.match(advice(GOOD, GOOD, 4, 'cpu', true) ?? '', /^1 This tab was in the background/);
});

test('steering is blamed only where the plain answer is better', () => {
  assert.match(advice(GOOD, CIRCLES) ?? '', /^1 The steered answer went round in circles/);
  assert.match(advice(GOOD, NONSENSE, 7) ?? '', /^1 The steered answer fell apart/);
  assert.match(advice(CIRCLES, CIRCLES) ?? '', /^0 The plain answer went round in circles/);
  assert.match(advice(CIRCLES, GOOD, 0) ?? '', /^0 The plain answer/);
});

test('a device is suspected only where there is another one', () => {
  assert.match(advice(NONSENSE, GOOD, 4, 'gpu') ?? '', /^0 .*choose “Run it on: the CPU”/);
  assert.doesNotMatch(advice(NONSENSE, GOOD, 4, 'cpu') ?? 'the CPU', /the CPU/);
});
