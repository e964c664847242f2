/** The Lab: three measurements on the visitor's own device. */

import { createBenchmark } from './benchmark.js';
import { createEvaluation } from './evaluation.js';
import { createSweep } from './sweep.js';

/**
 * @import { Session } from '../session.js'
 * @import { PresetChoice } from '../ui/presets.js'
 */

/**
 * What the Lab needs of the page.
 * @typedef {object} LabNeeds
 * @property {Session} session
 * @property {PresetChoice} presetChoice
 * @property {(error: unknown, again: () => void) => void} complain
 * @property {(tokensPerSecond: number) => void} onSpeed what one answer of the smallest model would run at
 */

/** @param {LabNeeds} needs */
export function createLab({ session, presetChoice, complain, onSpeed }) {
  createSweep(session, presetChoice, complain);
  createEvaluation(session, presetChoice, complain);
  createBenchmark(() => session.backend, onSpeed);
}
