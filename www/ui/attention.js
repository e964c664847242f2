/** "Attention to the steered slot": two heat maps, tokens across and layers down, and a line for the chosen token. */

import { texts } from '../texts.js';
import { element } from './dom.js';

/** @import { Inspection } from '../pkg/cache_steering.js' */

/** @typedef {'plain' | 'steered'} Side */
/** A cell of a map. @typedef {{ weight: number, token: number, layer: number }} Cell */

/** @param {(token: number) => void} onChoose by pointing at its column */
export function createAttention(onChoose) {
  const maps = element('attention-maps', HTMLDivElement);
  const scale = element('attention-scale', HTMLParagraphElement);
  const line = element('attention-of', HTMLParagraphElement);
  const sides = /** @type {const} */ (['plain', 'steered']).map((side) => ({ side, canvas: element(`attention-${side}`, HTMLCanvasElement) }));
  /** @type {Inspection['tokens']} */
  let tokens = [];
  let largest = 1;

  for (const { canvas } of sides) {
    /** @param {MouseEvent} event */
    const point = ({ offsetX }) => {
      const token = Math.floor((offsetX / canvas.clientWidth) * tokens.length);
      if (token in tokens) onChoose(token);
    };
    canvas.addEventListener('click', point);
    canvas.addEventListener('pointermove', (event) => {
      if (event.buttons) point(event);
    });
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);

  /** The cell with the most attention. @param {Side} side @returns {Cell} */
  function most(side) {
    const cells = tokens.flatMap(({ attention }, token) => attention[side].map((weight, layer) => ({ weight, token, layer })));
    return cells.reduce((one, other) => (other.weight > one.weight ? other : one));
  }

  /** The page's colours, each cell as strong as its weight. */
  function draw() {
    for (const { side, canvas } of sides) {
      // This clears it, too.
      canvas.width = tokens.length;
      canvas.height = tokens[0]?.attention[side].length ?? 0;
      const context = canvas.getContext('2d');
      if (!context) continue;
      context.fillStyle = getComputedStyle(canvas).color;
      tokens.forEach(({ attention }, x) => attention[side].forEach((weight, y) => {
        context.globalAlpha = weight / largest;
        context.fillRect(x, y, 1, 1);
      }));
    }
  }

  return {
    /** @param {Inspection} inspection with at least one token */
    show(inspection) {
      ({ tokens } = inspection);
      const cells = sides.map(({ side }) => most(side));
      largest = Math.max(...cells.map(({ weight }) => weight)) || 1;
      scale.textContent = texts.inside.attention(inspection.position, largest);
      maps.style.setProperty('--tokens', String(tokens.length));
      sides.forEach(({ side, canvas }, i) => {
        const { weight, token, layer } = cells[i];
        canvas.setAttribute('aria-label', texts.inside.attentionMap(side, weight, texts.inside.token(tokens[token].text), layer));
      });
      draw();
    },

    /** Marks a token's column and tells its figures. @param {number} chosen */
    choose(chosen) {
      maps.style.setProperty('--chosen', String(chosen));
      const { text, attention: { plain, steered } } = tokens[chosen];
      const [mean, plainMean] = [steered, plain].map((layers) => layers.reduce((sum, weight) => sum + weight, 0) / layers.length);
      const peak = Math.max(...steered);
      line.textContent = texts.inside.attentionOf(texts.inside.token(text), mean, plainMean, steered.indexOf(peak), peak);
    },
  };
}
