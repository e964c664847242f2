/** What to do about answers that are no good: circles, nonsense, a tab that was slowed down. */

import { texts } from './texts.js';

/**
 * @import { LaneResult } from './pkg/cache_steering.js'
 * @import { Lane } from './lanes.js'
 */

/** Fewer words say little of a text. */
const ENOUGH_WORDS = 25;

/** Texts in any language have more different words, and more letters, than this. */
const FEWEST_DIFFERENT = 0.3;
const FEWEST_LETTERS = 0.55;

/** Whether this is no text that anybody would write. @param {string} text */
function isNonsense(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length < ENOUGH_WORDS) return false;
  const letters = text.match(/[\p{L}\p{M}\p{N}]/gu)?.length ?? 0;
  const visible = text.match(/\S/gu)?.length ?? 0;
  return new Set(words).size < FEWEST_DIFFERENT * words.length || letters < FEWEST_LETTERS * visible;
}

/**
 * @param {Lane} steering of the steered answer
 * @param {(LaneResult | undefined)[]} results plain and steered
 * @param {boolean} wasHidden whether the tab was in the background meanwhile
 * @returns {string} nothing where all is well
 */
export function adviceFor({ preset, strength }, [plain, steered], wasHidden) {
  if (plain && isNonsense(plain.text)) return texts.advice.plainNonsense;
  const isLost = steered?.stopReason === 'repeating' || (steered !== undefined && isNonsense(steered.text));
  if (strength !== 0 && isLost) return strength > preset.recommended.values ? texts.advice.tooStrong : texts.advice.circles;
  return wasHidden ? texts.advice.wasHidden : '';
}
