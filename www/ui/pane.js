/** One answer, as it streams, after those that came before it in a conversation. */

import * as format from '../format.js';
import { MarkdownView } from '../markdown.js';
import { texts } from '../texts.js';
import { announce, copyText, create, part } from './dom.js';

/** @import { LaneResult, StopReason } from '../pkg/cache_steering.js' */

/** @typedef {ReturnType<typeof createPane>} Pane */

/** Who reads along at the end stays there; who scrolled up is left alone. */
const NEAR_END_PX = 32;

/** @param {HTMLElement} root @param {boolean} [follows] whether it scrolls as the answer grows; else its beginning stays */
export function createPane(root, follows = true) {
  const note = part(root, '.pane-note');
  const transcript = part(root, '.transcript');
  const turns = part(root, '.turns');
  const answer = part(root, '.answer');
  const stats = part(root, '.stats');
  const advice = part(root, '.advice');
  const copy = part(root, '.pane-copy');
  let view = new MarkdownView(answer);
  let text = '';
  let asked = 0;
  let first = 0;
  let tokens = 0;
  let isAtEnd = true;
  /** The frame for which the answer is to be drawn. @type {number | undefined} */
  let frame;

  copy.textContent = texts.pane.copy;
  copy.addEventListener('click', async () => {
    copy.textContent = (await copyText(text, () => answer)) ? texts.pane.copied : texts.pane.copyByHand;
    announce(copy.textContent);
  });
  transcript.addEventListener('scroll', () => {
    const { scrollTop, scrollHeight, clientHeight } = transcript;
    transcript.classList.toggle('scrolled', scrollTop > 0);
    isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }, { passive: true });
  // What has grown is laid out by then: nothing is laid out twice for it.
  if (follows) new ResizeObserver(() => { if (isAtEnd) transcript.scrollTop = transcript.scrollHeight; }).observe(answer);

  /** @param {string} words shown in place of an answer @param {boolean} streaming */
  function wait(words, streaming) {
    text = '';
    view = new MarkdownView(answer);
    answer.replaceChildren(words);
    answer.classList.add('waiting');
    answer.classList.toggle('streaming', streaming);
    advice.hidden = true;
    copy.hidden = true;
  }

  /** @param {number} perSecond @param {StopReason} [reason] */
  function showStats(perSecond, reason) {
    /** @type {[string, string][]} */
    const entries = [];
    if (first) entries.push([format.seconds(first - asked), texts.pane.firstToken]);
    if (perSecond > 0) entries.push([format.rate(perSecond), texts.pane.perSecond]);
    entries.push([format.count(tokens), texts.pane.tokens(tokens, reason)]);
    stats.replaceChildren(...entries.map(([number, unit]) => create('span', {}, create('b', { textContent: number }), document.createTextNode(` ${unit}`))));
  }

  function draw() {
    frame = undefined;
    if (!text) return;
    if (answer.classList.contains('waiting')) {
      answer.replaceChildren();
      answer.classList.remove('waiting');
    }
    view.show(text);
    if (tokens > 1) showStats(((tokens - 1) * 1000) / (performance.now() - first));
  }

  /** Draws what there is, now and not with the next frame. */
  function drawNow() {
    if (frame !== undefined) cancelAnimationFrame(frame);
    draw();
  }

  /** @param {string} more */
  function write(more) {
    text += more;
    frame ??= requestAnimationFrame(draw);
  }

  /** @param {number} count of tokens @param {number} perSecond @param {StopReason} reason */
  function end(count, perSecond, reason) {
    drawNow();
    answer.classList.remove('streaming');
    if (answer.classList.contains('waiting')) {
      wait(reason === 'cancelled' ? texts.pane.stoppedEarly : texts.pane.nothing, false);
    }
    tokens = count;
    showStats(perSecond, reason);
    copy.hidden = !text;
    copy.textContent = texts.pane.copy;
  }

  wait(texts.pane.empty, false);

  return {
    /** @param {string} words */
    set note(words) {
      note.textContent = words;
    },

    /** A question is there, but not yet asked. @param {string} words */
    hold(words) {
      wait(words, false);
      stats.replaceChildren();
    },

    clear() {
      turns.replaceChildren();
      wait(texts.pane.empty, false);
      stats.replaceChildren();
    },

    /** @param {{ question: string, text: string }[]} [earlier] what was said before, if that changed */
    start(earlier) {
      asked = performance.now();
      first = tokens = 0;
      if (earlier) {
        turns.replaceChildren(...earlier.flatMap(({ question, text }) => {
          const said = create('div', { className: 'said' });
          new MarkdownView(said).show(text);
          return [create('p', { className: 'turn-question', textContent: question }), said];
        }));
      }
      wait(texts.pane.reading, true);
      isAtEnd = true;
      if (turns.childElementCount > 0) transcript.scrollTop = transcript.scrollHeight;
      stats.replaceChildren();
    },

    write,

    /** @param {string} more */
    append(more) {
      tokens += 1;
      if (tokens === 1) first = performance.now();
      write(more);
    },

    get tokens() {
      return tokens;
    },

    /** The lane has its answer, while others may still go on. */
    finish() {
      drawNow();
      answer.classList.remove('streaming');
    },

    /** Nothing more comes, as far as one knows. @param {string} words in place of an answer */
    giveUp(words) {
      drawNow();
      answer.classList.remove('streaming');
      if (answer.classList.contains('waiting')) wait(words, false);
    },

    /** The end of an answer whose speed is not this device's. @param {number} count of tokens @param {StopReason} reason */
    recorded(count, reason) {
      first = 0;
      end(count, 0, reason);
    },

    /** What to do about the answer. @param {string} words */
    advise(words) {
      advice.textContent = words;
      advice.hidden = false;
      transcript.scrollTop = transcript.scrollHeight;
    },

    /** @param {LaneResult} result */
    settle(result) {
      end(result.tokens.length, result.tokensPerSecond, result.stopReason);
    },
  };
}
