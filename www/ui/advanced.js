/** The settings that few people need. */

import { element } from './dom.js';

/**
 * @import { SamplingOptions } from '../pkg/cache_steering.js'
 * @import { Preset } from '../protocol.js'
 */

/** Long enough to see the style unfold, short enough to wait for on a CPU. */
const DEFAULT_MAX_TOKENS = 160;

/** The choices of an offset of one's own. @type {Record<string, string>} */
const OFFSETS = { line: '\n', space: ' ', none: '' };

/** @param {number} number @returns {number | undefined} nothing where the field is empty */
const given = (number) => (Number.isNaN(number) ? undefined : number);

export function createAdvanced() {
  const system = element('system', HTMLTextAreaElement);
  const maxTokens = element('max-tokens', HTMLInputElement);
  const temperature = element('temperature', HTMLInputElement);
  const seed = element('seed', HTMLInputElement);
  const topP = element('top-p', HTMLInputElement);
  const topK = element('top-k', HTMLInputElement);
  const minP = element('min-p', HTMLInputElement);
  const repetitionPenalty = element('repetition-penalty', HTMLInputElement);
  const keyShare = element('key-share', HTMLInputElement);
  const firstLayer = element('first-layer', HTMLInputElement);
  const lastLayer = element('last-layer', HTMLInputElement);
  const offset = element('offset', HTMLSelectElement);
  const stopRepeating = element('stop-repeating', HTMLInputElement);
  const details = element('advanced', HTMLDetailsElement);

  const fields = [
    system, maxTokens, temperature, seed, topP, topK, minP, repetitionPenalty, keyShare, firstLayer, lastLayer, offset,
  ];
  /** What each field is where nobody has changed it. @type {Record<string, string>} */
  const usual = {
    [system.id]: '',
    [maxTokens.id]: String(DEFAULT_MAX_TOKENS),
    // The likeliest token every time: then nothing but the vector makes a difference.
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
    stopRepeating.checked = true;
  }

  reset();
  // A browser cannot point at a wrong value inside of a closed box.
  details.addEventListener('invalid', () => { details.open = true; }, true);

  return {
    /** All settings that are not as usual, by the ids of their fields. @returns {Record<string, string>} */
    get settings() {
      const changed = fields.filter(({ id, value }) => value !== usual[id]).map(({ id, value }) => [id, value]);
      return Object.fromEntries([...changed, ...(stopRepeating.checked ? [] : [[stopRepeating.id, '0']])]);
    },

    /** Takes settings over, as far as they make sense; all others become as usual. @param {Record<string, string>} settings */
    set settings(settings) {
      reset();
      for (const field of fields) {
        const before = field.value;
        if (settings[field.id] !== undefined) field.value = settings[field.id];
        // A choice that there is not leaves a list without any.
        if (!field.checkValidity() || (field instanceof HTMLSelectElement && !field.value)) field.value = before;
      }
      stopRepeating.checked = settings[stopRepeating.id] !== '0';
    },

    /** Takes over what a preset recommends. @param {Preset} preset */
    usePreset(preset) {
      const { recommended, repetitionPenalty: penalty } = preset;
      // The same one with another strength leaves what was changed by hand.
      if (used === preset) return;
      used = preset;
      usual[repetitionPenalty.id] = String(penalty);
      usual[keyShare.id] = String(recommended.values === 0 ? 0 : recommended.keys / recommended.values);
      usual[firstLayer.id] = String(recommended.firstLayer);
      usual[lastLayer.id] = recommended.lastLayer === undefined ? '' : String(recommended.lastLayer);
      for (const { id } of [repetitionPenalty, keyShare, firstLayer, lastLayer]) element(id, HTMLInputElement).value = usual[id];
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
    /** The factor of the keys, as a share of that of the values. */
    get keyShare() {
      return keyShare.valueAsNumber;
    },
    get firstLayer() {
      return firstLayer.valueAsNumber;
    },
    /** Nothing for the last one that there is. @returns {number | undefined} */
    get lastLayer() {
      return given(lastLayer.valueAsNumber);
    },
    /** Instead of that of the style. @returns {string | undefined} */
    get offset() {
      return OFFSETS[offset.value];
    },
    /** Of the steered answer. */
    get repetitionPenalty() {
      return repetitionPenalty.valueAsNumber;
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
