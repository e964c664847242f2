/** What to do about answers that are no good: circles, nonsense, a tab that was slowed down. */

import { texts } from './texts.js';

/**
 * @import { EngineInfo, LaneResult } from './pkg/cache_steering.js'
 * @import { Lane } from './lanes.js'
 */

/** @typedef {EngineInfo['backend']} Backend */

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

/** Code and tags, and the rules of tables: few of them are letters, and nobody minds. */
const MARKUP = /```.*?(```|$)|<[^<>]*>|[|:=-]{2,}/gsu;

/** Whether this is no text that anybody would write. @param {LaneResult} result */
function isNonsense({ text: whole }) {
  const text = whole.replace(MARKUP, '');
  const letters = text.match(/[\p{L}\p{M}\p{N}]/gu)?.length ?? 0;
  const visible = text.match(/\S/gu)?.length ?? 0;
  return visible >= 4 * ENOUGH_WORDS && letters < FEWEST_LETTERS * visible;
}

/**
 * @param {Lane} steering of the steered answer
 * @param {(LaneResult | undefined)[]} results plain and steered
 * @param {Backend} backend that they come from
 * @param {boolean} wasHidden whether the tab was in the background meanwhile
 * @returns {{ side: 0 | 1, text: string } | undefined} nothing where all is well
 */
export function adviceFor({ preset, strength }, [plain, steered], backend, wasHidden) {
  const { plainNonsense, plainCircles, tooStrong, circles, wasHidden: inBackground } = texts.advice;
  if (plain && isNonsense(plain)) return { side: 0, text: plainNonsense(backend) };
  const isLost = strength !== 0 && steered && (goesInCircles(steered) || isNonsense(steered));
  if (isLost && Math.abs(strength) > Math.abs(preset.recommended.values)) return { side: 1, text: tooStrong };
  if (plain && goesInCircles(plain)) return { side: 0, text: plainCircles };
  if (isLost) return { side: 1, text: circles };
  return wasHidden ? { side: 1, text: inBackground } : undefined;
}
