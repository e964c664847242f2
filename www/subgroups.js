/**
 * Lets kernels use subgroups, where the browser has them: wgpu knows no WebGPU feature of that
 * name, and so cannot ask for it. The engine brings this file along and calls it.
 */

let granted = false;

/** Has the next device that is requested in this realm ask for subgroups as well. */
export function askForSubgroups() {
  const prototype = globalThis.GPUAdapter?.prototype;
  if (!prototype) return;
  const { requestDevice } = prototype;
  prototype.requestDevice = async function (descriptor = {}) {
    prototype.requestDevice = requestDevice;
    const subgroups = /** @type {GPUFeatureName} */ ('subgroups');
    const requiredFeatures = [...(descriptor.requiredFeatures ?? [])];
    if (this.features.has(subgroups)) requiredFeatures.push(subgroups);
    const device = await requestDevice.call(this, { ...descriptor, requiredFeatures });
    granted = device.features.has(subgroups);
    return device;
  };
}

/** Whether the last device that was asked for them has subgroups. */
export function hasSubgroups() {
  return granted;
}
