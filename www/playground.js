/** Questions and their answers: asked, followed up, steered anew, in two panes or in eight. */

import { messagesOf } from './conversation.js';
import { busy } from './engine-client.js';
import { laneOptions, lanesOf } from './lanes.js';
import { texts } from './texts.js';
import { announce } from './ui/dom.js';
import { createAsked } from './ui/asked.js';
import { SIDES } from './ui/stage.js';

/**
 * @import { GenerateRequest, GenerateResult, LaneResult, VectorInfo } from './pkg/cache_steering.js'
 * @import { Turn } from './conversation.js'
 * @import { Lane, View } from './lanes.js'
 * @import { Preset } from './protocol.js'
 * @import { Session } from './session.js'
 * @import { createAdvanced } from './ui/advanced.js'
 * @import { After, createComposer } from './ui/composer.js'
 * @import { createInside } from './ui/inside.js'
 * @import { PresetChoice } from './ui/presets.js'
 * @import { createStage } from './ui/stage.js'
 */

/** A question, after these. @typedef {{ question: string, turns: Turn[] }} Asked */

/**
 * Answers that came.
 * @typedef {object} Answered
 * @property {View} view
 * @property {Preset} preset that was chosen
 * @property {number} strength of the slider
 * @property {Record<string, string>} settings that were not as usual, by the ids of their fields
 * @property {Lane[]} lanes
 * @property {(LaneResult | undefined)[]} results in the order of the lanes
 * @property {string} [plainKey] what the plain answer follows from, where it is complete
 * @property {number} [cacheUse] of the session, when they were in the cache
 * @property {VectorInfo} [vector] of the last lane that is steered
 * @property {GenerateRequest} request that they answer
 * @property {GenerateResult} [latest] the last one that came from the engine
 */

/** @typedef {Asked & Answered} Run */

/**
 * @param {object} parts
 * @param {Session} parts.session
 * @param {PresetChoice} parts.presetChoice
 * @param {ReturnType<typeof createAdvanced>} parts.advanced
 * @param {ReturnType<typeof createComposer>} parts.composer
 * @param {ReturnType<typeof createStage>} parts.stage
 * @param {ReturnType<typeof createInside>} parts.inside
 * @param {(act: () => Promise<void>) => void} parts.whenReady does it once there is a model that has time
 * @param {(run: Run | undefined) => void} parts.onResult there are answers, or none any more
 * @param {(error: unknown, again: () => void) => void} parts.complain
 */
