/**
 * The sentences of the Lab that change while it is used, as texts.js has those of the page.
 *
 * @import { BenchmarkReport } from '../pkg/cache_steering.js'
 * @import { Row } from './exports.js'
 */

import * as format from '../format.js';

/** @typedef {{ count: number, of: number, interval: [number, number] }} Rate */

/** @param {Rate | undefined} rate */
const rate = (rate) => (rate ? `${rate.count} of ${rate.of}` : '');

/** @param {Rate | undefined} found */
const withInterval = (found) =>
  found ? `${rate(found)} (${found.interval.map((share) => Math.round(100 * share)).join('–')} %)` : '';

/** @param {number} n @param {string} what one of them is */
const counted = (n, what) => `${format.count(n)} ${what}${n === 1 ? '' : 's'}`;

/** @param {number} strength */
const tick = (strength) => (strength === 0 ? 'off' : format.strength(strength));

const figures = { marked: 'In style', loops: 'In loops', tokens: 'Tokens', right: 'Right' };

export const texts = {
  figures,
  /** @param {number} share */
  percent: (share) => `${100 * share} %`,
  /** @param {string} kind of a file */
  exports: (kind) => `Export ${kind}`,
  noPicture: 'this browser cannot make a picture of the chart',

  job: {
    stopped: 'Stopped. The answers so far are kept: start again to go on.',
    begun: 'Asking the first question',
    /** @param {number} done @param {number} total */
    preparing: (done, total) => `Reading examples: ${done} of ${total}`,
    /** @param {number} done @param {number} total @param {number | undefined} secondsLeft */
    progress: (done, total, secondsLeft) =>
      `${format.count(done)} of ${format.count(total)} answers${secondsLeft === undefined ? '' : `, ${format.duration(secondsLeft)} left`}`,
  },

  sweep: {
    tick,
    press: 'Press a point, or its row in the table, to set the strength above.',
    recommended: 'recommended',
    /** @param {string} label */
    picture: (label) => `Curves of what ${label} does to answers, over its strength: the figures of the table.`,
    columns: ['Strength', figures.marked, figures.loops, figures.tokens, figures.right],
    /** @param {number} strength @param {number} recommended */
    strength: (strength, recommended) => `${tick(strength)}${strength === recommended ? ', recommended' : ''}`,
    /** The cells after the strength. @param {Row} row */
    row: ({ marked, loops, tokens: { mean, interval }, right }) =>
      [withInterval(marked), withInterval(loops), `${Math.round(mean)} (${interval.map(Math.round).join('–')})`, withInterval(right)],
    /** @param {number} strength @param {string} question @param {number} tokens @param {string} ending */
    caption: (strength, question, tokens, ending) =>
      `${strength === 0 ? 'With the strength off' : `At strength ${tick(strength)}`}, “${question}” (${tokens} ${ending})`,
    /** @param {string} label @param {number} strength */
    chosen: (label, strength) => `Set above: ${label}, strength ${tick(strength)}.`,
    /** @param {number} strengths @param {number} answers @param {number} cut the share of them that the longest answer ended */
    done: (strengths, answers, cut) => [
      `Done: ${counted(answers, 'answer')} at ${counted(strengths, 'strength')}. Bands are 95 % intervals; the fewer the questions, the wider.`,
      cut > 0.5 ? 'Most answers were cut off, and few of these can be right: let them be longer.' : '',
    ].filter(Boolean).join(' '),
  },

  evaluation: {
    /** @param {number} answers */
    done: (answers) => `Done: ${counted(answers, 'answer')}. Bars are 95 % intervals; the fewer the questions, the wider.`,
    picture: 'Shares of answers, with their intervals: the figures of the table.',
    columns: ['Condition', 'Questions', figures.marked, figures.loops, figures.tokens, figures.right],
    /** @param {Row} row */
    row: ({ name, choices, marked, loops, tokens, right }) =>
      [name, choices ? 'with choices' : 'without', rate(marked), rate(loops), String(Math.round(tokens.mean)), rate(right)],
    /** @param {Row} row */
    caseOf: ({ name, choices }) => `${name}, ${choices ? 'choices' : 'no choices'}`,
  },

  benchmark: {
    title: 'Benchmark this device',
    again: 'Run it again',
    starting: 'Starting the engine',
    /** @param {string} what */
    doing: (what) => `Measuring: ${what}`,
    started: 'The benchmark runs.',
    stopped: 'The benchmark was stopped.',
    copied: 'The result is on the clipboard.',
    copyByHand: 'The table is marked: copy it with your keyboard or menu.',
    /** @param {BenchmarkReport} report */
    done: ({ decode: [one] }) => `Done. This device writes ${format.rate(one.tokensPerSecond)} tokens per second.`,
    /** @param {BenchmarkReport} report */
    caption: ({ model, seconds }) => [
      `${model.layers === 30 ? 'The shape of SmolLM2-135M' : `${model.layers} of the 30 layers of SmolLM2-135M, because memory is short`}`,
      `${model.quant.toUpperCase()} weights made up`,
      `in ${format.seconds(1000 * seconds)}`,
    ].join(', '),
    /** What was measured, the figure, and what it means. @param {BenchmarkReport} report @returns {[string, string, string][]} */
    rows: ({ device, prefill, decode, steering }) => {
      /** @param {number} n */
      const perSecond = (n) => `${format.rate(n)} tokens/s`;
      const one = decode.find((d) => d.lanes === 1);
      const two = decode.find((d) => d.lanes === 2);
      /** @type {[string, string, string][]} */
      const rows = prefill.map((p) => ['Reading a prompt', perSecond(p.tokensPerSecond), `${p.tokens} tokens in ${format.milliseconds(p.ms.median)}`]);
      if (one) rows.push(['Writing one answer', perSecond(one.tokensPerSecond), `${format.milliseconds(one.ms.median)} a token`]);
      if (two) rows.push(['Writing two at once', perSecond(two.tokensPerSecond), `a step takes ${format.strength(two.overOneLane ?? 0)} times as long`]);
      if (steering && one) {
        rows.push(['The steering write', format.microseconds(steering.writeUs.median), `once, beside ${format.milliseconds(one.ms.median)} for every token`]);
      }
      rows.push(['Runs on', device.backend === 'gpu' ? 'GPU' : 'CPU', device.name + (device.software ? ', computes in software' : '')]);
      return rows;
    },
  },
};
