//! Subgroups: natively a feature of wgpu, in browsers one that wgpu cannot ask for.

/// To be called before a device is requested.
pub(super) fn ask() {
    #[cfg(target_arch = "wasm32")]
    browser::ask();
}

/// Whether a device that was just requested runs kernels with subgroups.
pub(super) fn granted(device: &wgpu::Device) -> bool {
    #[cfg(target_arch = "wasm32")]
    return {
        let _ = device;
        browser::granted()
    };
    #[cfg(not(target_arch = "wasm32"))]
    device.features().contains(wgpu::Features::SUBGROUP)
}

#[cfg(target_arch = "wasm32")]
mod browser {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(module = "/www/subgroups.js")]
    extern "C" {
        #[wasm_bindgen(js_name = askForSubgroups)]
        pub fn ask();
        #[wasm_bindgen(js_name = hasSubgroups)]
        pub fn granted() -> bool;
    }
}
