/**
 * The files of a model as the engine takes them: from this browser's store, from the network, or from
 * the visitor's disk. In workers only.
 */

import { chunksOf } from './chunks.js';
import { download } from './download.js';
import { acquire } from './locks.js';
import { erase, evictOldest, keepRecord, lockOf, openPart, openStored, recordOf, writtenTo } from './model-store.js';

/**
 * @import { EngineInfo, LoadProgress, ModelFile, WebEngine } from './pkg/cache_steering.js'
 * @import { FileEntry, ModelRequest, SourceEvent } from './protocol.js'
 * @import { Seen } from './download.js'
 * @import { Release } from './locks.js'
 * @import { StoredFile, SyncAccessHandle } from './model-store.js'
 */

/**
 * A file that is being read; exactly one of the three ends it.
 * @typedef {object} OpenFile
 * @property {ModelFile} file
 * @property {(sha256: string) => Promise<void>} finish once the engine has taken it as right
 * @property {() => Promise<void>} close leaves what has arrived for the next time
 * @property {() => Promise<void>} discard
 */

/** @typedef {{ label: string, signal: AbortSignal, tell: (event: SourceEvent) => void }} Context */

/** Errors of the engine or the store after which a file that is fetched anew may do. */
const DAMAGED = ['Checksum', 'Truncated', 'NotGguf', 'BadHeader', 'FileChanged', 'NotReadableError', 'NotFoundError'];

/** Errors after which what has arrived is of no use. */
const USELESS = [
  ...DAMAGED, 'UnsupportedArchitecture', 'Metadata', 'MissingTensor', 'UnknownTensor', 'TensorShape', 'TensorType',
  'Tokenizer', 'ChatTemplate', 'Split',
];

/**
 * Loads a model into the engine. Files that arrive damaged are fetched once more, from the next
 * address where there is one.
 * @param {WebEngine} engine
 * @param {ModelRequest} request
 * @param {AbortSignal} signal
 * @param {(event: LoadProgress | SourceEvent) => void} tell
 * @returns {Promise<EngineInfo>}
 */
export async function load(engine, { files, label, backend, kernels }, signal, tell) {
  try {
    return await attempt(files);
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    if (!DAMAGED.includes(name) || files.some((file) => 'blob' in file)) throw error;
    tell({ source: 'again', reason: message });
    return attempt(files.map((file) => ('urls' in file ? { ...file, urls: [...file.urls.slice(1), file.urls[0]] } : file)));
  }

  /** @param {FileEntry[]} entries */
  async function attempt(entries) {
    /** @type {OpenFile[]} */
    const opened = [];
    try {
      for (const entry of entries) opened.push(await open(entry, { label, signal, tell }));
      const info = await engine.load({ files: opened.map(({ file }) => file), backend, kernels }, tell);
      const { sha256, parts } = info.model;
      for (const [i, { finish }] of opened.entries()) await finish(parts[i] ?? sha256);
      return info;
    } catch (error) {
      const useless = error instanceof Error && USELESS.includes(error.name);
      for (const { discard, close } of opened) await (useless ? discard() : close());
      throw error;
    }
  }
}

/** @param {FileEntry} entry @param {Context} context @returns {Promise<OpenFile>} */
async function open(entry, context) {
  if ('blob' in entry) {
    const { blob } = entry;
    const nothing = async () => {};
    return { file: { chunks: chunksOf(blob.stream()), bytes: blob.size }, finish: nothing, close: nothing, discard: nothing };
  }
  const { signal, tell } = context;
  const key = entry.sha256 ?? await digest(entry.urls[0]);
  const onWait = () => tell({ source: 'waiting' });
  for (;;) {
    const released = await acquire(lockOf(key), { mode: 'shared', signal, onWait });
    const stored = await openStored(key);
    if (stored) return storedFile(key, stored, released, tell);
    await released();
    const release = await acquire(lockOf(key), { signal, onWait });
    // Another tab may have fetched it meanwhile.
    if (!(await openStored(key))) return fetchedFile(key, entry, release, context);
    await release();
  }
}

