/**
 * The browser's side of `cargo xtask bench --browser`: engines that answer the same prompt, timed in
 * the same way, by when their tokens arrive in the page.
 */

import { Wllama } from '/wllama/index.js';
import { EngineClient } from '/engine-client.js';

/**
 * One answer of an engine. Times are of the page's clock, in milliseconds: from the request to the
 * first token, and from there to the last.
 * @typedef {{ promptTokens: number, tokens: number, firstMs: number, restMs: number, text: string }} Run
 */

/** @typedef {{ role: 'system' | 'user', content: string }[]} Messages */

/** @type {Record<string, { run(messages: Messages, tokens: number): Promise<Run> }>} */
const engines = {};

/** Notes when tokens arrive. */
function stopwatch() {
  const start = performance.now();
  let first = 0;
  let last = 0;
  return {
    token() {
      last = performance.now();
      first ||= last;
    },
    times: () => ({ firstMs: first - start, restMs: last - first }),
  };
}

/** @param {string} url @param {'gpu' | 'cpu'} backend */
async function loadOurs(url, backend) {
  const client = new EngineClient();
  const info = await client.load({ files: [{ urls: [url] }], label: '', backend }, () => {});
  return {
    detail: info.device,
    software: info.backend === 'gpu' && info.software,
    /** @param {Messages} messages @param {number} tokens */
    async run(messages, tokens) {
      const watch = stopwatch();
      const request = { messages, lanes: [{}], sampling: { temperature: 0 }, maxTokens: tokens };
      const result = await client.generate(request, (event) => {
        if (event.type === 'token') watch.token();
      });
      const [lane] = result.lanes;
      return { promptTokens: result.promptTokens, tokens: lane.tokens.length, text: lane.text, ...watch.times() };
    },
  };
}

/** @param {string} url @param {number} threads */
async function loadWllama(url, threads) {
  const wllama = new Wllama({ default: '/wllama/wasm/wllama.wasm' }, { suppressNativeLog: true });
  const file = await (await fetch(url)).blob();
  await wllama.loadModel([file], { n_ctx: 2048, n_threads: threads, n_gpu_layers: 0 });
  if (wllama.getNumThreads() !== threads) throw new Error(`wllama runs ${wllama.getNumThreads()} threads, not ${threads}`);
  return {
    detail: `llama.cpp ${Wllama.getLibllamaVersion()}`,
    software: false,
    /** @param {Messages} messages @param {number} tokens */
    async run(messages, tokens) {
      const watch = stopwatch();
      let text = '';
      let count = 0;
      let promptTokens = 0;
      await wllama.createChatCompletion({
        messages,
        max_tokens: tokens,
        temperature: 0,
        stream: true,
        cache_prompt: false,
        timings_per_token: true,
        onData(chunk) {
          const content = chunk.choices[0]?.delta?.content;
          if (content) {
            watch.token();
            text += content;
          }
          if (chunk.timings) {
            count = chunk.timings.predicted_n;
            promptTokens = chunk.timings.prompt_n;
          }
        },
      });
      return { promptTokens, tokens: count, text, ...watch.times() };
    },
  };
}

Object.assign(window, {
  bench: {
    /**
     * Loads an engine under a name, and says what it runs on, and whether that is a GPU in software.
     * @param {string} name @param {string} url @param {{ backend?: 'gpu' | 'cpu', threads?: number }} how
     */
    async load(name, url, { backend, threads }) {
      const engine = backend ? await loadOurs(url, backend) : await loadWllama(url, threads ?? 1);
      engines[name] = engine;
      return { detail: engine.detail, software: engine.software };
    },

    /** @param {string} name @param {Messages} messages @param {number} tokens */
    run: (name, messages, tokens) => engines[name].run(messages, tokens),

    /** All figures of one backend. @param {import('../../www/pkg/cache_steering.js').BenchmarkRequest} request */
    async report(request) {
      const client = new EngineClient();
      try {
        return await client.benchmark(request, () => {});
      } finally {
        client.dispose();
      }
    },
  },
});
