/** The page: what happens when, from the first click to the last token. */

import { EngineClient, EngineError } from './engine-client.js';
import { explain, isFatal } from './errors.js';
import { rememberKernels, rememberedKernels } from './kernels.js';
import { missing } from './support.js';
import { texts } from './texts.js';
import { createAdvanced } from './ui/advanced.js';
import { createBenchmark } from './ui/benchmark.js';
import { createComposer } from './ui/composer.js';
import { announce, reveal } from './ui/dom.js';
import { createMemory } from './ui/memory.js';
import { createModelBar } from './ui/model-bar.js';
import { createNotice } from './ui/notice.js';
import { createPane } from './ui/pane.js';
import { createPresets } from './ui/presets.js';
import { createWorkshop } from './ui/workshop.js';
import { forgetVector, keepVector, keptVectors } from './vector-store.js';

/**
 * @import { BackendChoice, ContrastItem, EngineInfo, GenerateEvent, GenerateRequest, Style, VectorInfo } from './pkg/cache_steering.js'
 * @import { ModelEntry, Preset } from './protocol.js'
 */

/** @param {string} path relative to the page */
const address = (path) => new URL(path, document.baseURI).href;

/** @param {string} path */
async function fetchJson(path) {
  const response = await fetch(address(path));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** The name under which a vector says what it was made from. */
const CONTRASTIVE_SET = 'contrastive';

/** @param {string} path */
async function fetchText(path) {
  const response = await fetch(address(path));
  if (!response.ok) throw new EngineError({ name: 'Fetch', message: `${path}: ${response.status}` });
  return response.text();
}

/** @param {string} path @returns {Promise<any[]>} */
const fetchLines = async (path) =>
  (await fetchText(path)).split('\n').filter((line) => line.trim()).map((line) => JSON.parse(line));

/** `?backend=cpu` or `?backend=gpu` decides for people who test. @returns {BackendChoice} */
function backendOfAddress() {
  const asked = new URLSearchParams(location.search).get('backend');
  return asked === 'cpu' || asked === 'gpu' ? asked : 'auto';
}

/**
 * @param {ModelEntry} model
 * @param {Preset[]} presets
 */
function start(model, presets) {
  const notice = createNotice();
  const advanced = createAdvanced();
  const memory = createMemory();
  const plain = createPane('plain');
  const steered = createPane('steered');
  const panes = [plain, steered];
  const bar = createModelBar({ onLoad: () => void load(), onCancel: cancelLoad });
  const composer = createComposer({ onAsk: ask, onStop: stop });

  /** @type {EngineClient | undefined} */
  let engine;
  /** @type {EngineInfo | undefined} */
  let info;
  /** @type {Map<string, VectorInfo>} */
  let vectors = new Map();
  /** Files of vectors that were made or added in this browser, by the id of their preset. @type {Map<string, Uint8Array>} */
  let kept = new Map();
  /** Presets of the visitor's own. @type {Preset[]} */
  let own = [];
  let backend = backendOfAddress();
  /** Asked before the model was ready. @type {string | undefined} */
  let waiting;
  let stopping = false;

  createBenchmark(() => backend);
  plain.note = texts.pane.plainNote;
  const presetChoice = createPresets(presets, advanced.usePreset, showChoice);
  const workshop = createWorkshop({
    onMake: (style, items) => void makeOwn(style, items),
    onStop: () => engine?.stop(),
    onImport: (file) => void importVector(file),
    onExport: (preset) => void exportVector(preset),
    onDelete: (preset) => void deleteVector(preset),
    onCalibrate: (preset) => void calibrate(preset),
  });
  bar.idle(model);
  composer.state = 'asking';

  /** @param {Preset} preset @param {number} strength */
  function showChoice(preset, strength) {
    steered.note = texts.pane.steeredNote(preset, strength);
  }

  /** @param {string} question */
  function ask(question) {
    notice.hide();
    if (info) {
      void run(question);
      return;
    }
    waiting = question;
    composer.state = 'busy';
    for (const pane of panes) pane.hold(texts.pane.waitsForModel);
    if (!engine) void load();
    reveal('model');
  }

  function stop() {
    if (info) {
      stopping = true;
      composer.state = 'stopping';
      engine?.stop();
    } else {
      forgetQuestion();
    }
  }

  function forgetQuestion() {
    waiting = undefined;
    composer.state = 'asking';
    for (const pane of panes) pane.clear();
  }

  function dropEngine() {
    engine?.dispose();
    engine = info = undefined;
    vectors = new Map();
    bar.idle(model);
  }

  /** Presets that were made or added with this model before. @param {string} sha256 */
  async function loadKept(sha256) {
    const found = await keptVectors(sha256);
    kept = new Map(found.map(({ preset, file }) => [preset.id, file]));
    own = found.map(({ preset }) => preset).filter((preset) => preset.own);
    own.forEach(presetChoice.add);
    workshop.show(own);
  }

  function cancelLoad() {
    dropEngine();
    forgetQuestion();
    announce(texts.status.loadCancelled);
  }

  async function load() {
    notice.hide();
    dropEngine();
    const client = (engine = new EngineClient());
    bar.start(model);
    try {
      const { url, bytes, sha256 } = model;
      const request = { url: address(url), bytes, sha256, backend, kernels: rememberedKernels(model) };
      const loaded = await client.load(request, (progress) => bar.progress(model, progress));
      advanced.limitLayers(loaded.model.layers);
      bar.ready(model, loaded);
      rememberKernels(model, loaded);
      await loadKept(loaded.model.sha256);
      info = loaded;
    } catch (error) {
      // Another click may have replaced this engine meanwhile.
      if (engine === client) failedToLoad(error);
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
    complain(error, () => (question ? ask(question) : void load()));
  }

  /**
   * The vector of a preset, ready in the engine: from its file, from an earlier visit, or made now.
   * @param {Preset} preset
   */
  async function vector(preset) {
    const client = engine;
    if (!client) throw new EngineError({ name: 'Cancelled', message: '' });
    const { id, file, style } = preset;
    const before = kept.get(id);
    let loaded = vectors.get(id);
    if (!loaded && before) loaded = await client.addVector(id, before);
    else if (!loaded && file) loaded = await client.loadVector(id, address(model.vectors + file));
    else if (!loaded && style) loaded = await make(preset, style, await fetchLines('vectors/contrastive.jsonl'));
    if (!loaded) throw new EngineError({ name: 'Cancelled', message: '' });
    vectors.set(id, loaded);
    return loaded;
  }

  /**
   * Makes the vector of a preset that has none for this model, with progress in the steered pane.
   * @param {Preset} preset @param {Style} style @param {ContrastItem[]} items
   */
  async function make(preset, style, items) {
    const client = engine;
    const made = await client?.extract({ style, items, set: CONTRASTIVE_SET }, ({ done, total }) =>
      steered.hold(texts.making.progress(preset.label, done, total)));
    await keep(preset);
    steered.start();
    return made;
  }

  /** Keeps the vector of a preset for the next visit. @param {Preset} preset */
  async function keep(preset) {
    const file = await engine?.vectorFile(preset.id);
    if (!file || !info) return false;
    kept.set(preset.id, file);
    return keepVector({ model: info.model.sha256, preset, file });
  }

  /**
   * Does work for the workshop, which nothing else may disturb.
   * @param {string} status
   * @param {(client: EngineClient) => Promise<string>} work gives what to say in the end
   */
  async function inWorkshop(status, work) {
    notice.hide();
    if (!engine || !info) {
      workshop.status = texts.workshop.loadFirst;
      reveal('model');
      return;
    }
    workshop.busy = true;
    workshop.status = status;
    try {
      workshop.status = await work(engine);
    } catch (error) {
      workshop.status = explain(error) ? '' : texts.workshop.stopped;
      if (isFatal(error)) dropEngine();
      complain(error, () => void load());
    }
    workshop.busy = false;
  }

  /** @param {Style} style @param {ContrastItem[]} items */
  const makeOwn = (style, items) => inWorkshop(texts.workshop.making, async (client) => {
    const { id, label, description, recommended, repetitionPenalty } = style;
    const made = await client.extract({ style, items, set: 'own examples' }, workshop.progress);
    vectors.set(id, made);
    return addOwn({ id, label, description, recommended, repetitionPenalty, own: true });
  });

  /** @param {Preset} preset @returns {Promise<string>} what to say of it */
  async function addOwn(preset) {
    const isKept = await keep(preset);
    own = [...own.filter(({ id }) => id !== preset.id), preset];
    presetChoice.add(preset);
    presetChoice.choose(preset);
    workshop.show(own);
    return texts.workshop.made(preset.label, isKept);
  }

  /** @param {File} file */
  const importVector = (file) => inWorkshop('', async (client) => {
    const name = file.name.replace(/\.safetensors$/i, '');
    const id = `own-${name}`;
    const added = await client.addVector(id, new Uint8Array(await file.arrayBuffer()));
    vectors.set(id, added);
    const { label = name, description = '', recommended, repetitionPenalty = 1 } = added;
    return addOwn({ id, label, description, recommended, repetitionPenalty, own: true });
  });

  /** @param {Preset} preset */
  const exportVector = (preset) => inWorkshop('', async (client) => {
    await vector(preset);
    const file = await client.vectorFile(preset.id);
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (file)]));
    link.download = `${preset.label}.safetensors`;
    link.click();
    URL.revokeObjectURL(link.href);
    return '';
  });

  /** @param {Preset} preset */
  async function deleteVector(preset) {
    own = own.filter(({ id }) => id !== preset.id);
    kept.delete(preset.id);
    vectors.delete(preset.id);
    presetChoice.remove(preset);
    workshop.show(own);
    if (info) await forgetVector(info.model.sha256, preset.id);
    workshop.status = texts.workshop.deleted(preset.label);
  }

  /** @param {Preset} preset */
  const calibrate = (preset) => inWorkshop(texts.workshop.calibrating, async (client) => {
    await vector(preset);
    const questions = await fetchLines('vectors/questions/tuning.jsonl');
    // A few, and open ones: the examples of visitors have no choices.
    const open = questions.filter(({ choices }) => !choices);
    const some = open.filter((_, i) => i % 4 === 0).map((question) => JSON.stringify(question));
    const { strength } = await client.calibrate(preset.id, some.join('\n'), workshop.progress);
    if (!strength) return texts.workshop.notFound;
    await addOwn({ ...preset, recommended: strength });
    return texts.workshop.found(strength.values);
  });

  /** @param {string} question */
  async function run(question) {
    const { chosen: preset, strength } = presetChoice;
    const client = engine;
    if (!client || !info) return;
    const { layers } = info.model;
    stopping = false;
    composer.state = 'busy';
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
      const { keys, firstLayer } = request.lanes[1].steering?.[0].strength ?? { keys: 0, firstLayer: 0 };
      if (strength === 0 && keys === 0) memory.plain(promptTokens);
      else memory.steered({ tokens: promptTokens, label: preset.label, strength, layers: layers - firstLayer });
    }

    /** @type {GenerateRequest} */
    let request;
    try {
      const { offset } = await vector(preset);
      request = {
        messages: [{ role: 'user', content: question }],
        // The same offset in both, so that the vector is the only difference.
        lanes: [
          { offset },
          {
            offset,
            steering: [{
              vector: preset.id,
              strength: { values: strength, keys: advanced.keys, firstLayer: advanced.firstLayer },
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
      const [one, other] = result.lanes;
      const stopped = result.lanes.some((lane) => lane.stopReason === 'cancelled');
      announce(texts.status.done(one.tokens.length, other.tokens.length, stopped));
    } catch (error) {
      for (const pane of panes) pane.finish();
      if (isFatal(error)) dropEngine();
      complain(error, () => ask(question));
    }
    composer.state = 'asking';
  }

  /**
   * Says what went wrong, with a button for the next step.
   * @param {unknown} error
   * @param {() => void} again what was tried
   */
  function complain(error, again) {
    const explanation = explain(error);
    if (!explanation) return;
    const { title, sentence, next } = explanation;
    const steps = {
      retry: { label: texts.notice.tryAgain, act: again },
      loadAgain: { label: texts.notice.loadAgain, act: again },
      reload: { label: texts.notice.reload, act: () => location.reload() },
      onCpu: {
        label: texts.notice.onCpu,
        act() {
          backend = 'cpu';
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
    lists = await Promise.all(['models.json', 'vectors/index.json', 'vectors/styles.json'].map(fetchJson));
  } catch (error) {
    console.error(error);
    createNotice().show(texts.notice.pageFile, texts.notice.listing, {
      label: texts.notice.reload,
      act: () => location.reload(),
    });
    return;
  }
  const [[model], presetsByFolder, styles] = lists;
  start(model, presetsByFolder[model.name] ?? styles.map(presetOf));
}

await main();
