/** The door of the Lab: its code is fetched when a visitor comes near, not with the page. */

import { EngineError } from '../engine-client.js';
import { texts } from '../texts.js';
import { element } from './dom.js';

/** @import { LabNeeds } from '../lab/lab.js' */

/** How near is near: what is fetched is small. */
const NEAR = '200px';

/** @param {LabNeeds} needs */
export function offerLab(needs) {
  const root = element('lab', HTMLElement);
  /** @type {Promise<void> | undefined} */
  let opening;
  /** A button that was pressed before anything could come of it. @type {HTMLElement | undefined} */
  let pressed;

  function open() {
    opening ??= import('../lab/lab.js').then(({ createLab }) => {
      watch.disconnect();
      root.removeEventListener('click', hold, true);
      createLab(needs);
    });
    opening.catch(() => (opening = undefined));
    return opening;
  }

  /** @param {MouseEvent} event */
  async function hold(event) {
    const button = event.target instanceof Element ? event.target.closest('button') : undefined;
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    const isFirst = !pressed;
    pressed = button;
    if (!isFirst) return;
    try {
      await open();
      pressed.click();
    } catch (error) {
      console.warn(error);
      needs.complain(new EngineError({ name: 'PageFile', message: texts.lab.missing }), () => location.reload());
    }
    pressed = undefined;
  }

  const watch = new IntersectionObserver(([{ isIntersecting }]) => {
    // Who only passes by is not told of a network that is gone.
    if (isIntersecting) open().catch(console.warn);
  }, { rootMargin: NEAR });
  watch.observe(root);
  root.addEventListener('click', hold, true);
}
