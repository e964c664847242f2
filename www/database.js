/** What this browser keeps for the page, in IndexedDB. Some private windows keep nothing. */

const DATABASE = 'cache-steering';

/** The stores, and the keys of their records. */
const STORES = /** @type {const} */ ({
  vectors: ['model', 'preset.id'],
  models: ['key'],
  answers: ['model', 'answer.question', 'answer.condition', 'answer.sample'],
});

/** @typedef {keyof typeof STORES} StoreName */

/** @type {Promise<IDBDatabase> | undefined} */
let opened;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 3);
    request.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(STORES)) {
        if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name, { keyPath: [...keyPath] });
      }
    };
    request.onsuccess = () => {
      // Or this tab would keep a later version of the page in another one from opening.
      request.result.onversionchange = () => {
        request.result.close();
        opened = undefined;
      };
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another tab holds an older version'));
  });
  opened.catch(() => (opened = undefined));
  return opened;
}

/**
 * Does one thing in a store; where the browser does not let it, says so in the console and gives
 * `otherwise`.
 * @template T
 * @template [U=T]
 * @param {StoreName} name
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} work
 * @param {U} otherwise
 * @returns {Promise<T | U>}
 */
export async function inStore(name, mode, work, otherwise) {
  try {
    const transaction = (await database()).transaction(name, mode);
    const request = work(transaction.objectStore(name));
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } catch (error) {
    console.warn('this browser does not keep it:', error);
    return otherwise;
  }
}

/** The keys that begin with one part. @param {string} first */
export const beginningWith = (first) => IDBKeyRange.bound([first], [first, []]);
