/** Hosts the engine, so that the page never waits for it. */

import { load } from './model-source.js';
import init, { WebEngine } from './pkg/cache_steering.js';

/** @import { Call, FromWorker, Progress, Result, ToWorker } from './protocol.js' */

const page = /** @type {{ postMessage(message: FromWorker): void }} */ (/** @type {unknown} */ (self));
const engine = init().then(() => new WebEngine()).catch((error) => {
  // The name that the page knows; see engine-client.js.
  throw Object.assign(new Error(String(error)), { name: 'Setup' });
});

/** Ends a load that waits for something else than the engine. @type {AbortController | undefined} */
let loading;

self.addEventListener('message', async (/** @type {MessageEvent<ToWorker>} */ { data }) => {
  if (data.type === 'stop') {
    loading?.abort();
    (await engine).stop();
    return;
  }
  const { id } = data;
  try {
    const result = await answer(data, (event) => page.postMessage({ type: 'event', id, event }));
    page.postMessage({ type: 'result', id, result });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    page.postMessage({ type: 'failure', id, failure: { name: name === 'AbortError' ? 'Cancelled' : name, message } });
  }
});

/**
 * @param {Call} call
 * @param {(event: Progress) => void} tell
 * @returns {Promise<Result>}
 */
async function answer(call, tell) {
  const ready = await engine;
  switch (call.type) {
    case 'load':
      loading = new AbortController();
      return load(ready, call.request, loading.signal, tell);
    case 'loadVector': return ready.loadVector(call.name, call.url);
    case 'addVector': return ready.addVector(call.name, call.file);
    case 'vectorFile': return ready.vectorFile(call.name);
    case 'extract': return ready.extract(call.request, tell);
    case 'calibrate': return ready.calibrate(call.name, call.questions, tell);
    case 'evaluate': return ready.evaluate(call.request, tell);
    case 'inspect': return ready.inspect(call.answer, tell);
    case 'generate': return ready.generate(call.request, tell);
    case 'benchmark': return ready.benchmark(call.request, tell);
  }
}
