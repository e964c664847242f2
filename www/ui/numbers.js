/** The figures of a run: what was read, what the write took, what a token takes, and where. */

import { texts } from '../texts.js';
import { create, element } from './dom.js';

/** @import { EngineInfo, GenerateResult, LaneResult } from '../pkg/cache_steering.js' */

export function createNumbers() {
  const root = element('numbers', HTMLDListElement);

  /** @param {[string, string, string][]} rows name, figure, and what it means */
  function fill(rows) {
    root.replaceChildren(...rows.map(([name, figure, meaning]) =>
      create('div', {}, create('dt', { textContent: name }), create('dd', {}, create('b', { textContent: figure }), document.createTextNode(` ${meaning}`)))));
    root.hidden = false;
  }

  return {
    hide() {
      root.hidden = true;
      root.replaceChildren();
    },

    /** Takes the room that the figures will have, so that nothing moves when they come. */
    start() {
      fill(texts.numbers.names.map((name) => [name, '–', '']));
    },

    /**
     * @param {GenerateResult} result
     * @param {(LaneResult | undefined)[]} answers all that are shown, also those of before
     * @param {EngineInfo} info
     * @param {boolean} wasHidden whether the tab was in the background meanwhile
     */
    show(result, answers, info, wasHidden) {
      fill(texts.numbers.rows(result, answers, info, wasHidden));
    },
  };
}
