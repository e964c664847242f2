/** The settings that few people need. */

import { element } from './dom.js';

/**
 * @import { SamplingOptions } from '../pkg/cache_steering.js'
 * @import { Preset } from '../protocol.js'
 */

/** Long enough to see the style unfold, short enough to wait for on a CPU. */
const DEFAULT_MAX_TOKENS = 160;

export function createAdvanced() {
  const maxTokens = element('max-tokens', HTMLInputElement);
  const temperature = element('temperature', HTMLInputElement);
  const seed = element('seed', HTMLInputElement);
  const repetitionPenalty = element('repetition-penalty', HTMLInputElement);
  const keyShare = element('key-share', HTMLInputElement);
  const firstLayer = element('first-layer', HTMLInputElement);
  const stopRepeating = element('stop-repeating', HTMLInputElement);
  const details = element('advanced', HTMLDetailsElement);

  maxTokens.valueAsNumber = DEFAULT_MAX_TOKENS;
  // The likeliest token every time: then nothing but the vector makes a difference.
  temperature.valueAsNumber = 0;
  seed.valueAsNumber = 0;
  stopRepeating.checked = true;

  // A browser cannot point at a wrong value inside of a closed box.
  details.addEventListener('invalid', () => { details.open = true; }, true);

  const fields = [maxTokens, temperature, seed, repetitionPenalty, keyShare, firstLayer];

  return {
    /** All settings, by the ids of their fields. @returns {Record<string, string>} */
    get settings() {
      const values = fields.map(({ id, value }) => [id, value]);
      return Object.fromEntries([...values, [stopRepeating.id, stopRepeating.checked ? '1' : '0']]);
    },

    /** Takes settings over, as far as they make sense. @param {Record<string, string>} settings */
    set settings(settings) {
      for (const field of fields) {
        const before = field.value;
        if (settings[field.id] !== undefined) field.value = settings[field.id];
        if (!field.checkValidity()) field.value = before;
      }
      if (settings[stopRepeating.id] !== undefined) stopRepeating.checked = settings[stopRepeating.id] === '1';
    },

    /** Takes over what a preset recommends. @param {Preset} preset */
    usePreset({ recommended, repetitionPenalty: penalty }) {
      repetitionPenalty.valueAsNumber = penalty;
      keyShare.valueAsNumber = recommended.values === 0 ? 0 : recommended.keys / recommended.values;
      firstLayer.valueAsNumber = recommended.firstLayer;
    },

    /** A model has only so many layers. @param {number} layers */
    limitLayers(layers) {
      firstLayer.max = String(layers - 1);
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
      };
    },
  };
}
