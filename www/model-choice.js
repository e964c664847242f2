/** Which model is chosen, of those that there are, and what is stored of each on this device. */

import { assess, readDevice, recommend } from './device.js';
import { listStored, remove } from './model-store.js';
import { entriesOfFiles, entryOfAddress, lastModel, ownModels, rememberModel, rememberOwnModels } from './models.js';
import { texts } from './texts.js';
import { createModels } from './ui/models.js';

/**
 * @import { BackendChoice, EngineInfo } from './pkg/cache_steering.js'
 * @import { StoredFile } from './model-store.js'
 * @import { ModelEntry, ModelList } from './protocol.js'
 */

/**
 * @param {ModelList} list
 * @param {string | null} asked the id of the model that the address asks for
 * @param {BackendChoice} backend where models run
 * @param {object} events
 * @param {() => void} events.onChange another model was chosen, or it is to run elsewhere
 * @param {() => void} events.onNews more is known of the chosen one
 * @param {() => boolean} events.isBusy whether answers are being written, which another choice would end
 */
export async function createModelChoice(list, asked, backend, { onChange, onNews, isBusy }) {
  const { connect } = list;
  let models = [...list.models, ...ownModels()];
  /** @type {(StoredFile & { size: number })[]} */
  let stored = [];
  let device = await readDevice();
  let recommended = recommend(models, device, backend);
  let chosen = models.find(({ id }) => id === asked) ?? models.find(({ id }) => id === lastModel()) ?? recommended.model;
  const panel = createModels({
    onChoose: choose,
    onFiles: addFiles,
    onAddress: addAddress,
    onBackend(choice) {
      backend = choice;
      recommended = recommend(models, device, backend);
      show();
      onChange();
    },
    onForget: drop,
    onDelete: (kept) => void erase(kept),
    onOpen: () => void refresh(),
  });
  panel.backend = backend;

  /** @param {ModelEntry} model */
  function choose(model) {
    chosen = model;
    show();
    onChange();
  }

  /** @param {ModelEntry} model */
  function add(model) {
    models = [...models.filter(({ id }) => id !== model.id), model];
    rememberOwnModels(models);
    if (isBusy()) show();
    else choose(model);
    panel.open((isBusy() ? texts.models.addedOnly : texts.models.added)(model.label));
  }

  /** @param {ModelEntry} model one of the visitor's own */
  function drop(model) {
    models = models.filter((other) => other !== model);
    rememberOwnModels(models);
    if (chosen === model) choose(recommended.model);
    else show();
  }

  /** @param {File[]} files */
  function addFiles(files) {
    const isModel = files.every(({ name }) => /\.gguf$/i.test(name));
    if (isModel) entriesOfFiles(files).forEach(add);
    else panel.open(texts.models.noFile);
  }

  /** @param {string} text */
  function addAddress(text) {
    const model = entryOfAddress(text, connect);
    if (typeof model === 'string') panel.status = model;
    else add(model);
    return typeof model !== 'string';
  }

  /** @param {StoredFile} kept */
  async function erase(kept) {
    const gone = await remove(kept.key);
    await refresh();
    panel.status = gone ? texts.models.deleted(kept.label) : texts.models.inUse;
  }

  async function refresh() {
    [device, stored] = await Promise.all([readDevice(), listStored()]);
    recommended = recommend(models, device, backend);
    show();
    onNews();
  }

  function show() {
    panel.show(models, chosen, notesOn, recommended.reason);
    panel.showStored(stored, stored.length === 0 ? texts.models.nothingStored : texts.models.room(device.room));
  }

  /** @param {ModelEntry} model */
  function notesOn(model) {
    const { onGpu, needs, fits, kept } = assess(model, device, backend);
    const here = storedOf(model);
    return [
      model === recommended.model ? texts.models.recommended : '',
      fits ? texts.models.memory(onGpu, needs) : texts.models.tooLarge(needs, device.memory),
      here?.verified ? texts.models.here : here ? texts.models.partHere(here.size) : kept ? '' : texts.models.noRoom,
      model.vectors ? '' : texts.models.vectors,
    ];
  }

  /** What is there of a model; of a split one, of all its files. @param {ModelEntry} model */
  function storedOf(model) {
    const parts = model.files.map((file) => stored.find((kept) => 'urls' in file && (file.sha256 ? kept.key === file.sha256 : kept.url === file.urls[0])));
    const there = parts.filter((part) => part !== undefined);
    if (there.length === 0) return undefined;
    const size = there.reduce((sum, part) => sum + part.size, 0);
    const isWhole = there.length === parts.length && there.every(({ verified }) => verified);
    return { size, ...(isWhole && { verified: there[0].verified }) };
  }

  show();
  return {
    get chosen() {
      return chosen;
    },
    get backend() {
      return backend;
    },
    get stored() {
      return storedOf(chosen);
    },
    /** Why the chosen model is the one, or what speaks against it. */
    get why() {
      const { needs, fits } = assess(chosen, device, backend);
      if (!fits) return `${texts.models.tooLarge(needs, device.memory)}.`;
      return chosen === recommended.model ? `${texts.models.recommended}.` : '';
    },
    refresh,
    open: () => panel.open(''),

    /** The model is to run elsewhere from now on. @param {BackendChoice} choice */
    runOn(choice) {
      backend = panel.backend = choice;
      recommended = recommend(models, device, backend);
      show();
    },

    /**
     * Notes that the chosen model was loaded; one that is the same file as one of the list gets its
     * vectors.
     * @param {EngineInfo} info
     */
    loaded({ model: { sha256 } }) {
      const same = models.find(({ files }) => files.length === 1 && 'urls' in files[0] && files[0].sha256 === sha256);
      if (same && chosen.own) Object.assign(chosen, { name: same.name, vectors: same.vectors });
      if (chosen.files.every((file) => 'urls' in file)) rememberModel(chosen);
      // Before the browser clears anything else, if it lets itself be asked.
      void navigator.storage?.persist?.();
      void refresh();
    },
  };
}
