/** What went wrong, in words, with the next step as a button. */

import { element } from './dom.js';

export function createNotice() {
  const root = element('notice', HTMLDivElement);
  const title = element('notice-title', HTMLParagraphElement);
  const text = element('notice-text', HTMLParagraphElement);
  const button = element('notice-button', HTMLButtonElement);

  return {
    /**
     * @param {string} heading
     * @param {string} sentence
     * @param {{ label: string, act: () => void }} [nextStep]
     */
    show(heading, sentence, nextStep) {
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

    hide() {
      root.hidden = true;
    },
  };
}
