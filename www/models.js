/** Which models there are: those of the site's list, and the visitor's own. */

import { address } from './files.js';
import { texts } from './texts.js';

/** @import { FileEntry, ModelEntry, ModelList } from './protocol.js' */

/** Under these names the browser remembers the model that was loaded last, and own ones by their address. */
const LAST = 'cache-steering model';
const OWN = 'cache-steering models';

/** @param {string} key @returns {any} */
function remembered(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null');
  } catch {
    // Storage may be forbidden, or hold what another version wrote.
    return undefined;
  }
}

/** @param {string} key @param {unknown} value */
function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Forbidden or full.
  }
}

/** @returns {string | undefined} its id */
export const lastModel = () => remembered(LAST) ?? undefined;

/** @param {ModelEntry} model */
export const rememberModel = ({ id }) => remember(LAST, id);

/** Own models that were added by their address. @returns {ModelEntry[]} */
export const ownModels = () => remembered(OWN) ?? [];

/** @param {ModelEntry[]} models */
export const rememberOwnModels = (models) => remember(OWN, models.filter(({ own, files }) => own && files.every((file) => 'urls' in file)));

/**
 * The entries of models.json, with addresses that are no longer relative.
 * @param {ModelList} list
 * @returns {ModelEntry[]}
 */
export const entriesOf = ({ models }) => models.map((model) => ({
  ...model,
  bytes: model.files.reduce((sum, file) => sum + ('urls' in file ? file.bytes ?? 0 : file.blob.size), 0),
  files: model.files.map((file) => ('urls' in file ? { ...file, urls: file.urls.map(address) } : file)),
}));

/**
 * A model from the visitor's disk.
 * @param {File[]} files at least one; several of a split model in any order
 * @returns {ModelEntry}
 */
export function entryOfFiles(files) {
  const sorted = files.toSorted((one, other) => one.name.localeCompare(other.name));
  return {
    ...own(sorted[0].name),
    files: sorted.map((blob) => ({ blob })),
    bytes: files.reduce((sum, { size }) => sum + size, 0),
  };
}

/**
 * A model behind an address.
 * @param {string} text what the visitor gave
 * @param {string[]} connect where models may come from
 * @returns {ModelEntry | string} or what is wrong with it
 */
export function entryOfAddress(text, connect) {
  const url = URL.parse(text.trim());
  if (!url || !/^https?:$/.test(url.protocol)) return texts.models.noAddress;
  if (!mayConnect(url, connect)) return texts.models.mayNotConnect(connect.map((origin) => origin.replace('https://', '')));
  // The page about a file, whose address is what people copy.
  if (url.hostname === 'huggingface.co') url.pathname = url.pathname.replace('/blob/', '/resolve/');
  if (!url.pathname.endsWith('.gguf')) return texts.models.noAddress;
  return { ...own(decodeURIComponent(url.pathname.split('/').at(-1) ?? '')), id: url.href, files: partsOf(url.href) };
}

/** @param {string} name of a file @returns {ModelEntry} */
const own = (name) => ({ id: `own ${name}`, name, label: name.replace(/(-00001-of-\d{5})?\.gguf$/i, ''), files: [], own: true });

/** All files of a model, of which the first may be one of several. @param {string} url @returns {FileEntry[]} */
function partsOf(url) {
  const [, before, count, after] = /^(.*-)00001-of-(\d{5})(\.gguf.*)$/.exec(url) ?? [];
  if (!count) return [{ urls: [url] }];
  return Array.from({ length: Number(count) }, (_, i) => ({ urls: [`${before}${String(i + 1).padStart(5, '0')}-of-${count}${after}`] }));
}

/** Whether the page's policy lets it connect; `https://*.host` is any host below. @param {URL} url @param {string[]} connect */
const mayConnect = (url, connect) => url.origin === location.origin || connect.some((origin) => {
  const [scheme, host] = origin.split('//');
  return url.protocol === scheme && (host.startsWith('*.') ? url.hostname.endsWith(host.slice(1)) : url.host === host);
});
