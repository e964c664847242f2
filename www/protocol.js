/**
 * What the page and its worker say to each other. The types of the engine itself come from the
 * package that wasm-bindgen makes.
 *
 * The page calls; the worker answers each call with any number of events and then with one result
 * or one failure, all under the call's id. `stop` has no answer: the call that it ends has one.
 *
 * @import {
 *   BackendChoice, BenchmarkProgress, BenchmarkRequest, BenchmarkResult, CalibrateProgress, Calibration, EngineInfo,
 *   EvaluateProgress, EvaluateRequest, EvaluateResult, ExtractProgress, ExtractRequest, GenerateEvent,
 *   GenerateRequest, GenerateResult, Inspection, LoadProgress, SlotWrite, StopReason, StrengthValues, Style, VectorInfo,
 * } from './pkg/cache_steering.js'
 */

/** @typedef {{ type: 'load', id: number, request: ModelRequest }} LoadCall */
/** @typedef {{ type: 'loadVector', id: number, name: string, url: string }} LoadVectorCall */
/** @typedef {{ type: 'generate', id: number, request: GenerateRequest }} GenerateCall */
/** @typedef {{ type: 'benchmark', id: number, request: BenchmarkRequest }} BenchmarkCall */
/** @typedef {{ type: 'addVector', id: number, name: string, file: Uint8Array }} AddVectorCall */
/** @typedef {{ type: 'vectorFile', id: number, name: string }} VectorFileCall */
/** @typedef {{ type: 'extract', id: number, request: ExtractRequest }} ExtractCall */
/** @typedef {{ type: 'calibrate', id: number, name: string, questions: string }} CalibrateCall */
/** @typedef {{ type: 'inspect', id: number, answer: Uint32Array }} InspectCall */
/** @typedef {{ type: 'evaluate', id: number, request: EvaluateRequest }} EvaluateCall */
/**
 * @typedef {LoadCall | LoadVectorCall | AddVectorCall | VectorFileCall | ExtractCall | CalibrateCall
 *   | EvaluateCall | InspectCall | GenerateCall | BenchmarkCall} Call
 */

/** What the page sends. @typedef {Call | { type: 'stop' }} ToWorker */

/**
 * @typedef {EngineInfo | VectorInfo | Uint8Array | Calibration | EvaluateResult | GenerateResult | Inspection
 *   | BenchmarkResult} Result
 */
/**
 * @typedef {LoadProgress | SourceEvent | ExtractProgress | CalibrateProgress | EvaluateProgress | GenerateEvent
 *   | BenchmarkProgress | Part} Progress
 */

/** How much of some work is done. @typedef {{ done: number, total: number }} Part */

/** An error on its way: `name` is its kind, such as `Fetch` or `DeviceLost`. @typedef {{ name: string, message: string }} Failure */

/**
 * What the worker sends.
 * @typedef {{ type: 'event', id: number, event: Progress }
 *   | { type: 'result', id: number, result: Result }
 *   | { type: 'failure', id: number, failure: Failure }} FromWorker
 */

/**
 * Where a file of a model is: under any of some addresses, or on the visitor's disk.
 * @typedef {{ urls: string[], bytes?: number, sha256?: string } | { blob: File }} FileEntry
 */

/**
 * Which model to load, and where it is to run.
 * @typedef {object} ModelRequest
 * @property {FileEntry[]} files several where the model is split
 * @property {string} label for people
 * @property {BackendChoice} backend
 * @property {string} [kernels] what `EngineInfo.kernels` was on this device
 */

/**
 * Where the bytes of a model come from, as that changes.
 * @typedef {{ source: 'stored' }
 *   | { source: 'network', host: string, skip: number, total?: number }
 *   | { source: 'retry', seconds: number, reason: string }
 *   | { source: 'offline' }
 *   | { source: 'waiting' }
 *   | { source: 'again', reason: string }
 *   | { source: 'unstored' }} SourceEvent
 *   this browser's store; the network, after bytes that a server could not leave out; a pause before the
 *   next try, or until there is a network; another tab that fetches the same file; a second time, because
 *   what came was damaged; and that nothing can be kept
 */

/**
 * models.json. A host can edit it.
 * @typedef {object} ModelList
 * @property {string[]} connect origins from which models may come, besides the site's own
 * @property {ModelEntry[]} models the first one that suits the device is recommended
 */

/**
 * One model; addresses are relative to the page.
 * @typedef {object} ModelEntry
 * @property {string} id
 * @property {string} name
 * @property {string} label for people
 * @property {string} [about] one line for people
 * @property {FileEntry[]} files
 * @property {number} [bytes] of all files
 * @property {{ gpu: number, cpu: number }} [memory] that it takes, in bytes, with the KV cache of two answers
 * @property {string} [licence] its name
 * @property {string} [source] address of a page about it
 * @property {string} [vectors] the folder of its steering vectors; without one they are made on first use
 * @property {boolean} [own] whether the visitor added it
 */

/**
 * An entry of vectors/index.json, which lists the presets under the name of their folder.
 * @typedef {object} Preset
 * @property {string} id
 * @property {string} label for people
 * @property {string} description one line for people
 * @property {string} [file] inside the folder
 * @property {Style} [style] how to make the vector, where there is no file of it
 * @property {boolean} [own] whether it was made or added in this browser
 * @property {StrengthValues} recommended
 * @property {boolean} [isGuess] whether nobody has tried that strength
 * @property {number} repetitionPenalty
 */

/**
 * An entry of vectors/recordings.json: one question, answered plain and steered.
 * @typedef {{ question: string, preset: string, plain: RecordedAnswer, steered: RecordedAnswer }} Recording
 */

/**
 * @typedef {object} RecordedAnswer
 * @property {string} command that gives it
 * @property {number} promptTokens without the offset
 * @property {number} strength
 * @property {number} layers of the model
 * @property {(SlotWrite & { firstLayer: number }) | null} write what was added, in parts of what was there
 * @property {string[]} pieces the text that each token adds
 * @property {StopReason} stopReason
 */

export {};
