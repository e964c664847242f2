/** Which questions are asked: of a list of the site or of a file of the visitor's, so many of them. */

import { fetchText } from '../files.js';

/**
 * @param {Record<string, HTMLInputElement>} inputs of a form: `questions`, `file` and `count`
 * @returns {() => Promise<string>} gives them as JSON lines
 */
export function createQuestions({ questions, file, count }) {
  const label = /** @type {HTMLLabelElement} */ (file.closest('label'));
  const isOwn = () => questions.value === 'file';

  function showFile() {
    label.hidden = !isOwn();
    file.required = isOwn();
  }
  questions.addEventListener('change', showFile);
  showFile();

  return async () => {
    const own = isOwn() ? file.files?.[0] : undefined;
    const text = own ? await own.text() : await fetchText(`vectors/questions/${questions.value}.jsonl`);
    return some(text, count.valueAsNumber);
  };
}

/**
 * So many of the questions, spread over all of them.
 * @param {string} text JSON lines @param {number} count
 */
function some(text, count) {
  const lines = text.split('\n').filter((line) => line.trim());
  const step = Math.max(1, lines.length / count);
  return lines.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step)).slice(0, count).join('\n');
}
