/** The line that says which model there is, how far its download is, and what it runs on. */

import { texts } from '../texts.js';
import { announce, element, hide } from './dom.js';

/**
 * @import { EngineInfo, LoadProgress } from '../pkg/cache_steering.js'
 * @import { ModelEntry, SourceEvent } from '../protocol.js'
 */

/** The speed is that of the last seconds, and the text changes no more often than can be read. */
const SPEED_WINDOW_MS = 3000;
const TEXT_INTERVAL_MS = 200;

/** @param {{ onLoad: () => void, onCancel: () => void }} actions */
export function createModelBar({ onLoad, onCancel }) {
  const root = element('model', HTMLElement);
  const headline = element('model-headline', HTMLParagraphElement);
  const detail = element('model-detail', HTMLParagraphElement);
  const button = element('model-button', HTMLButtonElement);
  const bar = element('model-progress', HTMLProgressElement);

  /** @type {{ at: number, done: number }[]} */
  let samples = [];
  let shownAt = 0;
  let announced = 0;
  /** Where the bytes come from. */
  let source = '';
  /** The model's size, as far as its host says it. @type {number | undefined} */
  let likely;
  let isKept = true;

  /** @param {'idle' | 'loading' | 'ready'} state @param {string} head @param {string} text */
  function show(state, head, text) {
    root.dataset.state = state;
    headline.textContent = head;
    detail.textContent = text;
  }

  /** @param {string} label @param {() => void} act */
  function offer(label, act) {
    button.textContent = label;
    // The second click of two was meant for what stood here before.
    button.onclick = ({ detail: clicks }) => clicks <= 1 && act();
    button.hidden = false;
  }

  return {
    /**
     * @param {ModelEntry} model
     * @param {{ size: number, verified?: string }} [stored] what is there of it
     * @param {string} [why] it is the one
     */
    idle(model, stored, why = '') {
      show('idle', model.label, texts.model.idleDetail(model, stored, why));
      offer(texts.model.load(model, stored), onLoad);
    },

    /** @param {ModelEntry} model */
    start(model) {
      samples = [];
      shownAt = announced = 0;
      source = '';
      likely = undefined;
      isKept = true;
      bar.value = 0;
      show('loading', texts.model.loading(model), texts.model.connecting);
      offer(texts.model.cancel, onCancel);
      announce(texts.status.loading);
    },

    /** Where the bytes come from now. @param {SourceEvent} event */
    source(event) {
      if (event.source === 'unstored') {
        isKept = false;
        offer(texts.model.cancel, onCancel);
        return;
      }
      source = texts.model.source(event);
      if (event.source === 'network') likely = event.total;
      // What came from somewhere else says nothing of this speed.
      samples = [];
      shownAt = 0;
      detail.textContent = source;
      if (event.source === 'network') offer(isKept ? texts.model.pause : texts.model.cancel, onCancel);
      else announce(source);
    },

    /** @param {ModelEntry} model @param {LoadProgress} progress */
    progress(model, { done, total = model.bytes ?? (model.files.length === 1 ? likely : undefined) }) {
      const at = performance.now();
      samples = samples.filter((sample) => at - sample.at < SPEED_WINDOW_MS);
      samples.push({ at, done });
      const isDone = total !== undefined && done >= total;
      if (at - shownAt < TEXT_INTERVAL_MS && !isDone) return;
      shownAt = at;

      if (total) {
        bar.max = total;
        bar.value = done;
      } else {
        bar.removeAttribute('value');
      }
      const first = samples[0];
      const perSecond = at > first.at ? ((done - first.done) * 1000) / (at - first.at) : 0;
      detail.textContent = isDone ? texts.model.preparing : [source, texts.model.progress(done, total, perSecond)].filter(Boolean).join(': ');

      const quarter = total ? Math.floor((4 * done) / total) : 0;
      if (quarter > announced && quarter < 4) announce(texts.status.percent(25 * quarter));
      announced = quarter;
    },

    /** @param {ModelEntry} model @param {EngineInfo} info */
    ready(model, info) {
      show('ready', texts.model.ready(model), texts.model.runsOn(info) + (isKept ? '' : ` ${texts.model.unkept}`));
      hide(button, headline);
      announce(texts.status.ready(info));
    },

    /** Leaves nothing to load. @param {string} head @param {string} text */
    unavailable(head, text) {
      show('idle', head, text);
      button.hidden = true;
    },
  };
}
