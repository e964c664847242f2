/** "Benchmark this device": made-up weights in a worker of its own, and a table of what came out. */

import { CRASH, EngineClient } from '../engine-client.js';
import { explain } from '../errors.js';
import { texts as pageTexts } from '../texts.js';
import { copyText, element } from '../ui/dom.js';
import { tableRow } from '../ui/table.js';
import { texts } from './texts.js';

/** @import { BackendChoice, BenchmarkRequest, BenchmarkResult } from '../pkg/cache_steering.js' */

/** Less than the ten seconds that the page promises: the engine has to be fetched and started too. */
const BUDGET_MS = 7500;

/** The format of the model that the page runs. */
const MODEL = /** @type {const} */ ({ synthetic: 'smollm2-135m', quant: 'q4_1' });

/** Where memory is short, some layers will do: their number scales the figures. */
const FEW_LAYERS = 10;

/** @param {unknown} error */
const isShortOfMemory = (error) =>
  error instanceof Error && [CRASH, 'OutOfMemory', 'GpuLimit'].includes(error.name);

/**
 * @param {() => BackendChoice} backend where it is to run
 * @param {(tokensPerSecond: number) => void} onSpeed what one answer of the smallest model would run at
 */
export function createBenchmark(backend, onSpeed) {
  const root = element('benchmark', HTMLElement);
  const button = element('benchmark-button', HTMLButtonElement);
  const copy = element('benchmark-copy', HTMLButtonElement);
  const bar = element('benchmark-progress', HTMLProgressElement);
  const doing = element('benchmark-doing', HTMLParagraphElement);
  const status = element('benchmark-status', HTMLParagraphElement);
  const table = element('benchmark-table', HTMLTableElement);
  const { caption, tBodies: [body] } = table;
  const label = button.textContent;

  /** @type {EngineClient | undefined} */
  let client;
  let copied = '';

  idle();
  button.addEventListener('click', () => (client ? client.dispose() : void run()));
  copy.addEventListener('click', () => void copyResult());

  function idle() {
    client = undefined;
    root.dataset.state = 'idle';
    button.textContent = copied ? texts.benchmark.again : label;
    doing.textContent = '';
  }

  async function run() {
    table.hidden = copy.hidden = true;
    root.dataset.state = 'running';
    button.textContent = pageTexts.stop;
    status.textContent = texts.benchmark.started;
    try {
      show(await measure());
    } catch (error) {
      const explanation = explain(error);
      status.textContent = explanation ? `${explanation.title}. ${explanation.sentence}` : texts.benchmark.stopped;
    }
    client?.dispose();
    idle();
  }

  async function measure() {
    try {
      return await attempt();
    } catch (error) {
      if (!isShortOfMemory(error)) throw error;
      return attempt(FEW_LAYERS);
    }
  }

  /** @param {number} [layers] */
  function attempt(layers) {
    client?.dispose();
    client = new EngineClient();
    bar.value = 0;
    doing.textContent = texts.benchmark.starting;
    /** @type {BenchmarkRequest} */
    const request = {
      model: layers ? { ...MODEL, layers } : MODEL,
      backend: backend(),
      budgetMs: BUDGET_MS,
      about: { date: new Date().toISOString().slice(0, 10), command: texts.benchmark.title, host: navigator.userAgent },
    };
    return client.benchmark(request, (progress) => {
      bar.value = progress.part;
      doing.textContent = texts.benchmark.doing(progress.doing);
    });
  }

  /** @param {BenchmarkResult} result */
  function show({ report, table: text }) {
    copied = text;
    if (caption) caption.textContent = texts.benchmark.caption(report);
    body.replaceChildren(...texts.benchmark.rows(report).map((cells) => tableRow(cells, 'row')));
    table.hidden = copy.hidden = false;
    status.textContent = texts.benchmark.done(report);
    const alone = report.decode.find(({ lanes }) => lanes === 1);
    if (alone && report.model.layers > FEW_LAYERS) onSpeed(alone.tokensPerSecond);
  }

  async function copyResult() {
    status.textContent = (await copyText(copied, () => table)) ? texts.benchmark.copied : texts.benchmark.copyByHand;
  }
}
