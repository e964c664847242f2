/**
 * Vectors that were made in this browser, kept for the next visit under the model that they were made
 * with.
 *
 * @import { Preset } from './protocol.js'
 */

import { beginningWith, inStore } from './database.js';

/**
 * @typedef {object} KeptVector
 * @property {string} model SHA-256 of the model's file
 * @property {Preset} preset
 * @property {Uint8Array} file safetensors
 */

/**
 * The vectors that were made with a model.
 * @param {string} model SHA-256 of its file
 * @returns {Promise<KeptVector[]>}
 */
export const keptVectors = (model) =>
  inStore('vectors', 'readonly', (store) => store.getAll(beginningWith(model)), []);

/**
 * @param {KeptVector} vector
 * @returns {Promise<boolean>} whether it will be there at the next visit
 */
export const keepVector = async (vector) =>
  (await inStore('vectors', 'readwrite', (store) => store.put(vector), undefined)) !== undefined;

/** @param {string} model SHA-256 of its file @param {string} id of the preset */
export const forgetVector = (model, id) =>
  inStore('vectors', 'readwrite', (store) => store.delete([model, id]), undefined);
