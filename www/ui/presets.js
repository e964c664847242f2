/** Which vector is added, and how strongly. */

import { texts } from '../texts.js';
import { create, element } from './dom.js';

/** @import { Preset } from '../protocol.js' */

/** @typedef {ReturnType<typeof createPresets>} PresetChoice */

/** Where the slider ends, more than twice the strength of the vectors of the site. */
const USUAL_MAX = 10;

/**
 * @param {Preset[]} first at least one
 * @param {(preset: Preset) => void} onChoose a preset was chosen
 * @param {() => void} onChange the preset or the strength changed
 */
export function createPresets(first, onChoose, onChange) {
  const list = element('presets', HTMLDivElement);
  const slider = element('strength', HTMLInputElement);
  const value = element('strength-value', HTMLOutputElement);
  const mark = element('strength-mark', HTMLSpanElement);
  const start = element('strength-start', HTMLSpanElement);
  const end = element('strength-end', HTMLSpanElement);
  let chosen = first[0];
  /** @type {Preset[]} */
  let all = [];

  /** How far along the slider a strength is. @param {number} strength */
  const shareOf = (strength) => (strength - Number(slider.min)) / (Number(slider.max) - Number(slider.min));

  function showStrength() {
    const words = texts.strength.value(slider.valueAsNumber, chosen);
    value.textContent = words;
    slider.setAttribute('aria-valuetext', words);
    slider.parentElement?.style.setProperty('--at', String(shareOf(slider.valueAsNumber)));
    onChange();
  }

  /** @param {Preset} preset */
  function choose(preset) {
    chosen = preset;
    // Vectors from elsewhere may want more than those of the site.
    slider.max = end.textContent = String(Math.max(USUAL_MAX, Math.ceil(1.5 * preset.recommended.values)));
    slider.min = String(Math.min(0, Math.floor(1.5 * preset.recommended.values)));
    start.textContent = Number(slider.min) < 0 ? slider.min : texts.strength.off;
    slider.value = String(preset.recommended.values);
    mark.textContent = preset.isGuess ? texts.strength.guess : texts.strength.recommended;
    mark.style.setProperty('--mark', String(shareOf(preset.recommended.values)));
    onChoose(preset);
    showStrength();
    requestAnimationFrame(() => bringOn(preset));
  }

  /** Where the cards are a strip, it shows the one that is chosen. @param {Preset} preset */
  function bringOn({ id }) {
    const card = inputOf(id)?.closest('label');
    if (!card || list.scrollWidth <= list.clientWidth) return;
    const left = card.offsetLeft - list.offsetLeft;
    const isShown = left >= list.scrollLeft && left + card.offsetWidth <= list.scrollLeft + list.clientWidth;
    if (!isShown) list.scrollLeft = left - (list.clientWidth - card.offsetWidth) / 2;
  }

  /** @param {Preset} preset */
  function add(preset) {
    const place = inputOf(preset.id)?.closest('label');
    // The same one may come from what is kept.
    if (preset.id === chosen.id) chosen = preset;
    all = place ? all.map((one) => (one.id === preset.id ? preset : one)) : [...all, preset];
    const describedBy = `preset-${preset.id}`;
    const input = create('input', { type: 'radio', name: 'preset', value: preset.id, checked: preset === chosen });
    input.setAttribute('aria-label', preset.label);
    input.setAttribute('aria-describedby', describedBy);
    input.addEventListener('change', () => choose(preset));
    const name = create('span', { className: 'preset-name', textContent: preset.label });
    const description = create('span', { className: 'hint', id: describedBy, textContent: preset.description });
    const card = create('label', { className: 'preset' }, input, name, description);
    if (place) place.replaceWith(card);
    else list.append(card);
  }

  /** @param {string} id */
  const inputOf = (id) => /** @type {HTMLInputElement | null} */ (list.querySelector(`input[value="${CSS.escape(id)}"]`));

  /** @param {string} id */
  function remove(id) {
    all = all.filter((preset) => preset.id !== id);
    inputOf(id)?.closest('label')?.remove();
  }

  /** @param {Preset[]} presets */
  function use(presets) {
    list.replaceChildren();
    all = [];
    chosen = presets.find(({ id }) => id === chosen.id) ?? presets[0];
    presets.forEach(add);
    choose(chosen);
  }

  slider.addEventListener('input', showStrength);
  use(first);

  return {
    /** Offers these, at least one, instead of those before. */
    use,

    /** Adds a preset, in place of one with the same id. */
    add,

    /** @param {Preset} preset one that is there */
    choose(preset) {
      const input = inputOf(preset.id);
      if (input) input.checked = true;
      choose(preset);
    },

    /** Takes a preset away; the first one is chosen instead. @param {Preset} preset */
    remove(preset) {
      remove(preset.id);
      if (chosen.id === preset.id) this.choose(all[0]);
    },

    /** All that are offered, in their order. */
    get all() {
      return all;
    },
    get chosen() {
      return chosen;
    },
    /** What the slider can have. */
    get range() {
      return { least: Number(slider.min), most: Number(slider.max), step: Number(slider.step) };
    },
    get strength() {
      return slider.valueAsNumber;
    },
    /** As far as the slider goes. */
    set strength(value) {
      slider.valueAsNumber = value;
      showStrength();
    },
  };
}
