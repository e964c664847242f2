/** "How it works", with the figures of the visitor's own last run. */

import { texts } from '../texts.js';
import { element } from './dom.js';

/**
 * @import { EngineInfo } from '../pkg/cache_steering.js'
 * @import { Run } from '../playground.js'
 */

const STEPS = /** @type {const} */ (['memory', 'pairs', 'vector', 'write', 'answer']);

export function createHow() {
  return {
    clear() {
      for (const step of STEPS) element(`how-${step}`, HTMLSpanElement).textContent = '';
    },

    /** @param {EngineInfo} info @param {Run} run */
    show(info, run) {
      for (const step of STEPS) element(`how-${step}`, HTMLSpanElement).textContent = texts.how[step](info, run);
    },
  };
}
