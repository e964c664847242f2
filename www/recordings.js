/** Real answers, recorded, that the page replays until the visitor has some of their own. */

import { texts } from './texts.js';
import { createPlayer } from './ui/recording.js';

/**
 * @import { Preset, Recording } from './protocol.js'
 * @import { createMemory } from './ui/memory.js'
 * @import { Pane } from './ui/pane.js'
 */

/** A little faster than one reads. */
const TOKEN_MS = 60;

/**
 * @param {Recording[]} recordings
 * @param {Preset[]} presets those that were recorded, at least
 * @param {{ plain: Pane, steered: Pane, memory: ReturnType<typeof createMemory> }} stage
 */
export function createRecordings(recordings, presets, { plain, steered, memory }) {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  let isOver = true;
  const player = createPlayer(recordings.map(({ question }) => question), play);
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  begin();

  /** Shows the first one, whose words come once they can be seen. */
  function begin() {
    if (recordings.length === 0) return;
    isOver = false;
    const start = show(0);
    player.whenSeen(() => isOver || start());
  }

  /** @param {number} index */
  function play(index) {
    show(index)();
  }

  /**
   * Everything but the words.
   * @param {number} index
   * @returns {() => void} what lets them come
   */
  function show(index) {
    clearInterval(timer);
    const recording = recordings[index];
    const { label = '', repetitionPenalty = 1 } = presets.find(({ id }) => id === recording.preset) ?? {};
    const { promptTokens: tokens, strength, layers, command, write } = recording.steered;
    player.show(index, texts.recording.caption(recording.question, label, strength), [recording.plain.command, command]);
    const lanes = [{ pane: plain, ...recording.plain }, { pane: steered, ...recording.steered }];
    const last = Math.max(...lanes.map(({ pieces }) => pieces.length));
    const prompts = { plain: tokens, steered: tokens };
    memory.reading(prompts, last);
    if (write) {
      memory.steered({ prompts, what: texts.memory.what(label, strength), layers, firstLayer: write.firstLayer, lastLayer: layers - 1 });
      memory.measured(write);
    }
    for (const { pane } of lanes) pane.start();
    plain.note = texts.pane.plainNote(1);
    steered.note = texts.pane.steeredNote(label, strength, repetitionPenalty);
    let at = 0;

    return () => {
      if (still.matches) while (at < last) step();
      else timer = setInterval(step, TOKEN_MS);
    };

    function step() {
      for (const { pane, pieces } of lanes) if (at < pieces.length) pane.write(pieces[at]);
      at += 1;
      memory.grow(lanes.map(({ pieces }) => Math.min(at, pieces.length)));
      if (at < last) return;
      clearInterval(timer);
      for (const { pane, pieces, stopReason } of lanes) pane.recorded(pieces.length, stopReason);
    }
  }

  return {
    /** Whether the panes are the visitor's. */
    get isOver() {
      return isOver;
    },

    begin,

    /** Makes room for answers of the visitor's own. */
    end() {
      if (isOver) return;
      isOver = true;
      clearInterval(timer);
      player.hide();
      memory.empty();
      plain.clear();
      steered.clear();
    },
  };
}
