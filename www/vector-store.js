/**
 * Vectors that were made in this browser, kept for the next visit: in IndexedDB, under the model
 * that they were made with. Where a browser keeps nothing, as some private windows do, they last as
 * long as the page.
 *
 * @import { Preset } from './protocol.js'
 */

/**
 * @typedef {object} KeptVector
 * @property {string} model SHA-256 of the model's file
 * @property {Preset} preset
 * @property {Uint8Array} file safetensors
 */

const DATABASE = 'cache-steering';
const VECTORS = 'vectors';

/** @type {Promise<IDBDatabase> | undefined} */
let opened;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(VECTORS, { keyPath: ['model', 'preset.id'] });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another tab holds an older version'));
  });
  return opened;
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T>}
 */
async function inStore(mode, work) {
  const transaction = (await database()).transaction(VECTORS, mode);
  const request = work(transaction.objectStore(VECTORS));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/**
 * The vectors that were made with a model.
 * @param {string} model SHA-256 of its file
 * @returns {Promise<KeptVector[]>}
 */
export async function keptVectors(model) {
  try {
    return await inStore('readonly', (store) => store.getAll(IDBKeyRange.bound([model], [model, []])));
  } catch (error) {
    console.warn('vectors from before cannot be read:', error);
    return [];
  }
}

/**
 * @param {KeptVector} vector
 * @returns {Promise<boolean>} whether it will be there at the next visit
 */
export async function keepVector(vector) {
  try {
    await inStore('readwrite', (store) => store.put(vector));
    return true;
  } catch (error) {
    console.warn('the vector cannot be kept:', error);
    return false;
  }
}

/** @param {string} model SHA-256 of its file @param {string} id of the preset */
export async function forgetVector(model, id) {
  try {
    await inStore('readwrite', (store) => store.delete([model, id]));
  } catch (error) {
    console.warn('the vector cannot be deleted:', error);
  }
}