/**
 * @param {string} key
 * @param {{ record: StoredFile, file: File }} stored
 * @param {Release} release
 * @param {(event: SourceEvent) => void} tell
 * @returns {OpenFile}
 */
function storedFile(key, { record, file }, release, tell) {
  tell({ source: 'stored' });
  return {
    file: { chunks: chunksOf(file.stream()), bytes: file.size, sha256: record.verified, verified: true },
    finish: release,
    close: release,
    discard: () => erase(key).finally(release),
  };
}

/**
 * @param {string} key
 * @param {{ urls: string[], bytes?: number, sha256?: string }} entry
 * @param {Release} release
 * @param {Context} context
 * @returns {Promise<OpenFile>}
 */
async function fetchedFile(key, entry, release, { label, signal, tell }) {
  /** @type {StoredFile} */
  let record = { ...(await recordOf(key)), key, url: entry.urls[0], label, verified: undefined, usedAt: Date.now() };
  let part = await partOf(key, entry, tell);
  let size = part?.getSize() ?? 0;

  /** @type {number | undefined} */
  let likely;
  const total = () => entry.bytes ?? record.seen?.total ?? record.bytes;

  /** Keeps what arrived, or stops keeping anything where there is no room. @param {Uint8Array} chunk */
  async function keep(chunk) {
    while (part && !write(part, chunk)) {
      if (await evictOldest((total() ?? likely ?? size + chunk.length) - size, key)) continue;
      part.close();
      part = undefined;
      await erase(key);
      tell({ source: 'unstored' });
    }
  }

  /** @param {SyncAccessHandle} part @param {Uint8Array} chunk */
  function write(part, chunk) {
    try {
      // In a private window Chromium gives an error's code as a huge number instead of throwing.
      if (part.write(chunk, { at: size }) !== chunk.length) return false;
    } catch (error) {
      console.warn('there is no room for more of the model:', error);
      return false;
    }
    size += chunk.length;
    return true;
  }

  /** @param {Seen} seen @param {number} [unlessCompressed] */
  function onSeen(seen, unlessCompressed) {
    likely = unlessCompressed;
    record = { ...record, seen, bytes: seen.total };
    if (part) void keepRecord(record);
  }

  async function* chunks() {
    if (part && size > 0) {
      tell({ source: 'stored' });
      yield* writtenTo(part);
      if (size === total()) return;
    }
    for await (const chunk of download(entry, { from: size, seen: record.seen, signal, onSeen, tell })) {
      await keep(chunk);
      yield chunk;
    }
  }

  async function close() {
    part?.close();
    part = undefined;
    await release();
  }

  return {
    file: {
      chunks: chunks(),
      get bytes() {
        return total();
      },
      sha256: entry.sha256,
    },
    async finish(sha256) {
      if (part && isWritten(part)) await keepRecord({ ...record, bytes: size, verified: sha256 });
      await close();
    },
    close,
    async discard() {
      part?.close();
      part = undefined;
      await erase(key).finally(release);
    },
  };
}

/** Whether all of a part is on the disk. @param {SyncAccessHandle} part */
function isWritten(part) {
  try {
    part.flush();
    return true;
  } catch (error) {
    console.warn('the model is not stored:', error);
    return false;
  }
}

/**
 * What is there of a file, open for more; nothing where this browser cannot keep it.
 * @param {string} key
 * @param {{ bytes?: number }} entry
 * @param {(event: SourceEvent) => void} tell
 */
async function partOf(key, { bytes }, tell) {
  try {
    const part = await openPart(key);
    if (bytes !== undefined && part.getSize() > bytes) part.truncate(0);
    return part;
  } catch (error) {
    console.warn('the model is not stored:', error);
    tell({ source: 'unstored' });
    return undefined;
  }
}

/** The SHA-256 of a text; the text itself where the browser lends no digests, and no storage either. @param {string} text */
async function digest(text) {
  if (!crypto.subtle) return text;
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
