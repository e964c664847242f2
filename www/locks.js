/** Locks that all tabs of the site share, held until they are released. */

/**
 * Waits for a lock. Where the browser has none, every tab is on its own.
 * @param {string} name
 * @param {object} [options]
 * @param {LockMode} [options.mode]
 * @param {AbortSignal} [options.signal] ends the wait
 * @param {() => void} [options.onWait] called if another tab holds it
 * @returns {Promise<() => void>} releases it
 */
export async function acquire(name, { mode = 'exclusive', signal, onWait } = {}) {
  const free = await tryAcquire(name, mode);
  if (free) return free;
  onWait?.();
  return new Promise((resolve, reject) => {
    navigator.locks.request(name, { mode, signal }, () => new Promise((release) => resolve(() => release(undefined)))).catch(reject);
  });
}

/**
 * @param {string} name
 * @param {LockMode} [mode]
 * @returns {Promise<(() => void) | undefined>} nothing where another tab holds it
 */
export function tryAcquire(name, mode = 'exclusive') {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    navigator.locks.request(name, { mode, ifAvailable: true }, (lock) => {
      if (lock) return new Promise((release) => resolve(() => release(undefined)));
      resolve(undefined);
      return undefined;
    }).catch(reject);
  });
}
