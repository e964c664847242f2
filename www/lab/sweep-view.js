/** What came of a sweep: its curves, a table with the same figures, and an answer at the strength that is looked at. */

import { texts as pageTexts } from '../texts.js';
import { element } from '../ui/dom.js';
import { drawCurves, lookAt } from './curves.js';
import { keepDrawn } from './svg.js';
import { tableRow } from '../ui/table.js';
import { texts } from './texts.js';

/**
 * @import { Panel, Point } from './curves.js'
 * @import { Row } from './exports.js'
 * @import { Sweep } from './sweep.js'
 */

/** A question by the id that its answers have. @typedef {{ id: string, text: string, isOpen: boolean }} Asked */

/** @param {(strength: number) => void} onChoose a point was pressed */
export function createSweepView(onChoose) {
  const result = element('sweep-result', HTMLDivElement);
  const box = element('sweep-chart', HTMLDivElement);
  const note = element('sweep-note', HTMLParagraphElement);
  const caption = element('sweep-caption', HTMLElement);
  const answer = element('sweep-answer', HTMLDivElement);
  const next = element('sweep-next', HTMLButtonElement);
  const table = element('sweep-table', HTMLTableElement);
  const { tBodies: [body], tHead: head } = table;
  /** @type {Sweep} */
  let sweep;
  /** @type {Asked[]} */
  let questions = [];
  /** The question whose answer is shown, counted from 0. */
  let question = 0;
  /** The strength that is looked at. @type {number | undefined} */
  let looked;
  /** Whether the visitor looks at one; until then it is the latest. */
  let isHeld = false;

  const chart = keepDrawn(box, (width) => {
    if (!sweep) return undefined;
    const drawn = drawCurves(curvesOf(sweep), width);
    lookAt(drawn, looked);
    return drawn;
  });

  for (const place of [box, body]) {
    for (const event of ['pointerover', 'focusin']) {
      place.addEventListener(event, ({ target }) => {
        const at = strengthAt(target);
        if (at === undefined) return;
        isHeld = true;
        look(at);
      });
    }
    place.addEventListener('click', ({ target }) => {
      const at = strengthAt(target);
      if (at !== undefined) onChoose(at);
    });
  }
  next.addEventListener('click', () => {
    question = (question + 1) % questions.length;
    showAnswer();
  });

  /** @param {number} at */
  function look(at) {
    if (at === looked) return;
    looked = at;
    lookAt(result, at);
    showAnswer();
  }

  function showAnswer() {
    const condition = sweep.conditions[sweep.strengths.indexOf(looked ?? 0)];
    const { id, text } = questions[question];
    const given = sweep.answers.find((one) => one.question === id && one.condition === condition?.name);
    if (looked === undefined || !given) return;
    caption.textContent = texts.sweep.caption(looked, text, given.tokens, pageTexts.pane.tokens(given.tokens, given.stop_reason));
    answer.dataset.tone = looked === 0 ? 'plain' : 'steered';
    answer.textContent = given.text || pageTexts.pane.nothing;
    answer.scrollTop = 0;
  }

  /** @param {number} strength @param {Row} row */
  function bodyRow(strength, row) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'link';
    button.textContent = texts.sweep.strength(strength, sweep.preset.recommended.values);
    const made = tableRow([button, ...texts.sweep.row(row)], 'row');
    made.dataset.at = String(strength);
    return made;
  }

  return {
    /** Shows where the curves will be. @param {Sweep} begun */
    begin(begun) {
      sweep = begun;
      looked = undefined;
      isHeld = false;
      next.disabled = true;
      note.textContent = texts.sweep.press;
      caption.textContent = answer.textContent = '';
      head?.replaceChildren(tableRow(texts.sweep.columns, 'col'));
      body.replaceChildren();
      result.hidden = false;
      chart.redraw();
    },

    /** Shows what is there. @param {Sweep} now */
    show(now) {
      sweep = now;
      if (body.rows.length === 0) {
        questions = asked(now.request.questions);
        question = Math.max(0, questions.findIndex(({ isOpen }) => isOpen));
        next.disabled = false;
      }
      for (const row of now.rows.slice(body.rows.length)) body.append(bodyRow(now.strengths[body.rows.length], row));
      chart.redraw();
      if (!isHeld) look(now.strengths[now.rows.length - 1]);
      lookAt(result, looked);
    },

    /** @param {string} text */
    set note(text) {
      note.textContent = text;
    },
  };
}

/** The strength that a part of the picture or the table stands for. @param {EventTarget | null} target */
function strengthAt(target) {
  const at = target instanceof Element ? target.closest('[data-at]')?.getAttribute('data-at') : undefined;
  return at ? Number(at) : undefined;
}

/**
 * Questions that the engine has read, with the ids that it gives them.
 * @param {string} lines JSON, one object a line
 * @returns {Asked[]}
 */
const asked = (lines) => lines.split('\n').map((line, i) => {
  const { id = String(i + 1), question, choices } = JSON.parse(line);
  return { id, text: question, isOpen: !choices };
});

/** @param {Sweep} sweep */
function curvesOf({ preset, strengths, rows }) {
  /** @param {'marked' | 'loops' | 'right'} name @returns {Panel} */
  const share = (name) => ({
    title: texts.figures[name],
    most: 1,
    words: texts.percent,
    points: rows.flatMap((row, i) => {
      const rate = row[name];
      return rate ? [{ at: strengths[i], value: rate.count / rate.of, low: rate.interval[0], high: rate.interval[1] }] : [];
    }),
  });
  /** @type {Point[]} */
  const lengths = rows.map(({ tokens: { mean, interval: [low, high] } }, i) => ({ at: strengths[i], value: mean, low, high }));
  const panels = [share('marked'), share('loops'), { title: texts.figures.tokens, words: String, points: lengths }, share('right')];
  return {
    label: texts.sweep.picture(preset.label),
    at: strengths,
    words: texts.sweep.tick,
    mark: preset.recommended.values,
    markWords: texts.sweep.recommended,
    // What none of the answers can have is left out, once that is known.
    panels: panels.filter(({ points }) => points.length > 0 || rows.length === 0),
  };
}
