/** Questions and their answers: asked, followed up, steered anew, in two panes or in eight. */

import { adviceFor } from './advice.js';
import { Conversation } from './conversation.js';
import { laneOptions, lanesOf } from './lanes.js';
import { texts } from './texts.js';
import { announce, reveal } from './ui/dom.js';
import { createAsked } from './ui/asked.js';
import { createMultiverse } from './ui/multiverse.js';
import { createNumbers } from './ui/numbers.js';

/**
 * @import { GenerateEvent, GenerateRequest, GenerateResult, LaneResult, VectorInfo } from './pkg/cache_steering.js'
 * @import { Lane } from './lanes.js'
 * @import { Session } from './session.js'
 * @import { createAdvanced } from './ui/advanced.js'
 * @import { createComposer } from './ui/composer.js'
 * @import { createInside } from './ui/inside.js'
 * @import { createMemory } from './ui/memory.js'
 * @import { Pane } from './ui/pane.js'
 * @import { PresetChoice } from './ui/presets.js'
 */

/** Of a comparison, in the order of the lanes. */
const SIDES = /** @type {const} */ (['plain', 'steered']);

/**
 * What is shown.
 * @typedef {object} Run
 * @property {string} question
 * @property {Lane[]} lanes
 * @property {(LaneResult | undefined)[]} results in the order of the lanes
 * @property {string} [plainKey] what the plain answer follows from, once it is complete
 * @property {VectorInfo} [vector] of the last lane that is steered
 * @property {GenerateResult} [latest] the last one that came from the engine
 */

/**
 * @param {object} parts
 * @param {Session} parts.session
 * @param {PresetChoice} parts.presetChoice
 * @param {ReturnType<typeof createAdvanced>} parts.advanced
 * @param {ReturnType<typeof createComposer>} parts.composer
 * @param {ReturnType<typeof createMemory>} parts.memory
 * @param {ReturnType<typeof createInside>} parts.inside
 * @param {Pane[]} parts.panes plain and steered
 * @param {(run: Run | undefined) => void} parts.onResult there are answers, or none any more
 * @param {(error: unknown, again: () => void) => void} parts.complain
 */
