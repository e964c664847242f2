/** Where the answers of a run are shown: in two panes or in eight, with the picture of the cache and the figures. */

import { adviceFor } from '../advice.js';
import { penaltyOf } from '../lanes.js';
import { texts } from '../texts.js';
import { element, reveal } from './dom.js';
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

/** Tokens of the prompts, which differ where the two sides have said different things before. @typedef {{ plain: number, steered: number }} Prompts */

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
  /** Whether answers are on their way to the panes. */
  let isOpen = false;
  let wasHidden = false;
  document.addEventListener('visibilitychange', () => { wasHidden ||= document.hidden; });

  /** @param {Run} run @param {Prompts} prompts @param {number} layers of the model */
  function showWrite({ view, lanes }, prompts, layers) {
    const steered = lanes.findLast(({ strength }) => strength !== 0);
    if (!steered) {
      memory.plain(prompts.plain);
      return;
    }
    const { preset, strength } = steered;
    const what = view === 'two' ? texts.memory.what(preset.label, strength) : texts.memory.whats(view === 'strengths', preset.label);
    const { firstLayer, lastLayer = layers - 1 } = advanced.of(preset);
    memory.steered({ prompts, what, ofMany: view !== 'two', layers, firstLayer, lastLayer });
  }

  return {
    /** Takes the room that figures will have. */
    start: numbers.start,

    /** Has a pane for each answer that is wanted. @param {View} view @param {Lane[]} lanes */
    set(view, lanes) {
      isOpen = false;
      if (view !== 'two') {
        panes = multiverse.open(lanes);
        return;
      }
      multiverse.close();
      panes = two;
      const [plain, steered] = lanes;
      two[0].note = texts.pane.plainNote(penaltyOf(plain, advanced));
      two[1].note = texts.pane.steeredNote(steered.preset.label, steered.strength, penaltyOf(steered, advanced));
    },

    /** Brings the answers on the screen; where it has no room for the picture above them, too, without that. */
    reveal() {
      const isLarge = element('comparison', HTMLElement).offsetHeight > innerHeight;
      reveal(isLarge && panes === two ? 'panes' : 'comparison');
    },

    /** Says what takes its time before an answer can come. @param {string} words */
    hold(words) {
      for (const pane of panes) if (pane !== two[0]) pane.hold(words);
    },

    /** Lets the answers come that a run lacks. @param {Run} run */
    open({ results, turns }) {
      wasHidden = document.hidden;
      isOpen = true;
      panes.forEach((pane, i) => {
        if (!results[i]) pane.start(turns.map((turn) => ({ question: turn.question, text: turn[SIDES[Math.min(i, 1)]] })));
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
      /** @type {Prompts} */
      let prompts = { plain: 0, steered: 0 };
      let written = false;
      return (event) => {
        if (event.type === 'prompt') {
          const [plain = 0] = [...run.results.flatMap((kept) => kept?.promptTokens ?? []), ...event.tokens];
          prompts = { plain, steered: event.tokens.at(-1) ?? 0 };
          memory.reading(prompts, room);
        } else if (event.type === 'token') {
          if (!written) showWrite(run, prompts, layers);
          written = true;
          panes[first + event.lane].append(event.text);
          memory.grow([panes[0].tokens, panes[panes.length - 1].tokens]);
        } else if (event.type === 'finished') {
          panes[first + event.lane].finish();
        }
      };
    },

    /** @param {Run} run @param {GenerateResult} result @param {number} first the lane of the run that its first answer is of @param {EngineInfo} info */
    settle({ results }, result, first, info) {
      result.lanes.forEach((lane, i) => panes[first + i].settle(lane));
      numbers.show(result, results, info, wasHidden);
      memory.end();
    },

    /** All answers are there. @param {Run} run @param {EngineInfo} info */
    finish({ view, lanes, results }, { backend }) {
      if (view !== 'two') return;
      const write = results[1]?.write;
      if (write) memory.measured(write);
      const advice = adviceFor(lanes[1], results, backend, wasHidden);
      if (advice) two[advice.side].advise(advice.text);
    },

    /** Nothing more comes. @param {string} words in place of an answer */
    giveUp(words) {
      for (const pane of panes) {
        if (isOpen) pane.giveUp(words);
        else pane.hold(words);
      }
      memory.end();
    },

    /** What is to be said of the last answer. @param {string} words */
    advise(words) {
      panes[panes.length - 1].advise(words);
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
