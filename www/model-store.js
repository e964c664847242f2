/**
 * Model files that this browser keeps, whole ones and the beginnings of some: their bytes in the
 * origin's private file system, what is known of them in IndexedDB.
 */

import { inStore } from './database.js';
import { tryAcquire } from './locks.js';

/** @import { Seen } from './download.js' */

/**
 * @typedef {object} StoredFile
 * @property {string} key the file's SHA-256 where it was known beforehand, else a digest of its address
 * @property {string} url its first address
 * @property {string} label of its model, for people
 * @property {number} [bytes] of the whole file, where that is known
 * @property {string} [verified] its SHA-256, once all of it has arrived and was hashed
 * @property {Seen} [seen] what its server said of it
 * @property {number} usedAt milliseconds since 1970
 */

/**
 * What workers have and TypeScript knows of workers only.
 * @typedef {object} SyncAccessHandle
 * @property {(buffer: Uint8Array, options?: { at: number }) => number} read
 * @property {(buffer: Uint8Array, options?: { at: number }) => number} write
 * @property {(size: number) => void} truncate
 * @property {() => number} getSize
 * @property {() => void} flush
 * @property {() => void} close
 */

const FOLDER = 'models';

const CHUNK_BYTES = 1 << 20;

/** The lock of a file: shared by those who read it whole, held alone by whoever writes or removes it. @param {string} key */
export const lockOf = (key) => `cache-steering model ${key}`;

const folder = async () => (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });

/** @param {string} key @returns {Promise<StoredFile | undefined>} */
export const recordOf = (key) => inStore('models', 'readonly', (store) => store.get([key]), undefined);

/** @param {StoredFile} record */
export const keepRecord = (record) => inStore('models', 'readwrite', (store) => store.put(record), undefined);

/**
 * A file that is there whole and was verified.
 * @param {string} key
 * @returns {Promise<{ record: StoredFile, file: File } | undefined>}
 */
export async function openStored(key) {
  const record = await recordOf(key);
  if (!record?.verified) return undefined;
  try {
    const file = await (await (await folder()).getFileHandle(key)).getFile();
    if (file.size !== record.bytes) return undefined;
    await keepRecord({ ...record, usedAt: Date.now() });
    return { record, file };
  } catch {
    // The browser has taken it away.
    return undefined;
  }
}

/**
 * Opens a file for writing, with what is there of it. In workers only.
 * @param {string} key
 * @returns {Promise<SyncAccessHandle>}
 */
export async function openPart(key) {
  const handle = await (await folder()).getFileHandle(key, { create: true });
  return /** @type {{ createSyncAccessHandle(): Promise<SyncAccessHandle> }} */ (/** @type {unknown} */ (handle)).createSyncAccessHandle();
}

/** The bytes that are there of a part, in chunks that share their memory. @param {SyncAccessHandle} part */
export function* writtenTo(part) {
  const chunk = new Uint8Array(CHUNK_BYTES);
  const size = part.getSize();
  for (let at = 0; at < size;) {
    const read = part.read(chunk, { at });
    if (read === 0) throw new Error('the stored part of the model cannot be read');
    at += read;
    yield chunk.subarray(0, read);
  }
}

/**
 * What is kept, the one that was used last first.
 * @returns {Promise<(StoredFile & { size: number })[]>} with the bytes that are there
 */
export async function listStored() {
  /** @type {StoredFile[] | undefined} */
  const records = await inStore('models', 'readonly', (store) => store.getAll(), undefined);
  // Files of which nothing is known are deleted, but not because the database cannot be read now.
  if (!records) return [];
  const sizes = await sizesOfFiles();
  const known = new Set(records.map(({ key }) => key));
  await Promise.all([...sizes.keys()].filter((key) => !known.has(key)).map(remove));
  return records
    .map((record) => ({ ...record, size: sizes.get(record.key) ?? 0 }))
    .filter(({ size }) => size > 0)
    .sort((one, other) => other.usedAt - one.usedAt);
}

/** @returns {Promise<Map<string, number>>} */
async function sizesOfFiles() {
  const sizes = new Map();
  try {
    for await (const [key, handle] of (await folder()).entries()) {
      if (handle instanceof FileSystemFileHandle) sizes.set(key, (await handle.getFile()).size);
    }
  } catch (error) {
    console.warn('this browser keeps no models:', error);
  }
  return sizes;
}

/**
 * Deletes a file, unless a tab is using it.
 * @param {string} key
 * @returns {Promise<boolean>} whether it is gone
 */
export async function remove(key) {
  const release = await tryAcquire(lockOf(key));
  if (!release) return false;
  try {
    await erase(key);
  } finally {
    await release();
  }
  return true;
}

/** Deletes a file whose lock is held. @param {string} key */
export async function erase(key) {
  await inStore('models', 'readwrite', (store) => store.delete([key]), undefined);
  try {
    await (await folder()).removeEntry(key);
  } catch {
    // There was none.
  }
}

/**
 * Makes room at the cost of the model that was not used for the longest time, unless all of them
 * together would not make enough. What a browser estimates of its room is too coarse to know beforehand that this
 * is needed.
 * @param {number} bytes that are needed
 * @param {string} except the key of the file that the room is for
 * @returns {Promise<boolean>} whether something was deleted
 */
export async function evictOldest(bytes, except) {
  const others = (await listStored()).filter(({ key }) => key !== except);
  const most = others.reduce((sum, { size }) => sum + size, 0);
  if (most < bytes) return false;
  for (const { key } of others.reverse()) {
    if (await remove(key)) return true;
  }
  return false;
}
