/** The figures of a run: what was read, what the write took, what a token takes, and where. */

import { texts } from '../texts.js';
import { create, element } from './dom.js';

/** @import { EngineInfo, GenerateResult } from '../pkg/cache_steering.js' */

export function createNumbers() {
  const root = element('numbers', HTMLDListElement);

  return {
    hide() {
      root.hidden = true;
    },

    /** @param {GenerateResult} result @param {EngineInfo} info @param {boolean} wasHidden whether the tab was in the background meanwhile */
    show(result, info, wasHidden) {
      root.replaceChildren(...texts.numbers.rows(result, info, wasHidden).map(([name, figure, meaning]) =>
        create('div', {}, create('dt', { textContent: name }), create('dd', {}, create('b', { textContent: figure }), document.createTextNode(` ${meaning}`)))));
      root.hidden = false;
    },
  };
}
