/** What to measure, how far it is, and what came of it. */

import { texts } from '../texts.js';
import { element } from './dom.js';

/** @import { EvaluateProgress, EvaluateResult, ExtractProgress } from '../pkg/cache_steering.js' */

/**
 * What the visitor asks for.
 * @typedef {object} Asked
 * @property {Set<string>} conditions to compare with
 * @property {boolean} allStyles
 * @property {string} questions the name of a list of the site
 * @property {File | undefined} file instead of it
 * @property {number} count
 * @property {number} maxTokens
 * @property {number} samples
 * @property {number} temperature
 */

/** @param {{ onRun: (asked: Asked) => void, onStop: () => void, onExport: () => void }} actions */
export function createEvaluationForm(actions) {
  const root = element('evaluation', HTMLElement);
  const form = element('evaluation-form', HTMLFormElement);
  const run = element('evaluation-run', HTMLButtonElement);
  const save = element('evaluation-export', HTMLButtonElement);
  const bar = element('evaluation-progress', HTMLProgressElement);
  const status = element('evaluation-status', HTMLParagraphElement);
  const fileLabel = element('evaluation-file-label', HTMLLabelElement);
  const result = element('evaluation-result', HTMLDivElement);
  const plot = element('evaluation-plot', HTMLImageElement);
  const table = element('evaluation-table', HTMLTableElement);
  const inputs = /** @type {Record<string, HTMLInputElement>} */ (/** @type {unknown} */ (form.elements));
  let busy = false;
  /** When the first new answer was begun, and how many were there before. @type {{ at: number, done: number | undefined }} */
  let begun = { at: 0, done: undefined };

  run.textContent = texts.evaluation.run;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (busy) actions.onStop();
    else actions.onRun(asked());
  });
  save.addEventListener('click', actions.onExport);
  inputs.questions.addEventListener('change', () => {
    const own = inputs.questions.value === 'file';
    fileLabel.hidden = !own;
    inputs.file.required = own;
  });

  /** @returns {Asked} */
  function asked() {
    const checked = /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll('[name=condition]:checked'));
    const { styles, questions, file, count, tokens, samples, temperature } = inputs;
    return {
      conditions: new Set(Array.from(checked, ({ value }) => value)),
      allStyles: styles.value === 'all',
      questions: questions.value,
      file: questions.value === 'file' ? file.files?.[0] : undefined,
      count: count.valueAsNumber,
      maxTokens: tokens.valueAsNumber,
      samples: samples.valueAsNumber,
      temperature: temperature.valueAsNumber,
    };
  }

  /** @param {string[]} cells @param {'th' | 'td'} kind */
  function row(cells, kind) {
    const made = document.createElement('tr');
    made.append(...cells.map((text) => {
      const cell = document.createElement(kind);
      cell.textContent = text;
      return cell;
    }));
    return made;
  }

  return {
    /** @param {boolean} now */
    set busy(now) {
      busy = now;
      root.dataset.state = now ? 'busy' : 'idle';
      run.textContent = now ? texts.stop : texts.evaluation.run;
      bar.value = 0;
    },

    /** @param {string} text */
    set status(text) {
      status.textContent = text;
    },

    get busy() {
      return busy;
    },

    /** Answers are made from now on. */
    begin() {
      status.textContent = texts.evaluation.begun;
      begun = { at: performance.now(), done: undefined };
    },

    /** @param {EvaluateProgress | ExtractProgress} progress */
    progress(progress) {
      const preparing = 'preparing' in progress ? progress.preparing : progress;
      bar.value = preparing.done / preparing.total;
      if (!('answer' in progress)) {
        status.textContent = texts.evaluation.preparing(preparing.done, preparing.total);
        begun.at = performance.now();
        return;
      }
      const { done, total } = progress;
      begun.done ??= done - 1;
      const made = done - begun.done;
      const left = made < 4 ? undefined : ((performance.now() - begun.at) / made) * ((total - done) / 1000);
      status.textContent = texts.evaluation.progress(done, total, left);
    },

    /** @param {EvaluateResult} figures */
    show({ plot: svg, rows, answers }) {
      status.textContent = texts.evaluation.done(answers.length);
      plot.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
      plot.alt = texts.evaluation.plot;
      table.tHead?.replaceChildren(row(texts.evaluation.columns, 'th'));
      table.tBodies[0].replaceChildren(...rows.map(({ name, choices, marked, loops, tokens, right }) => {
        const { rate, withChoices, withoutChoices } = texts.evaluation;
        return row([name, choices ? withChoices : withoutChoices, rate(marked), rate(loops), String(Math.round(tokens.mean)), rate(right)], 'td');
      }));
      result.hidden = save.hidden = false;
    },
  };
}
