/** What this device can do, as far as a browser tells it, and which model suits it. */

import { texts } from './texts.js';

/**
 * @import { BackendChoice } from './pkg/cache_steering.js'
 * @import { ModelEntry } from './protocol.js'
 */

/**
 * @typedef {object} Device
 * @property {{ name: string, software: boolean } | undefined} gpu
 * @property {number | undefined} memory of the whole device, in bytes; browsers round it
 * @property {boolean} mobile
 * @property {boolean} savesData whether the visitor asked for small downloads, or has a slow connection
 * @property {number} room bytes that the browser would still keep for this site
 * @property {number | undefined} tokensPerSecond of the smallest model, by the benchmark
 */

/** @typedef {{ model: ModelEntry, reason: string }} Recommendation */

/** What browsers that know them say beyond TypeScript's types. @typedef {{ deviceMemory?: number, connection?: { saveData?: boolean, effectiveType?: string }, userAgentData?: { mobile: boolean } }} MoreOfNavigator */

/** Part of a device's memory that one page may take. */
const SHARE_OF_MEMORY = 0.4;

/** Where a phone does not say what it has. */
const PHONE_MEMORY = 2 * 2 ** 30;

/** Below this many tokens per second people stop reading along. */
const READABLE = 5;

const MEASURED = 'cache-steering tokens per second';

/** Keeps what the benchmark found. @param {number} tokensPerSecond of the smallest model */
export function rememberSpeed(tokensPerSecond) {
  try {
    localStorage.setItem(MEASURED, String(tokensPerSecond));
  } catch {
    // Forbidden or full.
  }
}

function rememberedSpeed() {
  try {
    return Number(localStorage.getItem(MEASURED)) || undefined;
  } catch {
    return undefined;
  }
}

/** @returns {Promise<Device>} */
export async function readDevice() {
  const more = /** @type {MoreOfNavigator} */ (/** @type {unknown} */ (navigator));
  const { quota = Infinity, usage = 0 } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
  const { saveData = false, effectiveType = '' } = more.connection ?? {};
  return {
    gpu: await readGpu(),
    memory: more.deviceMemory && more.deviceMemory * 2 ** 30,
    mobile: more.userAgentData?.mobile ?? /Android|iPhone|iPad/.test(navigator.userAgent),
    savesData: saveData || effectiveType.endsWith('2g'),
    room: quota - usage,
    tokensPerSecond: rememberedSpeed(),
  };
}

async function readGpu() {
  // TypeScript's DOM types do not have WebGPU.
  const { gpu } = /** @type {{ gpu?: { requestAdapter(options: object): Promise<any> } }} */ (/** @type {unknown} */ (navigator));
  try {
    const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) return undefined;
    const { description, device, vendor, architecture, isFallbackAdapter } = adapter.info;
    const name = description || device || [vendor, architecture].filter(Boolean).join(' ');
    return { name, software: Boolean(isFallbackAdapter ?? adapter.isFallbackAdapter) || /swiftshader|llvmpipe|basic render/i.test(`${name} ${architecture}`) };
  } catch {
    return undefined;
  }
}

/**
 * The memory that a model takes on this device, and whether that is there.
 * @param {ModelEntry} model
 * @param {Device} device
 * @param {BackendChoice} backend
 */
export function assess(model, device, backend) {
  const onGpu = usesGpu(device, backend);
  const needs = model.memory?.[onGpu ? 'gpu' : 'cpu'] ?? (model.bytes && 2 * model.bytes);
  const has = device.memory ?? (device.mobile ? PHONE_MEMORY : Infinity);
  return { onGpu, needs, fits: (needs ?? 0) <= SHARE_OF_MEMORY * has, kept: (model.bytes ?? 0) < device.room };
}

/**
 * The first model that suits the device, and why; the one that needs the least where none does.
 * @param {ModelEntry[]} models
 * @param {Device} device
 * @param {BackendChoice} backend
 * @returns {Recommendation}
 */
export function recommend(models, device, backend) {
  const listed = models.filter((model) => !model.own);
  const fitting = listed.filter((model) => assess(model, device, backend).fits);
  const needs = (/** @type {ModelEntry} */ model) => assess(model, device, backend).needs ?? Infinity;
  const smallest = least(fitting, needs) ?? least(listed, needs) ?? models[0];
  const { reasons } = texts.models;
  if (fitting.length === 0) return { model: smallest, reason: reasons.nothingFits };
  if (!usesGpu(device, backend)) {
    const reason = !device.gpu ? reasons.noGpu : backend === 'cpu' ? reasons.onCpu : reasons.softwareGpu;
    return { model: smallest, reason };
  }
  if (device.savesData) return { model: least(fitting, (model) => model.bytes ?? Infinity) ?? smallest, reason: reasons.savesData };
  const quick = fitting.find((model) => isReadable(model, smallest, device));
  if (device.tokensPerSecond && quick !== fitting[0]) return { model: quick ?? smallest, reason: reasons.slow };
  const skipped = fitting[0] !== listed[0];
  return { model: fitting[0], reason: skipped ? reasons.memory : reasons.best(device.gpu?.name ?? '') };
}

/** Whether decoding, which reads all weights for each token, would be fast enough. @param {ModelEntry} model @param {ModelEntry} smallest @param {Device} device */
function isReadable(model, smallest, { tokensPerSecond }) {
  const times = (model.bytes ?? 0) / (smallest.bytes || 1);
  return tokensPerSecond === undefined || tokensPerSecond / times >= READABLE;
}

/** @param {Device} device @param {BackendChoice} backend */
const usesGpu = ({ gpu }, backend) => gpu !== undefined && (backend === 'gpu' || (backend === 'auto' && !gpu.software));

/**
 * @template T
 * @param {T[]} list
 * @param {(item: T) => number} measure
 * @returns {T | undefined}
 */
const least = (list, measure) => list.toSorted((one, other) => measure(one) - measure(other))[0];
