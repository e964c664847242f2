/** The page: what happens when, from the first click to the last token. */

import { rememberSpeed } from './device.js';
import { explain, isFatal } from './errors.js';
import { fetchJson } from './files.js';
import { createModelChoice } from './model-choice.js';
import { readList } from './models.js';
import { createRecordings } from './recordings.js';
import { Session } from './session.js';
import { asMarkdown, linkTo, sharedByAddress } from './share.js';
import { missing } from './support.js';
import { asSentence, texts } from './texts.js';
import { createAdvanced } from './ui/advanced.js';
import { createComposer } from './ui/composer.js';
import { announce, reveal } from './ui/dom.js';
import { createInside } from './ui/inside.js';
import { offerLab } from './ui/lab.js';
import { createMemory } from './ui/memory.js';
import { createModelBar } from './ui/model-bar.js';
import { createNotice } from './ui/notice.js';
import { createPane } from './ui/pane.js';
import { createPresets } from './ui/presets.js';
import { createShare } from './ui/share.js';
import { createWorkshop } from './workshop.js';

/**
 * @import { BackendChoice, GenerateEvent, GenerateRequest, Style } from './pkg/cache_steering.js'
 * @import { ModelEntry, ModelList, Preset, Recording } from './protocol.js'
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
  const models = await createModelChoice(list, asked.get('model'), backendOfAddress(), { onChange: changeModel, onNews: showIdle, isBusy: () => composer.isBusy });
  const session = new Session(models.chosen, models.backend);
  const notice = createNotice();
  const advanced = createAdvanced();
  const memory = createMemory();
  const plain = createPane('plain');
  const steered = createPane('steered');
  const panes = [plain, steered];
  const bar = createModelBar({ onLoad: () => void load(), onCancel: cancelLoad });
  const composer = createComposer({ onAsk: ask, onStop: stop });
  const inside = createInside(() => void look());

  /** Asked before the model was ready. @type {string | undefined} */
  let waiting;
  let stopping = false;

  plain.note = texts.pane.plainNote;
  const presetChoice = createPresets(presetsOf(models.chosen), advanced.usePreset, showChoice);
  /** What the answers are to. @type {{ question: string, preset: Preset, strength: number }} */
  let shown = { question: '', preset: presetChoice.chosen, strength: 0 };
  const share = createShare({
    link,
    text: () => asMarkdown({ ...shown, model: session.model, plain: plain.text, steered: steered.text, link: link() }),
  });
  const recordings = createRecordings(recorded, presetChoice.all, { plain, steered, memory });
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
  openShared();
  void models.refresh();

  function link() {
    const { question, preset: { id, own }, strength } = shown;
    return linkTo({ question, ...(own ? {} : { preset: id, strength }), settings: advanced.settings });
  }

  /** Shows what a link brings; nothing is loaded before the visitor says so. */
  function openShared() {
    const shared = sharedByAddress();
    if (!shared) return;
    const preset = presetChoice.all.find(({ id }) => id === shared.preset);
    if (preset) presetChoice.choose(preset);
    if (shared.strength !== undefined && Number.isFinite(shared.strength)) presetChoice.strength = shared.strength;
    advanced.settings = shared.settings;
    composer.question = shared.question;
    notice.show(texts.share.openedTitle, texts.share.opened(presetChoice.chosen.label, presetChoice.strength, models.chosen.label));
  }

  function showIdle() {
    if (!session.client) bar.idle(models.chosen, models.stored, models.why);
  }

  function changeModel() {
    dropEngine();
    forgetQuestion();
    notice.hide();
    session.model = models.chosen;
    session.backend = models.backend;
    presetChoice.use(presetsOf(models.chosen));
    showIdle();
    reveal('model');
  }

  /** @param {Preset} preset @param {number} strength */
  function showChoice(preset, strength) {
    steered.note = texts.pane.steeredNote(preset, strength);
  }

  /** @param {string} question */
  function ask(question) {
    notice.hide();
    recordings.end();
    if (session.info) {
      void run(question);
      return;
    }
    waiting = question;
    composer.state = 'busy';
    for (const pane of panes) pane.hold(texts.pane.waitsForModel);
    if (!session.client) void load();
    reveal('model');
  }

  function stop() {
    if (session.info) {
      stopping = true;
      composer.state = 'stopping';
      session.client?.stop();
    } else {
      forgetQuestion();
    }
  }

  function forgetQuestion() {
    waiting = undefined;
    composer.state = 'asking';
    if (!recordings.isOver) return;
    memory.empty();
    for (const pane of panes) pane.clear();
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
    } catch (error) {
      failedToLoad(error);
      return;
    }
    const question = waiting;
    waiting = undefined;
    if (question) await run(question);
  }

  /** @param {unknown} error */
  function failedToLoad(error) {
    const question = waiting;
    dropEngine();
    forgetQuestion();
    void models.refresh();
    complain(error, () => (question ? ask(question) : void load()));
  }

  /** @param {string} question */
  async function run(question) {
    const { chosen: preset, strength } = presetChoice;
    const { client, info } = session;
    if (!client || !info) return;
    const { layers } = info.model;
    stopping = false;
    composer.state = 'busy';
    inside.offer(false);
    share.offer(false);
    shown = { question, preset, strength };
    for (const pane of panes) pane.start();
    showChoice(preset, strength);
    reveal('comparison');
    announce(texts.status.answering);

    let promptTokens = 0;
    let written = false;
    /** @param {GenerateEvent} event */
    function show(event) {
      if (event.type === 'prompt') {
        promptTokens = event.tokens;
        memory.reading(promptTokens);
      } else if (event.type === 'token') {
        if (!written) showWrite();
        panes[event.lane].append(event.text);
      } else if (event.type === 'finished') {
        panes[event.lane].finish();
      }
    }
    function showWrite() {
      written = true;
      if (strength === 0) memory.plain(promptTokens);
      else memory.steered({ tokens: promptTokens, label: preset.label, strength, layers: 1 + (preset.recommended.lastLayer ?? layers - 1) - advanced.firstLayer });
    }

    /** @type {GenerateRequest} */
    let request;
    try {
      // Off, nothing is added: no vector has to be made for it.
      const { offset } = strength === 0 && preset.style ? preset.style : await session.vector(preset, ({ done, total }) =>
        steered.hold(texts.making.progress(preset.label, done, total)));
      steered.start();
      request = {
        messages: [{ role: 'user', content: question }],
        // The same offset in both, so that the vector is what makes the difference. What keeps a
        // steered answer from going round in circles would keep a plain one from its usual words.
        lanes: [
          { offset },
          {
            offset,
            repetitionPenalty: strength === 0 ? 1 : advanced.repetitionPenalty,
            steering: strength === 0 ? [] : [{
              vector: preset.id,
              strength: {
                ...preset.recommended,
                values: strength,
                keys: strength * advanced.keyShare,
                firstLayer: advanced.firstLayer,
              },
            }],
          },
        ],
        sampling: advanced.sampling,
        maxTokens: advanced.maxTokens,
        stopRepeating: advanced.stopRepeating,
      };
      const answers = client.generate(request, show);
      // A stop that came while the vector was fetched found nothing to stop.
      if (stopping) client.stop();
      const result = await answers;
      result.lanes.forEach((lane, i) => panes[i].settle(lane));
      share.offer(true);
      inside.offer(strength !== 0 && result.lanes[1].tokens.length > 1);
      const [one, other] = result.lanes;
      const stopped = result.lanes.some((lane) => lane.stopReason === 'cancelled');
      announce(texts.status.done(one.tokens.length, other.tokens.length, stopped));
    } catch (error) {
      for (const pane of panes) pane.finish();
      complain(error, () => ask(question));
    }
    composer.state = 'asking';
  }

  async function look() {
    const { client } = session;
    if (!client) return;
    composer.state = 'busy';
    inside.progress(0);
    try {
      inside.show(await client.inspect(({ done, total }) => inside.progress(done / total)));
    } catch (error) {
      inside.show();
      complainOfWork(error, () => void look());
    }
    composer.state = 'asking';
  }

  /** Of work that needs a model, which may be lost. @param {unknown} error @param {() => void} again */
  function complainOfWork(error, again) {
    complain(error, () => (session.info ? again() : void load()));
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
    notice.show(title, sentence, next && steps[next]);
    reveal('notice');
  }
}

/**
 * A preset for a model that has no vectors yet: its vector is made on first use.
 * @param {Style} style
 * @returns {Preset}
 */
const presetOf = (style) => {
  const { id, label, description, recommended, repetitionPenalty } = style;
  return { id, label, description, recommended, repetitionPenalty, style };
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
