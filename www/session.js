/**
 * A model that is loaded or on its way, and the vectors that go with it: those of the site, and those
 * that were made or added in this browser.
 */

import { EngineClient, EngineError, busy, cancelled } from './engine-client.js';
import { address, fetchLines } from './files.js';
import { rememberKernels, rememberedKernels } from './kernels.js';
import { texts } from './texts.js';
import { forgetVector, keepVector, keptVectors } from './vector-store.js';

/**
 * @import { BackendChoice, ContrastItem, EngineInfo, ExtractProgress, ExtractRequest, LoadProgress, Style, VectorInfo } from './pkg/cache_steering.js'
 * @import { ModelEntry, Preset, SourceEvent } from './protocol.js'
 * @import { KeptVector } from './vector-store.js'
 */

/** The items from which the presets are made, and the name under which a vector says so. */
const CONTRASTIVE_SET = 'contrastive';

/** @returns {Promise<ContrastItem[]>} */
export const contrastiveSet = () => fetchLines(`vectors/${CONTRASTIVE_SET}.jsonl`);

export class Session {
  /** There from the first moment of a load. @type {EngineClient | undefined} */
  client;
  /** There once the model is ready. @type {EngineInfo | undefined} */
  info;
  /** Ends what is being answered. @type {() => Promise<void>} */
  endAnswers = async () => {};
  /** Told when other work than answers is over. */
  onWorkDone = () => {};
  #isAtWork = false;
  /** Another number where something else than answers may have used the KV cache, or it is another. */
  cacheUse = 0;
  /** Presets of the visitor's own, for this model. @type {Preset[]} */
  own = [];
  /** Those that are in the engine. @type {Map<string, VectorInfo>} */
  #loaded = new Map();
  /** Vectors that were made or added in this browser, by the id of their preset. @type {Map<string, KeptVector>} */
  #kept = new Map();

  /** @param {ModelEntry} model @param {BackendChoice} backend */
  constructor(model, backend) {
    this.model = model;
    this.backend = backend;
  }

  /**
   * Loads the model, in place of one that was loaded before.
   * @param {(progress: LoadProgress | SourceEvent) => void} onProgress
   * @returns {Promise<EngineInfo | undefined>} nothing where another load or a drop came in between
   */
  async load(onProgress) {
    this.drop();
    this.cacheUse += 1;
    const client = (this.client = new EngineClient());
    const { model, backend } = this;
    const { files, label } = model;
    try {
      const request = { files, label, backend, kernels: rememberedKernels(model) };
      const info = await client.load(request, onProgress);
      rememberKernels(model, info);
      const kept = await keptVectors(info.model.sha256);
      if (this.client !== client) return undefined;
      this.#kept = new Map(kept.map((vector) => [vector.preset.id, vector]));
      this.own = kept.map(({ preset }) => preset).filter((preset) => preset.own);
      return (this.info = info);
    } catch (error) {
      if (this.client !== client) return undefined;
      throw error;
    }
  }

  /** Whether nothing that runs would keep the engine from an answer. */
  get isFree() {
    return !this.#isAtWork && !this.client?.isBusy;
  }

  /**
   * Does other work than answers, which ends those that come.
   * @template T
   * @param {() => Promise<T>} act
   */
  async work(act) {
    if (this.#isAtWork) throw busy();
    this.#isAtWork = true;
    try {
      await this.endAnswers();
      this.cacheUse += 1;
      return await act();
    } finally {
      this.#isAtWork = false;
      this.onWorkDone();
    }
  }

  /** Ends the engine, whatever it does. */
  drop() {
    this.client?.dispose();
    this.client = this.info = undefined;
    this.#loaded = new Map();
  }

  /**
   * The vector of a preset, ready in the engine: from its file, from an earlier visit, or made now.
   * @param {Preset} preset
   * @param {(progress: ExtractProgress) => void} onMaking
   * @returns {Promise<VectorInfo>}
   */
  async vector(preset, onMaking) {
    const client = this.#client();
    const { id, file, style } = preset;
    const kept = this.#kept.get(id);
    let loaded = this.#loaded.get(id);
    if (!loaded && file) loaded = await client.loadVector(id, address(`${this.model.vectors}${file}`));
    else if (!loaded && kept && isSame(kept.preset.style, style)) loaded = await client.addVector(id, kept.file);
    else if (!loaded && style) {
      loaded = await this.make({ style, items: await contrastiveSet(), set: CONTRASTIVE_SET }, onMaking);
      await this.keep(preset);
    }
    if (!loaded) throw cancelled();
    this.#loaded.set(id, loaded);
    return loaded;
  }

  /**
   * Makes the vector of a style.
   * @param {ExtractRequest} request
   * @param {(progress: ExtractProgress) => void} onProgress
   */
  async make(request, onProgress) {
    this.cacheUse += 1;
    const made = await this.#client().extract(request, onProgress).catch((error) => {
      // The prompt that is too long is none of the visitor's.
      throw error.name === 'ContextFull' ? new EngineError({ name: error.name, message: texts.making.tooShort }) : error;
    });
    this.#loaded.set(request.style.id, made);
    return made;
  }

  /** Takes a vector from the bytes of its file. @param {string} id @param {Uint8Array} file */
  async add(id, file) {
    const added = await this.#client().addVector(id, file);
    this.#loaded.set(id, added);
    return added;
  }

  /**
   * Keeps the vector of a preset for the next visit.
   * @param {Preset} preset
   * @returns {Promise<boolean>} whether it will be there
   */
  async keep(preset) {
    const file = await this.#client().vectorFile(preset.id);
    return this.info ? this.#hold({ model: this.info.model.sha256, preset, file }) : false;
  }

  /** What is kept of a preset, to be restored should it be deleted or replaced. @param {string} id */
  kept(id) {
    return this.#kept.get(id);
  }

  /** Takes a preset back as it was. @param {KeptVector} kept @returns {Promise<boolean>} whether it will be there at the next visit */
  restore(kept) {
    this.#loaded.delete(kept.preset.id);
    return this.#hold(kept);
  }

  /** @param {KeptVector} kept */
  #hold(kept) {
    const { preset } = kept;
    this.#kept.set(preset.id, kept);
    if (preset.own) this.own = [...this.own.filter(({ id }) => id !== preset.id), preset];
    return keepVector(kept);
  }

  /** @param {Preset} preset */
  async forget({ id }) {
    const kept = this.#kept.get(id);
    this.own = this.own.filter((preset) => preset.id !== id);
    this.#kept.delete(id);
    this.#loaded.delete(id);
    if (kept) await forgetVector(kept.model, id);
  }

  /** The engine, or the error that says that nobody waits for it any more. */
  #client() {
    if (!this.client) throw cancelled();
    return this.client;
  }
}

/** A style that the site has changed is made anew. @param {Style | undefined} one @param {Style | undefined} other */
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);
