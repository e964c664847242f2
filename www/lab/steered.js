/** A style as a condition of an evaluation. */

import * as format from '../format.js';

/**
 * @import { EvaluateRequest, StrengthValues } from '../pkg/cache_steering.js'
 * @import { Preset } from '../protocol.js'
 */

/**
 * With the keys in the share that the preset recommends. At 0 nothing is added, and answers are the plain
 * ones of the page, which have no repetition penalty.
 * @param {Preset} preset
 * @param {number} values the strength
 * @returns {EvaluateRequest['conditions'][number] & { steering: { vector: string, strength: StrengthValues }[] }}
 */
export function steered({ id, label, recommended }, values) {
  const keys = recommended.values === 0 ? 0 : (values / recommended.values) * recommended.keys;
  const name = `${label} at ${format.strength(values)}${keys ? `, keys ${format.strength(keys)}` : ''}`;
  const steering = [{ vector: id, strength: { ...recommended, values, keys } }];
  return values === 0 ? { name, steering, repetitionPenalty: 1 } : { name, steering };
}
