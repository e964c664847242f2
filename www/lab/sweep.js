/** What a style does to answers at strength after strength, measured in this browser. */

import { asTable, createExports, figures } from './exports.js';
import { createJob } from './job.js';
import { createQuestions } from './questions.js';
import { steered } from './steered.js';
import { createSweepView } from './sweep-view.js';
import { texts } from './texts.js';

/**
 * @import { EvaluateAnswer, EvaluateRequest, ModelInfo } from '../pkg/cache_steering.js'
 * @import { Preset } from '../protocol.js'
 * @import { Session } from '../session.js'
 * @import { PresetChoice } from '../ui/presets.js'
 * @import { Row } from './exports.js'
 */

/** Strengths that are tried side by side: in more lanes all would be done sooner, but the first point later. */
const AT_ONCE = 2;

/**
 * A sweep as far as it is.
 * @typedef {object} Sweep
 * @property {Preset} preset
 * @property {ModelInfo} model
 * @property {Omit<EvaluateRequest, 'conditions'>} request
 * @property {number[]} strengths rising
 * @property {ReturnType<typeof steered>[]} conditions one for each
 * @property {Row[]} rows one for each, those that are there
 * @property {EvaluateAnswer[]} answers
 */

/**
 * @param {Session} session
 * @param {PresetChoice} presetChoice
 * @param {(error: unknown, again: () => void) => void} complain
 */
export function createSweep(session, presetChoice, complain) {
  /** @type {Sweep} */
  let sweep;
  const view = createSweepView(choose);
  const job = createJob('sweep', session, complain, async (engine) => {
    const { info } = engine;
    const preset = presetChoice.chosen;
    const strengths = wantedStrengths(preset);
    const request = { questions: await questions(), sampling: { temperature: 0 }, maxTokens: job.inputs.tokens.valueAsNumber, together: true };
    await session.vector(preset, job.preparing);
    const conditions = strengths.map((strength) => steered(preset, strength));
    sweep = { preset, model: info.model, request, strengths, conditions, rows: [], answers: [] };
    view.begin(sweep);
    exports.offer(false);
    const total = strengths.length * request.questions.split('\n').length;
    while (sweep.rows.length < conditions.length) {
      const part = conditions.slice(sweep.rows.length, sweep.rows.length + Math.min(AT_ONCE, info.lanes));
      const { rows, answers } = await job.evaluate(engine, { ...request, conditions: part }, { before: sweep.answers.length, total });
      sweep.rows.push(...rows);
      sweep.answers.push(...answers);
      view.show(sweep);
      exports.offer(true);
    }
    const cut = sweep.answers.filter(({ stop_reason: reason }) => reason === 'max_tokens').length;
    return texts.sweep.done(strengths.length, sweep.answers.length, cut / sweep.answers.length);
  });
  const questions = createQuestions(job.inputs);
  const exports = createExports('sweep', () => {
    const { preset, model, request, strengths, conditions, rows, answers } = sweep;
    const settings = { ...request, preset, strengths, conditions };
    const table = rows.map((row, i) => {
      const { values, keys } = conditions[i].steering[0].strength;
      return { strength: values, keys, ...figures(row) };
    });
    return { all: { model, settings, rows, answers }, table: asTable(table) };
  }, (error) => complain(error, () => {}));

  /** Those that the slider can have, with the recommended one. @param {Preset} preset */
  function wantedStrengths({ recommended: { values } }) {
    const { from: first, to: last, steps } = job.inputs;
    const { least, most, step } = presetChoice.range;
    const from = first.valueAsNumber;
    const to = last.value ? last.valueAsNumber : values < 0 ? least : most;
    const apart = (to - from) / (steps.valueAsNumber - 1);
    const even = Array.from({ length: steps.valueAsNumber }, (_, i) => from + i * apart);
    const all = Math.min(from, to) <= values && values <= Math.max(from, to) ? [...even, values] : even;
    return [...new Set(all.map((value) => Math.round(value / step) * step))].sort((a, b) => a - b);
  }

  /** Sets the slider. @param {number} strength */
  function choose(strength) {
    const offered = presetChoice.all.find(({ id }) => id === sweep.preset.id);
    if (!offered) return;
    if (offered !== presetChoice.chosen) presetChoice.choose(offered);
    presetChoice.strength = strength;
    view.note = texts.sweep.chosen(offered.label, presetChoice.strength);
  }
}
