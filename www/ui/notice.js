/** What went wrong, in words, with the next step as a button. */

import { element } from './dom.js';

export function createNotice() {
  const root = element('notice', HTMLDivElement);
  const title = element('notice-title', HTMLParagraphElement);
  const text = element('notice-text', HTMLParagraphElement);
  const button = element('notice-button', HTMLButtonElement);
  /** @type {string | undefined} */
  let shown;

  return {
    /**
     * @param {string} heading
     * @param {string} sentence
     * @param {{ label: string, act: () => void }} [nextStep]
     * @param {string} [kind] of the error that it is about
     */
    show(heading, sentence, nextStep, kind) {
      shown = kind;
      title.textContent = heading;
      text.textContent = sentence;
      button.hidden = !nextStep;
      button.textContent = nextStep?.label ?? '';
      button.onclick = () => {
        root.hidden = true;
        nextStep?.act();
      };
      root.hidden = false;
    },

    /** @param {string} [kind] it is hidden only where it is about an error of this kind */
    hide(kind = shown) {
      if (kind === shown) root.hidden = true;
    },
  };
}
