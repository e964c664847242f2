/** Files of the site, by their path relative to the page. */

import { EngineError } from './engine-client.js';

/** @param {string} path */
export const address = (path) => new URL(path, document.baseURI).href;

/** @param {string} path */
export async function fetchText(path) {
  const response = await fetch(address(path));
  if (!response.ok) throw new EngineError({ name: 'Fetch', message: `${path}: ${response.status}` });
  return response.text();
}

/** @param {string} path @returns {Promise<any>} */
export async function fetchJson(path) {
  const text = await fetchText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EngineError({ name: 'PageFile', message: `the file ${path} cannot be read: ${error}` });
  }
}

/** JSON, one object a line. @param {string} path @returns {Promise<any[]>} */
export const fetchLines = async (path) =>
  (await fetchText(path)).split('\n').filter((line) => line.trim()).map((line) => JSON.parse(line));
