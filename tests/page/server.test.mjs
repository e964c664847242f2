/** The development server behaves as the static hosts do that the page is made for. */

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { servedAt } from './harness.mjs';

const url = servedAt();
const model = new URL('models/SmolLM2-135M-Instruct.Q4_1.gguf', url);
const MODEL_BYTES = 98_362_432;

/** @param {string} path @param {string} type */
async function hasType(path, type) {
  const response = await fetch(new URL(path, url), { method: 'HEAD' });
  assert.equal(response.status, 200, path);
  assert.equal(response.headers.get('content-type'), type, path);
}

/** @param {string} range */
async function modelRange(range) {
  const response = await fetch(model, { headers: { Range: range } });
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, body, range: response.headers.get('content-range') };
}

test('files have the types that browsers insist on', async () => {
  await hasType('', 'text/html; charset=utf-8');
  await hasType('styles.css', 'text/css; charset=utf-8');
  await hasType('models.json', 'application/json');
  await hasType('pkg/cache_steering.js', 'text/javascript; charset=utf-8');
  await hasType('pkg/cache_steering_bg.wasm', 'application/wasm');
  await hasType(model.pathname.slice(1), 'application/octet-stream');
});

test('texts and code are compressed, as hosts do it', async () => {
  for (const path of ['', 'styles.css', 'main.js', 'models.json', 'pkg/cache_steering_bg.wasm']) {
    const response = await fetch(new URL(path, url));
    assert.equal(response.headers.get('content-encoding'), 'gzip', path);
    assert.ok((await response.arrayBuffer()).byteLength > 0);
  }
});

test('a whole file tells its size and that it can be had in parts', async () => {
  const response = await fetch(model, { method: 'HEAD' });
  assert.equal(response.headers.get('content-length'), String(MODEL_BYTES));
  assert.equal(response.headers.get('accept-ranges'), 'bytes');
});

test('the first, a middle and the last bytes can be asked for', async () => {
  const first = await modelRange('bytes=0-3');
  assert.equal(first.status, 206);
  assert.equal(new TextDecoder().decode(first.body), 'GGUF');
  assert.equal(first.range, `bytes 0-3/${MODEL_BYTES}`);

  const last = await modelRange('bytes=-16');
  assert.equal(last.status, 206);
  assert.equal(last.body.length, 16);
  assert.equal(last.range, `bytes ${MODEL_BYTES - 16}-${MODEL_BYTES - 1}/${MODEL_BYTES}`);

  const rest = await modelRange(`bytes=${MODEL_BYTES - 16}-`);
  assert.deepEqual(rest.body, last.body);

  const all = await modelRange(`bytes=${MODEL_BYTES - 32}-${MODEL_BYTES}`);
  assert.deepEqual(all.body.slice(-16), last.body);
});

test('a range past the end is refused with the size', async () => {
  const past = await modelRange(`bytes=${MODEL_BYTES}-`);
  assert.equal(past.status, 416);
  assert.equal(past.range, `bytes */${MODEL_BYTES}`);
});

test('an unchanged file is not sent again', async () => {
  const first = await fetch(url);
  await first.arrayBuffer();
  const since = first.headers.get('last-modified');
  assert.ok(since);
  assert.equal(first.headers.get('cache-control'), 'no-cache');
  const second = await fetch(url, { headers: { 'If-Modified-Since': since } });
  assert.equal(second.status, 304);
});

test('what is not there is 404, outside of the served folders too', async () => {
  assert.equal((await fetch(new URL('no-such-file.js', url))).status, 404);
  const outside = ['/../Cargo.toml', '/%2e%2e/Cargo.toml', '/models/..%2fCargo.toml', '/Cargo.toml'];
  for (const path of outside) {
    assert.equal(await rawStatus(path), 404, path);
  }
});

/**
 * The answer to a path as it stands: `fetch` would resolve the dots itself.
 * @param {string} path
 * @returns {Promise<number | undefined>}
 */
function rawStatus(path) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.get({ hostname, port, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
  });
}
