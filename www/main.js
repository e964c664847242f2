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

/**
 * @import { BackendChoice, EngineInfo, GenerateEvent, GenerateRequest, VectorInfo } from './pkg/cache_steering.js'
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
  let backend = backendOfAddress();
  /** Asked before the model was ready. @type {string | undefined} */
  let kept;
  let stopping = false;

  createBenchmark(() => backend);
  plain.note = texts.pane.plainNote;
  const presetChoice = createPresets(presets, advanced.usePreset, showChoice);
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
    kept = question;
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
    kept = undefined;
    composer.state = 'asking';
    for (const pane of panes) pane.clear();
  }

  function dropEngine() {
    engine?.dispose();
    engine = info = undefined;
    vectors = new Map();
    bar.idle(model);
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
      info = loaded;
    } catch (error) {
      // Another click may have replaced this engine meanwhile.
      if (engine === client) failedToLoad(error);
      return;
    }
    const question = kept;
    kept = undefined;
    if (question) await run(question);
  }

  /** @param {unknown} error */
  function failedToLoad(error) {
    const question = kept;
    dropEngine();
    forgetQuestion();
    complain(error, () => (question ? ask(question) : void load()));
  }

  /** @param {Preset} preset */
  async function vector(preset) {
    const loaded = vectors.get(preset.id) ?? (await engine?.loadVector(preset.id, address(model.vectors + preset.file)));
    if (!loaded) throw new EngineError({ name: 'Cancelled', message: '' });
    vectors.set(preset.id, loaded);
    return loaded;
  }

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
      const { keys, firstLayer } = request.lanes[1].steering?.strength ?? { keys: 0, firstLayer: 0 };
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
            steering: {
              vector: preset.id,
              strength: { values: strength, keys: advanced.keys, firstLayer: advanced.firstLayer },
            },
          },
        ],
        sampling: advanced.sampling,
        maxTokens: advanced.maxTokens,
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

async function main() {
  const lacks = missing();
  if (lacks) {
    const bar = createModelBar({ onLoad() {}, onCancel() {} });
    bar.unavailable(texts.notice.unsupportedTitle, texts.notice.unsupported(lacks));
    return;
  }
  let lists;
  try {
    lists = await Promise.all([fetchJson('models.json'), fetchJson('vectors/index.json')]);
  } catch (error) {
    console.error(error);
    createNotice().show(texts.notice.pageFile, texts.notice.listing, {
      label: texts.notice.reload,
      act: () => location.reload(),
    });
    return;
  }
  const [[model], presetsByFolder] = lists;
  start(model, presetsByFolder[model.name]);
}

await main();
