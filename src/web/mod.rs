//! The engine for JavaScript: in a worker or a window, through wasm-bindgen.
//!
//! In come addresses, requests and callbacks, out go promises: [`WebEngine`] is the whole surface.
//! Every value that crosses is a struct of [`types`], which are the TypeScript interfaces of the
//! package as well; errors are JavaScript `Error`s whose `name` is the kind and whose `message`
//! says the cause and the next step ([`error`]). Bytes come through [`fetch`], or from JavaScript
//! itself (`files`); long work reports to a callback and lets the event loop run in between, so that a stop is heard (`progress`).

pub mod benchmark;
pub mod engine;
pub mod error;
mod evaluate;
pub mod fetch;
mod files;
mod inspect;
mod progress;
pub mod types;
mod workshop;

pub use engine::WebEngine;

use wasm_bindgen::prelude::*;

/// Runs when the module is instantiated: a panic and the log show up in the console.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    // Fails only where a logger is set already, as in tests that share one module.
    let _ = console_log::init_with_level(log::Level::Warn);
}
