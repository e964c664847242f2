/** Styles of the visitor's own: made of examples, imported, tried out, exported, deleted. */

import { cancelled } from './engine-client.js';
import { explain } from './errors.js';
import { fetchLines } from './files.js';
import { texts } from './texts.js';
import { download, element, reveal } from './ui/dom.js';
import { createWorkshopForm } from './ui/workshop.js';

/**
 * @import { ContrastItem, ContrastivePair, Style } from './pkg/cache_steering.js'
 * @import { EngineClient } from './engine-client.js'
 * @import { Preset } from './protocol.js'
 * @import { Session } from './session.js'
 * @import { PresetChoice } from './ui/presets.js'
 */

/** The name of the visitor's examples, in the file of their vector. */
const OWN_SET = 'own examples';

/**
 * @param {Session} session
 * @param {PresetChoice} presetChoice
 * @param {(error: unknown, again: () => void) => void} complain
 */
export function createWorkshop(session, presetChoice, complain) {
  let stopping = false;
  const form = createWorkshopForm({
    onMake: make,
    onStop() {
      stopping = true;
      session.client?.stop();
    },
    onImport: importFile,
    onExport: exportFile,
    onDelete: remove,
    onCalibrate: calibrate,
  });
  element('strength-find', HTMLButtonElement).addEventListener('click', () => {
    calibrate(presetChoice.chosen);
    reveal('workshop-status');
  });

  /**
   * Does work that nothing else may disturb.
   * @param {string} status
   * @param {(client: EngineClient) => Promise<string>} work gives what to say in the end
   */
  async function run(status, work) {
    if (form.busy) return;
    if (!session.client || !session.info) {
      form.status = texts.workshop.loadFirst;
      reveal('model');
      return;
    }
    form.busy = true;
    form.status = status;
    stopping = false;
    try {
      await session.makeRoom();
      // A stop that came so early ended an answer, not this.
      if (stopping) throw cancelled();
      form.status = await work(session.client);
    } catch (error) {
      form.status = explain(error) ? '' : texts.workshop.stopped;
      complain(error, () => void run(status, work));
    }
    form.busy = false;
  }

  /** @param {Style} style @param {ContrastItem[]} items @param {ContrastivePair[]} pairs instead of them, if any */
  function make(style, items, pairs) {
    void run(texts.workshop.making, async () => {
      /** @type {number | undefined} */
      let stability;
      await session.make({ style, items, pairs, set: OWN_SET }, (progress) => {
        ({ stability } = progress);
        form.progress(progress);
      });
      const { id, label, description, recommended, repetitionPenalty } = style;
      return add({ id, label, description, recommended, repetitionPenalty, own: true }, stability);
    });
  }

  /** @param {File} file */
  function importFile(file) {
    void run('', async () => {
      const name = file.name.replace(/\.safetensors$/i, '');
      const id = `own-${name}`;
      const added = await session.add(id, new Uint8Array(await file.arrayBuffer()));
      const { label = name, description = '', recommended, repetitionPenalty = 1 } = added;
      return add({ id, label, description, recommended, repetitionPenalty, own: true });
    });
  }

  /** @param {Preset} preset @param {number} [stability] @returns {Promise<string>} what to say of it */
  async function add(preset, stability) {
    const isKept = await session.keep(preset);
    presetChoice.add(preset);
    presetChoice.choose(preset);
    form.show(session.own);
    return texts.workshop.made(preset.label, isKept, stability);
  }

  /** @param {Preset} preset */
  function exportFile(preset) {
    void run('', async (client) => {
      await session.vector(preset, form.progress);
      const file = await client.vectorFile(preset.id);
      download(new Blob([/** @type {BlobPart} */ (file)]), `${preset.label}.safetensors`);
      return '';
    });
  }

  /** @param {Preset} preset */
  function remove(preset) {
    presetChoice.remove(preset);
    void session.forget(preset);
    form.show(session.own);
    form.status = texts.workshop.deleted(preset.label);
  }

  /** @param {Preset} preset */
  function calibrate(preset) {
    void run(texts.workshop.calibrating, async (client) => {
      await session.vector(preset, form.progress);
      const questions = await fetchLines('vectors/questions/tuning.jsonl');
      // A few, and open ones: the examples of visitors have no choices.
      const open = questions.filter(({ choices }) => !choices);
      const some = open.filter((_, i) => i % 4 === 0).map((question) => JSON.stringify(question));
      const { strength } = await client.calibrate(preset.id, some.join('\n'), form.progress);
      if (!strength) return texts.workshop.notFound;
      await add({ ...preset, recommended: strength });
      reveal('strength');
      return texts.workshop.found(strength.values);
    });
  }

  return {
    /** Shows and offers what was made with this model before. */
    showOwn() {
      session.own.forEach(presetChoice.add);
      form.show(session.own);
    },
  };
}
