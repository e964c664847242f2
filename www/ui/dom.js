/** The page's elements by id, with their types checked once. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`);
  return found;
}

/**
 * The one match of a selector inside `root`.
 * @param {HTMLElement} root
 * @param {string} selector
 */
export function part(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`#${root.id} has no ${selector}`);
  return found;
}

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} properties
 * @param {...Node} children
 */
export function create(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Hands the visitor a file. @param {Blob} contents @param {string} name */
export function download(contents, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(contents);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/**
 * Copies a text.
 * @param {string} text
 * @param {() => Element} show shows it, if it does not show: some browsers allow it only by hand, and it is marked for that
 * @returns {Promise<boolean>} whether it is copied
 */
export async function copyText(text, show) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(show());
    return false;
  }
}

/** Lets the browser draw and answer the visitor before more is done. @returns {Promise<void>} */
export const breathe = () => new Promise((resolve) => setTimeout(resolve));

/** Hides what may have the focus, which is elsewhere then. @param {HTMLElement} hidden @param {HTMLElement | null} [next] */
export function hide(hidden, next) {
  const hadFocus = hidden.contains(document.activeElement);
  hidden.hidden = true;
  if (hadFocus) next?.focus({ preventScroll: true });
}

/** Tells people who listen to the page; not for every token. @param {string} text */
export function announce(text) {
  element('status', HTMLParagraphElement).textContent = text;
}

/**
 * Brings an element on the screen, as far as it is not there already; with its top, where it is larger.
 * @param {string} id
 * @param {'start'} [block] with its top in any case
 */
export function reveal(id, block) {
  const shown = element(id, HTMLElement);
  shown.scrollIntoView({ block: block ?? (shown.offsetHeight > innerHeight ? 'start' : 'nearest') });
}
