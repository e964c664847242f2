/** Where the question is written, sent and stopped. */

import { examples, texts } from '../texts.js';
import { element } from './dom.js';

/** @typedef {'asking' | 'busy' | 'stopping'} ComposerState */

const onTouchScreen = matchMedia('(hover: none) and (pointer: coarse)');

/** @param {{ onAsk: (question: string) => void, onStop: () => void }} actions */
export function createComposer({ onAsk, onStop }) {
  const form = element('composer', HTMLFormElement);
  const question = element('question', HTMLTextAreaElement);
  const button = element('ask', HTMLButtonElement);
  const chips = element('examples', HTMLDivElement);
  /** @type {ComposerState} */
  let state = 'asking';

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (state === 'stopping') return;
    if (state === 'busy') {
      onStop();
      return;
    }
    const text = question.value.trim();
    if (!text) {
      question.focus();
      return;
    }
    // A keyboard on the screen would cover the answers.
    if (onTouchScreen.matches) question.blur();
    onAsk(text);
  });

  question.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (state === 'asking') form.requestSubmit();
  });

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && state === 'busy') onStop();
  });

  for (const example of examples) {
    const chip = document.createElement('button');
    chip.type = 'button';
    chip.textContent = example;
    chip.addEventListener('click', () => {
      question.value = example;
      question.focus();
    });
    chips.append(chip);
  }

  return {
    /** @param {string} text */
    set question(text) {
      question.value = text;
    },

    get isBusy() {
      return state !== 'asking';
    },

    /** @param {ComposerState} next */
    set state(next) {
      state = next;
      form.dataset.state = next;
      button.textContent = { asking: texts.ask, busy: texts.stop, stopping: texts.stopping }[next];
      button.setAttribute('aria-disabled', String(next === 'stopping'));
    },
  };
}
