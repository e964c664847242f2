/** Lists of examples, or of pairs of prompts, as people paste them. */

import { texts } from './texts.js';

/** @import { ContrastivePair } from './pkg/cache_steering.js' */

/** @typedef {{ question: string, reasoning: string, answer: string }} Example */

/** Fewer would leave a prompt without an example. */
export const FEWEST = 3;

/** @param {Record<string, unknown>} object @param {string[]} keys */
const hasTexts = (object, keys) => keys.every((key) => typeof object[key] === 'string' && object[key].trim());

/**
 * The objects of a list: one a line, or one array of them all.
 * @param {string} text
 * @returns {{ name: string, object: any }[]} each with how to name it to who wrote it
 * @throws {Error} that says where it is no JSON
 */
function objectsOf(text) {
  const words = texts.workshop.list;
  if (text.trim().startsWith('[')) {
    try {
      /** @type {any[]} */
      const list = JSON.parse(text);
      return list.map((object, i) => ({ name: words.entry(i + 1), object }));
    } catch (error) {
      throw new Error(words.noArray(error instanceof Error ? error.message : String(error)));
    }
  }
  return text.split('\n').flatMap((line, i) => {
    if (!line.trim()) return [];
    try {
      return [{ name: words.line(i + 1), object: JSON.parse(line) }];
    } catch {
      throw new Error(words.notJson(i + 1));
    }
  });
}

/**
 * Reads a list of one kind, as JSON lines or as an array.
 * @param {string} text
 * @returns {{ examples: Example[], pairs: ContrastivePair[] }} one of them is empty
 * @throws {Error} that says what is wrong, and where
 */
export function readExamples(text) {
  /** @type {Example[]} */
  const examples = [];
  /** @type {ContrastivePair[]} */
  const pairs = [];
  for (const { name, object } of objectsOf(text)) {
    if (object && hasTexts(object, ['positive', 'negative'])) pairs.push(object);
    else if (object && hasTexts(object, ['question', 'reasoning', 'answer'])) examples.push(object);
    else throw new Error(texts.workshop.list.notExample(name));
  }
  if (examples.length > 0 && pairs.length > 0) throw new Error(texts.workshop.list.mixed);
  const count = examples.length + pairs.length;
  if (count < FEWEST) throw new Error(texts.workshop.list.tooFew(count));
  return { examples, pairs };
}
