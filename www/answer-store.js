/**
 * Answers of evaluations, so that one that was stopped goes on where it was. The engine takes those that
 * were made from the same model, question, condition and vector, and makes the others anew.
 *
 * @import { EvaluateAnswer } from './pkg/cache_steering.js'
 */

import { beginningWith, inStore } from './database.js';

/** @param {string} model SHA-256 of its file @returns {Promise<EvaluateAnswer[]>} */
export async function keptAnswers(model) {
  const records = await inStore('answers', 'readonly', (store) => store.getAll(beginningWith(model)), []);
  return records.map(({ answer }) => answer);
}

/** @param {string} model SHA-256 of its file @param {EvaluateAnswer} answer */
export const keepAnswer = (model, answer) =>
  inStore('answers', 'readwrite', (store) => store.put({ model, answer }), undefined);
