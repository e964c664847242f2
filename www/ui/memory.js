/**
 * The picture of the KV cache: a strip for each side, a column for each token, a row for each layer. The
 * column that was written to shows, layer by layer, how large the write was beside what was there.
 */

import * as format from '../format.js';
import { texts } from '../texts.js';
import { create, element, part } from './dom.js';

/**
 * @import { SlotWrite } from '../pkg/cache_steering.js'
 * @import { Prompts } from './stage.js'
 */

/** Until a model says how many it has. */
const USUAL_LAYERS = 30;

export function createMemory() {
  const root = element('memory', HTMLElement);
  const strips = element('memory-strips', HTMLDivElement);
  const caption = element('memory-caption', HTMLElement);
  const slot = part(strips, '.steered .strip-slot');
  const promptLabel = part(strips, '.strip-prompt');
  const answers = [part(strips, '.plain .strip-answer'), part(strips, '.steered .strip-answer')];
  /** @type {number | undefined} */
  let frame;
  let written = [0, 0];

  /** @param {string} state */
  function enter(state) {
    root.dataset.state = state;
  }

  function empty() {
    enter('empty');
    caption.textContent = texts.memory.empty;
    promptLabel.textContent = texts.memory.labels.prompt(0, 0);
    heat(USUAL_LAYERS, () => 0);
    grow([0, 0]);
  }

  /** @param {number} layers @param {(layer: number) => number} of each, from 0 to 1 */
  function heat(layers, of) {
    strips.style.setProperty('--layers', String(layers));
    slot.replaceChildren(...Array.from({ length: layers }, (_, layer) => {
      const cell = create('i', {});
      cell.style.setProperty('--heat', of(layer).toFixed(3));
      return cell;
    }));
  }

  /** @param {number[]} tokens of the answers so far */
  function grow(tokens) {
    written = tokens;
    frame ??= requestAnimationFrame(() => {
      frame = undefined;
      answers.forEach((answer, i) => answer.style.setProperty('--count', String(written[i])));
    });
  }

  part(strips, '.strip-write').textContent = texts.memory.labels.write;
  empty();

  return {
    empty,
    grow,

    /** @param {Prompts} prompts @param {number} room for so many of an answer: nothing moves while they come */
    reading({ plain, steered }, room) {
      enter('reading');
      strips.style.setProperty('--columns', String(Math.max(plain, steered) + room));
      strips.style.setProperty('--count', String(plain));
      strips.style.setProperty('--steered-count', String(steered));
      caption.textContent = texts.memory.reading(steered);
      promptLabel.textContent = texts.memory.labels.prompt(plain, steered);
      grow([0, 0]);
    },

    /** The prompt is in memory and nothing was added. @param {number} tokens */
    plain(tokens) {
      enter('plain');
      caption.textContent = texts.memory.plain(tokens);
    },

    /** What was read, where it came to nothing. */
    end() {
      if (root.dataset.state === 'reading') empty();
    },

    /**
     * @param {{ prompts: Prompts, what: string, ofMany?: boolean, firstLayer: number, lastLayer: number, layers: number }} write
     *   what is added, whether that is for one of several answers, the layers that are written to, and how many the model has
     */
    steered({ prompts, what, ofMany = false, firstLayer, lastLayer, layers }) {
      enter('steered');
      const [before, added, after] = texts.memory.steered(prompts, what, 1 + lastLayer - firstLayer, ofMany);
      caption.replaceChildren(before, create('strong', { textContent: added }), after);
      heat(layers, (layer) => (layer >= firstLayer && layer <= lastLayer ? 0.5 : 0));
    },

    /** How large the write was. @param {SlotWrite} write */
    measured({ values, keys }) {
      const changes = values.map((value, layer) => Math.max(value, keys[layer]));
      const largest = Math.max(...changes);
      if (largest <= 0) return;
      heat(values.length, (layer) => changes[layer] / largest);
      caption.append(texts.memory.measured(format.strength(largest), changes.indexOf(largest)));
    },
  };
}
