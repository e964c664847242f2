/** A style of the visitor's own: a few examples in, a vector out. */

import { texts } from '../texts.js';
import { FEWEST, readExamples } from '../examples.js';
import { element, hide, part } from './dom.js';

/**
 * @import { ContrastItem, ContrastivePair, Style } from '../pkg/cache_steering.js'
 * @import { Preset } from '../protocol.js'
 */

/** The lowest strength that shows the examples of the page is 2; from 4 on, their answers drift off. */
const FIRST_GUESS = { values: 3, keys: 1.5, firstLayer: 1 };

/** More only take longer. */
const MOST = 40;

/**
 * @typedef {object} Actions
 * @property {(style: Style, items: ContrastItem[], pairs: ContrastivePair[], beginAlike: boolean) => void} onMake
 * @property {() => void} onStop
 * @property {(file: File) => void} onImport
 * @property {(preset: Preset) => void} onExport
 * @property {(preset: Preset) => void} onDelete
 * @property {(preset: Preset) => void} onCalibrate
 */

/** @param {Actions} actions */
export function createWorkshopForm(actions) {
  const root = element('workshop', HTMLElement);
  const form = element('workshop-form', HTMLFormElement);
  const name = element('workshop-name', HTMLInputElement);
  const list = element('workshop-examples', HTMLOListElement);
  const template = element('workshop-example', HTMLTemplateElement);
  const add = element('workshop-add', HTMLButtonElement);
  const make = element('workshop-make', HTMLButtonElement);
  const bar = element('workshop-progress', HTMLProgressElement);
  const status = element('workshop-status', HTMLParagraphElement);
  const undo = element('workshop-undo', HTMLButtonElement);
  const file = element('workshop-file', HTMLInputElement);
  const own = element('workshop-own', HTMLUListElement);
  const written = element('workshop-written', HTMLFieldSetElement);
  const pasted = element('workshop-pasted', HTMLFieldSetElement);
  const begins = element('workshop-begins', HTMLInputElement);
  const pasteBox = element('workshop-paste', HTMLDetailsElement);
  const pasteText = element('workshop-list', HTMLTextAreaElement);
  let busy = false;
  /** Instead of the examples. @type {ContrastivePair[]} */
  let pairs = [];

  /** @param {ContrastivePair[]} some none for the examples */
  function usePairs(some) {
    pairs = some;
    const has = some.length > 0;
    pasted.hidden = pasted.disabled = !has;
    written.hidden = written.disabled = add.hidden = has;
    element('workshop-pasted-count', HTMLLegendElement).textContent = texts.workshop.pairs(some.length);
  }

  function take() {
    try {
      const read = readExamples(pasteText.value);
      usePairs(read.pairs);
      const taken = read.examples.slice(0, MOST);
      if (taken.length > 0) {
        list.replaceChildren();
        taken.forEach(addExample);
      }
      pasteBox.open = false;
      const arePairs = read.pairs.length > 0;
      const all = read.pairs.length + read.examples.length;
      status.textContent = texts.workshop.taken(read.pairs.length || taken.length, all, arePairs);
      // What had the focus is hidden now.
      (arePairs ? begins : name).focus();
    } catch (error) {
      status.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {{ question?: string, reasoning?: string, answer?: string }} [example] */
  function addExample({ question = '', reasoning = '', answer = '' } = {}) {
    const row = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    const item = /** @type {HTMLLIElement} */ (row.firstElementChild);
    for (const [name, value] of Object.entries({ question, reasoning, answer })) {
      field(item, name).value = value;
    }
    part(item, 'button').addEventListener('click', () => {
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      showCount();
      (/** @type {HTMLElement | null | undefined} */ (next?.querySelector('button:enabled')) ?? add).focus();
    });
    list.append(item);
    showCount();
    return item;
  }

  function showCount() {
    const count = list.children.length;
    add.disabled = count >= MOST;
    for (const [i, button] of list.querySelectorAll('button').entries()) {
      button.disabled = count <= FEWEST;
      button.setAttribute('aria-label', texts.workshop.remove(i + 1));
    }
  }

  /** @param {Element} item @param {string} name */
  const field = (item, name) => /** @type {HTMLInputElement} */ (item.querySelector(`[name=${name}]`));

  /** What one example says. @param {Element} item @param {string} name */
  const value = (item, name) => field(item, name).value.trim();

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (busy) {
      make.textContent = texts.stopping;
      actions.onStop();
      return;
    }
    const label = name.value.trim();
    const id = `own-${label.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-')}`;
    const rows = [...list.children].map((item) => ({
      question: value(item, 'question'),
      reasoning: value(item, 'reasoning'),
      answer: value(item, 'answer').replace(/\.$/, ''),
    }));
    const beginnings = pairs.length > 0 ? [begins.value.trim()] : beginningsOf(rows.map(({ reasoning }) => reasoning));
    const items = rows.map(({ question, reasoning, answer }) => ({ question, answer, reasoning: { [id]: reasoning } }));
    actions.onMake(
      {
        id,
        label,
        description: pairs.length > 0 ? texts.workshop.ofPairs(pairs.length) : texts.workshop.description(rows.length),
        marker: marker(beginnings),
        // Each example is the question once, with the others before it.
        pairs: rows.length,
        shots: Math.min(rows.length - 1, 4),
        offset: '\n',
        recommended: FIRST_GUESS,
        extraction: { keyFrame: 'zero' },
        repetitionPenalty: 1.1,
      },
      pairs.length > 0 ? [] : items,
      pairs,
      beginnings.length === 1,
    );
  });
  add.addEventListener('click', () => field(addExample(), 'question').focus());
  element('workshop-take', HTMLButtonElement).addEventListener('click', take);
  element('workshop-back', HTMLButtonElement).addEventListener('click', () => {
    usePairs([]);
    field(list.children[0], 'question').focus();
  });
  file.addEventListener('change', () => {
    const [chosen] = file.files ?? [];
    file.value = '';
    if (chosen) actions.onImport(chosen);
  });

  /** @param {string} label @param {Preset} preset @param {() => void} act */
  function button(label, preset, act) {
    const made = document.createElement('button');
    made.type = 'button';
    made.className = 'button quiet';
    made.textContent = label;
    made.setAttribute('aria-label', texts.workshop.of(label, preset.label));
    made.addEventListener('click', act);
    return made;
  }

  for (const example of texts.workshop.examples) addExample(example);
  make.textContent = texts.workshop.make;

  return {
    /** @param {boolean} now */
    set busy(now) {
      busy = now;
      root.dataset.state = now ? 'busy' : 'idle';
      make.textContent = now ? texts.stop : texts.workshop.make;
      bar.value = 0;
    },

    get busy() {
      return busy;
    },

    /** @param {string} text */
    set status(text) {
      status.setAttribute('aria-live', 'polite');
      status.textContent = text;
      hide(undo, make);
    },

    /** Offers a step beside the status, until there is another one. @param {string} label @param {() => void} act */
    offer(label, act) {
      undo.textContent = label;
      undo.onclick = act;
      undo.hidden = false;
      // Who deletes something has lost what had the focus.
      if (document.activeElement === document.body) undo.focus({ preventScroll: true });
    },

    /** @param {{ done: number, total: number, stability?: number }} progress */
    progress({ done, total, stability }) {
      bar.value = done / total;
      // Nobody wants to hear each number.
      status.setAttribute('aria-live', 'off');
      status.textContent = texts.workshop.progress(done, total, stability);
    },

    /** The vectors that are kept here. @param {Preset[]} presets */
    show(presets) {
      own.replaceChildren(...presets.map((preset) => {
        const item = document.createElement('li');
        const label = document.createElement('span');
        label.textContent = preset.label;
        item.append(
          label,
          button(texts.workshop.calibrate, preset, () => actions.onCalibrate(preset)),
          button(texts.workshop.export, preset, () => actions.onExport(preset)),
          button(texts.workshop.delete, preset, () => actions.onDelete(preset)),
        );
        return item;
      }));
    },
  };
}

/** What may stand around a word: space, quotation marks, the signs of Markdown, and what ends a clause. */
const AROUND = String.raw`\s"'“”„‘’«»()\[\]*_#>.,:;!?…–—\-`;

/**
 * How all of these begin: the words that they share, or else any of their first words.
 * @param {string[]} reasonings
 */
function beginningsOf(reasonings) {
  const words = reasonings.map((text) => text.split(/\s+/));
  const shared = [];
  for (const word of words[0] ?? []) {
    if (shared.length === 2 || !words.every((other) => other[shared.length] === word)) break;
    shared.push(word);
  }
  return shared.length > 0 ? [shared.join(' ')] : [...new Set(words.map(([first]) => first))];
}

/** A pattern for texts that begin in one of these ways. @param {string[]} beginnings */
function marker(beginnings) {
  const escaped = beginnings.map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  // A word ends where it ends: "I" is not "It". Letters of all scripts are none of what may stand around it.
  return `(?i)^[${AROUND}]*(${escaped.join('|')})([${AROUND}]|$)`;
}
