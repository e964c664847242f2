/** The line above the answers that says that they are recordings, with a choice of others. */

import { texts } from '../texts.js';
import { create, element } from './dom.js';

/**
 * @param {string[]} questions
 * @param {(index: number) => void} onPlay
 */
export function createPlayer(questions, onPlay) {
  const root = element('recording', HTMLDivElement);
  const caption = element('recording-caption', HTMLParagraphElement);
  const choices = element('recording-choices', HTMLDivElement);
  const commands = element('recording-commands', HTMLElement);
  const buttons = questions.map((question, index) => {
    const button = create('button', { type: 'button', textContent: question });
    button.addEventListener('click', () => onPlay(index));
    return button;
  });
  choices.replaceChildren(...buttons);
  /** @type {IntersectionObserver | undefined} */
  let observer;

  return {
    /** @param {number} index @param {string} text @param {string[]} made the commands */
    show(index, text, made) {
      root.hidden = false;
      caption.replaceChildren(create('b', { textContent: texts.recording.tag }), ` ${text}`);
      commands.textContent = made.join('\n');
      buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(i === index)));
    },

    hide() {
      root.hidden = true;
    },

    /** Once the answers are on the screen. @param {() => void} act */
    whenSeen(act) {
      observer?.disconnect();
      observer = new IntersectionObserver(([{ isIntersecting }], seeing) => {
        if (!isIntersecting) return;
        seeing.disconnect();
        act();
      });
      observer.observe(root);
    },
  };
}
