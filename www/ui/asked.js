/** The question that is shown, with what can be done with it. */

import { texts } from '../texts.js';
import { element } from './dom.js';

/** @param {{ onEdit: () => void, onAgain: () => void }} actions */
export function createAsked({ onEdit, onAgain }) {
  const root = element('asked', HTMLDivElement);
  const line = element('asked-question', HTMLParagraphElement);
  const hint = element('asked-hint', HTMLParagraphElement);
  element('asked-edit', HTMLButtonElement).addEventListener('click', onEdit);
  element('asked-again', HTMLButtonElement).addEventListener('click', onAgain);

  return {
    /** @param {string} question @param {number} turns before it */
    show(question, turns) {
      hint.textContent = '';
      line.textContent = texts.asked.line(question, turns);
      root.hidden = false;
    },

    /** @param {string} words about its answers */
    tell(words) {
      hint.textContent = words;
    },

    hide() {
      root.hidden = true;
    },
  };
}
