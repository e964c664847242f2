/** The choice of a model: the list, the visitor's own, where it runs, and what is stored here. */

import { texts } from '../texts.js';
import { create, element } from './dom.js';

/**
 * @import { BackendChoice } from '../pkg/cache_steering.js'
 * @import { StoredFile } from '../model-store.js'
 * @import { ModelEntry } from '../protocol.js'
 */

/**
 * @param {object} actions
 * @param {(model: ModelEntry) => void} actions.onChoose
 * @param {(files: File[]) => void} actions.onFiles at least one
 * @param {(address: string) => boolean} actions.onAddress whether it is one
 * @param {(backend: BackendChoice) => void} actions.onBackend
 * @param {(model: ModelEntry) => void} actions.onForget takes an own model out of the list
 * @param {(stored: StoredFile) => void} actions.onDelete
 * @param {() => void} actions.onOpen
 */
export function createModels({ onChoose, onFiles, onAddress, onBackend, onForget, onDelete, onOpen }) {
  const root = element('models', HTMLDetailsElement);
  const reason = element('models-reason', HTMLParagraphElement);
  const list = element('models-list', HTMLDivElement);
  const file = element('models-file', HTMLInputElement);
  const form = element('models-address-form', HTMLFormElement);
  const address = element('models-address', HTMLInputElement);
  const backend = element('models-backend', HTMLSelectElement);
  const status = element('models-status', HTMLParagraphElement);
  const stored = element('models-stored', HTMLUListElement);
  const storedHint = element('models-stored-hint', HTMLParagraphElement);

  root.addEventListener('toggle', () => root.open && onOpen());
  file.addEventListener('change', () => {
    const files = [...(file.files ?? [])];
    file.value = '';
    if (files.length > 0) onFiles(files);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (onAddress(address.value)) form.reset();
  });
  backend.addEventListener('change', () => onBackend(/** @type {BackendChoice} */ (backend.value)));
  dropFiles(onFiles);

  return {
    /** @param {string} text */
    set status(text) {
      status.textContent = text;
    },

    /** @param {BackendChoice} choice */
    set backend(choice) {
      backend.value = choice;
    },

    /** Shows the panel, with something to say. @param {string} text */
    open(text) {
      root.open = true;
      status.textContent = text;
      root.scrollIntoView({ block: 'nearest' });
    },

    /**
     * @param {ModelEntry[]} models
     * @param {ModelEntry} chosen
     * @param {(model: ModelEntry) => string[]} notes on each, for this device
     * @param {string} why a model is recommended
     */
    show(models, chosen, notes, why) {
      reason.textContent = why;
      const focused = list.contains(document.activeElement);
      list.replaceChildren(...models.map((model, i) => {
        const input = create('input', { type: 'radio', name: 'model', value: model.id, checked: model === chosen });
        input.addEventListener('change', () => onChoose(model));
        const lines = [texts.models.about(model), ...notes(model)].filter(Boolean)
          .map((line, j) => create('span', { className: 'hint', id: `model-${i}-${j}`, textContent: line }));
        input.setAttribute('aria-label', model.label);
        input.setAttribute('aria-describedby', lines.map(({ id }) => id).join(' '));
        const choice = create('label', { className: 'model-choice' }, input, create('span', {},
          create('strong', { textContent: model.label }),
          ...lines,
          ...(model.source ? [create('a', { className: 'hint', href: model.source, textContent: texts.models.source(model) })] : [])));
        if (!model.own) return choice;
        const forget = create('button', { type: 'button', className: 'link', textContent: texts.models.forget });
        forget.addEventListener('click', () => onForget(model));
        return create('div', {}, choice, forget);
      }));
      // Who goes through the list with the keyboard is to stay in it.
      const checked = list.querySelector(':checked');
      if (focused && checked instanceof HTMLElement) checked.focus();
    },

    /** @param {(StoredFile & { size: number })[]} files @param {string} hint */
    showStored(files, hint) {
      storedHint.textContent = hint;
      const focused = stored.contains(document.activeElement);
      stored.replaceChildren(...files.map((kept) => {
        const button = create('button', { type: 'button', className: 'button quiet', textContent: texts.models.delete });
        button.setAttribute('aria-label', texts.models.deleteLabel(kept.label));
        button.addEventListener('click', () => onDelete(kept));
        return create('li', {}, create('span', { textContent: texts.models.stored(kept) }), button);
      }));
      if (focused) (stored.querySelector('button') ?? file).focus();
    },
  };
}

/** Takes model files that are dropped anywhere on the page. @param {(files: File[]) => void} onFiles */
function dropFiles(onFiles) {
  document.addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    onFiles(files);
  });
}
