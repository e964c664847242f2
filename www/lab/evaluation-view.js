/** What came of an evaluation: a picture, and a table with the same figures. */

import { element } from '../ui/dom.js';
import { drawIntervals } from './intervals.js';
import { keepDrawn } from './svg.js';
import { tableRow } from '../ui/table.js';
import { texts } from './texts.js';

/**
 * @import { EvaluateRequest, EvaluateResult } from '../pkg/cache_steering.js'
 * @import { Case } from './intervals.js'
 */

/** What is drawn, where there is something of it. */
const PANELS = /** @type {const} */ (['marked', 'loops', 'right']);

export function createEvaluationView() {
  const result = element('evaluation-result', HTMLDivElement);
  const table = element('evaluation-table', HTMLTableElement);
  /** @type {{ titles: string[], cases: Case[] } | undefined} */
  let shown;
  const chart = keepDrawn(element('evaluation-chart', HTMLDivElement), (width) =>
    shown && drawIntervals(texts.evaluation.picture, shown.titles, shown.cases, width));

  return {
    /** @param {EvaluateRequest} request @param {EvaluateResult} result */
    show({ conditions }, { rows }) {
      const panels = PANELS.filter((panel) => rows.some((row) => row[panel]));
      const isSteered = new Set(conditions.filter(({ steering }) => steering?.length).map(({ name }) => name));
      shown = {
        titles: panels.map((panel) => texts.figures[panel]),
        cases: rows.map((row) => ({
          label: texts.evaluation.caseOf(row),
          tone: row.condition === 'plain' ? 'plain' : isSteered.has(row.condition) ? 'steered' : 'other',
          shares: panels.map((panel) => row[panel]),
        })),
      };
      table.tHead?.replaceChildren(tableRow(texts.evaluation.columns, 'col'));
      table.tBodies[0].replaceChildren(...rows.map((row) => tableRow(texts.evaluation.row(row), 'row')));
      result.hidden = false;
      chart.redraw();
    },
  };
}
