/** What the page cannot do without. */

import { texts } from './texts.js';

/** The smallest module that needs SIMD: one function that returns `i8x16.splat(0)`. */
const SIMD_MODULE = Uint8Array.of(
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // header
  1, 5, 1, 0x60, 0, 1, 0x7b, // a type: () -> v128
  3, 2, 1, 0, // a function of it
  10, 8, 1, 6, 0, 0x41, 0, 0xfd, 0x0f, 0x0b, // its code
);

/** What this browser lacks, in words, or undefined where it lacks nothing. */
export function missing() {
  if (typeof WebAssembly !== 'object') return texts.missing.wasm;
  if (!WebAssembly.validate(SIMD_MODULE)) return texts.missing.simd;
  if (!hasModuleWorkers()) return texts.missing.workers;
  return undefined;
}

/** Browsers read the option `type` only where they know module workers. */
function hasModuleWorkers() {
  let known = false;
  const options = {
    /** @returns {'module'} */
    get type() {
      known = true;
      return 'module';
    },
  };
  const url = URL.createObjectURL(new Blob([''], { type: 'text/javascript' }));
  try {
    new Worker(url, options).terminate();
  } catch {
    return known;
  } finally {
    URL.revokeObjectURL(url);
  }
  return known;
}
