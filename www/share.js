/**
 * A comparison to be shown to somebody: as a link that brings the same question and settings, or as text.
 * Links carry no answers, and nothing is sent anywhere: what follows the # stays in the browser.
 */

import { json } from './format.js';
import { texts } from './texts.js';

/**
 * @import { EngineInfo } from './pkg/cache_steering.js'
 * @import { Run } from './playground.js'
 * @import { ModelEntry } from './protocol.js'
 */

/**
 * @typedef {object} Shared
 * @property {string} question
 * @property {string} [preset] the id of one of the site's
 * @property {number} [strength]
 * @property {string} [view]
 * @property {Record<string, string>} settings by the ids of their fields
 */

/** Longer ones are not for an address. */
const LONGEST_QUESTION = 4000;

/** @param {Shared} shared @returns {string} the address */
export function linkTo({ question, preset, strength, view, settings }) {
  const url = new URL(location.href.split('#')[0]);
  const values = new URLSearchParams({ q: question, ...settings });
  if (preset !== undefined) values.set('style', preset);
  if (strength !== undefined) values.set('strength', String(strength));
  if (view !== undefined && view !== 'two') values.set('view', view);
  url.hash = values.toString();
  return url.href;
}

/** What the page's own address brings, if anything. @returns {Shared | undefined} */
export function sharedByAddress() {
  const values = new URLSearchParams(location.hash.slice(1));
  const { q: question, style: preset, strength, view, ...settings } = Object.fromEntries(values);
  if (!question) return undefined;
  return { question: question.slice(0, LONGEST_QUESTION), preset, strength: strength === undefined ? undefined : Number(strength), view, settings };
}

/**
 * A conversation that can be shown to others.
 * @typedef {object} Transcript
 * @property {Run} run
 * @property {ModelEntry} model
 * @property {EngineInfo} [info]
 * @property {string} link
 */

/** @param {Run['lanes'][number]} lane */
const headline = ({ title, preset, strength }) => (strength === 0 ? title : `${title}: ${preset.label} × ${strength}`);

/** A question, whatever stands in it. @param {string} text */
const quoted = (text) => text.split('\n').map((line) => `> ${line}`).join('\n');

/** The conversation as Markdown. @param {Transcript} transcript */
export const asMarkdown = ({ run, model, link }) => [
  ...run.turns.map(({ question, plain, steered, style, strength }) =>
    `${quoted(question)}\n\n### Plain\n\n${plain}\n\n### Steered: ${style} × ${strength}\n\n${steered}`),
  quoted(run.question),
  ...run.lanes.map((lane, i) => `### ${headline(lane)}\n\n${run.results[i]?.text.trim() ?? ''}`),
  `${model.label}, ${texts.share.inBrowser} [${texts.share.sameAgain(run.turns.length > 0)}](${link})`,
].join('\n\n');

/** The same with all settings and figures, for programs. @param {Transcript} transcript */
export function asJson({ run, model, info, link }) {
  const { lanes, messages, ...settings } = run.request;
  return json({
    model: { label: model.label, ...info?.model },
    backend: info?.backend,
    device: info?.device,
    system: messages.find(({ role }) => role === 'system')?.content ?? null,
    ...settings,
    earlier: run.turns,
    question: run.question,
    answers: run.lanes.map(({ preset, strength }, i) => {
      const { offset, repetitionPenalty, steering } = lanes[i];
      return { style: strength === 0 ? null : preset.id, strength, offset, repetitionPenalty, steering, ...run.results[i] };
    }),
    timings: run.latest?.timings,
    memory: run.latest?.memory,
    link,
  });
}
