/** The buttons that copy a link or the answers. */

import { texts } from '../texts.js';
import { element } from './dom.js';

/** @param {{ link: () => string, text: () => string }} makes what is to be copied */
export function createShare({ link, text }) {
  const root = element('share', HTMLDivElement);
  const status = element('share-status', HTMLParagraphElement);
  element('share-link', HTMLButtonElement).addEventListener('click', () => void copy(link(), texts.share.linkCopied));
  element('share-text', HTMLButtonElement).addEventListener('click', () => void copy(text(), texts.share.textCopied));

  /** @param {string} what @param {string} done */
  async function copy(what, done) {
    try {
      await navigator.clipboard.writeText(what);
      status.textContent = done;
    } catch {
      // Some browsers allow it only by hand.
      status.textContent = what;
      getSelection()?.selectAllChildren(status);
    }
  }

  return {
    /** @param {boolean} hasAnswers */
    offer(hasAnswers) {
      root.hidden = !hasAnswers;
      status.textContent = '';
    },
  };
}
