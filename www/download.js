/**
 * Files from the network, as they come: goes on where a connection broke, waits and tries again,
 * and takes the next mirror where one is of no use.
 */

import { chunksOf } from './chunks.js';

/** @import { SourceEvent } from './protocol.js' */

/**
 * What a server said of a file, to know it again. Addresses differ in what they say of the same file.
 * @typedef {{ url: string, tag?: string, total?: number }} Seen
 */

/**
 * @typedef {object} Patience
 * @property {number} stallMs a response or a connection that is silent for so long counts as broken
 * @property {number} tries of an address that gives nothing
 * @property {number} pauseMs before the second of them; each later pause is twice as long
 */

/** @type {Patience} */
const PATIENCE = { stallMs: 30_000, tries: 5, pauseMs: 500 };

/** A server that asks for a longer pause is not waited for. */
const LONGEST_PAUSE_MS = 30_000;

/** No address gave the file. */
export class DownloadError extends Error {
  name = 'Fetch';
}

/** What comes now is not the rest of what came before: the file has to be fetched from its beginning. */
export class ChangedError extends Error {
  name = 'FileChanged';
}

/** Why one request gave nothing, or no more. */
class Failure extends Error {
  /**
   * @param {string} message the end of a sentence
   * @param {{ again?: boolean, afterMs?: number }} [next] whether the same address may do better later
   */
  constructor(message, { again = true, afterMs = 0 } = {}) {
    super(message);
    this.again = again;
    this.afterMs = afterMs;
  }
}

/**
 * The bytes of a file from `from` on, in chunks that are valid until the next one is asked for.
 *
 * @param {{ urls: string[], bytes?: number, sha256?: string }} file its addresses, the best one first;
 *   where the digest is not known, a file that changes on its way is told by what the server says of it
 * @param {object} options
 * @param {number} options.from
 * @param {Seen} [options.seen] what was said of the file when the bytes before came
 * @param {AbortSignal} options.signal
 * @param {(seen: Seen, likely: number | undefined) => void} options.onSeen with the size that the file has if the
 *   server did not compress it
 * @param {(event: SourceEvent) => void} options.tell
 * @param {Patience} [options.patience]
 * @returns {AsyncGenerator<Uint8Array>}
 * @throws {DownloadError | ChangedError}
 */
export async function* download(file, { from, seen, signal, onSeen, tell, patience = PATIENCE }) {
  let at = from;
  /** @type {string[]} */
  const reasons = [];
  for (const url of file.urls) {
    let tries = 0;
    while (tries < patience.tries) {
      const before = at;
      try {
        const { body, skip, said, likely } = await request(url, at, file, seen, { signal, patience });
        seen = said;
        onSeen(said, likely);
        tell({ source: 'network', host: new URL(url).host, skip, total: said.total ?? likely });
        let left = skip;
        for await (const chunk of body) {
          const fresh = left > 0 ? chunk.subarray(Math.min(left, chunk.length)) : chunk;
          left -= chunk.length - fresh.length;
          at += fresh.length;
          if (said.total !== undefined && at > said.total) {
            throw new ChangedError(`the file is longer than the ${said.total} bytes that it ought to have`);
          }
          if (fresh.length > 0) yield fresh;
        }
        if (left > 0 || (said.total !== undefined && at < said.total)) throw new Failure('the connection broke');
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Failure)) throw error;
        tries = at > before ? 1 : tries + 1;
        if (!error.again) tries = patience.tries;
        if (tries >= patience.tries) reasons.push(`${nameOf(url)} from ${new URL(url).host}: ${error.message}`);
        else await pause(error, tries, { signal, tell, patience });
      }
    }
  }
  throw new DownloadError(`${reasons.join('; ')}. Check the connection and try again`);
}

/** @param {string} url */
const nameOf = (url) => new URL(url).pathname.split('/').at(-1);

/**
 * Asks for the rest of a file. `skip` bytes of the body came before, from a server that cannot send a
 * part; `likely` is the size of the file if the body was not compressed on its way.
 * @param {string} url
 * @param {number} at
 * @param {{ bytes?: number, sha256?: string }} file
 * @param {Seen | undefined} seen
 * @param {{ signal: AbortSignal, patience: Patience }} options
 */
