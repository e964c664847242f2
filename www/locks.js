/** Locks that all tabs of the site share, held until they are released. */

/** Resolves when others can have the lock. @typedef {() => Promise<void>} Release */

/**
 * Waits for a lock. Where the browser has none, every tab is on its own.
 * @param {string} name
 * @param {object} [options]
 * @param {LockMode} [options.mode]
 * @param {AbortSignal} [options.signal] ends the wait
 * @param {() => void} [options.onWait] called if another tab holds it
 * @returns {Promise<Release>}
 */
export async function acquire(name, { mode = 'exclusive', signal, onWait } = {}) {
  const free = await tryAcquire(name, mode);
  if (free) return free;
  onWait?.();
  return /** @type {Promise<Release>} */ (request(name, { mode, signal }));
}

/**
 * @param {string} name
 * @param {LockMode} [mode]
 * @returns {Promise<Release | undefined>} nothing where another tab holds it
 */
export const tryAcquire = (name, mode = 'exclusive') =>
  navigator.locks ? request(name, { mode, ifAvailable: true }) : Promise.resolve(async () => {});

/** @param {string} name @param {LockOptions} options @returns {Promise<Release | undefined>} */
function request(name, options) {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(name, options, (lock) => {
      if (!lock) {
        resolve(undefined);
        return undefined;
      }
      return new Promise((release) => resolve(async () => {
        release(undefined);
        await held;
      }));
    });
    held.catch(reject);
  });
}
