/**
 * A comparison to be shown to somebody: as a link that brings the same question and settings, or as text.
 * Links carry no answers, and nothing is sent anywhere: what follows the # stays in the browser.
 */

/** @import { ModelEntry, Preset } from './protocol.js' */

/**
 * @typedef {object} Shared
 * @property {string} question
 * @property {string} [preset] the id of one of the site's
 * @property {number} [strength]
 * @property {Record<string, string>} settings by the ids of their fields
 */

/** Longer ones are not for an address. */
const LONGEST_QUESTION = 4000;

/** @param {Shared} shared @returns {string} the address */
export function linkTo({ question, preset, strength, settings }) {
  const url = new URL(location.href.split('#')[0]);
  const values = new URLSearchParams({ q: question, ...settings });
  if (preset !== undefined) values.set('style', preset);
  if (strength !== undefined) values.set('strength', String(strength));
  url.hash = values.toString();
  return url.href;
}

/** What the page's own address brings, if anything. @returns {Shared | undefined} */
export function sharedByAddress() {
  const values = new URLSearchParams(location.hash.slice(1));
  const { q: question, style: preset, strength, ...settings } = Object.fromEntries(values);
  if (!question) return undefined;
  return { question: question.slice(0, LONGEST_QUESTION), preset, strength: strength === undefined ? undefined : Number(strength), settings };
}

/**
 * Both answers as Markdown.
 * @param {{ question: string, model: ModelEntry, preset: Preset, strength: number, plain: string, steered: string, link: string }} comparison
 */
export const asMarkdown = ({ question, model, preset, strength, plain, steered, link }) => [
  `**${question}**`,
  `### Plain\n\n${plain}`,
  `### Steered: ${preset.label} × ${strength}\n\n${steered}`,
  `${model.label}, in the browser, with one write to its KV cache. [The same question and settings](${link})`,
].join('\n\n');
