/** The page: what happens when, from the first click to the last token. */

import { rememberSpeed } from './device.js';
import { BUSY } from './engine-client.js';
import { explain, isFatal } from './errors.js';
import { fetchJson } from './files.js';
import { lanesOf } from './lanes.js';
import { createModelChoice } from './model-choice.js';
import { readList } from './models.js';
import { createPlayground } from './playground.js';
import { createRecordings } from './recordings.js';
import { Session } from './session.js';
import { forgetSettings, keepQuestion, keepSettings, keptQuestion, keptSettings } from './settings.js';
import { asJson, asMarkdown, linkTo, sharedByAddress } from './share.js';
import { missing } from './support.js';
import { asSentence, texts } from './texts.js';
import { createAdvanced } from './ui/advanced.js';
import { createComposer } from './ui/composer.js';
import { announce, breathe, element, part, reveal } from './ui/dom.js';
import { createHow } from './ui/how.js';
import { createInside } from './ui/inside.js';
import { offerLab } from './ui/lab.js';
import { createMemory } from './ui/memory.js';
import { createModelBar } from './ui/model-bar.js';
import { createNotice } from './ui/notice.js';
import { createPane } from './ui/pane.js';
import { createPresets } from './ui/presets.js';
import { createShare } from './ui/share.js';
import { createStage } from './ui/stage.js';
import { createWorkshop } from './workshop.js';

/**
 * @import { BackendChoice, Style } from './pkg/cache_steering.js'
 * @import { Lane } from './lanes.js'
 * @import { Run } from './playground.js'
 * @import { ModelEntry, ModelList, Preset, Recording } from './protocol.js'
 * @import { Settings } from './settings.js'
 * @import { Transcript } from './share.js'
 * @import { After } from './ui/composer.js'
 */

/** `?backend=cpu`, `?backend=gpu` and `?model=ID` decide for people who test. */
const asked = new URLSearchParams(location.search);

/** @returns {BackendChoice} */
function backendOfAddress() {
  const backend = asked.get('backend');
  return backend === 'cpu' || backend === 'gpu' ? backend : 'auto';
}

/**
 * @param {ModelList} list
 * @param {(model: ModelEntry) => Preset[]} presetsOf a model, at least one
 * @param {Recording[]} recorded
 */
