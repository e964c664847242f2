/** Where the answers of a run are shown: in two panes or in eight, with the picture of the cache and the figures. */

import { adviceFor } from '../advice.js';
import { texts } from '../texts.js';
import { createMultiverse } from './multiverse.js';
import { createNumbers } from './numbers.js';

/**
 * @import { EngineInfo, GenerateEvent, GenerateResult } from '../pkg/cache_steering.js'
 * @import { Lane, View } from '../lanes.js'
 * @import { Run } from '../playground.js'
 * @import { createAdvanced } from './advanced.js'
 * @import { createMemory } from './memory.js'
 * @import { Pane } from './pane.js'
 */

/** Of a comparison, in the order of the lanes. */
export const SIDES = /** @type {const} */ (['plain', 'steered']);

/**
 * @param {object} parts
 * @param {Pane[]} parts.two plain and steered
 * @param {ReturnType<typeof createMemory>} parts.memory
 * @param {ReturnType<typeof createAdvanced>} parts.advanced
 * @param {(lane: Lane) => void} parts.onUse one of many answers was chosen
 */
export function createStage({ two, memory, advanced, onUse }) {
  const numbers = createNumbers();
  const multiverse = createMultiverse(onUse);
  /** Those of the answers that come or came last. */
  let panes = two;
  /** Those for which words are held up. @type {Lane[] | undefined} */
  let held;
  let wasHidden = false;
  document.addEventListener('visibilitychange', () => { wasHidden ||= document.hidden; });

  /** @param {Run} run @param {number} tokens of the prompt @param {number} layers of the model */
  function showWrite({ view, lanes }, tokens, layers) {
    const steered = lanes.findLast(({ strength }) => strength !== 0);
    if (!steered) {
      memory.plain(tokens);
      return;
    }
    const { preset: { label }, strength } = steered;
    const what = view === 'two' ? texts.memory.what(label, strength) : texts.memory.whats(view === 'strengths', label);
    memory.steered({ tokens, what, ofMany: view !== 'two', layers, firstLayer: advanced.firstLayer, lastLayer: advanced.lastLayer ?? layers - 1 });
  }

  return {
    /** Takes the room that figures will have. */
    start: numbers.start,

    /** Says what takes its time before an answer can come. @param {View} view @param {Lane[]} lanes @param {string} words */
    hold(view, lanes, words) {
      if (view === 'two') {
        multiverse.close();
        panes = two;
        two[1].hold(words);
        return;
      }
      if (held !== lanes) panes = multiverse.open(lanes);
      held = lanes;
      for (const pane of panes) pane.hold(words);
    },

    /** Makes room for the answers that a run lacks. @param {Run} run */
    open({ view, lanes, results, turns }) {
      wasHidden = document.hidden;
      if (view !== 'two') {
        panes = multiverse.open(lanes);
        for (const pane of panes) pane.start();
        return;
      }
      multiverse.close();
      panes = two;
      two[1].note = texts.pane.steeredNote(lanes[1].preset.label, lanes[1].strength);
      two.forEach((pane, i) => {
        if (!results[i]) pane.start(turns.map((turn) => ({ question: turn.question, text: turn[SIDES[i]] })));
      });
    },

    /**
     * Shows tokens as they come.
     * @param {Run} run
     * @param {number} first the lane of the run that the first answer is of
     * @param {number} room for so many tokens of an answer
     * @param {EngineInfo} info
     * @returns {(event: GenerateEvent) => void}
     */
    listen(run, first, room, { model: { layers } }) {
      let promptTokens = 0;
      let written = false;
      return (event) => {
        if (event.type === 'prompt') {
          promptTokens = event.tokens;
          memory.reading(promptTokens, room);
        } else if (event.type === 'token') {
          if (!written) showWrite(run, promptTokens, layers);
          written = true;
          panes[first + event.lane].append(event.text);
          memory.grow([panes[0].tokens, panes[panes.length - 1].tokens]);
        } else if (event.type === 'finished') {
          panes[first + event.lane].finish();
        }
      };
    },

    /** @param {GenerateResult} result @param {number} first the lane of the run that its first answer is of @param {EngineInfo} info */
    settle(result, first, info) {
      result.lanes.forEach((lane, i) => panes[first + i].settle(lane));
      numbers.show(result, info, wasHidden);
    },

    /** All answers are there. @param {Run} run */
    finish({ view, lanes, results }) {
      if (view !== 'two') return;
      const write = results[1]?.write;
      if (write) memory.measured(write);
      const advice = adviceFor(lanes[1], results, wasHidden);
      if (advice) two[advice.side].advise(advice.text);
    },

    /** Nothing more comes. */
    giveUp() {
      for (const pane of panes) pane.giveUp();
    },

    clear() {
      multiverse.close();
      panes = two;
      numbers.hide();
      memory.empty();
      for (const pane of two) pane.clear();
    },
  };
}
