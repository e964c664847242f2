/** "Inside the cache": the change of the slot as heat maps, the tokens with what else could have come. */

import * as format from '../format.js';
import { texts } from '../texts.js';
import { createAttention } from './attention.js';
import { announce, create, element, hide, part } from './dom.js';
import { tableRow } from './table.js';

/** @import { Candidate, Inspection } from '../pkg/cache_steering.js' */

/** A distance, in nats, that is shown as the strongest: the two agree on next to nothing. */
const FAR_NATS = 4;

/** @param {() => void} onLook */
export function createInside(onLook) {
  const root = element('inside', HTMLElement);
  const hint = element('inside-hint', HTMLParagraphElement);
  const button = element('inside-button', HTMLButtonElement);
  const bar = element('inside-progress', HTMLProgressElement);
  const result = element('inside-result', HTMLDivElement);
  const write = element('inside-write', HTMLParagraphElement);
  const words = element('inside-words', HTMLParagraphElement);
  const tokens = element('inside-tokens', HTMLDivElement);
  const table = element('inside-candidates', HTMLTableElement);
  const { caption, tBodies: [body] } = table;
  const { tHead, tBodies: [changes] } = element('inside-table', HTMLTableElement);
  const attention = createAttention((i) => {
    const input = radio(i);
    input.click();
    // The arrow keys go on from there; the map stays where it is on the screen.
    input.focus({ preventScroll: true });
    tokens.scrollTop = (input.parentElement?.offsetTop ?? 0) - tokens.clientHeight / 2;
  });

  /** @param {number} i */
  const radio = (i) => /** @type {HTMLInputElement} */ (part(tokens, `input[value="${i}"]`));

  button.textContent = texts.inside.look;
  hint.textContent = texts.inside.hint;
  button.addEventListener('click', onLook);

  /** @param {Inspection} inspection */
  function showWrite({ position, keys, values }) {
    const largest = Math.max(...keys.flat(), ...values.flat());
    write.textContent = texts.inside.write(position, values.length, values[0]?.length ?? 0, largest);
    drawMap('inside-values', 'values', values, largest);
    drawMap('inside-keys', 'keys', keys, largest);
    tHead?.replaceChildren(tableRow(texts.inside.columns(values[0]?.length ?? 0), 'col'));
    changes.replaceChildren(...values.map((heads, layer) => tableRow([String(layer), ...[...heads, ...keys[layer]].map(format.strength)], 'row')));
  }

  /** @param {string} id @param {string} what @param {number[][]} layers @param {number} largest */
  function drawMap(id, what, layers, largest) {
    const map = element(id, HTMLDivElement);
    map.style.setProperty('--layers', String(layers.length));
    map.setAttribute('aria-label', texts.inside.map(what, Math.max(...layers.flat())));
    const heads = layers[0]?.map((_, head) => head) ?? [];
    map.replaceChildren(...heads.flatMap((head) => layers.map((changes, layer) => {
      const cell = create('span', { title: texts.inside.cell(layer, head, changes[head]) });
      cell.style.setProperty('--heat', String(largest > 0 ? changes[head] / largest : 0));
      return cell;
    })));
  }

  /** @param {Inspection} inspection @returns the word that is chosen: where steering did most */
  function showTokens({ tokens: all }) {
    /** @param {number} i */
    const choose = (i) => {
      showCandidates(all[i]);
      attention.choose(i);
    };
    const farthest = all.reduce((most, token) => (token.kl > most.kl ? token : most));
    words.textContent = texts.inside.words(farthest.text.trim(), farthest.kl);
    tokens.replaceChildren(...all.map((token, i) => {
      const input = create('input', { type: 'radio', name: 'inside-token', value: String(i), className: 'visually-hidden' });
      input.addEventListener('change', () => choose(i));
      const shown = create('span', { textContent: token.text.replace(/\n/g, '⏎') });
      shown.style.setProperty('--moved', String(Math.min(1, token.kl / FAR_NATS)));
      return create('label', {}, input, shown);
    }));
    const first = all.indexOf(farthest);
    radio(first).checked = true;
    choose(first);
    return first;
  }

  /** @param {Inspection['tokens'][number]} token */
  function showCandidates({ text, kl, plain, steered }) {
    if (caption) caption.textContent = texts.inside.candidates(texts.inside.token(text), kl);
    body.replaceChildren(...plain.map((candidate, i) => create('tr', {}, ...cells(candidate), ...cells(steered[i]))));
  }

  /** @param {Candidate | undefined} candidate */
  function cells(candidate) {
    if (!candidate) return [create('td', {}), create('td', {})];
    const share = create('td', { textContent: texts.inside.percent(candidate.p) });
    share.style.setProperty('--share', String(candidate.p));
    return [create('td', { textContent: texts.inside.token(candidate.text) }), share];
  }

  return {
    /** There are new answers, or none. @param {boolean} canLook @param {boolean} [ofMany] whether there are more than two */
    offer(canLook, ofMany = false) {
      button.disabled = !canLook;
      hint.textContent = canLook ? '' : ofMany ? texts.inside.ofMany : texts.inside.hint;
      result.hidden = true;
      button.hidden = false;
    },

    /** @param {number} share that is done */
    progress(share) {
      root.dataset.state = 'busy';
      bar.value = share;
    },

    /** @param {Inspection} [inspection] nothing where it failed */
    show(inspection) {
      root.dataset.state = 'idle';
      if (!inspection || inspection.tokens.length === 0) return;
      showWrite(inspection);
      attention.show(inspection);
      const farthest = showTokens(inspection);
      result.hidden = false;
      hide(button, radio(farthest));
      announce(texts.inside.ready);
    },
  };
}
