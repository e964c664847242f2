/** From the runs of an engine to its figures, and from those of several to a table. */

/**
 * One answer, timed in the page.
 * @typedef {{ promptTokens: number, tokens: number, firstMs: number, restMs: number, text: string }} Run
 */

/** @typedef {{ median: number, least: number, samples: number }} Spread */

/**
 * @typedef {object} Rates
 * @property {number} promptTokens
 * @property {number} tokens of the longest answer
 * @property {Spread} prefill tokens of the prompt over the time to the first token
 * @property {Spread} decode tokens after the first over the time that they took
 */

/**
 * @typedef {object} Comparison
 * @property {string} base name of the engine that ratios refer to
 * @property {({ name: string, detail: string } & Rates)[]} engines
 */

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number[]} values @returns {Spread} */
const spread = (values) => ({ median: median(values), least: Math.min(...values), samples: values.length });

/** The first run warms up and counts only where it is alone. @param {Run[]} runs @returns {Rates} */
export function rates(runs) {
  const counted = runs.length > 1 ? runs.slice(1) : runs;
  const prefill = counted.map((run) => (1000 * run.promptTokens) / run.firstMs);
  const decode = counted.map((run) => (1000 * (run.tokens - 1)) / run.restMs);
  for (const rate of [...prefill, ...decode]) {
    if (!(rate > 0 && rate < Infinity)) throw new Error(`an engine gave no tokens to time: ${JSON.stringify(counted)}`);
  }
  return {
    promptTokens: counted[0].promptTokens,
    tokens: Math.max(...counted.map((run) => run.tokens)),
    prefill: spread(prefill),
    decode: spread(decode),
  };
}

/** @param {Comparison} comparison */
export function comparisonTable({ base, engines }) {
  const reference = engines.find((engine) => engine.name === base) ?? engines[0];
  const cells = engines.map((engine) => [
    engine.name,
    engine.prefill.median.toFixed(1),
    `${(engine.prefill.median / reference.prefill.median).toFixed(2)} x`,
    engine.decode.median.toFixed(1),
    `${(engine.decode.median / reference.decode.median).toFixed(2)} x`,
    `${engine.promptTokens} + ${engine.tokens}`,
    String(engine.decode.samples),
  ]);
  const rows = [['engine', 'prefill/s', 'ratio', 'decode/s', 'ratio', 'tokens', 'runs'], ...cells];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')).join('\n');
}
