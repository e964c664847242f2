/** Lists of examples, or of pairs of prompts, as people paste them. */

import { texts } from './texts.js';

/** @import { ContrastivePair } from './pkg/cache_steering.js' */

/** @typedef {{ question: string, reasoning: string, answer: string }} Example */

/** Fewer would leave a prompt without an example. */
export const FEWEST = 3;

/** @param {Record<string, unknown>} object @param {string[]} keys */
const hasTexts = (object, keys) => keys.every((key) => typeof object[key] === 'string' && object[key].trim());

/**
 * Reads JSON lines of one kind.
 * @param {string} text
 * @returns {{ examples: Example[], pairs: ContrastivePair[] }} one of them is empty
 * @throws {Error} that says which line is wrong, and how
 */
export function readExamples(text) {
  /** @type {Example[]} */
  const examples = [];
  /** @type {ContrastivePair[]} */
  const pairs = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (!line.trim()) continue;
    /** @type {any} */
    let object;
    try {
      object = JSON.parse(line);
    } catch {
      throw new Error(texts.workshop.list.notJson(i + 1));
    }
    if (object && hasTexts(object, ['positive', 'negative'])) pairs.push(object);
    else if (object && hasTexts(object, ['question', 'reasoning', 'answer'])) examples.push(object);
    else throw new Error(texts.workshop.list.notExample(i + 1));
  }
  if (examples.length > 0 && pairs.length > 0) throw new Error(texts.workshop.list.mixed);
  const count = examples.length + pairs.length;
  if (count < FEWEST) throw new Error(texts.workshop.list.tooFew(count));
  return { examples, pairs };
}
