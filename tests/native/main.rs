//! Tests that run natively: model files and their faults, the backends against each other on
//! synthetic models, and the real model against golden numbers.
#![cfg(not(target_arch = "wasm32"))]

mod backends;
mod benchmark;
mod cli;
mod conversion;
mod cpu;
mod decode;
mod faults;
mod golden;
mod inspect;
mod kernels;
mod large_vocabulary;
mod loading;
mod public_model;
mod recut;
mod small_tokenizers;
mod split;
mod steering;
mod tiny_engine;
mod tiny_models;
mod turns;
mod vectors;
