/** What the styles do to answers, measured in this browser. */

import { keepAnswer, keptAnswers } from './answer-store.js';
import { explain } from './errors.js';
import { fetchText } from './files.js';
import { contrastiveSet } from './session.js';
import { texts } from './texts.js';
import { download, reveal } from './ui/dom.js';
import { createEvaluationForm } from './ui/evaluation.js';

/**
 * @import { EvaluateRequest, EvaluateResult } from './pkg/cache_steering.js'
 * @import { Preset } from './protocol.js'
 * @import { Session } from './session.js'
 * @import { Asked } from './ui/evaluation.js'
 * @import { PresetChoice } from './ui/presets.js'
 */

/** As in the paper that the comparison is taken from (Kojima et al. 2022). */
const THINK_PROMPT = "Let's think step by step.";

/**
 * @param {Session} session
 * @param {PresetChoice} presetChoice
 * @param {(error: unknown, again: () => void) => void} complain
 */
export function createEvaluation(session, presetChoice, complain) {
  const form = createEvaluationForm({ onRun: (asked) => void run(asked), onStop: () => session.client?.stop(), onExport: exportResult });
  /** @type {{ request: EvaluateRequest, result: EvaluateResult } | undefined} */
  let latest;

  /** @param {Asked} asked */
  async function run(asked) {
    const { client, info } = session;
    if (form.busy) return;
    if (!client || !info) {
      form.status = texts.evaluation.loadFirst;
      reveal('model');
      return;
    }
    form.busy = true;
    try {
      const presets = asked.allStyles ? presetChoice.all : [presetChoice.chosen];
      const request = await prepare(asked, presets);
      const model = info.model.sha256;
      request.answers = await keptAnswers(model);
      form.begin();
      const result = await client.evaluate(request, (progress) => {
        form.progress(progress);
        if ('answer' in progress) void keepAnswer(model, progress.answer);
      });
      latest = { request, result };
      form.show(result);
    } catch (error) {
      form.status = explain(error) ? '' : texts.evaluation.stopped;
      complain(error, () => void run(asked));
    }
    form.busy = false;
  }

  /** @param {Asked} asked @param {Preset[]} presets @returns {Promise<EvaluateRequest>} */
  async function prepare(asked, presets) {
    const { conditions: wanted, samples, temperature, maxTokens } = asked;
    const text = asked.file ? await asked.file.text() : await fetchText(`vectors/questions/${asked.questions}.jsonl`);
    /** @type {EvaluateRequest['conditions']} */
    const conditions = [];
    if (wanted.has('plain')) conditions.push({ name: 'plain' });
    if (wanted.has('prompt')) conditions.push({ name: 'prompt', appended: THINK_PROMPT });
    for (const [i, preset] of presets.entries()) {
      const { offset } = await session.vector(preset, form.progress);
      if (i === 0 && wanted.has('offset')) conditions.push({ name: 'offset', offset });
      const { values, keys } = preset.recommended;
      const steering = [{ vector: preset.id, strength: preset.recommended }];
      const name = `${preset.label} at ${values}${keys ? `, keys ${keys}` : ''}`;
      conditions.push({ name, steering });
      if (wanted.has('prompt+steered')) conditions.push({ name: `prompt + ${name}`, appended: THINK_PROMPT, steering });
      if (wanted.has('activation') && !preset.own) {
        const activation = { vector: preset.id, strength: 2 };
        conditions.push({ name: `activation, ${preset.label}`, activation });
      }
    }
    return {
      questions: some(text, asked.count),
      conditions,
      sampling: { temperature },
      samples,
      maxTokens,
      items: wanted.has('activation') ? await contrastiveSet() : [],
    };
  }

  function exportResult() {
    if (!latest) return;
    const { request: { items, answers, ...settings }, result: { rows, answers: all } } = latest;
    const model = session.info?.model;
    const json = JSON.stringify({ model, settings, rows, answers: all }, null, 1);
    download(new Blob([json], { type: 'application/json' }), 'evaluation.json');
  }
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
