/**
 * What the page and its worker say to each other. The types of the engine itself come from the
 * package that wasm-bindgen makes.
 *
 * The page calls; the worker answers each call with any number of events and then with one result
 * or one failure, all under the call's id. `stop` has no answer: the call that it ends has one.
 *
 * @import {
 *   BenchmarkProgress, BenchmarkRequest, BenchmarkResult, EngineInfo, GenerateEvent, GenerateRequest,
 *   GenerateResult, LoadProgress, LoadRequest, VectorInfo,
 * } from './pkg/cache_steering.js'
 */

/** @typedef {{ type: 'load', id: number, request: LoadRequest }} LoadCall */
/** @typedef {{ type: 'loadVector', id: number, name: string, url: string }} LoadVectorCall */
/** @typedef {{ type: 'generate', id: number, request: GenerateRequest }} GenerateCall */
/** @typedef {{ type: 'benchmark', id: number, request: BenchmarkRequest }} BenchmarkCall */
/** @typedef {LoadCall | LoadVectorCall | GenerateCall | BenchmarkCall} Call */

/** What the page sends. @typedef {Call | { type: 'stop' }} ToWorker */

/** @typedef {EngineInfo | VectorInfo | GenerateResult | BenchmarkResult} Result */
/** @typedef {LoadProgress | GenerateEvent | BenchmarkProgress} Progress */

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
 * @property {string} file inside the folder
 * @property {{ values: number, keys: number, firstLayer: number }} recommended
 */

export {};
