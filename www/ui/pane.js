/** One answer, as it streams. */

import * as format from '../format.js';
import { texts } from '../texts.js';
import { element, part } from './dom.js';

/** @import { LaneResult, StopReason } from '../pkg/cache_steering.js' */

/** Who reads along at the end stays there; who scrolled up is left alone. */
const NEAR_END_PX = 32;

/** @param {'plain' | 'steered'} id */
export function createPane(id) {
  const root = element(id, HTMLElement);
  const note = part(root, '.pane-note');
  const answer = part(root, '.answer');
  const stats = part(root, '.stats');
  let words = new Text();
  let asked = 0;
  let first = 0;
  let tokens = 0;

  /** @param {string} text shown in place of an answer @param {boolean} streaming */
  function wait(text, streaming) {
    answer.replaceChildren(text);
    answer.classList.add('waiting');
    answer.classList.toggle('streaming', streaming);
  }

  /** @param {number} perSecond @param {StopReason} [reason] */
  function showStats(perSecond, reason) {
    /** @type {[string, string][]} */
    const entries = [];
    if (first) entries.push([format.seconds(first - asked), texts.pane.firstToken]);
    if (perSecond > 0) entries.push([format.rate(perSecond), texts.pane.perSecond]);
    entries.push([format.count(tokens), texts.pane.tokens(tokens, reason)]);
    stats.replaceChildren(...entries.map(([number, unit]) => {
      const entry = document.createElement('span');
      const bold = document.createElement('b');
      bold.textContent = number;
      entry.append(bold, ` ${unit}`);
      return entry;
    }));
  }

  /** @param {string} text */
  function write(text) {
    if (text && !words.isConnected) {
      answer.replaceChildren(words);
      answer.classList.remove('waiting');
      answer.scrollTop = 0;
    }
    const atEnd = answer.scrollHeight - answer.scrollTop - answer.clientHeight < NEAR_END_PX;
    words.appendData(text);
    if (atEnd) answer.scrollTop = answer.scrollHeight;
  }

  answer.addEventListener('scroll', () => answer.classList.toggle('scrolled', answer.scrollTop > 0), { passive: true });
  wait(texts.pane.empty, false);

  return {
    /** @param {string} text */
    set note(text) {
      note.textContent = text;
    },

    /** A question is there, but not yet asked. @param {string} text */
    hold(text) {
      wait(text, false);
      stats.replaceChildren();
    },

    clear() {
      wait(texts.pane.empty, false);
      stats.replaceChildren();
    },

    start() {
      asked = performance.now();
      first = tokens = 0;
      words = new Text();
      wait(texts.pane.reading, true);
      stats.replaceChildren();
    },

    write,

    /** @param {string} text */
    append(text) {
      const now = performance.now();
      tokens += 1;
      if (tokens === 1) first = now;
      write(text);
      if (tokens > 1) showStats(((tokens - 1) * 1000) / (now - first));
    },

    get text() {
      return words.data;
    },

    /** The lane has its answer, while the other may still go on. */
    finish() {
      answer.classList.remove('streaming');
    },

    /** The end of an answer whose speed is not this device's. @param {number} count of tokens @param {StopReason} reason */
    recorded(count, reason) {
      answer.classList.remove('streaming');
      first = 0;
      tokens = count;
      showStats(0, reason);
    },

    /** @param {LaneResult} result */
    settle(result) {
      answer.classList.remove('streaming');
      if (!words.isConnected) {
        wait(result.stopReason === 'cancelled' ? texts.pane.stoppedEarly : texts.pane.nothing, false);
      }
      tokens = result.tokens.length;
      showStats(result.tokensPerSecond, result.stopReason);
    },
  };
}
