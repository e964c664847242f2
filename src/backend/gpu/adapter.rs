//! What wgpu says of an adapter natively and leaves out in browsers: whether a device has
//! subgroups, and what to know an adapter by.

/// To be called before a device is requested.
pub(super) fn watch() {
    #[cfg(target_arch = "wasm32")]
    browser::watch();
}

/// Whether a device that was just requested runs kernels with subgroups.
pub(super) fn has_subgroups(device: &wgpu::Device) -> bool {
    #[cfg(target_arch = "wasm32")]
    return {
        let _ = device;
        browser::has_subgroups()
    };
    #[cfg(not(target_arch = "wasm32"))]
    device.features().contains(wgpu::Features::SUBGROUP)
}

/// The adapter and its driver, to know them again.
pub(super) fn identity(info: &wgpu::AdapterInfo) -> String {
    #[cfg(target_arch = "wasm32")]
    return {
        let _ = info;
        browser::identity()
    };
    #[cfg(not(target_arch = "wasm32"))]
    format!(
        "{} {:04x} {:04x} {} {}",
        info.name, info.vendor, info.device, info.driver, info.driver_info
    )
}

#[cfg(target_arch = "wasm32")]
mod browser {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(module = "/www/adapter.js")]
    extern "C" {
        #[wasm_bindgen(js_name = watchNextDevice)]
        pub fn watch();
        #[wasm_bindgen(js_name = hasSubgroups)]
        pub fn has_subgroups() -> bool;
        #[wasm_bindgen(js_name = adapterIdentity)]
        pub fn identity() -> String;
    }
}
