/**
 * Lighthouse's judgement of the page on a mid-range phone with a slow connection: its mobile preset.
 *
 * package.json overrides the version of a package that Lighthouse's parts ask for as "latest", which no
 * lock file holds still.
 */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import lighthouse from 'lighthouse';
import { launch } from './harness.mjs';

/** @import { AddressInfo } from 'node:net' */

const reports = process.env.PAGE_REPORTS;

/** Of 100, in every category. */
const LEAST = 95;

/** @returns {Promise<number>} a port that is free */
function freePort() {
  const server = net.createServer();
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => {
    const { port } = /** @type {AddressInfo} */ (server.address());
    server.close(() => resolve(port));
  }));
}

test('Lighthouse finds nothing of weight', { skip: !reports && 'PAGE_REPORTS is not set' }, async () => {
  const port = await freePort();
  const session = await launch({ args: [`--remote-debugging-port=${port}`] });
  try {
    const result = await lighthouse(session.url, { port, output: ['html', 'json'], logLevel: 'error' });
    assert.ok(result);
    const { report, lhr } = result;
    await mkdir(String(reports), { recursive: true });
    await writeFile(path.join(String(reports), 'lighthouse.html'), report[0]);
    await writeFile(path.join(String(reports), 'lighthouse.json'), report[1]);

    const scores = Object.values(lhr.categories).map(({ title, score }) => [title, Math.round(100 * (score ?? 0))]);
    console.log(scores.map((score) => score.join(' ')).join(', '));
    const failed = Object.values(lhr.audits).filter(({ score }) => score !== null && score < 0.9).map(({ id, displayValue }) => `${id} ${displayValue ?? ''}`);
    assert.equal(scores.length, 4);
    assert.deepEqual(scores.filter(([, score]) => Number(score) < LEAST), [], failed.join('\n'));
  } finally {
    await session.close();
  }
});
