/** The line that shows what was done: one tick for each slot of the prompt's memory. */

import { texts } from '../texts.js';
import { element } from './dom.js';

export function createMemory() {
  const root = element('memory', HTMLElement);
  const slots = element('memory-slots', HTMLDivElement);
  const caption = element('memory-caption', HTMLElement);

  function empty() {
    root.dataset.state = 'empty';
    caption.textContent = texts.memory.empty;
  }

  empty();

  return {
    empty,

    /** @param {number} tokens */
    reading(tokens) {
      root.dataset.state = 'reading';
      slots.style.setProperty('--count', String(tokens));
      caption.textContent = texts.memory.reading(tokens);
    },

    /** The prompt is in memory and nothing was added. @param {number} tokens */
    plain(tokens) {
      root.dataset.state = 'plain';
      caption.textContent = texts.memory.plain(tokens);
    },

    /** @param {{ tokens: number, label: string, strength: number, layers: number }} write */
    steered({ tokens, label, strength, layers }) {
      root.dataset.state = 'steered';
      const [before, what, after] = texts.memory.steered(tokens, label, strength, layers);
      const strong = document.createElement('strong');
      strong.textContent = what;
      caption.replaceChildren(before, strong, after);
    },
  };
}
