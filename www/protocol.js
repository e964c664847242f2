/**
 * What the page and its worker say to each other. The types of the engine itself come from the
 * package that wasm-bindgen makes.
 *
 * The page calls; the worker answers each call with any number of events and then with one result
 * or one failure, all under the call's id. `stop` has no answer: the call that it ends has one.
 *
 * @import {
 *   BenchmarkProgress, BenchmarkRequest, BenchmarkResult, CalibrateProgress, Calibration, EngineInfo,
 *   EvaluateProgress, EvaluateRequest, EvaluateResult, ExtractProgress, ExtractRequest, GenerateEvent,
 *   GenerateRequest, GenerateResult, LoadProgress, LoadRequest, StrengthValues, Style, VectorInfo,
 * } from './pkg/cache_steering.js'
 */

/** @typedef {{ type: 'load', id: number, request: LoadRequest }} LoadCall */
/** @typedef {{ type: 'loadVector', id: number, name: string, url: string }} LoadVectorCall */
/** @typedef {{ type: 'generate', id: number, request: GenerateRequest }} GenerateCall */
/** @typedef {{ type: 'benchmark', id: number, request: BenchmarkRequest }} BenchmarkCall */
/** @typedef {{ type: 'addVector', id: number, name: string, file: Uint8Array }} AddVectorCall */
/** @typedef {{ type: 'vectorFile', id: number, name: string }} VectorFileCall */
/** @typedef {{ type: 'extract', id: number, request: ExtractRequest }} ExtractCall */
/** @typedef {{ type: 'calibrate', id: number, name: string, questions: string }} CalibrateCall */
/** @typedef {{ type: 'evaluate', id: number, request: EvaluateRequest }} EvaluateCall */
/**
 * @typedef {LoadCall | LoadVectorCall | AddVectorCall | VectorFileCall | ExtractCall | CalibrateCall
 *   | EvaluateCall | GenerateCall | BenchmarkCall} Call
 */

/** What the page sends. @typedef {Call | { type: 'stop' }} ToWorker */

/**
 * @typedef {EngineInfo | VectorInfo | Uint8Array | Calibration | EvaluateResult | GenerateResult
 *   | BenchmarkResult} Result
 */
/**
 * @typedef {LoadProgress | ExtractProgress | CalibrateProgress | EvaluateProgress | GenerateEvent
 *   | BenchmarkProgress} Progress
 */

/** An error on its way: `name` is its kind, such as `Fetch` or `DeviceLost`. @typedef {{ name: string, message: string }} Failure */

/**
 * What the worker sends.
 * @typedef {{ type: 'event', id: number, event: Progress }
 *   | { type: 'result', id: number, result: Result }
 *   | { type: 'failure', id: number, failure: Failure }} FromWorker
 */

/**
 * An entry of models.json; addresses are relative to the page.
 * @typedef {object} ModelEntry
 * @property {string} id
 * @property {string} name
 * @property {string} label for people
 * @property {string} url of the GGUF file
 * @property {number} bytes
 * @property {string} sha256
 * @property {string} vectors the folder of its steering vectors
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
 * @property {number} repetitionPenalty
 */

export {};