async function start(list, presetsOf, recorded) {
  await breathe();
  const models = await createModelChoice(list, asked.get('model'), backendOfAddress(), { onChange: changeModel, onNews: showIdle, isBusy: () => composer.isBusy });
  await breathe();
  const session = new Session(models.chosen, models.backend);
  const notice = createNotice();
  const advanced = createAdvanced();
  const memory = createMemory();
  const how = createHow();
  const two = ['plain', 'steered'].map((id) => createPane(element(id, HTMLElement)));
  const [plain, steered] = two;
  const bar = createModelBar({ onLoad: () => void load(), onCancel: cancelLoad });
  const composer = createComposer({ onAsk: ask, onStop: stop, onView: () => restart(), onStartOver: startOver });
  const inside = createInside(look);

  /** Wanted before the model was ready. @type {(() => Promise<void>) | undefined} */
  let waiting;
  /** What is shown is wanted otherwise; nothing is at first. */
  let restart = () => {};
  /** Whether choices are the visitor's, to be kept; not while those of before are still being taken over. */
  let isKeeping = false;
  /** Whether the panes show something that says itself what it is. */
  let isShowing = () => true;
  /** A look inside that is on its way. @type {Promise<void> | undefined} */
  let looking;
  /** What is shown, once it is complete. @type {Run | undefined} */
  let shown;

  const presetChoice = createPresets(presetsOf(models.chosen), advanced.usePreset, showChoice);
  const recordings = createRecordings(recorded, presetChoice.all, { plain, steered, memory });
  const stage = createStage({ two, memory, advanced, onUse: useLane });
  const playground = createPlayground({
    session, presetChoice, advanced, composer, stage, inside, whenReady: (act) => void whenReady(act), onResult: showResult, complain,
  });
  restart = playground.restart;
  isShowing = () => !recordings.isOver || playground.hasQuestion;
  showChoice();
  session.onWorkDone = () => {
    notice.hide(BUSY);
    playground.catchUp();
  };
  session.endAnswers = async () => {
    if (looking) session.client?.stop();
    await Promise.all([looking, playground.end()]);
  };
  const share = createShare({ link, toSay: () => texts.share.linkCopied(shown?.preset.own ?? false, shown !== undefined && shown.turns.length > 0), text: () => written(asMarkdown), json: () => written(asJson) });
  const workshop = createWorkshop(session, presetChoice, complainOfWork);
  offerLab({
    session,
    presetChoice,
    complain: complainOfWork,
    onSpeed(speed) {
      rememberSpeed(speed);
      void models.refresh();
    },
  });
  showIdle();
  composer.state = 'asking';
  const isShared = openShared();
  if (!isShared) {
    takeOver(keptSettings());
    composer.question = keptQuestion();
  }
  isKeeping = true;
  addEventListener('hashchange', openShared);
  addEventListener('pagehide', () => keepQuestion(composer.question));
  element('composer', HTMLFormElement).addEventListener('change', keepChoices);
  void models.refresh();
  for (const event of ['online', 'offline']) addEventListener(event, showIdle);

  /** @param {Run | undefined} run */
  function showResult(run) {
    shown = run;
    // What was complained of is being tried anew.
    if (!run) notice.hide();
    share.offer(run !== undefined);
    if (run?.latest && session.info) how.show(session.info, run);
  }

  /** To what is shown, with the settings that it came of. */
  function link() {
    if (!shown) return '';
    const { question, preset: { id, own }, strength, view, settings } = shown;
    return linkTo({ question, ...(own ? {} : { preset: id, strength }), view, settings });
  }

  /** @param {(transcript: Transcript) => string} write */
  function written(write) {
    if (!shown) return '';
    return write({ run: shown, model: session.model, info: session.info, link: link() });
  }

  /** Takes choices over, as far as they make sense here. @param {Settings} settings */
  function takeOver({ preset: id, strength, view, fields }) {
    const preset = presetChoice.all.find((one) => one.id === id);
    if (preset) presetChoice.choose(preset);
    if (preset && strength !== undefined && Number.isFinite(strength)) presetChoice.strength = strength;
    if (view) composer.view = view;
    if (fields) advanced.settings = fields;
  }

  function keepChoices() {
    keepSettings({ preset: presetChoice.chosen.id, strength: presetChoice.strength, view: composer.view, fields: advanced.settings });
  }

  /** Shows what a link brings; nothing is loaded before the visitor says so. */
  function openShared() {
    const shared = sharedByAddress();
    if (!shared) return false;
    takeOver({ ...shared, fields: shared.settings });
    composer.question = shared.question;
    notice.show(texts.share.openedTitle, texts.share.opened(choicesInWords(), models.chosen.label, session.info !== undefined));
    reveal('notice', 'start');
    return true;
  }

  function choicesInWords() {
    return [texts.memory.what(presetChoice.chosen.label, presetChoice.strength), composer.viewInWords, ...advanced.changes];
  }

  async function startOver() {
    stop();
    await session.endAnswers();
    forgetSettings();
    history.replaceState(null, '', location.href.split('#')[0]);
    notice.hide();
    recordings.end();
    playground.forget();
    share.hide();
    how.clear();
    advanced.settings = {};
    composer.view = 'two';
    composer.edit('', false);
    presetChoice.choose(presetChoice.all[0]);
    recordings.begin();
    announce(texts.status.startedOver);
  }

  function showIdle() {
    if (!session.client) bar.idle(models.chosen, models.stored, models.why);
  }

  function changeModel() {
    dropEngine();
    forgetQuestion();
    if (recordings.isOver) playground.forget();
    notice.hide();
    session.model = models.chosen;
    session.backend = models.backend;
    presetChoice.use(presetsOf(models.chosen));
    showIdle();
    reveal('model');
  }

  function showChoice() {
    if (!isShowing()) stage.set('two', lanesOf('two', presetChoice));
    if (isKeeping) keepChoices();
    restart();
  }

  /** One of many answers becomes the steered one of two. @param {Lane} lane */
  function useLane({ preset, strength }) {
    composer.view = 'two';
    presetChoice.choose(preset);
    presetChoice.strength = strength;
    restart();
    // What was clicked is gone.
    part(element('steered', HTMLElement), '.transcript').focus({ preventScroll: true });
    stage.reveal();
  }

  /** @param {string} question @param {After} after */
  function ask(question, after) {
    notice.hide();
    recordings.end();
    if (!session.info && !playground.hasQuestion) {
      showChoice();
      for (const pane of two) pane.hold(texts.pane.waitsForModel);
    }
    void whenReady(() => playground.ask(question, after));
  }

  /** Does what needs the model, after loading it where there is none. @param {() => Promise<void>} act */
  async function whenReady(act) {
    notice.hide();
    if (looking) await session.endAnswers();
    if (session.info) {
      await act();
      return;
    }
    waiting = act;
    composer.state = 'busy';
    if (!session.client) void load();
    reveal('model');
  }

  function stop() {
    if (waiting !== undefined) {
      forgetQuestion();
      if (!recordings.isOver || playground.hasQuestion) return;
      for (const pane of two) pane.hold(texts.pane.notAsked);
      announce(texts.pane.notAsked);
    } else if (composer.isBusy) playground.stop();
  }

  function forgetQuestion() {
    waiting = undefined;
    composer.state = 'asking';
    if (recordings.isOver && !playground.hasQuestion) playground.forget();
  }

  function dropEngine() {
    session.drop();
    inside.offer(false);
    showIdle();
  }

  function cancelLoad() {
    dropEngine();
    forgetQuestion();
    void models.refresh();
    announce(texts.status.loadCancelled);
  }

  async function load() {
    notice.hide();
    const model = models.chosen;
    bar.start(model);
    try {
      const info = await session.load((event) => ('source' in event ? bar.source(event) : bar.progress(model, event)));
      if (!info) return;
      models.loaded(info);
      advanced.limitLayers(info.model.layers);
      bar.ready(model, info);
      if (model.own) presetChoice.use(presetsOf(model));
      workshop.showOwn();
      chooseOwn();
    } catch (error) {
      failedToLoad(error);
      return;
    }
    const act = waiting;
    waiting = undefined;
    if (act) composer.state = 'asking';
    await act?.();
  }

  /** A style of the visitor's own that was chosen at an earlier visit is there only now. */
  function chooseOwn() {
    const kept = keptSettings();
    if (!isShared && presetChoice.all.some(({ id, own }) => own && id === kept.preset)) takeOver(kept);
  }

  /** @param {unknown} error */
  function failedToLoad(error) {
    const act = waiting;
    dropEngine();
    forgetQuestion();
    void models.refresh();
    complain(error, () => void (act ? whenReady(act) : load()));
  }

  function look() {
    looking = lookInside().finally(() => {
      looking = undefined;
      playground.catchUp();
    });
  }

  async function lookInside() {
    const { client } = session;
    if (!client) return;
    try {
      if (!(await playground.recall())) return;
      composer.state = 'busy';
      inside.progress(0);
      const answer = shown?.results[1]?.tokens ?? [];
      inside.show(await client.inspect(answer, ({ done, total }) => inside.progress(done / total)));
    } catch (error) {
      inside.show();
      complainOfWork(error, look);
    }
    composer.state = 'asking';
  }

  /** Of work that needs a model, which may be lost. @param {unknown} error @param {() => void} again */
  function complainOfWork(error, again) {
    complain(error, () => void whenReady(async () => {
      // Where it was wanted, which the model may have taken from the screen.
      if (document.activeElement !== document.body) document.activeElement?.scrollIntoView({ block: 'center' });
      again();
    }));
  }

  /**
   * Says what went wrong, if it was not the visitor's doing, with a button for the next step.
   * @param {unknown} error
   * @param {() => void} again what was tried
   */
  function complain(error, again) {
    if (isFatal(error)) dropEngine();
    const explanation = explain(error);
    if (!explanation) return;
    const { title, sentence, next } = explanation;
    const steps = {
      retry: { label: texts.notice.tryAgain, act: again },
      load: { label: texts.notice.load, act: again },
      loadAgain: { label: texts.notice.loadAgain, act: again },
      reload: { label: texts.notice.reload, act: () => location.reload() },
      otherModel: { label: texts.notice.otherModel, act: () => models.open() },
      onCpu: {
        label: texts.notice.onCpu,
        act() {
          session.backend = 'cpu';
          models.runOn('cpu');
          dropEngine();
          again();
        },
      },
    };
    notice.show(title, sentence, next && steps[next], error instanceof Error ? error.name : undefined);
    reveal('notice');
    notice.takeFocus();
  }
}