async function request(url, at, file, seen, { signal, patience }) {
  const controller = new AbortController();
  const stop = () => controller.abort();
  signal.addEventListener('abort', stop, { once: true });
  const ended = () => signal.removeEventListener('abort', stop);
  try {
    const response = await inTime(
      // What is kept here need not be kept by the browser as well.
      fetch(url, { signal: controller.signal, cache: 'no-store', headers: at > 0 ? { Range: `bytes=${at}-` } : {} }),
      controller, patience,
    );
    const partial = response.status === 206;
    const [, start, size] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? [];
    const total = size !== undefined ? Number(size) : partial ? undefined : length(response);
    if (response.status === 416) throw new ChangedError(`the server has no byte ${at} of the file`);
    refuse(response);
    if (partial && start !== undefined && Number(start) !== at) throw new Failure('the server sent another part of the file', { again: false });
    if (file.bytes !== undefined && total !== undefined && total !== file.bytes) {
      throw new Failure(`there is another file, of ${total} bytes instead of ${file.bytes}`, { again: false });
    }
    /** @type {Seen} */
    const said = { url, total: file.bytes ?? total ?? (seen?.url === url ? seen.total : undefined) };
    const tag = response.headers.get('etag') ?? response.headers.get('last-modified');
    if (tag) said.tag = tag;
    if (at > 0 && !file.sha256 && !isSame(seen, said)) throw new ChangedError('the file has changed, or may have');
    if (!response.body) throw new Failure('the response is empty');
    const rest = Number(response.headers.get('content-length')) || NaN;
    const likely = rest + (partial ? at : 0) || undefined;
    return { body: pieces(response.body, controller, patience, ended), skip: partial ? 0 : at, said, likely };
  } catch (error) {
    ended();
    controller.abort();
    throw error;
  }
}

/** Whether two answers are about the same file, as far as can be told. @param {Seen | undefined} one @param {Seen} other */
function isSame(one, other) {
  if (one?.url !== other.url) return false;
  if (one.tag && other.tag) return one.tag === other.tag;
  return one.total !== undefined && one.total === other.total;
}

/** A body's size, unless it was compressed on its way or the server may hide that it was. @param {Response} response */
function length(response) {
  const { headers, type } = response;
  const size = headers.get('content-length');
  return type !== 'basic' || size === null || headers.has('content-encoding') ? undefined : Number(size);
}

/** @param {Response} response */
function refuse({ ok, status, headers }) {
  if (ok) return;
  const said = `the server answered ${status}`;
  if (status === 404 || status === 410) throw new Failure(`${said}, there is no such file`, { again: false });
  if (status === 401 || status === 403) throw new Failure(`${said}, the file may not be read`, { again: false });
  const wait = Number(headers.get('retry-after'));
  const afterMs = Number.isFinite(wait) ? 1000 * wait : 0;
  if (status === 429) throw new Failure(`${said}, it was asked for too often`, { afterMs });
  if (status === 408 || status >= 500) throw new Failure(`${said}, it has a problem`, { afterMs });
  throw new Failure(`${said}, it refused`, { again: false });
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {AbortController} controller
 * @param {Patience} patience
 * @param {() => void} onEnd
 */
async function* pieces(body, controller, patience, onEnd) {
  try {
    yield* chunksOf(body, (read) => inTime(read, controller, patience));
  } finally {
    onEnd();
    controller.abort();
  }
}

/**
 * Ends a request that is silent for too long.
 * @template T
 * @param {Promise<T>} promise of the request
 * @param {AbortController} controller of the same
 * @param {Patience} patience
 * @returns {Promise<T>}
 */
async function inTime(promise, controller, { stallMs }) {
  let stalled = false;
  const timer = setTimeout(() => {
    stalled = true;
    controller.abort();
  }, stallMs);
  try {
    return await promise;
  } catch (error) {
    if (stalled) throw new Failure(`nothing came for ${Math.ceil(stallMs / 1000)} seconds`);
    const words = error instanceof Error ? error.message : String(error);
    throw new Failure(`the connection failed, or the host does not let other sites read the file (${words})`);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {Failure} failure
 * @param {number} tries
 * @param {{ signal: AbortSignal, tell: (event: SourceEvent) => void, patience: Patience }} options
 */
async function pause({ message, afterMs }, tries, { signal, tell, patience }) {
  const ms = Math.min(LONGEST_PAUSE_MS, Math.max(afterMs, patience.pauseMs * 2 ** (tries - 1)));
  const offline = !navigator.onLine;
  tell(offline ? { source: 'offline' } : { source: 'retry', seconds: ms / 1000, reason: message });
  const over = new AbortController();
  try {
    await new Promise((resolve, reject) => {
      const once = { once: true, signal: over.signal };
      if (!offline) setTimeout(resolve, ms);
      self.addEventListener('online', resolve, once);
      signal.addEventListener('abort', () => reject(signal.reason), once);
    });
  } finally {
    over.abort();
  }
}
