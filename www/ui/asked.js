/** The question that is shown, with what can be done with it, and what to do about its answers. */

import { texts } from '../texts.js';
import { element } from './dom.js';

/** @param {{ onEdit: () => void, onAgain: () => void }} actions */
export function createAsked({ onEdit, onAgain }) {
  const root = element('asked', HTMLDivElement);
  const line = element('asked-question', HTMLParagraphElement);
  const advice = element('advice', HTMLParagraphElement);
  element('asked-edit', HTMLButtonElement).addEventListener('click', onEdit);
  element('asked-again', HTMLButtonElement).addEventListener('click', onAgain);

  /** @param {string} words nothing where there is none */
  function advise(words) {
    advice.textContent = words;
    advice.hidden = !words;
  }

  return {
    advise,

    /** @param {string} question @param {number} turns before it */
    show(question, turns) {
      line.textContent = texts.asked.line(question, turns);
      root.hidden = false;
      advise('');
    },

    hide() {
      root.hidden = true;
      advise('');
    },
  };
}
