/** The settings that few people need. */

import { texts } from '../texts.js';
import { element } from './dom.js';

/**
 * @import { SamplingOptions } from '../pkg/cache_steering.js'
 * @import { Preset } from '../protocol.js'
 */

/** Long enough to see the style unfold, short enough to wait for on a CPU. */
const DEFAULT_MAX_TOKENS = 160;

/** The choices of an offset of one's own. @type {Record<string, string>} */
const OFFSETS = { line: '\n', space: ' ', none: '' };

/** The ids of the fields of which each style has its own. */
const OF_STYLE = /** @type {const} */ (['repetition-penalty', 'key-share', 'first-layer', 'last-layer']);

/** What a style recommends, as fields say it. @param {Preset} preset @returns {Record<typeof OF_STYLE[number], string>} */
const recommendedBy = ({ recommended: { values, keys, firstLayer, lastLayer }, repetitionPenalty }) => ({
  'repetition-penalty': String(repetitionPenalty),
  'key-share': String(values === 0 ? 0 : keys / values),
  'first-layer': String(firstLayer),
  'last-layer': String(lastLayer ?? ''),
});

/** What a field is called on the page, without what explains it. @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} field */
function nameOf({ labels }) {
  const words = Array.from(labels?.[0]?.childNodes ?? []).filter(({ nodeType }) => nodeType === Node.TEXT_NODE);
  return words.map(({ textContent }) => textContent?.trim()).filter(Boolean).join(' ');
}

export function createAdvanced() {
  const system = element('system', HTMLTextAreaElement);
  const maxTokens = element('max-tokens', HTMLInputElement);
  const temperature = element('temperature', HTMLInputElement);
  const seed = element('seed', HTMLInputElement);
  const topP = element('top-p', HTMLInputElement);
  const topK = element('top-k', HTMLInputElement);
  const minP = element('min-p', HTMLInputElement);
  const ofStyle = OF_STYLE.map((id) => element(id, HTMLInputElement));
  const [, , firstLayer, lastLayer] = ofStyle;
  const offset = element('offset', HTMLSelectElement);
  const penaltyForAll = element('penalty-for-all', HTMLInputElement);
  const stopRepeating = element('stop-repeating', HTMLInputElement);
  const details = element('advanced', HTMLDetailsElement);

  const fields = [system, maxTokens, temperature, seed, topP, topK, minP, ...ofStyle, offset];
  /** Boxes, as they usually are. @type {[HTMLInputElement, boolean][]} */
  const boxes = [[penaltyForAll, false], [stopRepeating, true]];
  /** What each field is where nobody has changed it. @type {Record<string, string>} */
  const usual = {
    [system.id]: '',
    [maxTokens.id]: String(DEFAULT_MAX_TOKENS),
    // The likeliest token every time: then no chance makes a difference.
    [temperature.id]: '0',
    [seed.id]: '0',
    [topP.id]: '1',
    [topK.id]: '0',
    [minP.id]: '0',
    [offset.id]: 'own',
  };
  /** @type {Preset | undefined} */
  let used;

  function reset() {
    for (const field of fields) field.value = usual[field.id] ?? '';
    for (const [box, isChecked] of boxes) box.checked = isChecked;
    checkLayers();
  }

  function checkLayers() {
    const isTurned = lastLayer.value !== '' && lastLayer.valueAsNumber < firstLayer.valueAsNumber;
    lastLayer.setCustomValidity(isTurned ? texts.advanced.turnedLayers : '');
  }

  reset();
  for (const field of [firstLayer, lastLayer]) field.addEventListener('input', checkLayers);
  // A browser cannot point at a wrong value inside of a closed box.
  details.addEventListener('invalid', () => { details.open = true; }, true);

  return {
    /** All settings that are not as usual, by the ids of their fields. @returns {Record<string, string>} */
    get settings() {
      const changed = fields.filter(({ id, value }) => value !== usual[id]).map(({ id, value }) => [id, value]);
      const turned = boxes.filter(([box, isChecked]) => box.checked !== isChecked).map(([{ id, checked }]) => [id, checked ? '1' : '0']);
      return Object.fromEntries([...changed, ...turned]);
    },

    /** Takes settings over, as far as they make sense; all others become as usual. @param {Record<string, string>} settings */
    set settings(settings) {
      reset();
      for (const field of fields) {
        const before = field.value;
        if (settings[field.id] !== undefined) field.value = settings[field.id];
        checkLayers();
        // A choice that there is not leaves a list without any.
        if (!field.checkValidity() || (field instanceof HTMLSelectElement && !field.value)) field.value = before;
      }
      checkLayers();
      for (const [box] of boxes) if (settings[box.id] !== undefined) box.checked = settings[box.id] !== '0';
    },

    /** Takes over what a preset recommends. @param {Preset} preset */
    usePreset(preset) {
      // The same one with another strength leaves what was changed by hand.
      if (used === preset) return;
      used = preset;
      Object.assign(usual, recommendedBy(preset));
      for (const field of ofStyle) field.value = usual[field.id];
      checkLayers();
    },

    /** What is set for a style: what it recommends, but for what the visitor has changed. @param {Preset} preset */
    of(preset) {
      const own = recommendedBy(preset);
      const [repetitionPenalty, keyShare, firstLayer, lastLayer] = OF_STYLE.map((id, i) =>
        (ofStyle[i].value === usual[id] ? own[id] : ofStyle[i].value));
      return {
        repetitionPenalty: Number(repetitionPenalty),
        /** The factor of the keys, as a share of that of the values. */
        keyShare: Number(keyShare),
        firstLayer: Number(firstLayer),
        /** Nothing for the last one that there is. */
        lastLayer: lastLayer === '' ? undefined : Number(lastLayer),
      };
    },

    /** Where chance has a part, the next answer is another one. */
    reseed() {
      if (temperature.valueAsNumber > 0) seed.value = String((seed.valueAsNumber + 1) % 2 ** 32);
    },

    /** Whether the same question has the same answer. */
    get isCertain() {
      return temperature.valueAsNumber === 0;
    },

    /** What is not as usual, in words. */
    get changes() {
      const changed = fields.filter(({ id, value }) => value !== usual[id] && value !== '');
      const boxed = boxes.filter(([box, isChecked]) => box.checked !== isChecked);
      return [
        ...changed.map((field) => texts.advanced.change(nameOf(field), field instanceof HTMLSelectElement ? field.selectedOptions[0].text : field.value)),
        ...boxed.map(([box]) => texts.advanced.change(nameOf(box), box.checked ? texts.advanced.on : texts.advanced.off)),
      ];
    },

    /** A model has only so many layers. @param {number} layers */
    limitLayers(layers) {
      firstLayer.max = lastLayer.max = String(layers - 1);
    },

    /** What the model is told first; empty for its own. */
    get system() {
      return system.value.trim();
    },
    get maxTokens() {
      return maxTokens.valueAsNumber;
    },
    /** Instead of that of the style. @returns {string | undefined} */
    get offset() {
      return OFFSETS[offset.value];
    },
    /** Whether the plain answer has the repetition penalty of the steered one. */
    get penaltyForAll() {
      return penaltyForAll.checked;
    },
    get stopRepeating() {
      return stopRepeating.checked;
    },
    /** @returns {SamplingOptions} */
    get sampling() {
      return {
        temperature: temperature.valueAsNumber,
        seed: seed.valueAsNumber,
        topP: topP.valueAsNumber,
        topK: topK.valueAsNumber,
        minP: minP.valueAsNumber,
      };
    },
  };
}
