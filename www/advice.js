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

/** Whether the same words come again and again. @param {LaneResult} result */
function goesInCircles({ text, stopReason }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return stopReason === 'repeating' || (words.length >= ENOUGH_WORDS && new Set(words).size < FEWEST_DIFFERENT * words.length);
}

/** Whether this is no text that anybody would write. @param {LaneResult} result */
function isNonsense({ text }) {
  const letters = text.match(/[\p{L}\p{M}\p{N}]/gu)?.length ?? 0;
  const visible = text.match(/\S/gu)?.length ?? 0;
  return visible >= 4 * ENOUGH_WORDS && letters < FEWEST_LETTERS * visible;
}

/**
 * @param {Lane} steering of the steered answer
 * @param {(LaneResult | undefined)[]} results plain and steered
 * @param {boolean} wasHidden whether the tab was in the background meanwhile
 * @returns {{ side: 0 | 1, text: string } | undefined} nothing where all is well
 */
export function adviceFor({ preset, strength }, [plain, steered], wasHidden) {
  const { plainNonsense, plainCircles, tooStrong, circles, wasHidden: inBackground } = texts.advice;
  if (plain && isNonsense(plain)) return { side: 0, text: plainNonsense };
  const isLost = steered && (goesInCircles(steered) || isNonsense(steered));
  if (strength !== 0 && isLost) return { side: 1, text: Math.abs(strength) > Math.abs(preset.recommended.values) ? tooStrong : circles };
  if (plain && goesInCircles(plain)) return { side: 0, text: plainCircles };
  return wasHidden ? { side: 1, text: inBackground } : undefined;
}