export function createPlayground({ session, presetChoice, advanced, composer, memory, inside, panes, onResult, complain }) {
  const conversation = new Conversation();
  const numbers = createNumbers();
  const multiverse = createMultiverse(use);
  const asked = createAsked({
    onEdit: () => composer.edit(run?.question ?? ''),
    onAgain: () => run && void answer(run.question),
  });
  /** @type {Run | undefined} */
  let run;
  /** @type {'idle' | 'preparing' | 'generating'} */
  let doing = 'idle';
  /** Whether the visitor wants the answers that come to end, and whether they want others instead. */
  let stopping = false;
  /** Wanted instead of the question that is being answered. @type {{ question: string, isFollowUp: boolean } | undefined} */
  let next;
  let again = false;
  /** Settles when nothing is being answered any more. @type {Promise<void>} */
  let idle = Promise.resolve();
  let wasHidden = false;
  document.addEventListener('visibilitychange', () => { wasHidden ||= document.hidden; });

  /** @param {string} question */
  function answer(question) {
    if (doing === 'idle') idle = untilWanted(question);
    return idle;
  }

  /** Answers a question, until nobody wants it otherwise any more. @param {string} question */
  async function untilWanted(question) {
    composer.state = 'busy';
    inside.offer(false);
    onResult(undefined);
    numbers.start();
    asked.show(question, conversation.turns.length);
    reveal('comparison');
    announce(texts.status.answering);
    stopping = false;
    try {
      do {
        again = false;
        await once(question);
      } while (again && !stopping);
      if (run) finish(run);
    } catch (error) {
      for (const pane of panes) pane.finish();
      complain(error, () => void answer(question));
    }
    doing = 'idle';
    composer.state = 'asking';
    if (!next) return;
    const { question: other, isFollowUp } = next;
    next = undefined;
    await ask(other, isFollowUp);
  }

  /** @param {string} question @param {boolean} isFollowUp */
  async function ask(question, isFollowUp) {
    if (doing !== 'idle') {
      next = { question, isFollowUp };
      stop();
      return;
    }
    if (isFollowUp && run && composer.view === 'two') {
      const [plain, steered] = run.results.map((result) => result?.text ?? '');
      const [, { preset, strength }] = run.lanes;
      conversation.turns.push({ question: run.question, plain, steered, style: preset.label, strength });
    } else {
      conversation.turns = [];
    }
    run = undefined;
    await answer(question);
  }

  function stop() {
    stopping = true;
    composer.state = 'stopping';
    session.client?.stop();
  }

  /** @param {string} question */
  async function once(question) {
    const { client, info } = session;
    if (!client || !info) return;
    const { view } = composer;
    const lanes = lanesOf(view, presetChoice.chosen, presetChoice.strength, presetChoice.all);
    doing = 'preparing';
    const { vector, offset } = await prepare(lanes, view === 'two' ? panes[1] : undefined);
    if (again || stopping) return;

    /** @type {GenerateRequest} */
    const request = {
      messages: conversation.messages('plain', question, advanced.system),
      lanes: lanes.map((lane, i) => ({
        ...laneOptions(lane, offset, advanced),
        messages: conversation.messages(SIDES[Math.min(i, 1)], question, advanced.system),
      })),
      sampling: advanced.sampling,
      maxTokens: advanced.maxTokens,
      stopRepeating: advanced.stopRepeating,
    };
    const plainKey = JSON.stringify({ ...request, lanes: request.lanes[0] });
    // Another strength changes nothing of the plain answer, which stays as it is.
    const skipped = view === 'two' && run?.plainKey === plainKey ? 1 : 0;
    const results = skipped ? [run?.results[0], undefined] : lanes.map(() => undefined);
    run = { question, lanes, results, vector, plainKey: skipped ? plainKey : undefined };
    await generate(run, { ...request, lanes: request.lanes.slice(skipped), firstLane: skipped }, open(run), plainKey);
  }

  /**
   * The vectors of all lanes, in the engine.
   * @param {Lane[]} lanes
   * @param {Pane} [pane] that says what takes its time
   * @returns {Promise<{ vector?: VectorInfo, offset: string }>} the last one, and the offset of all lanes: with the
   *   same one, the vector is what makes the difference
   */
  async function prepare(lanes, pane) {
    const steered = lanes.filter(({ strength }) => strength !== 0);
    const [{ preset: { style } }] = lanes;
    // Off, nothing is added: no vector has to be made for it.
    const needed = steered.length > 0 ? steered : lanes.slice(0, style ? 0 : 1);
    let offset = steered.length > 0 ? undefined : style?.offset;
    /** @type {VectorInfo | undefined} */
    let vector;
    for (const { preset } of needed) {
      vector = await session.vector(preset, ({ done, total }) => {
        const words = texts.making.progress(preset.label, done, total);
        if (pane) pane.hold(words);
        else announce(words);
      });
      offset ??= vector.offset;
    }
    return { vector, offset: advanced.offset ?? offset ?? '' };
  }

  /** The panes of a run, ready for its words. @param {Run} run */
  function open({ lanes, results }) {
    if (composer.view !== 'two') {
      const opened = multiverse.open(lanes);
      for (const pane of opened) pane.start();
      return opened;
    }
    multiverse.close();
    const [, { preset, strength }] = lanes;
    panes[1].note = texts.pane.steeredNote(preset, strength);
    panes.forEach((pane, i) => {
      if (!results[i]) pane.start(conversation.turns.map((turn) => ({ question: turn.question, text: turn[SIDES[i]] })));
    });
    return panes;
  }

  /** @param {Run} run @param {GenerateRequest} request @param {Pane[]} shown a pane for each lane of the run @param {string} plainKey */
  async function generate(run, request, shown, plainKey) {
    const { client, info } = session;
    if (!client || !info) return;
    const first = request.firstLane ?? 0;
    const steered = run.lanes.findLast(({ strength }) => strength !== 0);
    const { layers } = info.model;
    let promptTokens = 0;
    let written = false;
    const counts = () => [shown[0].tokens, shown[shown.length - 1].tokens];
    /** @param {GenerateEvent} event */
    function show(event) {
      if (event.type === 'prompt') {
        promptTokens = event.tokens;
        memory.reading(promptTokens, request.maxTokens);
      } else if (event.type === 'token') {
        if (!written) showWrite();
        shown[first + event.lane].append(event.text);
        memory.grow(counts());
      } else if (event.type === 'finished') {
        shown[first + event.lane].finish();
      }
    }
    function showWrite() {
      written = true;
      if (!steered) memory.plain(promptTokens);
      else {
        const { preset: { label }, strength } = steered;
        const isOne = run.lanes.length > 2;
        const what = isOne ? texts.memory.whats(composer.view === 'strengths', label) : texts.memory.what(label, strength);
        memory.steered({ tokens: promptTokens, what, isOne, layers, firstLayer: advanced.firstLayer, lastLayer: advanced.lastLayer ?? layers - 1 });
      }
    }
    doing = 'generating';
    wasHidden = document.hidden;
    const answers = client.generate(request, show);
    // A stop that came while the vector was fetched found nothing to stop.
    if (stopping || again) client.stop();
    const result = await answers;
    doing = 'preparing';
    result.lanes.forEach((lane, i) => {
      run.results[first + i] = lane;
      shown[first + i].settle(lane);
    });
    run.latest = result;
    if (run.results[0]?.stopReason !== 'cancelled') run.plainKey = plainKey;
    if (!again) numbers.show(result, info, wasHidden);
  }

  /** @param {Run} run */
  function finish(run) {
    const { lanes, results, latest } = run;
    const steered = results.findLast((result) => result?.write);
    if (steered?.write && lanes.length === 2) memory.measured(steered.write);
    inside.offer(composer.view === 'two' && lanes[1].strength !== 0 && (results[1]?.tokens.length ?? 0) > 1);
    composer.canFollowUp = composer.view === 'two';
    onResult(latest && run);
    const advice = composer.view === 'two' && adviceFor(lanes[1], results, wasHidden);
    if (advice) panes[advice.side].advise(advice.text);
    const stopped = results.some((result) => result?.stopReason === 'cancelled');
    announce(texts.status.done(results.map((result) => result?.tokens.length ?? 0), stopped));
  }

  /** One of many answers becomes the steered one of two. @param {Lane} lane */
  function use({ preset, strength }) {
    composer.view = 'two';
    presetChoice.choose(preset);
    presetChoice.strength = strength;
    restart();
  }

  /** What is shown is wanted otherwise: with another style, strength or view. */
  function restart() {
    if (doing !== 'idle') {
      again = true;
      if (doing === 'generating') session.client?.stop();
    } else if (run && session.info && !session.client?.isBusy) {
      void answer(run.question);
    }
  }

  return {
    restart,

    ask,
    stop,

    /** Ends all answers, and those that were to come. */
    async end() {
      if (doing === 'idle') return;
      next = undefined;
      stop();
      await idle;
    },

    /** Nothing is shown any more, and nothing was said. */
    forget() {
      run = undefined;
      conversation.turns = [];
      composer.canFollowUp = false;
      inside.offer(false);
      numbers.hide();
      asked.hide();
      multiverse.close();
      memory.empty();
      for (const pane of panes) pane.clear();
      onResult(undefined);
    },

    /** The turns before the one that is shown. */
    get earlier() {
      return conversation.turns;
    },
  };
}