export function createPlayground({ session, presetChoice, advanced, composer, stage, inside, whenReady, onResult, complain }) {
  const askedLine = createAsked({ onEdit: edit, onAgain: askAgain });
  /** The question that is shown. @type {Asked | undefined} */
  let asked;
  /** The last answers that came. @type {Run | undefined} */
  let run;
  /** @type {'idle' | 'preparing' | 'generating'} */
  let doing = 'idle';
  /** The visitor wants the answers that come to end. */
  let stopping = false;
  /** The visitor wants the same question answered otherwise. */
  let anew = false;
  /** The same, but other work has to be done first. */
  let isOutdated = false;
  /** Wanted instead of the question that is being answered. @type {{ question: string, after: After } | undefined} */
  let next;
  /** Settles when nothing is being answered any more. @type {Promise<void>} */
  let idle = Promise.resolve();

  /** @param {Asked} what */
  const retry = (what) => () => answer(what, true);

  /** @param {Asked} what @param {boolean} isAsked now; who changes a setting stays where it is */
  function answer(what, isAsked) {
    if (doing !== 'idle') return idle;
    if (!session.isFree) {
      complain(busy(), () => whenReady(retry(what)));
      return idle;
    }
    return (idle = untilWanted(what, isAsked));
  }

  /** Answers a question, until nobody wants it otherwise any more. @param {Asked} what @param {boolean} isAsked */
  async function untilWanted(what, isAsked) {
    const before = run;
    doing = 'preparing';
    stopping = isOutdated = false;
    asked = what;
    composer.state = 'busy';
    inside.offer(false);
    onResult(undefined);
    stage.start();
    askedLine.show(what.question, what.turns.length);
    if (isAsked) {
      composer.take(what.question);
      stage.reveal();
    }
    announce(texts.status.answering);
    try {
      let answered;
      do {
        anew = false;
        answered = await once(what);
      } while (anew && !stopping);
      if (answered) finish(answered, before);
      else giveUp(before, texts.pane.stoppedEarly);
    } catch (error) {
      giveUp(before, texts.pane.failed);
      complain(error, () => whenReady(retry(what)));
    }
    doing = 'idle';
    composer.state = 'asking';
    if (!next) return;
    const { question, after } = next;
    next = undefined;
    await ask(question, after);
  }

  /** What has no answers is no part of the conversation. @param {Run | undefined} before @param {string} words instead of an answer */
  function giveUp(before, words) {
    // Its plain answer may not be shown any more, and is made anew.
    run = before && { ...before, plainKey: undefined };
    stage.giveUp(words);
  }

  /** @param {string} question @param {After} after */
  async function ask(question, after) {
    if (doing !== 'idle') {
      next = { question, after };
      stop();
      return;
    }
    await answer({ question, turns: turnsBefore(after) }, true);
  }

  /** @param {After} after */
  function turnsBefore(after) {
    if (after === 'nothing') return [];
    return after === 'answers' && run?.view === 'two' ? [...run.turns, turnOf(run)] : asked?.turns ?? [];
  }

  /** @param {Run} run in two lanes @returns {Turn} */
  function turnOf({ question, lanes: [, { preset, strength }], results }) {
    const [plain, steered] = results.map((result) => result?.text ?? '');
    return { question, plain, steered, style: preset.label, strength };
  }

  /** The same once more, with another seed where there is chance. */
  function askAgain() {
    if (!asked) return;
    advanced.reseed();
    whenReady(retry(asked));
  }

  function edit() {
    if (asked) composer.edit(asked.question, asked.turns.length > 0);
  }

  function stop() {
    stopping = true;
    composer.state = 'stopping';
    session.client?.stop();
  }

  /** @param {Asked} what @returns {Promise<Run | undefined>} nothing where it is not wanted any more before it is asked */
  async function once({ question, turns }) {
    const { client, info } = session;
    if (!client || !info) return undefined;
    const { view } = composer;
    const choices = { view, preset: presetChoice.chosen, strength: presetChoice.strength, settings: advanced.settings };
    const lanes = lanesOf(view, presetChoice);
    doing = 'preparing';
    stage.set(view, lanes);
    const { vector, offset } = await prepare(lanes, stage.hold);
    if (anew || stopping) return undefined;

    /** @type {GenerateRequest} */
    const request = {
      messages: messagesOf(turns, 'plain', question, advanced.system),
      lanes: lanes.map((lane, i) => ({
        ...laneOptions(lane, offset, advanced),
        messages: messagesOf(turns, SIDES[Math.min(i, 1)], question, advanced.system),
      })),
      sampling: advanced.sampling,
      maxTokens: advanced.maxTokens,
      stopRepeating: advanced.stopRepeating,
    };
    const { cacheUse } = session;
    const plainKey = JSON.stringify([cacheUse, { ...request, lanes: request.lanes[0] }]);
    // Another strength changes nothing of the plain answer, which stays as it is.
    const plain = view === 'two' && run?.view === 'two' && run.plainKey === plainKey ? run.results[0] : undefined;
    const first = plain ? 1 : 0;
    const results = lanes.map((_, i) => (i < first ? plain : undefined));
    /** @type {Run} */
    const fresh = { question, turns, ...choices, lanes, results, vector, cacheUse, request };
    stage.open(fresh);
    doing = 'generating';
    const result = await client.generate(
      plain ? { ...request, lanes: request.lanes.slice(first), firstLane: first } : request,
      stage.listen(fresh, first, request.maxTokens, info),
    );
    doing = 'preparing';
    result.lanes.forEach((lane, i) => { results[first + i] = lane; });
    fresh.latest = result;
    if (results[0]?.stopReason !== 'cancelled') fresh.plainKey = plainKey;
    stage.settle(fresh, result, first, info);
    return (run = fresh);
  }

  /**
   * The vectors of all lanes, in the engine.
   * @param {Lane[]} lanes
   * @param {(words: string) => void} hold says what takes its time
   * @returns {Promise<{ vector?: VectorInfo, offset: string }>} the last one, and the offset of all lanes: with the
   *   same one, the vector is what makes the difference
   */
  async function prepare(lanes, hold) {
    const steered = lanes.filter(({ strength }) => strength !== 0);
    const [{ preset: { style } }] = lanes;
    // Off, nothing is added: no vector has to be made for it.
    const needed = steered.length > 0 ? steered : lanes.slice(0, style ? 0 : 1);
    let offset = steered.length > 0 ? undefined : style?.offset;
    /** @type {VectorInfo | undefined} */
    let vector;
    for (const { preset } of needed) {
      vector = await session.vector(preset, ({ done, total }) => hold(texts.making.progress(preset.label, done, total)));
      offset ??= vector.offset;
    }
    return { vector, offset: advanced.offset ?? offset ?? '' };
  }

  /** @param {Run} answered @param {Run | undefined} before */
  function finish(answered, before) {
    const { view, lanes, results, turns } = answered;
    if (session.info) stage.finish(answered, session.info);
    inside.offer(view === 'two' && lanes[1].strength !== 0 && (results[1]?.tokens.length ?? 0) > 0, view !== 'two');
    composer.canFollowUp = view === 'two';
    // Turns are the very same ones only where the same question was asked again.
    const isSame = before?.turns === turns && results.every((result, i) => result?.text === before.results[i]?.text);
    if (isSame && advanced.isCertain) askedLine.tell(texts.asked.same);
    onResult(answered);
    const stopped = results.some((result) => result?.stopReason === 'cancelled');
    announce(texts.status.done(results.map((result) => result?.tokens.length ?? 0), stopped));
  }

  /** What is shown is wanted otherwise: with another style, strength or view. */
  function restart() {
    if (!asked || !session.info || !composer.isValid()) return;
    if (doing !== 'idle') {
      anew = true;
      if (doing === 'generating') session.client?.stop();
    } else if (session.isFree) {
      void answer(asked, false);
    } else {
      isOutdated = true;
    }
  }

  return {
    ask,
    stop,
    restart,

    /** Other work is done: what was wanted meanwhile comes now. */
    catchUp() {
      if (isOutdated) restart();
    },

    /** Brings the last answers back into the cache, where something else has used it. @returns whether they are there */
    async recall() {
      if (!run || run.cacheUse === session.cacheUse) return run !== undefined;
      await answer(run, false);
      return !stopping && run.cacheUse === session.cacheUse;
    },

    /** Ends all answers, and those that were to come. */
    async end() {
      if (doing === 'idle') return;
      next = undefined;
      stop();
      await idle;
      stage.advise(texts.advice.madeRoom);
    },

    /** Nothing is shown any more, and nothing was said. */
    forget() {
      isOutdated = false;
      run = asked = undefined;
      composer.canFollowUp = false;
      inside.offer(false);
      askedLine.hide();
      stage.clear();
      onResult(undefined);
    },

    /** Whether there is a question with answers, or one that waits for them. */
    get hasQuestion() {
      return asked !== undefined;
    },
  };
}
