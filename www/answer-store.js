/**
 * Answers of an evaluation, so that one that was stopped goes on where it was. Those of the latest
 * settings alone are kept.
 *
 * @import { EvaluateAnswer } from './pkg/cache_steering.js'
 */

import { beginningWith, inStore } from './database.js';

/**
 * The answers that were kept under these settings; those of others are forgotten.
 * @param {string} settings
 * @returns {Promise<EvaluateAnswer[]>}
 */
export async function keptAnswers(settings) {
  const records = await inStore('answers', 'readonly', (store) => store.getAll(beginningWith(settings)), []);
  if (records.length === 0) await inStore('answers', 'readwrite', (store) => store.clear(), undefined);
  return records.map(({ answer }) => answer);
}

/** @param {string} settings @param {EvaluateAnswer} answer */
export const keepAnswer = (settings, answer) =>
  inStore('answers', 'readwrite', (store) => store.put({ settings, answer }), undefined);
