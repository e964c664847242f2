/** Which answers are asked for at once: each gets a lane of the KV cache. */

import { texts } from './texts.js';

/**
 * @import { LaneOptions, StrengthValues } from './pkg/cache_steering.js'
 * @import { Preset } from './protocol.js'
 * @import { createAdvanced } from './ui/advanced.js'
 * @import { PresetChoice } from './ui/presets.js'
 */

/** @typedef {'two' | 'strengths' | 'styles'} View */

/** One answer; strength 0 adds nothing. @typedef {{ title: string, preset: Preset, strength: number }} Lane */

/** As many as the engine has lanes. */
const MOST = 8;

/** Strengths of the view of one style, in parts of the recommended one. */
const PARTS = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];

/**
 * @param {View} view
 * @param {PresetChoice} choice
 * @returns {Lane[]}
 */
export function lanesOf(view, { chosen, strength, all, range: { least, most, step } }) {
  const plain = { title: texts.lanes.plain, preset: chosen, strength: 0 };
  if (view === 'two') return [plain, { title: texts.lanes.steered, preset: chosen, strength }];
  if (view === 'strengths') {
    // Those that the slider can have: each of them may be chosen.
    const strengths = PARTS.map((part) => Math.max(least, Math.min(most, step * Math.round((part * chosen.recommended.values) / step))));
    return [...new Set(strengths)].map((strength) =>
      (strength === 0 ? plain : { title: texts.lanes.strength(strength), preset: chosen, strength }));
  }
  // One's own styles first: they are why somebody looks.
  const styles = [...all.filter(({ own }) => own), ...all.filter(({ own }) => !own)].slice(0, MOST - 1);
  return [plain, ...styles.map((preset) => ({ title: preset.label, preset, strength: preset.recommended.values }))];
}

/**
 * @param {Lane} lane
 * @param {ReturnType<typeof createAdvanced>} advanced
 * @returns {StrengthValues}
 */
function strengthOf({ preset, strength }, advanced) {
  const { keyShare, firstLayer, lastLayer } = advanced.of(preset);
  return { ...preset.recommended, values: strength, keys: strength * keyShare, firstLayer, lastLayer };
}

/**
 * What keeps a steered answer from going round in circles would keep a plain one from its usual words: unless
 * the visitor wants the same for both, that one has none.
 * @param {Lane} lane
 * @param {ReturnType<typeof createAdvanced>} advanced
 */
export const penaltyOf = ({ preset, strength }, advanced) =>
  (strength === 0 && !advanced.penaltyForAll ? 1 : advanced.of(preset).repetitionPenalty);

/**
 * @param {Lane} lane
 * @param {string} offset
 * @param {ReturnType<typeof createAdvanced>} advanced
 * @returns {LaneOptions}
 */
export const laneOptions = (lane, offset, advanced) => ({
  offset,
  repetitionPenalty: penaltyOf(lane, advanced),
  steering: lane.strength === 0 ? [] : [{ vector: lane.preset.id, strength: strengthOf(lane, advanced) }],
});
