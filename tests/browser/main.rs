//! Tests that run in a browser, in a worker, where the engine lives for visitors:
//! `wasm-pack test --headless --chrome`.
//!
//! Most models are synthetic; the real one runs where `cargo xtask fetch-model` has fetched it.
#![cfg(target_arch = "wasm32")]

mod backends;
mod download;
mod real_model;
mod steering;
mod support;
mod tokenizer;
mod web_engine;
mod workshop;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
