/**
 * A host of model files that stands in for the hub: another origin, with ranges, and with every fault
 * that a test asks for.
 */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';

/**
 * What to do with a request other than what is right.
 * @typedef {object} Fault
 * @property {number} [status] instead of an answer
 * @property {Record<string, string>} [headers] more of them
 * @property {number} [cutAfter] breaks the connection after so many bytes
 * @property {number} [stallAfter] falls silent after so many bytes
 * @property {boolean} [noRanges] sends the whole file, whatever was asked for
 * @property {boolean} [noLength] does not say how long it is
 * @property {string} [redirect] sends the browser to this path
 * @property {string} [file] sends this file instead
 * @property {(chunk: Buffer) => Buffer} [change] what is sent
 * @property {number} [pauseMs] between chunks
 */

/** @typedef {{ path: string, range: string | undefined }} Request */

/**
 * @param {string} folder of the files
 */
export async function startHost(folder) {
  /** @type {Request[]} */
  const requests = [];
  /** @type {(request: Request, count: number) => Fault | undefined} */
  let faults = () => undefined;

  /** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
  async function answer(request, response) {
    const asked = { path: new URL(request.url ?? '/', 'http://host').pathname, range: request.headers.range };
    requests.push(asked);
    const fault = faults(asked, requests.length) ?? {};
    const cors = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'content-range, etag', ...fault.headers };
    if (fault.redirect) {
      response.writeHead(302, { ...cors, location: fault.redirect }).end();
      return;
    }
    if (fault.status) {
      response.writeHead(fault.status, cors).end();
      return;
    }
    const file = path.join(folder, fault.file ?? asked.path);
    const { size, mtimeMs } = await stat(file);
    const start = fault.noRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(asked.range ?? '')?.[1] ?? 0);
    if (start >= size) {
      response.writeHead(416, { ...cors, 'content-range': `bytes */${size}` }).end();
      return;
    }
    const partial = asked.range !== undefined && !fault.noRanges;
    response.writeHead(partial ? 206 : 200, {
      ...cors,
      'content-type': 'application/octet-stream',
      etag: `"${file} ${mtimeMs}"`,
      ...(!fault.noLength && { 'content-length': size - start }),
      ...(partial && { 'content-range': `bytes ${start}-${size - 1}/${size}` }),
    });
    await send(response, createReadStream(file, { start, highWaterMark: fault.pauseMs ? 1 << 14 : 1 << 16 }), fault);
  }

  const server = http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    origin: `http://127.0.0.1:${port}`,
    /** Every request so far. */
    requests,
    /** @param {typeof faults} decide for each request, the first one being number 1 */
    misbehave(decide) {
      requests.length = 0;
      faults = decide;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** @param {http.ServerResponse} response @param {AsyncIterable<Buffer>} chunks @param {Fault} fault */
async function send(response, chunks, { cutAfter = Infinity, stallAfter = Infinity, change = (chunk) => chunk, pauseMs }) {
  let left = Math.min(cutAfter, stallAfter);
  for await (const chunk of chunks) {
    if (response.destroyed) return;
    const part = change(chunk).subarray(0, left);
    left -= part.length;
    if (!response.write(part)) await drained(response);
    if (left <= 0) break;
    if (pauseMs) await new Promise((done) => setTimeout(done, pauseMs));
  }
  if (left > 0) response.end();
  // Later, so that the browser has what was sent before.
  else if (cutAfter <= stallAfter) setTimeout(() => response.destroy(), 50);
}

/** Waits until a response takes more, or nobody is there to take it. @param {http.ServerResponse} response */
function drained(response) {
  return new Promise((resolve) => {
    const go = () => resolve(response.off('drain', go).off('close', go));
    response.on('drain', go).on('close', go);
  });
}
