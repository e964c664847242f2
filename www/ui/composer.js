/** Where the question is written, sent and stopped, and how many answers are wanted. */

import { examples, texts } from '../texts.js';
import { create, element, reveal } from './dom.js';

/** @import { View } from '../lanes.js' */

/** @typedef {'asking' | 'busy' | 'stopping'} ComposerState */

/** What a question follows on: nothing, the answers that are shown, or what the one that is shown follows on. @typedef {'nothing' | 'answers' | 'same'} After */

const onTouchScreen = matchMedia('(hover: none) and (pointer: coarse)');

/**
 * @param {object} actions
 * @param {(question: string, after: After) => void} actions.onAsk also while another one is answered, to have this one instead
 * @param {() => void} actions.onStop
 * @param {() => void} actions.onView another view was chosen
 * @param {() => void} actions.onStartOver
 */
export function createComposer({ onAsk, onStop, onView, onStartOver }) {
  const form = element('composer', HTMLFormElement);
  const question = element('question', HTMLTextAreaElement);
  const button = element('ask', HTMLButtonElement);
  const chips = element('examples', HTMLDivElement);
  const views = element('views', HTMLFieldSetElement);
  const followUp = element('follow-up', HTMLInputElement);
  const followUpLabel = element('follow-up-label', HTMLLabelElement);
  /** @type {ComposerState} */
  let state = 'asking';
  /** Whether what is written is the question that is shown, changed. */
  let isEdited = false;
  /** The question that is being answered, or was. */
  let taken = '';

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (state === 'asking') send();
    else if (state === 'busy') onStop();
  });

  function send() {
    const text = question.value.trim();
    if (!text) {
      question.focus();
      return;
    }
    // A keyboard on the screen would cover the answers.
    if (onTouchScreen.matches) question.blur();
    const after = !followUp.checked || followUpLabel.hidden ? 'nothing' : isEdited ? 'same' : 'answers';
    onAsk(text, after);
  }

  question.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    // The button stops what runs; who has written another question wants that one instead.
    if (state === 'asking') form.requestSubmit();
    else if (form.reportValidity()) send();
  });

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && state === 'busy') onStop();
  });

  followUp.addEventListener('change', () => {
    question.placeholder = followUp.checked ? texts.composer.followUp : texts.composer.placeholder;
    if (followUp.checked && question.value.trim() === taken) question.value = '';
    isEdited = false;
    question.focus();
  });
  views.addEventListener('change', onView);
  element('start-over', HTMLButtonElement).addEventListener('click', onStartOver);

  question.placeholder = texts.composer.placeholder;
  chips.append(...examples.map((example) => {
    const chip = create('button', { type: 'button', textContent: example });
    chip.addEventListener('click', () => {
      question.value = example;
      if (isEdited) followUp.checked = isEdited = false;
      question.focus();
    });
    return chip;
  }));

  /** @param {string} view */
  const inputOf = (view) => /** @type {HTMLInputElement | null} */ (views.querySelector(`input[value="${CSS.escape(view)}"]`));

  return {
    get question() {
      return question.value;
    },

    /** @param {string} text */
    set question(text) {
      question.value = text;
    },

    /** A question is being answered; one that went on in a conversation makes room for the next. @param {string} text */
    take(text) {
      taken = text;
      if (question.value.trim() !== text) return;
      if (followUp.checked) question.value = '';
      isEdited = false;
    },

    /** Takes a question back to where it can be changed. @param {string} text @param {boolean} isFollowUp which it stays */
    edit(text, isFollowUp) {
      followUp.checked = isEdited = isFollowUp;
      question.value = text;
      reveal('composer');
      question.focus();
    },

    /** Whether all settings can be used; the first one that cannot is shown. */
    isValid: () => form.reportValidity(),

    get isBusy() {
      return state !== 'asking';
    },

    /** @returns {View} */
    get view() {
      return /** @type {View} */ (/** @type {HTMLInputElement | null} */ (views.querySelector('input:checked'))?.value ?? 'two');
    },

    /** The answers that are wanted, as the page names them. */
    get viewInWords() {
      return texts.composer.view(views.querySelector('label:has(:checked)')?.textContent?.trim() ?? '');
    },

    /** One that there is, or nothing happens. @param {string} view */
    set view(view) {
      const input = inputOf(view);
      if (input) input.checked = true;
    },

    /** @param {boolean} can whether there is something to follow up on */
    set canFollowUp(can) {
      followUpLabel.hidden = !can;
      if (!can) {
        followUp.checked = false;
        question.placeholder = texts.composer.placeholder;
      }
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
