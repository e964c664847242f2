//! Tests that run in a browser, in a worker, where the engine lives for visitors:
//! `wasm-pack test --headless --chrome`.
//!
//! The models are synthetic, because a test page has no server that could send a real one; the
//! page tests run that.
#![cfg(target_arch = "wasm32")]

mod backends;
mod download;
mod steering;
mod support;
mod web_engine;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
