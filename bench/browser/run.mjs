/**
 * Runs the benchmarks in Chromium, for `cargo xtask bench --browser`, which says in the environment
 * where things are: PAGE_URL and PAGE_CHROMIUM as the page tests have them; BENCH_MODEL, the file
 * name of the model; BENCH_SECONDS, the time for all of it; BENCH_COMMAND, to be
 * noted; BENCH_OUT, the folder for the JSON.
 */

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { launch } from '../../tests/page/harness.mjs';
import { comparisonTable, rates } from './statistics.mjs';

/** @import { Run } from './statistics.mjs' */

/** @param {string} name */
function env(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask bench --browser\``);
  return value;
}

const seconds = Number(env('BENCH_SECONDS'));
const url = new URL(`/models/${env('BENCH_MODEL')}`, env('PAGE_URL')).href;
const out = env('BENCH_OUT');

const { version: wllama } = JSON.parse(
  readFileSync(new URL('../../node_modules/@wllama/wllama/package.json', import.meta.url), 'utf8'),
);

const ENGINES = [
  { name: 'cache-steering, CPU', how: { backend: 'cpu' } },
  { name: `wllama ${wllama}, 1 thread`, how: { threads: 1 } },
  { name: `wllama ${wllama}, 2 threads`, how: { threads: 2 } },
  { name: 'cache-steering, GPU', how: { backend: 'gpu' } },
];
const BASE = ENGINES[0].name;
const ROUNDS = 7;
const TOKENS = 64;
/** An adapter that computes in software writes fewer: the rate is the same. */
const FEW_TOKENS = 8;

/** Begins differently each time, so that no engine can reuse what it holds of an earlier one. @param {number} round */
const messages = (round) => [
  { role: 'system', content: `${round + 1}. You explain things to curious people, in whole sentences and with everyday examples.` },
  {
    role: 'user',
    content:
      'A kettle of water stands on a stove in a cold kitchen. Somebody turns the stove on and waits. ' +
      'After a while small bubbles form at the bottom, then larger ones rise, and in the end the water boils and ' +
      'steam comes out of the spout, while the window beside the stove slowly turns white. Explain, step by step, ' +
      'what happens to the water, to the steam and to the window, and why.',
  },
];

const session = await launch();
const { page, browser, problems } = session;
page.setDefaultTimeout(0);
const processor = os.cpus()[0]?.model.trim() ?? 'processor unknown';
const about = {
  date: new Date().toISOString().slice(0, 10),
  command: env('BENCH_COMMAND'),
  load: os.loadavg()[0],
  host: `Chromium ${browser.version()}, headless; ${processor}, ${os.cpus().length} threads, ${os.platform()} ${os.arch()}`,
};

/** @param {string} name @param {unknown} value */
async function keep(name, value) {
  await writeFile(path.join(out, `${name}.json`), `${JSON.stringify(value, null, 2)}\n`);
}

/** A call into the page. @param {string} method @param {unknown[]} args */
const call = (method, ...args) =>
  page.evaluate(([method, args]) => /** @type {any} */ (window).bench[method](...args), /** @type {const} */ ([method, args]));

async function open() {
  await page.goto(`${session.url}bench/page.html`);
  await page.waitForFunction(() => 'bench' in window);
  if (!(await page.evaluate(() => crossOriginIsolated))) throw new Error('the server did not isolate the page: wllama would have one thread');
}

/** @param {'cpu' | 'gpu'} backend @param {number} budgetMs */
async function report(backend, budgetMs) {
  const { report, table } = await call('report', { model: { url }, backend, full: true, budgetMs, about });
  process.stdout.write(`${table}\n`);
  await keep(`browser-${backend}`, report);
}

async function compare(/** @type {number} */ budgetMs) {
  const entries = [];
  for (const { name, how } of ENGINES) {
    /** @type {{ detail: string, software: boolean }} */
    const { detail, software } = await call('load', name, url, how);
    entries.push({ name, detail, software, runs: /** @type {Run[]} */ ([]), costMs: 0, spentMs: 0 });
  }
  const start = performance.now();
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const entry of entries) {
      const late = performance.now() - start + entry.costMs > budgetMs;
      // One that is very slow must not take the others' time.
      const greedy = entry.spentMs + entry.costMs > budgetMs / 2;
      if (entry.software || ((late || greedy) && entry.runs.length)) continue;
      const before = performance.now();
      entry.runs.push(await call('run', entry.name, messages(round), TOKENS));
      entry.costMs = performance.now() - before;
      entry.spentMs += entry.costMs;
    }
  }
  // A round with these takes as long as all others together, and tells little: once will do.
  for (const entry of entries.filter(({ software }) => software)) {
    entry.runs.push(await call('run', entry.name, messages(ROUNDS + 1), FEW_TOKENS));
  }
  const engines = entries.map(({ name, detail, software, runs }) => ({
    name: software ? `${name} (software)` : name,
    detail,
    ...rates(runs),
  }));
  const comparison = { about, model: env('BENCH_MODEL'), base: BASE, engines };
  process.stdout.write(`${comparisonTable(comparison)}\n`);
  await keep('comparison', comparison);
}

try {
  await open();
  await report('cpu', 200 * seconds);
  await report('gpu', 250 * seconds);
  // A fresh page, with nothing of the earlier ones in memory.
  await open();
  await compare(550 * seconds);
  if (problems.length) throw new Error(`the page complained: ${problems.join('; ')}`);
} finally {
  await session.close();
}
