/**
 * What wgpu leaves out of the browser's WebGPU: the feature "subgroups", which it does not know and
 * so cannot ask for, and what an adapter is. The engine brings this file along and calls it.
 */

let subgroupsGranted = false;
let identity = '';

/** Has the next device that is requested in this realm ask for subgroups as well. */
export function watchNextDevice() {
  const prototype = globalThis.GPUAdapter?.prototype;
  if (!prototype) return;
  const { requestDevice } = prototype;
  prototype.requestDevice = async function (descriptor = {}) {
    prototype.requestDevice = requestDevice;
    const subgroups = /** @type {GPUFeatureName} */ ('subgroups');
    const requiredFeatures = [...(descriptor.requiredFeatures ?? [])];
    if (this.features.has(subgroups)) requiredFeatures.push(subgroups);
    const device = await requestDevice.call(this, { ...descriptor, requiredFeatures });
    subgroupsGranted = device.features.has(subgroups);
    const { vendor, architecture, device: model, description } = this.info ?? {};
    // No browser tells the driver; a new browser may at least compile otherwise.
    identity = [vendor, architecture, model, description, navigator.userAgent].join(' ');
    return device;
  };
}

/** Whether the last device that was watched has subgroups. */
export function hasSubgroups() {
  return subgroupsGranted;
}

/** The adapter of the last device that was watched, and the browser, to know them again. */
export function adapterIdentity() {
  return identity;
}
