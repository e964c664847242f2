/** Up to eight answers to one question at once. */

import { texts } from '../texts.js';
import { create, element, part } from './dom.js';
import { createPane } from './pane.js';

/**
 * @import { Lane } from '../lanes.js'
 * @import { Pane } from './pane.js'
 */

/** @param {(lane: Lane) => void} onUse one of the answers was chosen */
export function createMultiverse(onUse) {
  const root = element('multiverse', HTMLDivElement);
  const two = element('panes', HTMLDivElement);
  const template = element('lane', HTMLTemplateElement);

  /** @param {Lane} lane @returns {Pane} */
  function paneOf(lane) {
    const made = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    const article = /** @type {HTMLElement} */ (made.firstElementChild);
    article.classList.add(lane.strength === 0 ? 'plain' : 'steered');
    article.setAttribute('aria-label', texts.lanes.label(lane.title));
    part(article, 'h2').textContent = lane.title;
    part(article, '.transcript').setAttribute('aria-label', texts.lanes.label(lane.title));
    part(article, '.pane-copy').setAttribute('aria-label', texts.lanes.copy(lane.title));
    if (lane.strength !== 0) {
      const use = create('button', { type: 'button', className: 'link', textContent: texts.lanes.use });
      use.setAttribute('aria-label', texts.lanes.useLabel(lane.title));
      use.addEventListener('click', () => onUse(lane));
      part(article, '.pane-note').append(use);
    }
    root.append(article);
    // Side by side, answers are compared by how they begin.
    return createPane(article, false);
  }

  return {
    /** Shows these instead of the two answers. @param {Lane[]} lanes */
    open(lanes) {
      root.replaceChildren();
      root.hidden = false;
      two.hidden = true;
      return lanes.map(paneOf);
    },

    close() {
      root.hidden = true;
      two.hidden = false;
    },
  };
}
