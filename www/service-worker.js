/**
 * Keeps one version of the page, so that it starts without a network.
 *
 * A new version is installed beside the one that runs: it takes over, and deletes the other, when no tab
 * is left that began with the old one. Until then, each tab gets the files that belong to it, because
 * code lies in a folder whose name is a digest of it. Models are not kept here: the page does that.
 */

/**
 * `cargo xtask dist` puts a line above this file that says what the site holds.
 * @typedef {object} Site
 * @property {string} version a digest of everything
 * @property {string} app the folder of the code, named by a digest of it
 * @property {string[]} files by their paths, `./` for the page itself
 */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const { version, app, files } = /** @type {Site} */ (/** @type {any} */ (worker).site);

/** Other sites may share the origin, and so the caches. */
const { scope } = worker.registration;
const OWN_CACHES = `cache-steering ${scope} `;
const CACHE = OWN_CACHES + version;

/** Before what is kept is shown instead of what the network may still send. */
const PATIENCE_MS = 3000;

/**
 * Pages of this version that have been opened. What they are sent later than at the install is kept:
 * a host may have added a model to the list.
 * @type {Set<string>}
 */
const ownPages = new Set();

worker.addEventListener('install', (event) => event.waitUntil(install()));
worker.addEventListener('activate', (event) => event.waitUntil(activate()));
worker.addEventListener('fetch', (event) => {
  const answer = answerTo(event);
  if (answer) event.respondWith(answer);
});

async function install() {
  const cache = await caches.open(CACHE);
  await Promise.all(files.map(async (path) => {
    const url = new URL(path, scope).href;
    const response = await fetch(url, { cache: path.startsWith(app) ? 'default' : 'no-cache' });
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    await cache.put(url, response);
  }));
  // In the middle of an upload, the page may still be the one of before. The next visit tries again.
  const page = await cache.match(scope);
  if (!page || !(await isOwn(page))) throw new Error(`${scope} is not the page that goes with ${app}`);
}

async function activate() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(OWN_CACHES) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  // A first visit, too, is to keep its files when the site changes under it.
  await worker.clients.claim();
}

/** @param {Response} page */
const isOwn = async (page) => (await page.text()).includes(`"${app}/`);

/**
 * @param {FetchEvent} event
 * @returns {Promise<Response> | undefined} nothing for what is left to the browser
 */
function answerTo({ request, clientId, resultingClientId }) {
  const { href, origin, pathname } = new URL(request.url);
  const base = new URL(scope).pathname;
  if (request.method !== 'GET' || origin !== location.origin || !pathname.startsWith(base)) return undefined;
  if (request.headers.has('range') || pathname.endsWith('.gguf')) return undefined;
  const path = pathname.slice(base.length);
  if (request.mode === 'navigate') {
    return ['', 'index.html'].includes(path) ? page(request, resultingClientId) : undefined;
  }
  return path.startsWith('app-') ? code(request) : data(request, href, clientId);
}

/** The page: the newest there is, without waiting long. @param {Request} request @param {string} id */
async function page(request, id) {
  const { response } = await newest(request, scope);
  if (response.ok && (await isOwn(response.clone()))) ownPages.add(id);
  return response;
}

/** What never changes, of this version or of one that waits to take over. @param {Request} request */
const code = async (request) => (await caches.match(request.url, { ignoreVary: true })) ?? fetch(request);

/** Lists and vectors. @param {Request} request @param {string} url @param {string} id */
async function data(request, url, id) {
  const { response, fresh } = await newest(request, url);
  if (fresh && response.ok && ownPages.has(id)) await (await caches.open(CACHE)).put(url, response.clone());
  return response;
}

/**
 * From the network, or what is kept where that fails or takes too long.
 * @param {Request} request
 * @param {string} url under which it is kept
 * @returns {Promise<{ response: Response, fresh: boolean }>}
 */
async function newest(request, url) {
  const kept = await (await caches.open(CACHE)).match(url, { ignoreVary: true });
  if (!kept) return { response: await fetch(request), fresh: true };
  /** @type {Promise<undefined>} */
  const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, undefined));
  const response = await Promise.race([fetch(request), patience]).catch(() => undefined);
  return response && response.status < 500 ? { response, fresh: true } : { response: kept, fresh: false };
}
