/** Styles of the visitor's own: made of examples, imported, tried out, exported, deleted. */

import { busy, cancelled, noModel } from './engine-client.js';
import { explain } from './errors.js';
import { fetchLines } from './files.js';
import { texts } from './texts.js';
import { download, element, reveal } from './ui/dom.js';
import { createWorkshopForm } from './ui/workshop.js';

/**
 * @import { ContrastItem, ContrastivePair, ExtractProgress, Style } from './pkg/cache_steering.js'
 * @import { EngineClient } from './engine-client.js'
 * @import { Preset } from './protocol.js'
 * @import { KeptVector } from './vector-store.js'
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
    onStop: stop,
    onImport: importFile,
    onExport: exportFile,
    onDelete: remove,
    onCalibrate: (preset) => calibrate(preset, false),
  });
  const find = element('strength-find', HTMLButtonElement);
  const findStatus = element('strength-status', HTMLParagraphElement);
  /** Whether the strength is looked for beside the slider. */
  let isFinding = false;
  find.textContent = texts.strength.find;
  find.addEventListener('click', () => (isFinding ? stop() : calibrate(presetChoice.chosen, true)));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && form.busy) stop();
  });

  function stop() {
    stopping = true;
    session.client?.stop();
  }

  /**
   * Does work that nothing else may disturb.
   * @param {string} status
   * @param {(client: EngineClient) => Promise<string>} work gives what to say in the end
   * @param {KeptVector} [replaced] what was there before, in the place of what is made
   */
  async function run(status, work, replaced) {
    if (form.busy) {
      complain(busy(), () => void run(status, work, replaced));
      return;
    }
    const { client, info } = session;
    if (!client || !info) {
      complain(noModel(), () => void run(status, work, replaced));
      return;
    }
    form.busy = true;
    form.status = status;
    stopping = false;
    let said = '';
    try {
      said = await session.work(() => {
        // A stop that came so early ended an answer, not this.
        if (stopping) throw cancelled();
        return work(client);
      });
      form.status = said;
      if (replaced) offerUndo(texts.workshop.replaced, replaced);
    } catch (error) {
      said = explain(error) ? '' : texts.workshop.stopped;
      form.status = said;
      complain(error, () => void run(status, work, replaced));
    }
    form.busy = false;
    if (!isFinding) return;
    isFinding = false;
    find.textContent = texts.strength.find;
    findStatus.textContent = said;
  }

  /**
   * @param {Style} style
   * @param {ContrastItem[]} items
   * @param {ContrastivePair[]} pairs instead of them, if any
   * @param {boolean} beginAlike whether all do
   */
  function make(style, items, pairs, beginAlike) {
    const before = session.kept(style.id);
    void run(texts.workshop.making, async () => {
      /** @type {number | undefined} */
      let stability;
      await session.make({ style, items, pairs, set: OWN_SET }, (progress) => {
        ({ stability } = progress);
        form.progress(progress);
      });
      const { id, label, description, recommended, repetitionPenalty } = style;
      const isKept = await add({ id, label, description, recommended, isGuess: true, repetitionPenalty, own: true });
      return texts.workshop.made(label, isKept, stability, beginAlike);
    }, before);
  }

  /** @param {File} file */
  function importFile(file) {
    void run('', async () => {
      const name = file.name.replace(/\.safetensors$/i, '');
      const id = `own-${name}`;
      const added = await session.add(id, new Uint8Array(await file.arrayBuffer()));
      const { label = name, description = '', recommended, repetitionPenalty = 1 } = added;
      const isKept = await add({ id, label, description, recommended, repetitionPenalty, own: true });
      return texts.workshop.imported(label, isKept);
    });
  }

  /** @param {Preset} preset @returns {Promise<boolean>} whether it will be there at the next visit */
  async function add(preset) {
    const isKept = await session.keep(preset);
    offer(preset);
    return isKept;
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
    const kept = session.kept(preset.id);
    presetChoice.remove(preset);
    void session.forget(preset);
    form.show(session.own);
    form.status = texts.workshop.deleted(preset.label);
    if (kept) offerUndo(texts.workshop.undo, kept);
  }

  /** @param {string} label @param {KeptVector} kept */
  function offerUndo(label, kept) {
    form.offer(label, () => void run('', async () => {
      const { preset } = kept;
      await session.restore(kept);
      offer(preset);
      return texts.workshop.restored(preset.label);
    }));
  }

  /** @param {Preset} preset */
  function offer(preset) {
    presetChoice.add(preset);
    presetChoice.choose(preset);
    form.show(session.own);
  }

  /** @param {Preset} preset @param {boolean} isBeside the slider, where it is told, too */
  function calibrate(preset, isBeside) {
    void run(texts.workshop.calibrating, async (client) => {
      isFinding = isBeside;
      if (isBeside) findStatus.textContent = texts.workshop.calibrating;
      else reveal('workshop-status');
      /** @param {ExtractProgress} progress */
      const onProgress = (progress) => {
        form.progress(progress);
        if (isBeside) find.textContent = texts.strength.finding(progress.done, progress.total);
      };
      await session.vector(preset, onProgress);
      const questions = await fetchLines('vectors/questions/tuning.jsonl');
      // A few, and open ones: the examples of visitors have no choices.
      const open = questions.filter(({ choices }) => !choices);
      const some = open.filter((_, i) => i % 4 === 0).map((question) => JSON.stringify(question));
      const { strength } = await client.calibrate(preset.id, some.join('\n'), onProgress);
      if (!strength) return texts.workshop.notFound;
      if (preset.own) await add({ ...preset, recommended: strength, isGuess: false });
      else {
        presetChoice.choose(preset);
        presetChoice.strength = strength.values;
      }
      if (!isBeside) reveal('strength');
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
