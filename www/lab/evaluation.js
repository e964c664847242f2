/** What the styles do to answers, beside other ways to ask, measured in this browser. */

import { contrastiveSet } from '../session.js';
import { createEvaluationView } from './evaluation-view.js';
import { asTable, createExports, figures } from './exports.js';
import { createJob } from './job.js';
import { createQuestions } from './questions.js';
import { steered } from './steered.js';
import { texts } from './texts.js';

/**
 * @import { EvaluateRequest, EvaluateResult, ModelInfo } from '../pkg/cache_steering.js'
 * @import { Session } from '../session.js'
 * @import { PresetChoice } from '../ui/presets.js'
 */

/** As in the paper that the comparison is taken from (Kojima et al. 2022). */
const THINK_PROMPT = "Let's think step by step.";

/** The factor of the activations that are added at every token. */
const ACTIVATION = 2;

/**
 * @param {Session} session
 * @param {PresetChoice} presetChoice
 * @param {(error: unknown, again: () => void) => void} complain
 */
export function createEvaluation(session, presetChoice, complain) {
  /** @type {{ model: ModelInfo, request: EvaluateRequest, result: EvaluateResult }} */
  let latest;
  const view = createEvaluationView();
  const job = createJob('evaluation', session, complain, async (engine) => {
    const request = await prepare();
    const result = await job.evaluate(engine, request);
    latest = { model: engine.info.model, request, result };
    view.show(request, result);
    exports.offer(true);
    return texts.evaluation.done(result.answers.length);
  });
  const questions = createQuestions(job.inputs);
  const exports = createExports('evaluation', () => {
    const { model, request: { items, ...settings }, result: { rows, answers } } = latest;
    return { all: { model, settings, rows, answers }, table: asTable(rows.map(figures)) };
  }, (error) => complain(error, () => {}));

  /** @returns {Promise<EvaluateRequest>} */
  async function prepare() {
    const { styles, samples, temperature, tokens } = job.inputs;
    const checked = /** @type {NodeListOf<HTMLInputElement>} */ (job.form.querySelectorAll('[name=condition]:checked'));
    const wanted = new Set(Array.from(checked, ({ value }) => value));
    const presets = styles.value === 'all' ? presetChoice.all : [presetChoice.chosen];
    const text = await questions();
    /** @type {EvaluateRequest['conditions']} */
    const conditions = [];
    if (wanted.has('plain')) conditions.push({ name: 'plain' });
    if (wanted.has('prompt')) conditions.push({ name: 'prompt', appended: THINK_PROMPT });
    for (const [i, preset] of presets.entries()) {
      const { offset } = await session.vector(preset, job.preparing);
      if (i === 0 && wanted.has('offset')) conditions.push({ name: 'offset', offset });
      const condition = steered(preset, preset.recommended.values);
      conditions.push(condition);
      if (wanted.has('prompt+steered')) conditions.push({ ...condition, name: `prompt + ${condition.name}`, appended: THINK_PROMPT });
      if (wanted.has('activation') && !preset.own) {
        conditions.push({ name: `activation, ${preset.label}`, activation: { vector: preset.id, strength: ACTIVATION } });
      }
    }
    return {
      questions: text,
      conditions,
      sampling: { temperature: temperature.valueAsNumber },
      samples: samples.valueAsNumber,
      maxTokens: tokens.valueAsNumber,
      items: wanted.has('activation') ? await contrastiveSet() : [],
    };
  }
}
