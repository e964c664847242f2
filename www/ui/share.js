/** The buttons that copy a link or the answers. */

import { texts } from '../texts.js';
import { copyText, download, element } from './dom.js';

/**
 * @param {object} shared
 * @param {() => string} shared.link
 * @param {() => string} shared.toSay of the link, once it is copied
 * @param {() => string} shared.text as Markdown
 * @param {() => string} shared.json
 */
export function createShare({ link, toSay, text, json }) {
  const root = element('share', HTMLDivElement);
  const status = element('share-status', HTMLParagraphElement);
  const buttons = root.querySelectorAll('button');
  element('share-link', HTMLButtonElement).addEventListener('click', () => void copy(link(), toSay()));
  element('share-text', HTMLButtonElement).addEventListener('click', () => void copy(text(), texts.share.textCopied));
  element('share-json', HTMLButtonElement).addEventListener('click', () => {
    download(new Blob([json()], { type: 'application/json' }), 'cache-steering.json');
    status.textContent = texts.share.saved;
  });

  /** @param {string} what @param {string} done */
  async function copy(what, done) {
    const isCopied = await copyText(what, () => {
      status.textContent = what;
      return status;
    });
    if (isCopied) status.textContent = done;
  }

  return {
    hide() {
      root.hidden = true;
    },

    /** @param {boolean} hasAnswers else it only takes its room, for answers that come */
    offer(hasAnswers) {
      root.hidden = false;
      for (const button of buttons) button.disabled = !hasAnswers;
      status.textContent = '';
    },
  };
}
