/** Which models there are: those of the site's list, and the visitor's own. */

import { EngineError } from './engine-client.js';
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
 * The entries of models.json, with addresses that are no longer relative. A host may have edited the list:
 * what cannot be used is left out, and said in the console.
 * @param {any} list
 * @returns {ModelList}
 * @throws {EngineError} in words for people, where nothing can be used
 */
export function readList(list) {
  if (!Array.isArray(list?.models)) throw wrongList('it has no list named “models”');
  const models = /** @type {any[]} */ (list.models);
  const problems = models.map(problemOf);
  for (const problem of problems) if (problem) console.error(`models.json: ${problem}`);
  const usable = models.filter((_, i) => !problems[i]);
  if (usable.length === 0) throw wrongList(problems[0] ?? 'it offers no model');
  const connect = (Array.isArray(list.connect) ? list.connect : []).map((/** @type {unknown} */ origin) => String(origin).replace(/^(?!https?:)/, 'https://'));
  return { connect, models: usable.map(entryOf) };
}

/** @param {any} model @returns {string | undefined} */
function problemOf(model) {
  const name = `the model “${model?.label ?? model?.name ?? model?.id}”`;
  const files = model?.files;
  if (!Array.isArray(files) || files.length === 0) return `${name} has no “files”`;
  if (files.some((file) => !Array.isArray(file?.urls) || file.urls.length === 0)) return `a file of ${name} has no “urls”`;
  if (files.some(({ sha256 }) => sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256))) return `the “sha256” of a file of ${name} is not 64 hexadecimal digits`;
  return undefined;
}

/** @param {any} model @returns {ModelEntry} */
function entryOf(model) {
  /** @type {{ urls: string[], bytes?: number, sha256?: string }[]} */
  const files = model.files;
  const name = model.name ?? model.label ?? model.id ?? nameOf(files[0].urls[0]);
  const sum = files.reduce((sum, { bytes = NaN }) => sum + bytes, 0);
  return {
    ...model,
    id: model.id ?? name,
    name,
    label: model.label ?? name,
    bytes: Number.isFinite(sum) ? sum : undefined,
    files: files.map((file) => ({ ...file, sha256: file.sha256?.toLowerCase(), urls: file.urls.map(address) })),
  };
}

/** @param {string} problem */
const wrongList = (problem) => new EngineError({ name: 'ModelList', message: texts.models.noList(problem) });

/** What comes before the number of a part of a split model, that number, and what comes after. */
const PART = /^(.*-)(\d{5})(-of-(\d{5})\.gguf.*)$/i;

/** No model is split into more files. */
const MOST_PARTS = 1000;

/**
 * The models from the visitor's disk: files of a split one in any order, others each by itself.
 * @param {File[]} files at least one
 * @returns {ModelEntry[]}
 */
export function entriesOfFiles(files) {
  /** @type {Map<string, File[]>} */
  const whole = new Map();
  for (const file of files) {
    const name = file.name.replace(PART, '$1$3');
    whole.set(name, [...(whole.get(name) ?? []), file]);
  }
  return [...whole.values()].map((parts) => {
    const sorted = parts.toSorted((one, other) => one.name.localeCompare(other.name));
    return {
      ...own(sorted[0].name),
      files: sorted.map((blob) => ({ blob })),
      bytes: parts.reduce((sum, { size }) => sum + size, 0),
    };
  });
}

/**
 * A model behind an address.
 * @param {string} text what the visitor gave
 * @param {string[]} connect where models may come from
 * @returns {ModelEntry | string} or what is wrong with it
 */
export function entryOfAddress(text, connect) {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return texts.models.noAddress;
  if (url.hostname === 'huggingface.co') {
    url.protocol = 'https:';
    // The page about a file, whose address is what people copy.
    url.pathname = url.pathname.replace('/blob/', '/resolve/');
  }
  if (!mayConnect(url, connect)) return texts.models.mayNotConnect(connect.map((origin) => origin.replace('https://', '')));
  const files = partsOf(url.href);
  if (!/\.gguf$/i.test(url.pathname) || files.length > MOST_PARTS) return texts.models.noAddress;
  return { ...own(nameOf(url.href)), id: url.href, files };
}

/** The name of the file behind an address. @param {string} url */
function nameOf(url) {
  const name = address(url).split(/[?#]/)[0].split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** @param {string} name of a file @returns {ModelEntry} */
const own = (name) => ({ id: `own ${name}`, name, label: name.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, ''), files: [], own: true });

/** All files of a model, of which this may be one of several. @param {string} url @returns {FileEntry[]} */
function partsOf(url) {
  const [, before, , after, count = '1'] = PART.exec(url) ?? [];
  if (before === undefined) return [{ urls: [url] }];
  return Array.from({ length: Math.min(Number(count), MOST_PARTS + 1) }, (_, i) => ({ urls: [`${before}${String(i + 1).padStart(5, '0')}${after}`] }));
}

/** Whether the page's policy lets it connect; `https://*.host` is any host below. @param {URL} url @param {string[]} connect */
const mayConnect = (url, connect) => url.origin === location.origin || connect.some((origin) => {
  const [scheme, host] = origin.split('//');
  return url.protocol === scheme && (host.startsWith('*.') ? url.hostname.endsWith(host.slice(1)) : url.host === host);
});
