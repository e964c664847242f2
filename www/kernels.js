/**
 * Which kernels were the fastest on this device, kept for the next visit: measuring them takes about
 * a second. The engine itself finds out whether they are of this adapter, driver and version.
 */

/**
 * @import { EngineInfo } from './pkg/cache_steering.js'
 * @import { ModelEntry } from './protocol.js'
 */

/** @param {ModelEntry} model */
const key = (model) => `cache-steering kernels ${model.id}`;

/** @param {ModelEntry} model @returns {string | undefined} */
export function rememberedKernels(model) {
  try {
    return localStorage.getItem(key(model)) ?? undefined;
  } catch {
    // Storage may be forbidden; then each visit measures.
    return undefined;
  }
}

/** @param {ModelEntry} model @param {EngineInfo} info */
export function rememberKernels(model, { kernels }) {
  if (kernels === undefined) return;
  try {
    localStorage.setItem(key(model), kernels);
  } catch {
    // Forbidden or full.
  }
}
