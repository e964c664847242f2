/** The engine as the page sees it: promises, with a worker behind them. */

/**
 * @import {
 *   BenchmarkProgress, BenchmarkRequest, BenchmarkResult, CalibrateProgress, Calibration, EngineInfo,
 *   EvaluateProgress, EvaluateRequest, EvaluateResult, ExtractProgress, ExtractRequest, GenerateEvent,
 *   GenerateRequest, GenerateResult, Inspection, LoadProgress, VectorInfo,
 * } from './pkg/cache_steering.js'
 * @import { Call, Failure, FromWorker, ModelRequest, SourceEvent, ToWorker } from './protocol.js'
 */

/** A failure of the engine; `name` is its kind. */
export class EngineError extends Error {
  /** @param {Failure} failure */
  constructor({ name, message }) {
    super(message);
    this.name = name;
  }
}

/** Of what the visitor ended. */
export const cancelled = () => new EngineError({ name: 'Cancelled', message: '' });

/** The worker came to an end that it had no words for: a panic, or a lack of memory. */
export const CRASH = 'Crash';

/** The engine has other work. */
export const BUSY = 'Busy';
export const busy = () => new EngineError({ name: BUSY, message: '' });

/** There is no engine yet. */
export const NO_MODEL = 'NoModel';
export const noModel = () => new EngineError({ name: NO_MODEL, message: '' });

/** The worker or its WebAssembly could not be fetched or started. */
export const SETUP = 'Setup';

/**
 * @typedef {object} Waiting
 * @property {(result: any) => void} resolve
 * @property {(error: EngineError) => void} reject
 * @property {((event: any) => void) | undefined} tell
 */

/**
 * `T` without the id, which the client gives.
 * @template T
 * @typedef {T extends unknown ? Omit<T, 'id'> : never} WithoutId
 */

/**
 * The worker's script, by way of a `blob:` address: a worker obeys the page's content security policy
 * only where its address is local to the page. From an address on the network it would go by the headers
 * of that response, which a static host does not set.
 */
function workerAddress() {
  const script = new URL('worker.js', import.meta.url).href;
  return URL.createObjectURL(new Blob([`import ${JSON.stringify(script)};`], { type: 'text/javascript' }));
}

export class EngineClient {
  #address = workerAddress();
  #worker = new Worker(this.#address, { type: 'module' });
  #nextId = 0;
  /** Whether the worker has ever said something. */
  #heard = false;
  /** Why there is no worker any more. @type {EngineError | undefined} */
  #ended;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();

  constructor() {
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    // A panic or a lack of memory in WebAssembly arrives here: no promise in the worker settles.
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message ?? '');
    };
    this.#worker.onmessageerror = () => this.#fail('');
  }

  /**
   * Loads a model and makes it ready.
   * @param {ModelRequest} request
   * @param {(progress: LoadProgress | SourceEvent) => void} onProgress
   * @returns {Promise<EngineInfo>}
   */
  load(request, onProgress) {
    return this.#call({ type: 'load', request }, onProgress);
  }

  /**
   * @param {string} name
   * @param {string} url
   * @returns {Promise<VectorInfo>}
   */
  loadVector(name, url) {
    return this.#call({ type: 'loadVector', name, url });
  }

  /**
   * Takes a vector from the bytes of its file.
   * @param {string} name
   * @param {Uint8Array} file
   * @returns {Promise<VectorInfo>}
   */
  addVector(name, file) {
    return this.#call({ type: 'addVector', name, file });
  }

  /**
   * The file of a vector.
   * @param {string} name
   * @returns {Promise<Uint8Array>}
   */
  vectorFile(name) {
    return this.#call({ type: 'vectorFile', name });
  }

  /**
   * Makes a vector.
   * @param {ExtractRequest} request
   * @param {(progress: ExtractProgress) => void} onProgress
   * @returns {Promise<VectorInfo>}
   */
  extract(request, onProgress) {
    return this.#call({ type: 'extract', request }, onProgress);
  }

  /**
   * Finds the strength of a vector.
   * @param {string} name
   * @param {string} questions JSON lines
   * @param {(progress: CalibrateProgress) => void} onProgress
   * @returns {Promise<Calibration>}
   */
  calibrate(name, questions, onProgress) {
    return this.#call({ type: 'calibrate', name, questions }, onProgress);
  }

  /**
   * Measures what vectors do to answers.
   * @param {EvaluateRequest} request
   * @param {(progress: EvaluateProgress) => void} onProgress
   * @returns {Promise<EvaluateResult>}
   */
  evaluate(request, onProgress) {
    return this.#call({ type: 'evaluate', request }, onProgress);
  }

  /**
   * @param {GenerateRequest} request
   * @param {(event: GenerateEvent) => void} onEvent
   * @returns {Promise<GenerateResult>}
   */
  generate(request, onEvent) {
    return this.#call({ type: 'generate', request }, onEvent);
  }

  /**
   * Looks into the last answers, a plain and a steered one.
   * @param {number[]} answer the tokens of the steered one
   * @param {(progress: { done: number, total: number }) => void} onProgress
   * @returns {Promise<Inspection>}
   */
  inspect(answer, onProgress) {
    return this.#call({ type: 'inspect', answer: Uint32Array.from(answer) }, onProgress);
  }

  /**
   * Measures this device with a model of the benchmark's own.
   * @param {BenchmarkRequest} request
   * @param {(progress: BenchmarkProgress) => void} onProgress
   * @returns {Promise<BenchmarkResult>}
   */
  benchmark(request, onProgress) {
    return this.#call({ type: 'benchmark', request }, onProgress);
  }

  /** Whether a call has no answer yet. */
  get isBusy() {
    return this.#waiting.size > 0;
  }

  /** Ends the work that runs; the promise of a generation resolves with what there is. */
  stop() {
    this.#post({ type: 'stop' });
  }

  /** Ends the worker at once, whatever it does, and frees its memory. */
  dispose() {
    this.#end(cancelled());
  }

  /**
   * @param {WithoutId<Call>} call
   * @param {(event: any) => void} [tell]
   * @returns {Promise<any>}
   */
  #call(call, tell) {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, tell });
      this.#post({ ...call, id });
    });
  }

  /** @param {ToWorker} message */
  #post(message) {
    this.#worker.postMessage(message);
  }

  /** @param {FromWorker} message */
  #receive(message) {
    if (!this.#heard) URL.revokeObjectURL(this.#address);
    this.#heard = true;
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    if (message.type === 'event') {
      waiting.tell?.(message.event);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.type === 'result') waiting.resolve(message.result);
    else waiting.reject(new EngineError(message.failure));
  }

  /** @param {string} message */
  #fail(message) {
    this.#end(new EngineError({ name: this.#heard ? CRASH : SETUP, message }));
  }

  /** @param {EngineError} error for all who wait */
  #end(error) {
    this.#ended = error;
    this.#worker.terminate();
    URL.revokeObjectURL(this.#address);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