/**
 * A preset for a model that has no vectors yet: its vector is made on first use.
 * @param {Style} style
 * @returns {Preset}
 */
const presetOf = (style) => {
  const { id, label, description, recommended, repetitionPenalty } = style;
  return { id, label, description, recommended, isGuess: true, repetitionPenalty, style };
};

async function main() {
  const lacks = missing();
  if (lacks) {
    const bar = createModelBar({ onLoad() {}, onCancel() {} });
    bar.unavailable(texts.notice.unsupportedTitle, texts.notice.unsupported(lacks));
    return;
  }
  let lists;
  try {
    lists = await Promise.all(['models.json', 'vectors/index.json', 'vectors/styles.json', 'vectors/recordings.json'].map(fetchJson));
  } catch (error) {
    console.error(error);
    // What came and cannot be read says more than that something did not come.
    const isUnreadable = error instanceof Error && error.name === 'PageFile';
    createNotice().show(texts.notice.pageFile, isUnreadable ? asSentence(error.message) : texts.notice.listing, {
      label: texts.notice.reload,
      act: () => location.reload(),
    });
    return;
  }
  const [listed, presetsByFolder, styles, recorded] = lists;
  let list;
  try {
    list = readList(listed);
  } catch (error) {
    const { title, sentence } = explain(error) ?? { title: '', sentence: '' };
    createNotice().show(title, sentence);
    return;
  }
  await start(list, ({ name, vectors }) => (vectors && presetsByFolder[name]) ?? styles.map(presetOf), recorded);
}

await main();
element('page', HTMLElement).dataset.started = '';
