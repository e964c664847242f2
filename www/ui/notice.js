/** What went wrong, in words, with the next step as a button. */

import { element, hide } from './dom.js';

export function createNotice() {
  const root = element('notice', HTMLDivElement);
  const title = element('notice-title', HTMLParagraphElement);
  const text = element('notice-text', HTMLParagraphElement);
  const button = element('notice-button', HTMLButtonElement);
  /** @type {string | undefined} */
  let shown;
  /** What had the focus before the notice. @type {HTMLElement | null} */
  let before = null;

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
        hide(root, before);
        nextStep?.act();
      };
      const { activeElement } = document;
      before = activeElement instanceof HTMLElement && activeElement !== document.body && !root.contains(activeElement) ? activeElement : null;
      root.hidden = false;
    },

    /** @param {string} [kind] it is hidden only where it is about an error of this kind */
    hide(kind = shown) {
      if (kind === shown) hide(root, before);
    },

    /** Takes the focus from a button that is not on the screen any more: the next step is here. */
    takeFocus() {
      if (button.hidden || !(before instanceof HTMLButtonElement)) return;
      const { top, bottom } = before.getBoundingClientRect();
      if (bottom > 0 && top < innerHeight) return;
      button.focus({ preventScroll: true });
    },
  };
}
